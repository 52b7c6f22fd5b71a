// A short story of what the long test tells.

import { expect, it } from 'vitest';
import { runWatchChaos } from '../testing/watch-chaos.ts';

it('counts every error exactly once, whenever the watcher is killed while they are written in pieces', async () => {
  const { written, counted, kills } = await runWatchChaos({ seed: 1, errors: 80, kills: 6 });
  expect(counted).toEqual(written);
  expect(kills).toBe(6);
});
