// What is done now and then instead of at every line: good copies of configurations are kept and
// proven, old rows are pruned, and the time of the cycle is stored so that a dead watcher shows.

import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';

export interface SweepDeps {
  readonly config: Config;
  readonly store: Store;
  readonly clock: Clock;
  /** Looks after the good copies of one service's configuration. */
  readonly keep: (service: ServiceConfig) => Promise<void>;
  readonly problem: (message: string, error: unknown) => void;
}

const KEEP_MS = 30 * 86_400_000;
const PRUNE_EVERY_MS = 3_600_000;

/** Runs a cycle at once and then every check interval, until the signal aborts. */
export async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { clock, store, config } = deps;
  const startedAt = clock.now();
  let pruned = clock.monotonic();
  while (!signal.aborted) {
    await cycle(deps);
    await store.setValue(VALUE_KEYS.cycle, { startedAt, lastCycleAt: clock.now() });
    if (clock.monotonic() - pruned > PRUNE_EVERY_MS) {
      pruned = clock.monotonic();
      await store.prune(clock.now() - KEEP_MS);
    }
    await clock.sleep(config.checkIntervalMs, signal);
  }
}

async function cycle(deps: SweepDeps): Promise<void> {
  for (const service of deps.config.services) {
    try {
      await deps.keep(service);
    } catch (error) {
      deps.problem(`configuration of ${service.name} could not be looked after`, error);
    }
  }
}
