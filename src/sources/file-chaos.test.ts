// Rotation in every way at once, under a reader that is killed: a short story of what the long test tells.

import { expect, it } from 'vitest';
import { type ChaosOptions, runLogChaos } from '../testing/log-chaos.ts';

const STORY: ChaosOptions = {
  seed: 1,
  events: true,
  lines: 8_000,
  burst: 40,
  goesPerRotation: 12,
  kills: 4,
  keep: 12,
  logs: 3,
  ways: ['rename', 'copytruncate', 'dated'],
};

it.each([
  { seed: 1, events: true },
  { seed: 2, events: false },
])(
  'reads every line exactly once while logs rotate and the reader is killed (seed $seed)',
  async ({ seed, events }) => {
    const { torn, lost, twice, written, rotations } = await runLogChaos({ ...STORY, seed, events });
    expect({ torn, lost, twice }).toEqual({ torn: [], lost: [], twice: [] });
    expect(written).toBe(8_000);
    expect(rotations).toBeGreaterThan(15);
  },
);
