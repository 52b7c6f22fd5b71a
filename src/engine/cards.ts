// What a message about an incident says: one frozen text per state, made of our words and of facts.
// A log is quoted in the excerpt only, and every fact stays on its line: none can pose as another one.

import type { Incident } from '../core/incident.ts';
import type { Button, Notification } from '../core/notification.ts';
import { canTakeBack } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';
import type { Severity } from '../core/words.ts';
import { oneLine } from '../core/visible.ts';
import { STATE_WORDS } from '../core/wording.ts';
import type { Approval } from '../store/contract.ts';
import {
  capital,
  checkLines,
  clockTime,
  commandLines,
  evidenceLines,
  excerptOf,
  fact,
  lines,
  riskLine,
  stepLines,
} from './card-lines.ts';

/** Text of a message, before it is known when and how it goes out. */
export type Card = Pick<Notification, 'title' | 'body' | 'buttons' | 'plan'> & { readonly excerpt?: string };

export interface CardFacts {
  readonly incident: Incident;
  readonly plan: Plan | null;
  readonly approval: Approval | null;
  readonly maxAttempts: number;
  /** What a person would type next on the host, when it is their turn. */
  readonly next: readonly string[];
  readonly now: number;
  /** IANA name for the times in the text. */
  readonly timezone: string;
}

const ICONS: Readonly<Record<Severity, string>> = { critical: '🚨', high: '⚠️', medium: '🔸', low: '▫️' };

const APPROVE: Button = { label: 'Approve', action: 'approve' };
const DENY: Button = { label: 'Deny', action: 'deny' };
const DETAILS: Button = { label: 'Details', action: 'details' };
const SILENCE: Button = { label: 'Silence 2 h', action: 'silence' };
const ROLL_BACK: Button = { label: 'Roll back', action: 'rollback' };

/** The card of an incident as it is now: shown first, edited ever after. */
export function alertCard(facts: CardFacts): Card {
  const { incident } = facts;
  const said = stateLine(facts);
  return {
    title: `${iconOf(incident)} ${heading(incident)}`,
    body: lines(said, seenLine(facts)),
    excerpt: excerptOf(incident),
    buttons: incident.state.name === 'resolved' ? [DETAILS] : [DETAILS, SILENCE],
    plan: null,
  };
}

/** The question: what, why, exactly which steps, the way back, the risk, and until when. */
export function askCard(facts: CardFacts): Card {
  const { incident, plan, approval } = facts;
  if (!plan) return alertCard(facts);
  const decided = decisionLine(facts);
  const open = decided === null;
  return {
    title: `${open ? '❓' : decidedIcon(facts)} ${heading(incident)}: ${open ? 'may I fix it?' : fact(plan.title)}`,
    body: lines(
      ...(decided === null ? [] : [decided, '']),
      `What: ${fact(plan.title)}`,
      `Why: ${fact(plan.why)}`,
      approval ? null : `Asks because: ${fact(plan.decision.reason)}`,
      '',
      ...stepLines(plan),
      '',
      ...checkLines(plan.checks),
      riskLine(plan),
      `Plan ${plan.hash.slice(0, 12)}${open ? `, valid until ${clockTime(plan.expiresAt, facts.timezone, facts.now)}` : ''}`,
    ),
    excerpt: excerptOf(incident),
    buttons: open ? [APPROVE, DENY, DETAILS, SILENCE] : [DETAILS],
    plan: open ? { id: plan.id, hash: plan.hash, expiresAt: plan.expiresAt } : null,
  };
}

/** Healed, with the proof. */
export function fixedCard(facts: CardFacts): Card {
  const { incident, plan } = facts;
  return {
    title: `${iconOf(incident)} ${heading(incident)}: ${incident.state.name === 'resolved' ? 'fixed' : wordOf(incident)}`,
    body: lines(
      plan ? `Done: ${fact(plan.title)}` : null,
      capital(fact(incident.outcome ? incident.outcome.reason : incident.reason)),
      ...evidenceLines(incident.outcome?.evidence ?? []),
      attemptLine(facts),
      plan?.restart === 'recommended'
        ? `🔄 Restart recommended: ${oneLine(incident.service, 60)} takes it in when it starts anew.`
        : null,
      plan?.restart === 'done' ? 'The service was restarted.' : null,
    ),
    buttons: incident.state.name === 'resolved' && canTakeBack(incident.outcome) ? [DETAILS, ROLL_BACK] : [DETAILS],
    plan: null,
  };
}

/** selfheal cannot or must not go on: a person has to. */
export function escalationCard(facts: CardFacts): Card {
  const { incident, plan } = facts;
  const suggestion = suggested(facts);
  const open = incident.state.name === 'needs-human';
  return {
    title: `${open ? '🆘' : iconOf(incident)} ${heading(incident)}: ${open ? 'needs you' : wordOf(incident)}`,
    body: lines(
      open ? capital(fact(incident.reason)) : stateLine(facts),
      incident.outcome && incident.outcome.reason !== incident.reason ? fact(incident.outcome.reason) : null,
      incident.outcome?.byHand ? `By hand: ${fact(incident.outcome.byHand)}` : null,
      ...(suggestion ? ['', ...stepLines(suggestion), ''] : []),
      ...evidenceLines((incident.outcome?.evidence ?? []).filter((e) => e.passed !== true)),
      attemptLine(facts),
      seenLine(facts),
      ...(open ? commandLines(facts.next) : []),
      open ? `Here: plan ${incident.id} · fix ${incident.id} · resolve ${incident.id} · silence ${incident.id}` : null,
    ),
    excerpt: excerptOf(incident),
    buttons: suggestion ? [APPROVE, DETAILS, SILENCE] : open ? [DETAILS, SILENCE] : [DETAILS],
    plan: suggestion && plan ? { id: plan.id, hash: plan.hash, expiresAt: plan.expiresAt } : null,
  };
}

/** A plan that was only suggested and may still be approved. */
export function suggested({ incident, plan, approval, now }: CardFacts): Plan | null {
  if (incident.state.name !== 'needs-human' || !plan || approval || plan.expiresAt <= now) return null;
  if (incident.outcome?.plan === plan.id || plan.decision.verdict === 'refuse') return null;
  // An ask that ran out or was denied is not a suggestion.
  return incident.reason.startsWith('suggestion') ? plan : null;
}

/** One line about where an incident stands, for digests. */
export function stateTitle(incident: Incident): string {
  const word = wordOf(incident);
  return `${iconOf(incident)} ${heading(incident)}${word === 'open' ? '' : `: ${word}`}`;
}

// ---------------------------------------------------------------- parts

function heading(incident: Incident): string {
  return `#${incident.id} ${oneLine(incident.service, 60)} · ${incident.type}`;
}

function iconOf(incident: Incident): string {
  switch (incident.state.name) {
    case 'healing':
    case 'verifying':
      return '🔧';
    case 'resolved':
      return '✅';
    case 'silenced':
      return '🔕';
    case 'needs-human':
      return '🆘';
    case 'awaiting-approval':
      return '❓';
    default:
      return ICONS[incident.severity];
  }
}

function decidedIcon({ incident, approval }: CardFacts): string {
  if (approval?.verdict === 'denied') return '🚫';
  return incident.state.name === 'needs-human' && !approval ? '⌛' : iconOf(incident);
}

function wordOf(incident: Incident): string {
  const { state, outcome } = incident;
  if (state.name === 'resolved') return state.by === 'fix' ? 'fixed' : 'over';
  if (state.name === 'needs-human' && outcome) return OUTCOME_WORDS[outcome.kind] ?? outcome.kind;
  return STATE_WORDS[state.name];
}

const OUTCOME_WORDS: Readonly<Record<string, string>> = {
  'rolled-back': 'taken back, needs you',
  'rollback-failed': 'could not be taken back',
  inconclusive: 'unclear, needs you',
  refused: 'needs you',
  'not-applicable': 'needs you',
};

/** Where the incident is now, in one sentence. */
function stateLine(facts: CardFacts): string {
  const { incident, timezone } = facts;
  const { state } = incident;
  const reason = fact(incident.reason);
  const what = facts.plan ? fact(facts.plan.title) : reason;
  switch (state.name) {
    case 'open':
      if (incident.attempts > 0)
        return `Attempt ${incident.attempts} of ${facts.maxAttempts} did not help (${reason}). Next try at ${clockTime(state.notBefore, timezone, facts.now)}.`;
      return reason ? capital(reason) : incident.fixable ? 'Looking for a fix.' : 'Watching.';
    case 'awaiting-approval':
      return `Waits for your decision until ${clockTime(state.until, timezone, facts.now)}: ${what}`;
    case 'healing':
      return `Fixing: ${what}${approvedBy(facts)}`;
    case 'verifying':
      if (state.beside !== undefined) return `Done: ${what}. ${capital(reason)}.`;
      return `Done and checked: ${what}. It must stay quiet until ${clockTime(state.quietUntil, timezone)}.`;
    case 'resolved':
      return state.by === 'fix'
        ? `Fixed at ${clockTime(state.at, timezone)}: ${what}`
        : `Over since ${clockTime(state.at, timezone)}: ${reason}`;
    case 'needs-human':
      return `Needs you: ${reason}`;
    case 'silenced':
      return `Silenced by ${fact(state.by)} until ${clockTime(state.until, timezone, facts.now)}.`;
  }
}

function approvedBy({ approval }: CardFacts): string {
  return approval?.verdict === 'approved' ? ` (approved by ${fact(approval.by)})` : '';
}

/** What became of a question; null while it is open. */
function decisionLine(facts: CardFacts): string | null {
  const { incident, plan, approval, timezone } = facts;
  if (approval) {
    const verb = approval.verdict === 'approved' ? 'Approved' : 'Denied';
    const then = approval.verdict === 'approved' ? ` ${stateLine(facts)}` : '';
    return `${verb} by ${fact(approval.by)} at ${clockTime(approval.at, timezone)}.${then}`;
  }
  if (incident.state.name === 'awaiting-approval' && incident.state.plan === plan?.id) return null;
  return incident.state.name === 'needs-human' ? capital(`${fact(incident.reason)}.`) : stateLine(facts);
}

function seenLine({ incident, now, timezone }: CardFacts): string {
  const first = clockTime(incident.firstSeen, timezone, now);
  if (incident.count <= 1) return `Seen once, at ${first}`;
  return `Seen ${incident.count} times, ${first} to ${clockTime(incident.lastSeen, timezone, now)}`;
}

function attemptLine({ incident, maxAttempts }: CardFacts): string | null {
  return incident.attempts > 1 ? `Attempt ${incident.attempts} of ${maxAttempts}` : null;
}
