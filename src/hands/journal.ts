// What a journal says. Pure: the same rows always mean the same, to the process that wrote them, to the one
// that comes after its death, and to a person who reads them.

import type { Outcome } from '../core/outcome.ts';
import type { Plan, Step } from '../core/plan.ts';
import type { OutcomeKind } from '../core/words.ts';
import type { Snapshot } from '../host/contract.ts';
import type { JournalEntry } from '../store/contract.ts';

/** The process that holds a plan: a pid alone is given to others after its death. */
export interface Owner {
  readonly pid: number;
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id: start times begin anew with each boot. */
  readonly boot: string;
}

export interface Claim extends Owner {
  /** Counts the processes that took this plan; a lower one must touch nothing any more. */
  readonly generation: number;
  readonly verb: string;
}

/** How far one step has come. `failed` says whether something may have been touched. */
export type StepState =
  | { readonly name: 'untouched' }
  | {
      readonly name: 'snapshotted' | 'intended' | 'done' | 'undoing' | 'undone' | 'undo-failed';
      readonly snapshot: Snapshot;
    }
  | { readonly name: 'failed'; readonly touched: boolean; readonly snapshot: Snapshot };

/** One check as it came out. `index` is its place in the plan. */
export interface CheckRow {
  readonly index: number;
  readonly title: string;
  readonly passed: true | false | 'unknown';
  readonly text: string;
}

/** Why everything is taken back, and what the outcome is to be once it has been. */
export interface Ending {
  readonly kind: Extract<OutcomeKind, 'rolled-back' | 'inconclusive'>;
  readonly reason: string;
}

export type PlanState =
  | { readonly name: 'unclaimed' }
  /** Taken, nothing touched yet. */
  | { readonly name: 'claimed' }
  /** `step` is the last one that was begun. */
  | { readonly name: 'acting'; readonly step: number }
  /** All steps done, all checks passed; or all but those that fail by the problem `beside`. */
  | { readonly name: 'acted'; readonly checks: readonly CheckRow[]; readonly beside?: string }
  | { readonly name: 'undoing'; readonly ending: Ending }
  | { readonly name: 'finished'; readonly outcome: Outcome };
export type PlanStateName = PlanState['name'];

/** Where a plan stands after these rows of its journal. Total: also rows in an order that nobody writes have a meaning. */
export function planState(entries: readonly JournalEntry[]): PlanState {
  let state: PlanState = { name: 'unclaimed' };
  for (const entry of entries) state = next(state, entry);
  return state;
}

function next(state: PlanState, entry: JournalEntry): PlanState {
  switch (entry.phase) {
    case 'claimed':
      return state.name === 'unclaimed' ? { name: 'claimed' } : state;
    case 'snapshot':
    case 'intent':
    case 'done':
      return { name: 'acting', step: entry.step };
    case 'failed':
      return entry.step < 0
        ? { name: 'undoing', ending: entry.data['ending'] as Ending }
        : { name: 'acting', step: entry.step };
    case 'checked':
      return entry.data['when'] === 'after' && KEEPS.has(entry.data['verdict'])
        ? { name: 'acted', checks: rowsOf(entry), ...besideOf(entry) }
        : state;
    case 'undo-intent':
    case 'undone':
    case 'undo-failed':
      return state.name === 'undoing' ? state : { name: 'undoing', ending: INTERRUPTED };
    case 'finished':
      return { name: 'finished', outcome: entry.data['outcome'] as Outcome };
  }
}

/** Verdicts with which what was done stays for the settle time. */
const KEEPS: ReadonlySet<unknown> = new Set(['passed', 'untried', 'beside']);

const besideOf = ({ data }: JournalEntry) => (typeof data['beside'] === 'string' ? { beside: data['beside'] } : {});

const INTERRUPTED: Ending = { kind: 'rolled-back', reason: 'it was interrupted while it was being taken back' };

/** How far each of `count` steps has come. */
export function stepStates(entries: readonly JournalEntry[], count: number): readonly StepState[] {
  const states: StepState[] = Array.from({ length: count }, () => ({ name: 'untouched' }));
  for (const entry of entries) {
    if (entry.step < 0 || entry.step >= count || entry.phase === 'checked') continue;
    states[entry.step] = nextStep(states[entry.step] ?? { name: 'untouched' }, entry);
  }
  return states;
}

const NAMES = {
  snapshot: 'snapshotted',
  intent: 'intended',
  done: 'done',
  'undo-intent': 'undoing',
  undone: 'undone',
  'undo-failed': 'undo-failed',
} as const;

function nextStep(state: StepState, entry: JournalEntry): StepState {
  const snapshot = (entry.data['snapshot'] as Snapshot | undefined) ?? ('snapshot' in state ? state.snapshot : {});
  if (entry.phase === 'failed') return { name: 'failed', touched: entry.data['touched'] !== false, snapshot };
  if (entry.phase === 'claimed' || entry.phase === 'finished' || entry.phase === 'checked') return state;
  return { name: NAMES[entry.phase], snapshot };
}

/** True when this step of a plan is a start to be repeated after an undo: what stands below it has a way back. */
export function isStartedAgain(steps: readonly Step[], index: number): boolean {
  const isStart = (step: Step | undefined) => step?.kind === 'restart' && step.undo.kind === 'none';
  return isStart(steps[index]) && steps.some((step) => step.undo.kind !== 'none');
}

/** True when this step may have changed something that was not put back. */
export function isOutstanding(state: StepState): boolean {
  switch (state.name) {
    case 'untouched':
    case 'snapshotted':
    case 'undone':
      return false;
    case 'failed':
      return state.touched;
    case 'intended':
    case 'done':
    case 'undoing':
    case 'undo-failed':
      return true;
  }
}

/** The last process that took the plan; null when nobody did. */
export function lastClaim(entries: readonly JournalEntry[]): Claim | null {
  const claim = entries.findLast((entry) => entry.phase === 'claimed');
  return claim ? (claim.data as unknown as Claim) : null;
}

/** Epoch milliseconds when the first step began, for checks that ask for something newer; null before. */
export function beganAt(entries: readonly JournalEntry[]): number | null {
  return entries.find((entry) => entry.phase === 'intent')?.at ?? null;
}

/** Epoch milliseconds when the last step was done; null when none was. */
export function lastDoneAt(entries: readonly JournalEntry[]): number | null {
  return entries.findLast((entry) => entry.phase === 'done')?.at ?? null;
}

/** How the checks came out before the first step: what was broken already is not held against the plan. */
export function checksBefore(entries: readonly JournalEntry[]): readonly CheckRow[] {
  const before = entries.findLast((entry) => entry.phase === 'checked' && entry.data['when'] === 'before');
  return before ? rowsOf(before) : [];
}

const rowsOf = (entry: JournalEntry) => (entry.data['checks'] as readonly CheckRow[] | undefined) ?? [];

/**
 * Every point at which *hands* may die while it works on this plan, in order: before and after each row of the
 * journal, and before and after each change of the machine. `undo` adds those of taking everything back.
 */
export function listBoundaries(plan: Plan, path: 'act' | 'undo'): readonly string[] {
  const around = (...names: readonly string[]) => names.flatMap((name) => [`${name}.before`, `${name}.after`]);
  const forward = plan.steps.flatMap((_, i) => around(`snapshot.${i}`, `intent.${i}`, `apply.${i}`, `done.${i}`));
  const acted = [...around('claimed', 'locked', 'checked-before'), ...forward, ...around('checked-after')];
  if (path === 'act') return acted;
  const backward = plan.steps
    .map((step, i) => (step.undo.kind === 'none' ? [] : around(`undo-intent.${i}`, `undo.${i}`, `undone.${i}`)))
    .reverse()
    .flat();
  const again = plan.steps.flatMap((_, i) =>
    isStartedAgain(plan.steps, i) ? around(`undo-intent.${i}`, `undo.${i}`, `undone.${i}`) : [],
  );
  return [...acted, ...around('failed'), ...backward, ...again, ...around('finished')];
}
