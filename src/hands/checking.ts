// Checks: the failed operation tried again, and neighbours that must go on working. What cannot be found
// out is `unknown`, and unknown is never proof.

import type { IncidentStateName } from '../core/incident.ts';
import type { Evidence } from '../core/outcome.ts';
import type { Check, CheckKind, CheckOf } from '../core/plan.ts';
import type { CheckContext, CheckRunner } from '../host/contract.ts';
import { beganAt, checksBefore, lastDoneAt, type CheckRow } from './journal.ts';
import { textOf, type Session } from './session.ts';

export type Verdict =
  | { readonly name: 'passed' }
  | { readonly name: 'failed'; readonly reason: string }
  /** The failed operation works again, and the service, which was down before, is still down by another problem. */
  | { readonly name: 'beside'; readonly incident: string | null; readonly reason: string }
  /** Everything that could be looked at is well, and the failed operation cannot be tried by anybody but its caller. */
  | { readonly name: 'untried'; readonly reason: string }
  | { readonly name: 'unknown'; readonly reason: string };

/** Default time for what has to come up first. A small service answers its health probe within seconds of a start. */
const PATIENCE_MS = 15_000;
/** Things that are true or not at once; a little time covers a file system or a disk that is busy. */
const SHORT_PATIENCE_MS = 1_000;
const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 2_000;

/** Checks whose answer changes while something starts. */
const COMES_UP: ReadonlySet<CheckKind> = new Set([
  'health',
  'running-anew',
  'port-owner',
  'port-free',
  'http',
  'tcp',
  'resolves',
  'run',
]);

/** Checks of a whole service: they fail by whatever is wrong with it. */
const OF_THE_SERVICE: ReadonlySet<CheckKind> = new Set(['health', 'running-anew']);

/** What is looked at before the first step: what must fail now, and how the neighbours and the service are. */
export async function checkBefore(session: Session): Promise<readonly CheckRow[]> {
  const { plan, deps } = session;
  const now = deps.clock.now();
  const rows: CheckRow[] = [];
  for (const [index, check] of plan.checks.entries()) {
    if (check.kind === 'running-anew') rows.push(await isDown(session, index, check));
    else if (check.failsBefore || check.proves === 'neighbour') rows.push(await once(session, index, check, now));
  }
  const data = { when: 'before', checks: rows };
  await session.write('checked-before', { step: -1, phase: 'checked', data });
  return rows;
}

/** Nobody can run anew before anything was done: whether anybody runs is what counts. */
async function isDown(session: Session, index: number, check: CheckOf<'running-anew'>): Promise<CheckRow> {
  const { running, evidence } = await session.deps.probe.services.state(check.service);
  return { index, title: check.title, passed: running === false ? false : 'unknown', text: session.clean(evidence) };
}

/** True when the service as a whole was down or ill before the first step. */
export function wasIll({ plan, entries }: Session): boolean {
  return checksBefore(entries).some(({ index, passed }) => {
    return passed === false && OF_THE_SERVICE.has(plan.checks[index]?.kind as CheckKind);
  });
}

/** True when everything that was said to fail works: there is nothing to heal. */
export function nothingToHeal(session: Session, before: readonly CheckRow[]): boolean {
  const mustFail = before.filter((row) => session.plan.checks[row.index]?.failsBefore);
  return mustFail.length > 0 && mustFail.every((row) => row.passed === true);
}

/** Runs every check, with patience for what comes up slowly, and judges. Operations first: they decide. */
export async function checkAfter(
  session: Session,
): Promise<{ readonly rows: readonly CheckRow[]; readonly verdict: Verdict }> {
  const before = new Map(checksBefore(session.entries).map((row) => [row.index, row]));
  const since = beganAt(session.entries) ?? session.deps.clock.now();
  const rows: CheckRow[] = [];
  let lost = false;
  const ordered = [...session.plan.checks.entries()].sort(([, a], [, b]) => rank(a) - rank(b));
  for (const [index, check] of ordered) {
    const wasBroken = check.proves === 'neighbour' && before.get(index)?.passed === false;
    // Once one has failed the others are only looked at for the record.
    const row: CheckRow =
      lost || wasBroken ? await once(session, index, check, since) : await patiently(session, index, check, since);
    rows.push(row);
    lost ||= row.passed === false && !wasBroken;
  }
  rows.sort((a, b) => a.index - b.index);
  const verdict = judge(session, rows, before);
  if (verdict.name !== 'failed' || !isBeside(session, rows, before)) return { rows, verdict };
  const incident = await otherProblem(session);
  if (incident === null && !rows.some((row) => saysSomethingElse(row, before.get(row.index)))) return { rows, verdict };
  return { rows, verdict: { ...verdict, name: 'beside', incident } };
}

const rank = (check: Check) => (check.proves === 'operation' ? 0 : 1);

function judge(session: Session, rows: readonly CheckRow[], before: ReadonlyMap<number, CheckRow>): Verdict {
  const operations = rows.filter((row) => session.plan.checks[row.index]?.proves === 'operation');
  const failed = operations.find((row) => row.passed === false);
  if (failed) return { name: 'failed', reason: `${failed.title}: ${failed.text}` };
  const worse = rows.find(
    (row) => row.passed === false && !operations.includes(row) && before.get(row.index)?.passed !== false,
  );
  if (worse) return { name: 'failed', reason: `something beside it stopped working: ${worse.title}: ${worse.text}` };
  const unknown = operations.filter((row) => row.passed === 'unknown');
  const open = unknown.find((row) => !isUntried(session, row));
  if (open) return { name: 'unknown', reason: `${open.title} could not be checked: ${open.text}` };
  if (operations.length === 0) return { name: 'unknown', reason: 'no check tries the failed operation itself' };
  const untried = unknown[0];
  return untried ? { name: 'untried', reason: untried.text } : { name: 'passed' };
}

/**
 * True when what the plan was made for works again, by a check that failed before, and all that still fails is the service
 * as a whole, which was down or ill before.
 */
function isBeside({ plan }: Session, rows: readonly CheckRow[], before: ReadonlyMap<number, CheckRow>): boolean {
  const failedBefore = ({ index }: CheckRow): boolean => before.get(index)?.passed === false;
  const isOfService = ({ index }: CheckRow): boolean => OF_THE_SERVICE.has(plan.checks[index]?.kind as CheckKind);
  const failing = rows.filter((row) => row.passed === false && plan.checks[row.index]?.proves === 'operation');
  const isWorse = rows.some((row) => row.passed === false && !failedBefore(row));
  const worksAgain = rows.some(
    (row) => row.passed === true && failedBefore(row) && plan.checks[row.index]?.failsBefore && !isOfService(row),
  );
  return worksAgain && !isWorse && failing.every(isOfService);
}

/** Another problem of the service that was seen after the last step: it speaks of what the steps have brought to light. */
async function otherProblem({ deps, plan, entries }: Session): Promise<string | null> {
  const done = lastDoneAt(entries);
  if (done === null) return null;
  const since = done - LOG_TIME_MS;
  const others = await deps.store.incidents({ service: plan.service, states: UNSOLVED, since });
  return others.find(({ id }) => id !== plan.incident)?.id ?? null;
}

/** The owner's command fails as before, by another error: what it prints is the failed operation's own word. */
function saysSomethingElse(after: CheckRow, before: CheckRow | undefined): boolean {
  const errorIn = (row?: CheckRow) => /^exit code \S+: (?<error>.+)/s.exec(row?.text ?? '')?.groups?.['error'];
  const [now, then] = [errorIn(after), errorIn(before)].map((text) => text?.replace(/\d+/g, '0'));
  return after.passed === false && now !== undefined && then !== undefined && now !== then;
}

/** Many a log tells the second and no more. */
const LOG_TIME_MS = 1_000;

const UNSOLVED: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'];

const isUntried = (session: Session, row: CheckRow): boolean => session.plan.checks[row.index]?.kind === 'untried';

/** A check that is not the plan's own: the service runs since then, and stays up. */
export function runsSince(session: Session, service: string, since: number): Promise<CheckRow> {
  const title = `${service} runs anew`;
  const check: Check = {
    kind: 'running-anew',
    title,
    proves: 'operation',
    failsBefore: false,
    service,
    forMs: STAYS_MS,
  };
  return patiently(session, -1, check, since);
}

/** Who cannot start has mostly ended by then. */
const STAYS_MS = 2_000;

/** Again and again until it passes or its time is up. */
async function patiently(session: Session, index: number, check: Check, since: number): Promise<CheckRow> {
  const { clock, signal, patienceMs = PATIENCE_MS } = session.deps;
  const end = clock.monotonic() + (COMES_UP.has(check.kind) ? patienceMs : Math.min(patienceMs, SHORT_PATIENCE_MS));
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const row = await once(session, index, check, since);
    if (row.passed === true || check.kind === 'untried' || signal.aborted || clock.monotonic() + pause > end)
      return row;
    await clock.sleep(pause, signal);
  }
}

async function once(session: Session, index: number, check: Check, since: number): Promise<CheckRow> {
  const { deps } = session;
  // The catalogue has one runner per kind, so a runner of this kind takes this very check.
  const runner = deps.checks.find((one) => one.kind === check.kind) as CheckRunner<never> | undefined;
  const row = { index, title: check.title };
  if (!runner) return { ...row, passed: 'unknown', text: `no check of kind ${check.kind} is known here` };
  // Not ours to abort: also the checks after an undo and those of a process that is asked to stop must come to an end.
  const context: CheckContext = { run: deps.run, probe: deps.probe, clock: deps.clock, signal: NEVER, since };
  try {
    const { passed, evidence } = await runner.run(check as never, context);
    return { ...row, passed, text: session.clean(evidence) };
  } catch (error) {
    return { ...row, passed: 'unknown', text: session.clean(textOf(error)) };
  }
}

const NEVER = new AbortController().signal;

export const evidenceOf = (rows: readonly CheckRow[]): readonly Evidence[] =>
  rows.map(({ title, passed, text }) => ({ check: title, passed, text }));
