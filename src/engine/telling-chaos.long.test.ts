import { expect, it } from 'vitest';
import { runChaos } from '../testing/telling-chaos.ts';

it('tells of ten thousand incidents in an hour, killed and cut off again and again', async () => {
  const report = await runChaos({
    incidents: 10_000,
    overMs: 3_600_000,
    speed: 8,
    killEveryMs: 15_000,
    outageEveryMs: 20_000,
    digestIntervalMs: 900_000,
    seed: 11,
  });
  console.log(report);
  expect(report).toMatchObject({ lost: [], duplicated: [], repeated: [], miscounted: [], untold: [] });
  expect(report.incidents).toBeGreaterThanOrEqual(10_000);
  expect(report.peakPerMinute).toBeLessThanOrEqual(20);
});
