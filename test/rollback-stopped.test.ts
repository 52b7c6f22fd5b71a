// `selfheal rollback` is told to end in the middle of the way back: what was begun is finished, and the person hears of it.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { OperationsDeps } from '../src/asking/deps.ts';
import { Wishes } from '../src/asking/wishes.ts';
import { systemClock } from '../src/host/clock.ts';
import { openStore } from '../src/store/index.ts';
import { planOf } from '../src/testing/kill-points.ts';
import { sampleIncident } from '../src/testing/samples.ts';
import { createScratch, type Scratch, until } from '../src/testing/scratch.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
let scratch: Scratch;
beforeAll(() => void execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' }), 600_000);
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.close());

/** A repair that was proven. Its way back waits for the file `go`. */
async function repaired(): Promise<void> {
  scratch.write('selfheal.yaml', `services: {agent: {directory: ${scratch.directory}, logs: ["*.log"]}}`);
  scratch.write('made', 'by the repair');
  scratch.write('back', '#!/bin/sh\ntouch begun\nwhile [ ! -e go ]; do sleep 0.05; done\nrm made\n', 0o755);
  const store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  const undo = { kind: 'run', argv: ['./back'], cwd: scratch.directory } as const;
  const step = { kind: 'run', title: 'make it', argv: ['./make'], cwd: scratch.directory, undo } as const;
  const plan = planOf([{ ...step, timeoutMs: 60_000, idempotent: true }], []);
  await store.savePlan(plan);
  const outcome = { kind: 'fixed', reason: 'proven', evidence: [], at: 5, plan: plan.id } as const;
  const rows = [
    ['claimed', -1, { pid: 1, startTicks: 1, boot: 'another', verb: 'act', generation: 1 }],
    ['snapshot', 0, { snapshot: {} }],
    ['intent', 0, {}],
    ['done', 0, {}],
    ['checked', -1, { when: 'after', verdict: 'passed', checks: [] }],
    ['finished', -1, { outcome }],
  ] as const;
  for (const [phase, number, data] of rows)
    await store.appendJournal({ plan: plan.id, step: number, phase, at: 1, data });
  const state = { name: 'resolved', by: 'fix', at: 5 } as const;
  await store.saveIncident(sampleIncident({ id: '1', state, outcome, plan: plan.id }));
  await store.close();
}

it('finishes the way back that it began, and says how it ended', async () => {
  await repaired();
  const argv = ['rollback', '1', '--config', scratch.path('selfheal.yaml'), '--state', scratch.path('state')];
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), ...argv], {
    cwd: scratch.directory,
    env: { PATH: process.env['PATH'], HOME: scratch.directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  scratch.later(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  expect(await until(() => existsSync(scratch.path('begun')) || child.exitCode !== null)).toBe(true);
  expect(said).toBe('');
  child.kill('SIGTERM');
  scratch.write('go', '');
  const code = await ended;
  expect(said).toMatch(/what had been done was taken back/);
  expect(code).toBe(0);
  expect(existsSync(scratch.path('made'))).toBe(false);
});

it('leaves a wish to the daemon that runs, and says that it goes on', async () => {
  await repaired();
  const store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
  const stop = new AbortController();
  // A daemon that has not come to it yet: whoever asks is told to end while it waits.
  const daemon = async () => ({ running: true, here: false, pid: 1 });
  const clock = { ...systemClock, sleep: async () => stop.abort() };
  const wishes = new Wishes({ store, clock, daemon } as unknown as OperationsDeps);
  const answer = await wishes.rollback('1', 'cli:me', stop.signal);
  expect(answer).toMatchObject({ ok: false });
  expect(answer.message).toBe('it was asked for and goes on; `selfheal incident 1` says what came of it');
  expect(await store.takeRequests(['rollback'])).toMatchObject([{ subject: '1', by: 'cli:me' }]);
});
