// May this plan run, now? Asked by the process that acts itself: it trusts neither its caller nor
// what was true when the plan was made.

import { hashedText, type Plan } from '../core/plan.ts';
import { isPaused, PAUSE_FILE, VALUE_KEYS, type Pause } from '../store/contract.ts';
import { textOf, type HandsDeps, type Session } from './session.ts';

/** Null when the plan may run; else why not. Nothing has been touched then. */
export async function objectionTo(session: Session): Promise<string | null> {
  const { deps, plan } = session;
  if (deps.digest(hashedText(plan)) !== plan.hash)
    return 'the plan is not the one that was decided on: its hash differs';
  return shapeProblem(session) ?? undecided(deps, plan);
}

/** Null when nothing is in the way for the moment; else why it cannot be tried now. It says nothing against the plan. */
export async function hindrance({ deps, plan }: Session): Promise<string | null> {
  if (deps.clock.now() >= plan.expiresAt) return 'the plan has expired';
  return pausedBy(deps);
}

function shapeProblem(session: Session): string | null {
  const { plan } = session;
  if (!plan.checks.some((check) => check.proves === 'operation')) return 'no check tries the failed operation itself';
  const strange = plan.steps.find((step) => session.effect(step) === null);
  return strange ? `steps of kind ${strange.kind} are not known here` : null;
}

async function undecided({ store }: HandsDeps, plan: Plan): Promise<string | null> {
  if (plan.decision.verdict === 'run') return null;
  if (plan.decision.verdict === 'refuse') return `the plan was refused: ${plan.decision.reason}`;
  const approval = await store.approval(plan.id);
  if (approval?.hash !== plan.hash) return 'nobody has approved exactly this plan';
  return approval.verdict === 'approved' ? null : `denied by ${approval.by}`;
}

/** Who paused everything, by the stored value or by the file; null when nobody did. A switch that cannot be read counts as on. */
export async function pausedBy({ store, probe, stateDirectory, clock }: HandsDeps): Promise<string | null> {
  try {
    const pause = await store.value<Pause>(VALUE_KEYS.pause);
    if (isPaused(pause, clock.now())) return `paused by ${pause.by}: ${pause.reason}`;
    const file = await probe.files.status(`${stateDirectory}/${PAUSE_FILE}`);
    if (file.kind === 'absent') return null;
    return `paused by the file ${stateDirectory}/${PAUSE_FILE}${file.kind === 'denied' ? ' (it cannot be looked at)' : ''}`;
  } catch (error) {
    return `it cannot be told whether everything is paused: ${textOf(error)}`;
  }
}
