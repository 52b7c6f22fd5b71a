import { expect, it } from 'vitest';
import { runChaos } from '../testing/telling-chaos.ts';

it('loses nothing and says nothing twice while it is killed and the Bot API fails', async () => {
  const report = await runChaos({
    incidents: 100,
    overMs: 150_000,
    speed: 60,
    killEveryMs: 2_500,
    outageEveryMs: 2_000,
    digestIntervalMs: 90_000,
    seed: 7,
  });
  if (process.env.SELFHEAL_SHOW) console.log(report);
  expect(report).toMatchObject({ lost: [], duplicated: [], repeated: [], miscounted: [], untold: [] });
  expect(report.incidents).toBeGreaterThanOrEqual(100);
  expect(report.kills).toBeGreaterThan(0);
  expect(report.peakPerMinute).toBeLessThanOrEqual(20);
}, 120_000);
