// Decides what a change of an incident means for the people: which message it makes, which ones it
// edits, and why something is not sent. Pure; the rules of the severity table live here.

import type { Config } from '../config/contract.ts';
import type { Incident, IncidentStateName } from '../core/incident.ts';
import { urgencyOf, type Notification, type Urgency } from '../core/notification.ts';
import type { Severity } from '../core/words.ts';
import { alertCard, askCard, escalationCard, fixedCard, suggested, type Card, type CardFacts } from './cards.ts';

/** What has been told about an incident. Stored, so that a restart neither repeats nor forgets. */
export interface Told {
  /** Key of this episode's card: a problem that comes back gets a card of its own. */
  readonly card: string;
  /** Key of the latest question and its plan. */
  readonly ask: { readonly key: string; readonly plan: string } | null;
  /** Key of the latest result or escalation, and which of the two it is. */
  readonly end: { readonly key: string; readonly kind: 'fixed' | 'escalated' } | null;
  readonly state: IncidentStateName;
  readonly plan: string | null;
  readonly attempts: number;
  readonly severity: Severity;
  readonly count: number;
  readonly revision: number;
  /** Times within the last hour at which it rang because it came up or came back. */
  readonly rings?: readonly number[];
}

/** A notification and whether it is only recorded. */
export interface Draft {
  readonly notification: Notification;
  readonly withheld: boolean;
}

export type NewsPolicy = Pick<Config, 'notifyOnFix' | 'notifyOnCritical'>;

/** A problem that comes and goes rings this often within an hour; then it waits for the digest. */
const RINGS = 3;
const RINGS_WITHIN_MS = 3_600_000;

type NewsKind = 'alert' | 'ask' | 'fixed' | 'escalated';

/** True when people may have to hear of it; counts alone are not news. */
export function isChange(told: Told | null, incident: Incident): boolean {
  return (
    told === null ||
    told.state !== incident.state.name ||
    told.plan !== incident.plan ||
    told.attempts !== incident.attempts ||
    told.severity !== incident.severity
  );
}

/** The messages of one change, and what has been told after it. */
export function newsOf(
  told: Told | null,
  facts: CardFacts,
  policy: NewsPolicy,
): { readonly drafts: readonly Draft[]; readonly told: Told } {
  const { incident } = facts;
  const back = told?.state === 'resolved' && incident.state.name === 'open';
  const before = back ? null : told;
  const kind = newsKind(before, facts);
  const rings = (told?.rings ?? []).filter((at) => facts.now - at < RINGS_WITHIN_MS);
  const next = remember(before, incident, kind, kind === 'alert' ? [...rings, facts.now] : rings);
  const drafts: Draft[] = [];
  if (kind) drafts.push(newsDraft(kind, next, facts, policy));
  for (const draft of edits(before, next, facts))
    if (draft.notification.key !== drafts[0]?.notification.key) drafts.push(draft);
  return { drafts, told: next };
}

/** True for the first card of an episode: it may wait a moment, for most problems soon have more to say. */
export function isCardKey({ key, incident }: Notification): boolean {
  return incident !== null && key.split(':').length === 3;
}

/** A card with a new count. */
export function countDraft(told: Told, facts: CardFacts): Draft {
  return editDraft(told.card, alertCard(facts), facts, 'count');
}

function newsKind(told: Told | null, { incident }: CardFacts): NewsKind | null {
  const { state } = incident;
  switch (state.name) {
    case 'awaiting-approval':
      return told?.ask?.plan === state.plan && told.state === 'awaiting-approval' ? null : 'ask';
    case 'needs-human':
      return escalates(told, incident) ? 'escalated' : null;
    case 'resolved':
      return told?.state === 'resolved' || state.by !== 'fix' ? null : 'fixed';
    case 'silenced':
      return null;
    default:
      return told === null || worsened(told, incident) ? 'alert' : null;
  }
}

/** A denial or an expiry is no news: the person did it, or the card that asked says it. */
function escalates(told: Told | null, incident: Incident): boolean {
  if (told?.state === 'needs-human') return told.attempts !== incident.attempts || told.plan !== incident.plan;
  return told?.state !== 'awaiting-approval' || (incident.outcome !== null && incident.outcome.plan === incident.plan);
}

function worsened(told: Told, incident: Incident): boolean {
  return urgencyOf(told.severity) !== 'now' && urgencyOf(incident.severity) === 'now' && !told.end;
}

function remember(told: Told | null, incident: Incident, kind: NewsKind | null, rings: readonly number[]): Told {
  const card = told?.card ?? `incident:${incident.id}:${incident.revision}`;
  const ending = kind === 'fixed' || kind === 'escalated';
  return {
    card,
    ask:
      kind === 'ask' && incident.plan
        ? { key: `${card}:ask:${incident.plan}`, plan: incident.plan }
        : (told?.ask ?? null),
    end: ending ? { key: `${card}:end:${incident.revision}`, kind } : (told?.end ?? null),
    state: incident.state.name,
    plan: incident.plan,
    attempts: incident.attempts,
    severity: incident.severity,
    count: incident.count,
    revision: incident.revision,
    rings,
  };
}

function newsDraft(kind: NewsKind, told: Told, facts: CardFacts, policy: NewsPolicy): Draft {
  const usual = urgencyOfNews(kind, facts, policy);
  const flaps = kind === 'alert' && usual.urgency === 'now' && (told.rings?.length ?? 0) > RINGS;
  const { urgency, reason } = flaps ? COMES_AND_GOES : usual;
  const { key, card } = placeOf(kind, told, facts);
  return {
    notification: { ...common(key, card, facts), urgency, reason, manner: 'news' },
    withheld: urgency === 'none',
  };
}

const COMES_AND_GOES: { readonly urgency: Urgency; readonly reason: string } = {
  urgency: 'batched',
  reason: `it comes and goes, and rang ${RINGS} times within the hour: with the next digest`,
};

function placeOf(kind: NewsKind, told: Told, facts: CardFacts): { readonly key: string; readonly card: Card } {
  switch (kind) {
    case 'alert':
      return { key: told.card, card: alertCard(facts) };
    case 'ask':
      return { key: told.ask?.key ?? told.card, card: askCard(facts) };
    case 'fixed':
      return { key: told.end?.key ?? told.card, card: fixedCard(facts) };
    case 'escalated':
      return { key: told.end?.key ?? told.card, card: escalationCard(facts) };
  }
}

/** The severity table, widened by what needs or concerns a person whatever the severity. */
function urgencyOfNews(
  kind: NewsKind,
  facts: CardFacts,
  policy: NewsPolicy,
): { readonly urgency: Urgency; readonly reason: string } {
  const { incident } = facts;
  const { severity } = incident;
  if (kind === 'ask') return { urgency: 'now', reason: 'a plan waits for a decision: at once' };
  if (kind === 'fixed')
    return policy.notifyOnFix
      ? { urgency: 'now', reason: 'a fix was applied: at once' }
      : { urgency: 'none', reason: 'notify_on_fix is off: shown on request only' };
  if (kind === 'escalated' && severity !== 'low' && (incident.attempts > 0 || incident.outcome || suggested(facts)))
    return { urgency: 'now', reason: 'a person has to act: at once' };
  if (severity === 'low') return { urgency: 'none', reason: 'low: shown on request only' };
  if (severity === 'medium') return { urgency: 'batched', reason: 'medium: with the next digest' };
  if (!policy.notifyOnCritical)
    return { urgency: 'batched', reason: `${severity}, but notify_on_critical is off: with the next digest` };
  return { urgency: 'now', reason: `${severity}: at once` };
}

/** What stands already and no longer says the truth. */
function edits(told: Told | null, next: Told, facts: CardFacts): readonly Draft[] {
  if (!told) return [];
  const drafts = [editDraft(next.card, alertCard(facts), facts, 'progress')];
  if (told.ask) {
    // The old question keeps its own plan: once another plan is current it only says so.
    const own = told.ask.plan === facts.incident.plan ? askCard(facts) : supersededAsk(facts);
    drafts.push(editDraft(told.ask.key, own, facts, 'count'));
  }
  if (told.end) {
    const card = told.end.kind === 'fixed' ? fixedCard(facts) : escalationCard(facts);
    drafts.push(editDraft(told.end.key, card, facts, 'count'));
  }
  return drafts;
}

function supersededAsk(facts: CardFacts): Card {
  const card = alertCard(facts);
  return {
    ...card,
    body: `This plan is no longer current.\n${card.body}`,
    buttons: [{ label: 'Details', action: 'details' }],
  };
}

function editDraft(key: string, card: Card, facts: CardFacts, manner: 'progress' | 'count'): Draft {
  const notification = common(key, card, facts);
  return {
    notification: { ...notification, urgency: 'now', reason: `${manner}: edits the message that stands`, manner },
    withheld: false,
  };
}

function common(key: string, card: Card, { incident, now }: CardFacts): Omit<Notification, 'urgency' | 'reason'> {
  return {
    // The same change is the same message, however often it is told.
    id: `${key}#${incident.revision}`,
    key,
    incident: incident.id,
    severity: incident.severity,
    ...card,
    at: now,
  };
}
