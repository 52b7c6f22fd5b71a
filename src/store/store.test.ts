// The SQLite store on real files: the contract suite, and what is peculiar to files and processes.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { openStore } from './index.ts';
import { storeSuite } from './suite.ts';

storeSuite('the store on SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'selfheal-store-'));
  let at = 0;
  const clock: Clock = { now: () => at, monotonic: () => at, sleep: async () => {} };
  const store = await openStore({ directory, clock });
  return {
    store,
    now: (next) => void (at = next),
    reopen: () => openStore({ directory, clock }),
    end: async () => {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
});
