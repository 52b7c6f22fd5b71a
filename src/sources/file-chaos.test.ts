// Rotation in every way at once, under a reader that is killed: a short story of what the long test tells.

import { expect, it } from 'vitest';
import { runLogChaos } from '../testing/log-chaos.ts';

it.each([
  { seed: 1, events: true },
  { seed: 2, events: false },
])(
  'reads every line exactly once while logs rotate and the reader is killed (seed $seed)',
  async ({ seed, events }) => {
    const report = await runLogChaos({
      seed,
      events,
      lines: 30_000,
      burst: 40,
      goesPerRotation: 15,
      kills: 12,
      keep: 12,
      logs: 3,
      ways: ['rename', 'copytruncate', 'dated'],
    });
    expect(report.torn).toEqual([]);
    expect({ lost: report.lost, twice: report.twice }).toEqual({ lost: [], twice: [] });
    expect(report.written).toBe(30_000);
    expect(report.rotations).toBeGreaterThan(50);
  },
);
