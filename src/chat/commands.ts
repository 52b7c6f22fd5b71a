// Commands without a channel: what was understood becomes one operation and an answer in plain lines. The
// same for Telegram, for a terminal, and for whatever comes next.

import type { IncidentRow } from '../core/incident.ts';
import type { Button, Notification } from '../core/notification.ts';
import { canTakeBack } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';
import type { Operations, Person } from '../operations.ts';
import { GRAMMAR, type Command, type CommandName } from './grammar.ts';
import type { Suggestion } from './parse.ts';
import {
  errorsLines,
  fixLines,
  healthLines,
  helpLines,
  historyLines,
  incidentsLines,
  pullLines,
  reportLines,
  statusLines,
} from './render.ts';
import { incidentLines, logsText, planLines, whyLines } from './render-incident.ts';
import { actionLine } from './render-parts.ts';

export { GRAMMAR, type Command, type CommandName } from './grammar.ts';
export { parseCommand, type Suggestion } from './parse.ts';

/** What is shown to the person. */
export interface Answer {
  /** Plain text. */
  readonly lines: readonly string[];
  /** Untrusted text out of a log, to be quoted as it is. */
  readonly excerpt?: string;
  readonly buttons?: readonly Button[];
  /** What the buttons are about; with a plan, decisions hold for exactly this one. */
  readonly about?: { readonly incident: string; readonly plan: Notification['plan'] };
}

export interface AnswerOptions {
  /** Epoch milliseconds. */
  readonly now: number;
  readonly signal?: AbortSignal;
}

const SILENCE: Button = { label: 'Silence 2 h', action: 'silence' };
const DETAILS: Button = { label: 'Details', action: 'details' };

/** True when carrying it out changes something: such a command must be fresh and its sender known. */
export function changesSomething(name: CommandName | 'suggestion'): boolean {
  return GRAMMAR.some((grammar) => grammar.name === name && grammar.changes);
}

/**
 * Carries out a command for a person and says what came of it. Rejects with `StoreError` only.
 *
 * @example (await answer(parseCommand('health check'), operations, 'telegram:1001', { now })).lines.join('\n')
 */
export async function answer(
  command: Command | Suggestion,
  operations: Operations,
  person: Person,
  { now, signal }: AnswerOptions,
): Promise<Answer> {
  switch (command.name) {
    case 'suggestion':
      return { lines: [command.because, `Did you mean: ${command.nearest}`] };
    case 'help':
      return { lines: helpLines() };
    case 'health':
      return {
        lines: healthLines(await operations.health(command.minutes === null ? {} : { minutes: command.minutes })),
      };
    case 'errors':
      return {
        lines: errorsLines(await operations.errors(command.minutes === null ? {} : { minutes: command.minutes })),
      };
    case 'report':
      return { lines: reportLines(await operations.report()) };
    case 'status':
      return { lines: statusLines(await operations.status(), now) };
    case 'history':
      return { lines: historyLines(await operations.history({ limit: 15 })) };
    case 'fix':
      return { lines: fixLines(await operations.fix(command.id, person, signal)) };
    case 'pull':
      return { lines: pullLines(await operations.pullLatest(person, command.service ?? undefined)) };
    case 'incidents':
      return { lines: incidentsLines(await operations.incidents({ all: command.all }), command.all) };
    case 'incident':
      return incidentAnswer(operations, command.id, now);
    case 'plan':
      return planAnswer(operations, command.id, now);
    case 'logs':
      return logsAnswer(operations, command.id);
    case 'approve':
    case 'deny':
      return decide(operations, command.name, command.id, person);
    case 'rollback':
      return { lines: [actionLine(await operations.rollback(command.id, person))] };
    case 'silence':
      return { lines: [actionLine(await operations.silence(command.id, command.forMs, person))] };
    case 'resolve':
      return { lines: [actionLine(await operations.resolve(command.id, person))] };
    case 'merge':
      return { lines: [actionLine(await operations.merge(command.id, command.into, person))] };
    case 'split':
      return { lines: [actionLine(await operations.split(command.id, command.by, person))] };
    case 'ungroup':
      return { lines: [actionLine(await operations.ungroup(command.id, person))] };
    case 'pause':
      return { lines: [actionLine(await operations.pause(person, command.reason, command.forMs ?? undefined))] };
    case 'resume':
      return { lines: [actionLine(await operations.resume(person))] };
    case 'why':
      return { lines: whyLines(await operations.why(command.subject)) };
  }
}

async function incidentAnswer(operations: Operations, id: string, now: number): Promise<Answer> {
  const detail = await operations.incident(id);
  if (!detail) return unknownIncident(id);
  const { incident, plan } = detail;
  return {
    lines: incidentLines(detail, now),
    excerpt: incident.message,
    ...decisionButtons(incident, plan, now, [SILENCE]),
  };
}

async function planAnswer(operations: Operations, id: string, now: number): Promise<Answer> {
  const found = await operations.plan(id);
  if (!found) return unknownIncident(id);
  const detail = await operations.incident(id);
  // Buttons decide on the plan that the incident waits with, never on a fresh dry run.
  const waiting = detail?.plan && detail.plan.hash === found.plan?.hash ? detail.plan : null;
  return { lines: planLines(found), ...decisionButtons(found.incident, waiting, now, [DETAILS]) };
}

function decisionButtons(
  incident: IncidentRow,
  plan: Plan | null,
  now: number,
  others: readonly Button[],
): Pick<Answer, 'buttons' | 'about'> {
  const waits = incident.state === 'awaiting-approval' && plan !== null && plan.expiresAt > now;
  const decision: readonly Button[] = waits
    ? [
        { label: 'Approve', action: 'approve' },
        { label: 'Deny', action: 'deny' },
      ]
    : [];
  const rollback: readonly Button[] =
    incident.state === 'resolved' && canTakeBack(incident.outcome) ? [{ label: 'Roll back', action: 'rollback' }] : [];
  const silence = incident.state === 'resolved' ? others.filter((b) => b.action !== 'silence') : others;
  const buttons = [...decision, ...rollback, ...silence];
  const bound = waits && plan ? { id: plan.id, hash: plan.hash, expiresAt: plan.expiresAt } : null;
  return buttons.length === 0 ? {} : { buttons, about: { incident: incident.id, plan: bound } };
}

async function logsAnswer(operations: Operations, id: string): Promise<Answer> {
  const detail = await operations.incident(id);
  if (!detail) return unknownIncident(id);
  const text = logsText(detail);
  return text
    ? { lines: [`📜 What incident #${id} was seen in:`], excerpt: text }
    : { lines: [`No lines are kept of incident #${id}.`] };
}

/** Without a number the one that waits is meant, if there is only one. The decision holds for the plan that waits now. */
async function decide(
  operations: Operations,
  verdict: 'approve' | 'deny',
  id: string | null,
  person: Person,
): Promise<Answer> {
  const subject = id ?? (await onlyWaiting(operations));
  if (typeof subject !== 'string') return { lines: subject.lines.map((line) => line.replaceAll('DECIDE', verdict)) };
  const detail = await operations.incident(subject);
  if (!detail) return unknownIncident(subject);
  const hash = detail.plan?.hash;
  const done = await operations[verdict](subject, person, hash);
  return {
    lines: [actionLine(done)],
    ...(done.ok && { buttons: [DETAILS], about: { incident: subject, plan: null } }),
  };
}

async function onlyWaiting(operations: Operations): Promise<string | { readonly lines: readonly string[] }> {
  const waiting = (await operations.incidents()).filter((row) => row.state === 'awaiting-approval');
  const [only] = waiting;
  if (!only) return { lines: ['Nothing waits for a decision.'] };
  if (waiting.length === 1) return only.id;
  return { lines: ['Which one?', ...waiting.map((row) => `DECIDE ${row.id} — ${row.service}, ${row.type}`)] };
}

function unknownIncident(id: string): Answer {
  return { lines: [`There is no incident ${id}.`, 'Send "incidents all" for the list.'] };
}
