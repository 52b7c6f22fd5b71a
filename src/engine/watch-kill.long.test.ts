// A watcher that is killed at random moments while errors are written in pieces: each is counted exactly once.

import { expect, it } from 'vitest';
import { runWatchChaos } from '../testing/watch-chaos.ts';

it.each(Array.from({ length: 10 }, (_, at) => 100 + at))(
  'counts every error exactly once over thirty kills (seed %i)',
  async (seed) => {
    const { written, counted } = await runWatchChaos({ seed, errors: 600, kills: 30 });
    expect(counted).toEqual(written);
  },
);
