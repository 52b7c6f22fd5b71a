// What is done now and then instead of at every line: good copies of configurations are kept and
// proven, old rows are pruned, the store is looked after, and the time of the cycle is stored so that a dead watcher
// shows. Whatever fails is reported and tried again at its next turn.

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
  /** What else has its turn now and then. */
  readonly chores: readonly Chore[];
}

export interface Chore {
  /** What could not be done when it throws, for the log: `the store could not be copied`. */
  readonly otherwise: string;
  /** Milliseconds between two turns; the first is at once. No turn comes sooner than the next check. */
  readonly everyMs: number;
  readonly work: () => Promise<unknown>;
}

/** What is over stays for thirty days. */
export const KEEP_MS = 30 * 86_400_000;
export const HOUR_MS = 3_600_000;

/** Runs a cycle at once and then every check interval, until the signal aborts. Never rejects. */
export async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { clock, store, config } = deps;
  const startedAt = clock.now();
  const chores: readonly Chore[] = [
    ...config.services.map((service) => ({
      otherwise: `configuration of ${service.name} could not be looked after`,
      everyMs: 0,
      work: () => deps.keep(service),
    })),
    {
      otherwise: 'the time of the cycle could not be stored',
      everyMs: 0,
      work: () =>
        store.setValue(VALUE_KEYS.cycle, { startedAt, lastCycleAt: clock.now(), everyMs: config.checkIntervalMs }),
    },
    { otherwise: 'old rows could not be pruned', everyMs: HOUR_MS, work: () => store.prune(clock.now() - KEEP_MS) },
    ...deps.chores,
  ];
  const doneAt = new Map<Chore, number>();
  while (!signal.aborted) {
    for (const chore of chores) {
      if (signal.aborted) return;
      if (clock.monotonic() - (doneAt.get(chore) ?? Number.NEGATIVE_INFINITY) < chore.everyMs) continue;
      doneAt.set(chore, clock.monotonic());
      await chore.work().catch((error: unknown) => deps.problem(chore.otherwise, error));
    }
    await clock.sleep(config.checkIntervalMs, signal);
  }
}
