// Carries out one step the way *hands* does, for tests of effects: snapshot, apply, look after a crash, undo, compare.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../host/clock.ts';
import type { Effect, EffectContext, Run, ServiceProbe, Snapshot } from '../host/contract.ts';
import type { Step } from '../core/plan.ts';
import { memoryValues } from './kit-gateway.ts';

export interface EffectBench {
  readonly context: EffectContext;
  snapshot(): Promise<Snapshot>;
  apply(): Promise<string>;
  probe(): Promise<'done' | 'not-done' | 'unclear'>;
  undo(): Promise<void>;
  differences(): Promise<readonly string[]>;
}

export interface EffectBenchOptions {
  readonly run: Run;
  /** Private folder for snapshots. */
  readonly state: string;
  readonly plan?: string;
  readonly step?: number;
  readonly goodCopies?: ReadonlyMap<string, Uint8Array>;
  readonly values?: EffectContext['values'];
}

const NO_SERVICES: ServiceProbe = {
  state: async () => ({
    running: false,
    process: null,
    stoppedOnPurpose: false,
    recentStarts: 0,
    supervisorGaveUp: false,
    evidence: 'no services in this test',
  }),
  health: async () => ({ passed: 'unknown', evidence: 'no services in this test' }),
  facts: () => null,
  all: () => [],
};

/** The snapshot goes through JSON, as it does through the journal. */
export function benchFor<S extends Step>(effect: Effect<S>, step: S, options: EffectBenchOptions): EffectBench {
  const { plan = '1-1', step: number = 0 } = options;
  const snapshotDirectory = join(options.state, plan, String(number));
  mkdirSync(snapshotDirectory, { recursive: true, mode: 0o700 });
  const context: EffectContext = {
    plan,
    step: number,
    snapshotDirectory,
    run: options.run,
    clock: systemClock,
    signal: new AbortController().signal,
    services: NO_SERVICES,
    goodCopyContent: async (id) => options.goodCopies?.get(id) ?? null,
    values: options.values ?? memoryValues(),
    askSupervisor: async () => {},
  };
  let snapshot: Snapshot = {};
  return {
    context,
    async snapshot() {
      snapshot = JSON.parse(JSON.stringify(await effect.snapshot(step, context))) as Snapshot;
      return snapshot;
    },
    apply: () => effect.apply(step, snapshot, context),
    probe: () => effect.probe(step, snapshot, context),
    undo: () => effect.undo(step, snapshot, context),
    differences: () => effect.differences(step, snapshot, context),
  };
}
