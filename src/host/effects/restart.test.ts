// A start through our own supervisor, of programs that are gone before anybody looks.

import { mkdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RestartStep } from '../../core/plan.ts';
import { openStore } from '../../store/index.ts';
import { createDrillKit } from '../../testing/create-drill-kit.ts';
import { effectContext } from '../../testing/effect-context.ts';
import { createScratch, python, type Scratch, until } from '../../testing/scratch.ts';
import { systemClock } from '../clock.ts';
import type { EffectContext } from '../contract.ts';
import { createProcessProbe } from '../processes.ts';
import { createRun } from '../run.ts';
import { createServiceProbe } from '../services.ts';
import { createSupervisor } from '../supervisor.ts';
import { restart } from './restart.ts';

const STEP: RestartStep = {
  kind: 'restart',
  title: 'restart agent',
  service: 'agent',
  via: { kind: 'supervised' },
  undo: { kind: 'none', reason: 'a started service is not stopped again' },
};

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.close());

/** A supervisor that answers only when what it has started has ended. */
async function supervised(code: string): Promise<EffectContext> {
  const run = createRun({ home: scratch.directory });
  const world = createDrillKit({ run, name: 'agent' });
  scratch.later(() => world.close());
  const store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
  mkdirSync(scratch.path('agent'));
  const service = {
    ...world.service(),
    directory: scratch.path('agent'),
    command: [python, '-c', code],
    environment: {},
  };
  const supervisor = createSupervisor({
    services: [service],
    store,
    clock: systemClock,
    stateDirectory: scratch.path('state'),
    run,
    environment: {},
    problem: () => {},
  });
  scratch.later(() => supervisor.close());
  const processes = createProcessProbe({ clock: systemClock });
  const services = createServiceProbe({ services: [service], run, processes, store, clock: systemClock });
  const hasEnded = async () => (await services.state('agent')).running === false;
  const askSupervisor = async () => {
    await supervisor.restart('agent');
    expect(await until(hasEnded)).toBe(true);
  };
  await supervisor.startAll();
  expect(await until(hasEnded)).toBe(true);
  const context = await effectContext({
    world,
    run,
    clock: systemClock,
    snapshots: scratch.path('snapshots'),
    services,
  });
  return { ...context, askSupervisor };
}

it('is done when the program was started and has ended by itself: how it fares is for the checks to say', async () => {
  const context = await supervised('raise SystemExit(7)');
  const before = await restart.snapshot(STEP, context);
  expect(await restart.probe(STEP, before, context)).toBe('not-done');
  expect(await restart.apply(STEP, before, context)).toBe('agent ended with exit code 7 after 0 s');
  expect(await restart.probe(STEP, before, context)).toBe('done');
});

it('is not done when the program could not be started at all', async () => {
  const context = await supervised('raise SystemExit(7)');
  const before = await restart.snapshot(STEP, context);
  rmSync(scratch.path('agent'), { recursive: true });
  await context.askSupervisor('start-service', 'agent');
  expect(await restart.probe(STEP, before, context)).toBe('not-done');
});
