// The process that acts. It is given nothing but the id of a frozen plan: it checks by itself that the plan
// may run, journals each intent before its effect, proves or takes back, and says how it ended.

import type { Evidence } from '../core/outcome.ts';
import type { Step } from '../core/plan.ts';
import { EffectError, type Snapshot } from '../host/contract.ts';
import { hindrance, objectionTo, pausedBy } from './authority.ts';
import { checkAfter, checkBefore, evidenceOf, nothingToHeal, type Verdict } from './checking.ts';
import { isOutstanding, lastClaim, planState, type Ending } from './journal.ts';
import { claim, isAlive, lockAll, obstacle, rivalAt } from './locking.ts';
import { Session, textOf, type HandsAnswer, type HandsDeps, type HandsVerb } from './session.ts';
import { goOnTakingBack, takeBack } from './undoing.ts';

/**
 * Does one thing with one plan. Rejects only when the store fails or the plan does not exist: the journal then says
 * how far it came, and `recover` goes on from there.
 *
 * @example
 * const answer = await runHands(deps, 'plan-17', 'act');
 * if (answer.kind === 'acted') console.log('done and checked; the settle time decides');
 */
export async function runHands(deps: HandsDeps, planId: string, verb: HandsVerb): Promise<HandsAnswer> {
  const plan = await deps.store.plan(planId);
  if (!plan) throw new Error(`there is no plan ${planId}`);
  const session = new Session(deps, plan, await deps.store.journal(planId));
  return verb === 'act' ? act(session) : takeUp(session, verb);
}

/** The first process at a plan. A plan that was begun once is never begun again. */
async function act(session: Session): Promise<HandsAnswer> {
  const state = planState(session.entries);
  if (state.name === 'finished') return { kind: 'finished', outcome: state.outcome };
  if (state.name !== 'unclaimed') return { kind: 'busy', reason: 'it was begun before' };
  const objection = await objectionTo(session);
  if (objection !== null) return { kind: 'finished', outcome: session.outcome('refused', objection, []) };
  const hindered = await hindrance(session);
  if (hindered !== null) return { kind: 'put-off', reason: hindered };
  const rival = await claim(session, 'act');
  if (rival !== null) return { kind: 'busy', reason: rival };
  const inUse = await locked(session);
  if (inUse !== null) return session.putOff(inUse);
  const before = await checkBefore(session);
  if (nothingToHeal(session, before)) {
    return session.finish(
      session.outcome('not-applicable', 'it works by now: nothing was touched', evidenceOf(before)),
    );
  }
  return (await forward(session)) ?? prove(session);
}

async function locked(session: Session): Promise<string | null> {
  await session.deps.reach('locked.before');
  const inUse = await lockAll(session);
  await session.deps.reach('locked.after');
  return inUse;
}

/** A later process at a plan that was begun: it looks where the plan stands, and goes on from there. */
async function takeUp(session: Session, verb: Exclude<HandsVerb, 'act'>): Promise<HandsAnswer> {
  const known = planState(session.entries);
  if (known.name === 'finished' && !(verb === 'undo' && hasOutstanding(session)) && !(await isOpen(session)))
    return session.over(known.outcome);
  const last = lastClaim(session.entries);
  if (known.name === 'acted' && verb === 'recover' && last && !(await isAlive(session.deps, last)))
    return session.acted(evidenceOf(known.checks), known.beside);
  // Asked before the plan is claimed: a refusal that comes back every few seconds must leave nothing in the journal.
  const hindered = (await rivalAt(session)) ?? (await obstacle(session));
  if (hindered !== null) return { kind: 'busy', reason: hindered };
  const rival = await claim(session, verb);
  if (rival !== null) return { kind: 'busy', reason: rival };
  const inUse = await locked(session);
  if (inUse !== null) return { kind: 'busy', reason: inUse };
  return verb === 'undo' ? undo(session) : goOn(session, verb);
}

/** Something is still there that has a way back. */
function hasOutstanding(session: Session): boolean {
  return session.steps().some((state, i) => isOutstanding(state) && session.plan.steps[i]?.undo.kind !== 'none');
}

/** True when somebody took a finished plan up again and died. */
const isOpen = async (session: Session) => (await session.deps.store.openPlans()).includes(session.plan.id);

async function goOn(session: Session, verb: 'verify' | 'recover'): Promise<HandsAnswer> {
  const state = planState(session.entries);
  switch (state.name) {
    case 'unclaimed':
    case 'claimed':
      return session.finish(session.outcome('rolled-back', 'it ended before the first step: nothing was touched', []));
    case 'acting':
      return recover(session);
    case 'acted':
      return verb === 'verify' ? verify(session) : session.acted(evidenceOf(state.checks), state.beside);
    case 'undoing':
      return goOnTakingBack(session, state.ending, []);
    case 'finished':
      return session.finish(state.outcome);
  }
}

/** Everything that is still there of it, because a person asked or because the error came back. */
async function undo(session: Session): Promise<HandsAnswer> {
  const state = planState(session.entries);
  await settleIntents(session);
  if (state.name === 'undoing') return goOnTakingBack(session, state.ending, []);
  if (state.name === 'finished' && !hasOutstanding(session)) return session.finish(state.outcome);
  const reason = hasOutstanding(session)
    ? 'what had been done was taken back'
    : 'nothing of what had been done can be taken back';
  return takeBack(session, { kind: 'rolled-back', reason });
}

// ---------------------------------------------------------------- forward

/** All steps in order. Null when they are done; else the answer after everything was taken back. */
async function forward(session: Session): Promise<HandsAnswer | null> {
  for (const [index, step] of session.plan.steps.entries()) {
    const stop = await mustStop(session);
    if (stop !== null) return stopBefore(session, index, stop);
    const failure = await take(session, index, step);
    if (failure === null) continue;
    if (index === 0 && !failure.touched) return session.finish(session.outcome('refused', failure.reason, []));
    return takeBack(session, { kind: 'rolled-back', reason: `${step.title}: ${failure.reason}` });
  }
  return null;
}

async function mustStop({ deps }: Session): Promise<string | null> {
  if (deps.signal.aborted) return 'selfheal was stopped';
  return pausedBy(deps);
}

function stopBefore(session: Session, index: number, reason: string): Promise<HandsAnswer> {
  if (index === 0) return session.putOff(reason);
  return takeBack(session, { kind: 'rolled-back', reason });
}

interface Failure {
  readonly reason: string;
  readonly touched: boolean;
}

/** One step: snapshot, intent, effect, done; each row is on the disk before the next thing happens. */
async function take(session: Session, index: number, step: Step): Promise<Failure | null> {
  const effect = session.effect(step);
  if (!effect) return { reason: `steps of kind ${step.kind} are not known here`, touched: false };
  const context = await session.context(index, session.deps.signal);
  let snapshot: Snapshot;
  try {
    snapshot = await effect.snapshot(step as never, context);
  } catch (error) {
    return failed(session, index, { reason: textOf(error), touched: false });
  }
  await session.write(`snapshot.${index}`, { step: index, phase: 'snapshot', data: { snapshot } });
  await session.write(`intent.${index}`, { step: index, phase: 'intent', data: {} });
  await session.assertMine();
  await session.deps.reach(`apply.${index}.before`);
  let text: string;
  try {
    text = await effect.apply(step as never, snapshot, context);
  } catch (error) {
    const touched = !(error instanceof EffectError && error.code === 'precondition');
    return failed(session, index, { reason: textOf(error), touched });
  }
  await session.deps.reach(`apply.${index}.after`);
  await session.write(`done.${index}`, { step: index, phase: 'done', data: { text: session.clean(text) } });
  return null;
}

async function failed(session: Session, index: number, { reason, touched }: Failure): Promise<Failure> {
  const failure = { reason: session.clean(reason), touched };
  await session.write(`failed.${index}`, { step: index, phase: 'failed', data: { ...failure } });
  return failure;
}

// ---------------------------------------------------------------- proof

/** After the last step: passed means the settle time decides; anything else is taken back. */
async function prove(session: Session): Promise<HandsAnswer> {
  const { rows, verdict } = await checkAfter(session);
  const evidence = evidenceOf(rows);
  const beside = verdict.name === 'beside' && verdict.incident !== null ? { beside: verdict.incident } : {};
  const data = { when: 'after', verdict: verdict.name, checks: rows, ...beside };
  await session.write('checked-after', { step: -1, phase: 'checked', data });
  if (verdict.name === 'passed' || verdict.name === 'untried') return session.acted(evidence);
  if (verdict.name === 'beside')
    return verdict.incident === null ? keep(session, verdict, evidence) : session.acted(evidence, verdict.incident);
  return takeBack(session, endingOf(verdict), evidence);
}

function endingOf(verdict: { readonly name: 'failed' | 'unknown'; readonly reason: string }): Ending {
  if (verdict.name === 'failed') return { kind: 'rolled-back', reason: `it did not help: ${verdict.reason}` };
  return { kind: 'inconclusive', reason: verdict.reason };
}

const KEPT = 'done and kept, the error has stayed away, but that is no proof';

/** After the settle time: only now it may be called fixed. What cannot be found out leaves the change in place, unproven. */
async function verify(session: Session): Promise<HandsAnswer> {
  const { rows, verdict } = await checkAfter(session);
  const evidence = evidenceOf(rows);
  const data = { when: 'verify', verdict: verdict.name, checks: rows };
  await session.write('checked-verify', { step: -1, phase: 'checked', data });
  if (verdict.name === 'passed')
    return session.finish(session.outcome('fixed', `${session.plan.title}: proven`, evidence));
  if (verdict.name === 'untried')
    return session.finish(
      session.outcome('inconclusive', `${session.plan.title}: ${KEPT}; ${verdict.reason}`, evidence),
    );
  if (verdict.name === 'beside') return keep(session, verdict, evidence);
  if (verdict.name === 'unknown') return session.finish(session.outcome('inconclusive', verdict.reason, evidence));
  return takeBack(session, { kind: 'rolled-back', reason: `it did not last: ${verdict.reason}` }, evidence);
}

/** What had failed works again, and something else is in the way that was there before: no proof, and no reason to undo it. */
function keep(
  session: Session,
  { incident, reason }: Extract<Verdict, { name: 'beside' }>,
  evidence: readonly Evidence[],
): Promise<HandsAnswer> {
  const what = incident === null ? 'something else' : `problem ${incident}`;
  const text = `done and kept: what had failed works again, but ${what} is in the way`;
  return session.finish(session.outcome('inconclusive', `${session.plan.title}: ${text} (${reason})`, evidence));
}

// ---------------------------------------------------------------- after a death

/** Somebody died in the middle. Nothing is ever done twice: all done means checks, anything less is taken back. */
async function recover(session: Session): Promise<HandsAnswer> {
  await settleIntents(session);
  const steps = session.steps();
  const isUnclear = steps.at(-1)?.name === 'intended' && session.plan.steps.at(-1)?.undo.kind === 'none';
  const complete = steps.every((state, i) => state.name === 'done' || (isUnclear && i === steps.length - 1));
  if (complete) return prove(session);
  const begun = steps.some(isOutstanding);
  const reason = begun ? 'it was interrupted and was taken back' : 'it was interrupted before anything was changed';
  return takeBack(session, { kind: 'rolled-back', reason });
}

/** For each intent without a result the machine is asked what happened. What is unclear stays an intent, and will be undone. */
async function settleIntents(session: Session): Promise<void> {
  for (const [index, state] of session.steps().entries()) {
    const step = session.plan.steps[index];
    if (state.name !== 'intended' || !step) continue;
    const happened = await ask(session, index, step, state.snapshot);
    if (happened === 'unclear') continue;
    if (happened === 'done') {
      await session.write(`done.${index}`, { step: index, phase: 'done', data: { recovered: true } });
    } else await failed(session, index, { reason: 'interrupted before it took effect', touched: false });
  }
}

/** "Not done" is believed only when the machine is as the snapshot saw it: an effect may have prepared or half done something. */
async function ask(
  session: Session,
  index: number,
  step: Step,
  snapshot: Snapshot,
): Promise<'done' | 'not-done' | 'unclear'> {
  const effect = session.effect(step);
  if (!effect) return 'unclear';
  try {
    const context = await session.context(index, new AbortController().signal);
    const happened = await effect.probe(step as never, snapshot, context);
    if (happened !== 'not-done' || step.undo.kind === 'none') return happened;
    // Nobody but the owner knows what half of his command has done: his own way back will see to it.
    if (step.undo.kind === 'run') return 'unclear';
    return (await effect.differences(step as never, snapshot, context)).length === 0 ? 'not-done' : 'unclear';
  } catch {
    return 'unclear';
  }
}
