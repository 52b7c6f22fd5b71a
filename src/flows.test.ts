import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Flows } from './flows.ts';
import { VALUE_KEYS, type BlindStreams, type Store } from './store/contract.ts';
import { openStore } from './store/index.ts';
import { Teardown } from './teardown.ts';
import { silentLog } from './telemetry/log.ts';
import { ManualClock } from './testing/samples.ts';

let directory: string;
let store: Store;
let clock: ManualClock;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'selfheal-flows-'));
  clock = new ManualClock();
  store = await openStore({ directory, clock });
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

it('a flow that breaks is begun again, and is called blind until it has held for a minute', async () => {
  const stop = new AbortController();
  const teardown = new Teardown();
  const flows = new Flows({ store, clock, log: silentLog, teardown, signal: stop.signal });
  const blind = async () => Object.keys((await store.value<BlindStreams>(VALUE_KEYS.blind)) ?? {});
  let runs = 0;
  const begun: (() => void)[] = [];
  const second = new Promise<void>((resolve) => begun.push(resolve));
  flows.start('healing', async (signal) => {
    runs += 1;
    if (runs === 1) throw new Error('the disk is full');
    begun[0]?.();
    await clock.sleep(86_400_000, signal);
  });
  while ((await blind()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await blind()).toEqual(['selfheal itself: healing']);
  clock.advance(1_000);
  await second;
  clock.advance(60_000);
  while ((await blind()).length > 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await teardown.run(() => {});
  expect(runs).toBe(2);
});
