// Checks: the failed operation tried again, and neighbours that must go on working. What cannot be found
// out is `unknown`, and unknown is never proof.

import type { Evidence } from '../core/outcome.ts';
import type { Check, CheckKind } from '../core/plan.ts';
import type { CheckContext, CheckRunner } from '../host/contract.ts';
import { beganAt, checksBefore, type CheckRow } from './journal.ts';
import { textOf, type Session } from './session.ts';

export type Verdict =
  | { readonly name: 'passed' }
  | { readonly name: 'failed'; readonly reason: string }
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

/** What is looked at before the first step: what must fail now, and how the neighbours are. */
export async function checkBefore(session: Session): Promise<readonly CheckRow[]> {
  const { plan, deps } = session;
  const now = deps.clock.now();
  const rows: CheckRow[] = [];
  for (const [index, check] of plan.checks.entries()) {
    if (!check.failsBefore && check.proves !== 'neighbour') continue;
    rows.push(await once(session, index, check, now));
  }
  const data = { when: 'before', checks: rows };
  await session.write('checked-before', { step: -1, phase: 'checked', data });
  return rows;
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
  return { rows, verdict: judge(session, rows, before) };
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

const isUntried = (session: Session, row: CheckRow): boolean => session.plan.checks[row.index]?.kind === 'untried';

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
