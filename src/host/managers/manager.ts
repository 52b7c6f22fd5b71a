// Whoever owns a service answers for its state. One file per kind of owner.

import type { Run, ProcessProbe, ServiceFacts, ServiceState } from '../contract.ts';
import type { ServiceMemory } from '../service-memory.ts';

/** What a manager may use to find out. */
export interface ManagerMeans {
  readonly run: Run;
  readonly processes: ProcessProbe;
  readonly memory: ServiceMemory;
}

/** Finds out how a service is. Never throws: what cannot be found out is `unknown`. */
export type StateOf = (service: ServiceFacts, means: ManagerMeans) => Promise<ServiceState>;

/** A state in which nothing is known but the reason. */
export function unknownState(evidence: string): ServiceState {
  return {
    running: 'unknown',
    process: null,
    stoppedOnPurpose: false,
    recentStarts: 0,
    supervisorGaveUp: false,
    evidence,
  };
}

/** Exact names only: no patterns, no paths, nothing that could be read as an option. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,254}$/.test(name);
}
