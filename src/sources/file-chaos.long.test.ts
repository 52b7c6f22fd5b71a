// Ten million lines and ten thousand rotations in stories of their own seeds: each line is read exactly once.

import { expect, it } from 'vitest';
import { runLogChaos } from '../testing/log-chaos.ts';

const STORIES = 20;

it('loses nothing and repeats nothing in ten million lines and ten thousand rotations', async () => {
  let [lines, rotations] = [0, 0];
  for (let seed = 100; seed < 100 + STORIES; seed += 1) {
    const { torn, lost, twice, ...told } = await runLogChaos({
      seed,
      events: seed % 2 === 0,
      lines: 500_000,
      burst: 400,
      goesPerRotation: 4.5,
      kills: 20,
      keep: 12,
      logs: 3,
      ways: ['rename', 'copytruncate', 'dated'],
    });
    expect({ seed, torn, lost: lost.slice(0, 20), twice: twice.slice(0, 20) }).toEqual({
      seed,
      torn: [],
      lost: [],
      twice: [],
    });
    lines += told.written;
    rotations += told.rotations;
  }
  expect(lines).toBe(10_000_000);
  expect(rotations).toBeGreaterThanOrEqual(10_000);
});
