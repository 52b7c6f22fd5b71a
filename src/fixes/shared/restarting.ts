// What every fix that restarts has in common: who may do it, the step, and what proves that it helped.

import type { Check, RestartStep } from '../../core/plan.ts';
import type { ProcessInfo, RestartVia, ServiceFacts, ServiceState } from '../../host/contract.ts';

/** Starts within ten minutes, none of them proven or followed by a long run, that make a crash loop: the cause has to be found, another start would only hide it. */
export const LOOP_STARTS = 3;
/** A new process must stay up at least this long before the settle time begins. */
const UP_FOR_MS = 3_000;

/** Who starts the service; null when selfheal was not told. */
export function restartVia(service: ServiceFacts): RestartVia | null {
  return service.command ? { kind: 'supervised' } : service.restart;
}

/** Why this service must not be started by anybody but a person, though its cause is mended; null when nothing speaks against it. */
export function reasonNotToStart(service: ServiceFacts, state: ServiceState): string | null {
  if (restartVia(service) === null)
    return `selfheal was not told how to restart ${service.name}: set \`command\` or \`restart\` for it`;
  if (state.stoppedOnPurpose) return `${service.name} was stopped on purpose (${state.evidence}); that is never undone`;
  return null;
}

/** The same for a start that mends nothing by itself: one more would only hide the cause. */
export function reasonNotToRestart(service: ServiceFacts, state: ServiceState): string | null {
  const always = reasonNotToStart(service, state);
  if (always !== null) return always;
  if (state.failure !== undefined) return `${service.name} cannot be started at all: ${state.failure}`;
  if (state.supervisorGaveUp)
    return `its supervisor has given up after too many starts; find the cause first (${state.evidence})`;
  if (state.recentStarts >= LOOP_STARTS)
    return `it was started ${state.recentStarts} times within ten minutes and died soon each time: a crash loop, whose cause has to be found first`;
  return null;
}

/** The step. `seen` is who ran when the plan was made (null: nobody); another process by then stops the step. */
export function restartStep(service: ServiceFacts, via: RestartVia, seen: ProcessInfo | null): RestartStep {
  return { ...plainRestart(service, via), before: seen && { pid: seen.pid, startTicks: seen.startTicks } };
}

/** The step when an earlier step of the same plan ends what runs. */
export function restartAfterStop(service: ServiceFacts, via: RestartVia): RestartStep {
  return { ...plainRestart(service, via), afterStop: true };
}

function plainRestart(service: ServiceFacts, via: RestartVia): RestartStep {
  return {
    kind: 'restart',
    title: `restart ${service.name}`,
    service: service.name,
    via,
    undo: {
      kind: 'none',
      reason: 'what ran before cannot be brought back, and a started service is not stopped again',
    },
  };
}

/**
 * Somebody else runs and stays up, and the owner's own health probe agrees where there is one. `healthFails` says that the
 * probe fails now: when it passes by the time of acting, there is nothing to heal.
 */
export function restartProofs(service: ServiceFacts, healthFails: boolean): readonly Check[] {
  const anew: Check = {
    kind: 'running-anew',
    title: `${service.name} runs anew and stays up`,
    proves: 'operation',
    failsBefore: false,
    service: service.name,
    forMs: UP_FOR_MS,
  };
  if (!service.health) return [anew];
  return [
    anew,
    {
      kind: 'health',
      title: `the health probe of ${service.name} passes`,
      proves: 'operation',
      failsBefore: healthFails,
      service: service.name,
    },
  ];
}
