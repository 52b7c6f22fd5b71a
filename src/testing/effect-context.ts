// What an effect is given, built from a drill's world: for tests and rehearsals of single steps.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { EffectContext, Run, ServiceProbe } from '../host/contract.ts';
import type { DrillWorld } from './create-drill-kit.ts';

export interface EffectContextOptions {
  readonly world: DrillWorld;
  readonly run: Run;
  readonly clock: Clock;
  /** Where the snapshots of steps go; a folder per step is made below it. */
  readonly snapshots: string;
  /** Default: a probe that knows the world's one service and nothing of its processes. */
  readonly services?: ServiceProbe;
  readonly plan?: string;
  readonly step?: number;
  readonly signal?: AbortSignal;
}

/** The context of one step of one plan. */
export async function effectContext(options: EffectContextOptions): Promise<EffectContext> {
  const { world, run, clock, plan = 'drill-1', step = 0 } = options;
  const snapshotDirectory = join(options.snapshots, plan, String(step));
  await mkdir(snapshotDirectory, { recursive: true, mode: 0o700 });
  return {
    plan,
    step,
    snapshotDirectory,
    run,
    clock,
    signal: options.signal ?? new AbortController().signal,
    services: options.services ?? onlyService(world),
    goodCopyContent: (id) => world.goodCopyContent(id),
    values: world.values,
    askSupervisor: () => Promise.reject(new Error('no daemon runs in a drill')),
  };
}

/** Knows what the world's service declares; whether it runs, nobody has looked. */
function onlyService(world: DrillWorld): ServiceProbe {
  return {
    state: async () => ({
      running: 'unknown',
      process: null,
      stoppedOnPurpose: false,
      recentStarts: 0,
      supervisorGaveUp: false,
      evidence: 'nobody has looked',
    }),
    health: async () => ({ passed: 'unknown', evidence: 'nobody has looked' }),
    facts: (name) => (world.service().name === name ? world.service() : null),
    all: () => [world.service()],
  };
}
