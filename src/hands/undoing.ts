// Taking back: steps in reverse order, each compared with its snapshot before the one below it is
// touched. Runs whatever else goes wrong; what it could not put back is said loudly.

import type { Evidence } from '../core/outcome.ts';
import type { RunStep, Step } from '../core/plan.ts';
import type { EffectContext, Snapshot } from '../host/contract.ts';
import { isOutstanding, isStartedAgain, type Ending } from './journal.ts';
import { textOf, type HandsAnswer, type Session } from './session.ts';
import { startAgain, startsToRepeat } from './starting-again.ts';

/** An undo of the owner's own has this long. */
const UNDO_RUN_MS = 120_000;
/** A stop of this process does not stop the undo: half taken back is worse than late. */
const NEVER = new AbortController().signal;

/** Takes back everything that is outstanding and ends the plan. `evidence` is what led here. */
export async function takeBack(
  session: Session,
  ending: Ending,
  evidence: readonly Evidence[] = [],
): Promise<HandsAnswer> {
  await session.write('failed', { step: -1, phase: 'failed', data: { ending, evidence } });
  return goOnTakingBack(session, ending, evidence);
}

/** The rest of it, after the decision is stored. Safe to call again at any point. */
export async function goOnTakingBack(
  session: Session,
  ending: Ending,
  evidence: readonly Evidence[],
): Promise<HandsAnswer> {
  const { notes, left, stays } = await putBack(session);
  await startOnOldFiles(session, notes, left);
  const all = [...evidence, ...notes];
  if (left.length === 0) return session.finish(session.outcome(ending.kind, [ending.reason, ...stays].join('; '), all));
  const byHand = `Put back by hand, in this order:\n${left.map((line, n) => `${n + 1}. ${line}`).join('\n')}`;
  return session.finish(
    session.outcome('rollback-failed', `${ending.reason}; and not all of it could be taken back`, all, byHand),
  );
}

/** What was found out, and what a person has to put back. */
interface Findings {
  readonly notes: Evidence[];
  readonly left: string[];
  /** What is left on purpose, since it is somebody else's by now. */
  readonly stays: readonly string[];
}

/** Everything that has a way back, the last step first. */
async function putBack(session: Session): Promise<Findings> {
  const notes: Evidence[] = [];
  const left: string[] = [];
  const stays: string[] = [];
  for (let index = session.plan.steps.length - 1; index >= 0; index -= 1) {
    const step = session.plan.steps[index] as Step;
    const state = session.steps()[index];
    if (!state || !isOutstanding(state) || !('snapshot' in state)) continue;
    if (step.undo.kind === 'none') {
      if (isStartedAgain(session.plan.steps, index)) continue;
      notes.push({ check: `not taken back: ${step.title}`, passed: 'unknown', text: step.undo.reason });
      continue;
    }
    const wrong = await undoStep(session, index, step, state.snapshot);
    const kept = wrong === null ? await leftOf(session, index, step, state.snapshot) : null;
    if (kept !== null) stays.push(kept);
    const text = wrong ?? kept ?? 'as it was before';
    notes.push({ check: `taken back: ${step.title}`, passed: wrong === null, text });
    if (wrong !== null) left.push(`${step.title}: ${wrong}. What was kept of it: ${await folderOf(session, index)}`);
  }
  return { notes, left, stays };
}

async function leftOf(session: Session, index: number, step: Step, snapshot: Snapshot): Promise<string | null> {
  if (step.undo.kind !== 'restore-snapshot') return null;
  const said = await session.effect(step)?.left?.(step as never, snapshot, await session.context(index, NEVER));
  return said ? session.clean(said) : null;
}

/** Only after the last file is back: a service that was started by the plan is started on what was put back. */
async function startOnOldFiles(session: Session, notes: Evidence[], left: string[]): Promise<void> {
  const again = startsToRepeat(session);
  for (const [index, step] of session.plan.steps.entries()) {
    const state = session.steps()[index];
    if (!isStartedAgain(session.plan.steps, index) || !state || !isOutstanding(state)) continue;
    if (!again.includes(index)) {
      if (step.undo.kind === 'none')
        notes.push({ check: `not taken back: ${step.title}`, passed: 'unknown', text: step.undo.reason });
      continue;
    }
    const { passed, text } = await startAgain(session, index, NEVER);
    notes.push({ check: `once more: ${step.title}`, passed, text });
    if (passed === false) left.push(`${step.title}, so that it runs what its files say: ${text}`);
  }
}

const folderOf = (session: Session, index: number) => session.deps.snapshotFolder(session.plan.id, index);

/** Null when the step is proven undone; else what is wrong. */
async function undoStep(session: Session, index: number, step: Step, snapshot: Snapshot): Promise<string | null> {
  await session.write(`undo-intent.${index}`, { step: index, phase: 'undo-intent', data: {} });
  await session.assertMine();
  await session.deps.reach(`undo.${index}.before`);
  const wrong = await attempt(session, index, step, snapshot);
  await session.deps.reach(`undo.${index}.after`);
  const clean = wrong === null ? null : session.clean(wrong);
  if (clean === null) await session.write(`undone.${index}`, { step: index, phase: 'undone', data: {} });
  else await session.write(`undone.${index}`, { step: index, phase: 'undo-failed', data: { reason: clean } });
  return clean;
}

async function attempt(session: Session, index: number, step: Step, snapshot: Snapshot): Promise<string | null> {
  const context = await session.context(index, NEVER);
  try {
    if (step.undo.kind === 'run') return await runUndo(session, step.undo, context);
    const effect = session.effect(step);
    if (!effect) return `steps of kind ${step.kind} are not known here`;
    await effect.undo(step as never, snapshot, context);
    return await differences(session, step, snapshot, context);
  } catch (error) {
    return textOf(error);
  }
}

async function differences(
  session: Session,
  step: Step,
  snapshot: Snapshot,
  context: EffectContext,
): Promise<string | null> {
  const found = (await session.effect(step)?.differences(step as never, snapshot, context)) ?? [];
  return found.length === 0 ? null : `not as it was before: ${found.slice(0, 10).join('; ')}`;
}

/** The owner's own way back, carried out like any command of the owner's. Null when it ended well; throws else. */
async function runUndo(
  session: Session,
  undo: { readonly argv: readonly string[]; readonly cwd: string },
  context: EffectContext,
): Promise<string | null> {
  const step: RunStep = {
    kind: 'run',
    argv: undo.argv,
    cwd: undo.cwd,
    title: `take back: ${undo.argv.join(' ')}`,
    timeoutMs: UNDO_RUN_MS,
    idempotent: true,
    undo: { kind: 'none', reason: 'it is the way back' },
  };
  const effect = session.effect(step);
  if (!effect) return 'commands cannot be run here';
  await effect.apply(step as never, {}, context);
  return null;
}
