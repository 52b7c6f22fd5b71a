// After an undo: a service that the plan had started runs what the plan had written, not what its files say by now.
// It is started once more, through whoever owns it, so that both are the same again.

import type { RestartStep } from '../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type Snapshot } from '../host/contract.ts';
import { runsSince, wasIll } from './checking.ts';
import { isOutstanding, isStartedAgain, type StepState } from './journal.ts';
import { textOf, type Session } from './session.ts';

/** What came of it. `failed`: the service ran before the plan, and does not run what its files say now. */
export interface StartedAgain {
  readonly passed: true | false | 'unknown';
  readonly text: string;
}

/** The journal's word on a start after an undo: who ran when it was begun, and who had run before the plan. */
interface Again extends Snapshot {
  readonly identity: unknown;
  readonly first: unknown;
}

/**
 * The starts of a plan that must be repeated now, in the order of the plan: each was begun, and something that it took
 * in is back as it was. Empty while anything could not be put back: then a person decides what the service is to run.
 */
export function startsToRepeat(session: Session): readonly number[] {
  const { steps } = session.plan;
  const states = session.steps();
  const hasWayBack = (index: number) => steps[index]?.undo.kind !== 'none';
  if (states.some((state, i) => hasWayBack(i) && isOutstanding(state))) return [];
  if (!states.some((state, i) => hasWayBack(i) && state.name === 'undone')) return [];
  return steps.flatMap((_, i) => (isStartedAgain(steps, i) && isOutstanding(states[i] as StepState) ? [i] : []));
}

/** Starts the service of one step again. Safe to call again after a death: who runs by now tells whether it was done. */
export async function startAgain(session: Session, index: number, signal: AbortSignal): Promise<StartedAgain> {
  const { before: _before, afterStop: _afterStop, ...step } = session.plan.steps[index] as RestartStep;
  const effect = session.effect(step);
  const context = await session.context(index, signal);
  if (!effect) return { passed: false, text: 'steps of kind restart are not known here' };
  const begun = await intention(session, index, step, effect, context);
  if ('passed' in begun) return finish(session, index, begun as StartedAgain);
  await session.assertMine();
  await session.deps.reach(`undo.${index}.before`);
  const result = await attempt(session, step, effect, begun, context);
  await session.deps.reach(`undo.${index}.after`);
  return finish(session, index, result);
}

/** Who runs now, written down before anything is started; else why nothing is. */
async function intention(
  session: Session,
  index: number,
  step: RestartStep,
  effect: Effect<never>,
  context: EffectContext,
): Promise<Again | StartedAgain> {
  const state = session.steps()[index];
  const known = state && 'snapshot' in state ? state.snapshot : {};
  if (state?.name === 'undoing') return known as Again;
  const found = await lookNow(effect, step, context, (known['identity'] ?? null) as Again['first']);
  const data = 'passed' in found ? {} : { snapshot: found };
  await session.write(`undo-intent.${index}`, { step: index, phase: 'undo-intent', data });
  return found;
}

async function lookNow(
  effect: Effect<never>,
  step: RestartStep,
  context: EffectContext,
  first: Again['first'],
): Promise<Again | StartedAgain> {
  try {
    const now = await effect.snapshot(step as never, context);
    return { ...now, identity: now['identity'], first };
  } catch (error) {
    // Whom a person has stopped since does not run the wrong thing. Of anybody else nothing is known.
    const isStopped = error instanceof EffectError && error.code === 'precondition';
    return { passed: isStopped || first === null ? 'unknown' : false, text: textOf(error) };
  }
}

async function attempt(
  session: Session,
  step: RestartStep,
  effect: Effect<never>,
  begun: Again,
  context: EffectContext,
): Promise<StartedAgain> {
  const { running } = await session.deps.probe.services.state(step.service);
  const ranBefore = (begun.first ?? null) !== null;
  if (running === false && !ranBefore && (begun.identity ?? null) === null)
    return { passed: true, text: 'it did not run before, and does not run now' };
  try {
    if ((await effect.probe(step as never, begun, context)) !== 'done')
      await effect.apply(step as never, begun, context);
    return await proveStarted(session, step, ranBefore);
  } catch (error) {
    // What did not run before the plan may be just as unable to start as it was then.
    return { passed: ranBefore ? false : 'unknown', text: textOf(error) };
  }
}

/** That somebody was started says little: it has to stay up on what was put back, if it did before the plan. */
async function proveStarted(session: Session, { service }: RestartStep, ranBefore: boolean): Promise<StartedAgain> {
  const index = session.plan.steps.findIndex((step) => step.kind === 'restart' && step.service === service);
  const intent = session.entries.findLast((entry) => entry.phase === 'undo-intent' && entry.step === index);
  const { passed, text } = await runsSince(session, service, intent?.at ?? session.deps.clock.now());
  if (passed === true) return { passed, text: `it was started once more, and runs what its files say: ${text}` };
  const wasWell = ranBefore && !wasIll(session);
  return { passed: passed === false && wasWell ? false : 'unknown', text: `it was started once more: ${text}` };
}

async function finish(session: Session, index: number, result: StartedAgain): Promise<StartedAgain> {
  const text = session.clean(result.text);
  if (result.passed === false)
    await session.write(`undone.${index}`, { step: index, phase: 'undo-failed', data: { reason: text } });
  else await session.write(`undone.${index}`, { step: index, phase: 'undone', data: { text } });
  return { ...result, text };
}
