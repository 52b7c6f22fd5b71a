import { expect, it } from 'vitest';
import { exhaustedAt, type QuotaAt, usedOf } from './forecast.ts';

const MINUTE = 60_000;
const reading = (at: number, used: number, resetAt: number | null): QuotaAt => ({
  at,
  dimension: 'tokens',
  limit: 1_000_000,
  remaining: Math.round((1 - used) * 1_000_000),
  utilisation: null,
  resetAt,
});

/** The same numbers in each run. */
function randomly(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** One window of five hours, a reading every 10 s while the agent works: in bursts, with pauses, at a pace of its own. */
function replay(seed: number): { readonly series: readonly QuotaAt[]; readonly spentAt: number | null } {
  const random = randomly(seed);
  const resetAt = 300 * MINUTE;
  const series: QuotaAt[] = [];
  const pace = random() * 1.6;
  let [used, works, phaseEnds] = [0, true, 0];
  for (let at = 0; at < resetAt; at += 10_000) {
    if (at >= phaseEnds) {
      works = random() < 0.8;
      phaseEnds = at + (2 + random() * 20) * MINUTE;
    }
    if (!works) continue;
    used += (pace / (resetAt / 10_000) / 0.8) * (0.5 + random());
    if (used >= 1) return { series, spentAt: at };
    series.push(reading(at, Math.floor(used * 100) / 100, resetAt));
  }
  return { series, spentAt: null };
}

it('tells when steady spending will have used it up', () => {
  const series = Array.from({ length: 60 }, (_, i) => reading(i * 10_000, 0.4 + i * 0.005, 60 * MINUTE));
  const now = 59 * 10_000;
  const left = ((1 - (0.4 + 59 * 0.005)) / 0.005) * 10_000;
  expect(exhaustedAt(series, now)).toBeGreaterThan(now + left * 0.95);
  expect(exhaustedAt(series, now)).toBeLessThan(now + left * 1.05);
});

it.each([
  ['of which too little is known', [0.5, 0.6]],
  ['that nobody spends', Array(30).fill(0.9) as number[]],
  ['of which hardly anything is used', Array.from({ length: 20 }, (_, i) => i * 0.01)],
  ['that has just begun anew', [...Array.from({ length: 30 }, (_, i) => 0.6 + i * 0.01), 0, 0.01, 0.02]],
  [
    'after a burst that is over',
    [...Array.from({ length: 15 }, (_, i) => 0.3 + i * 0.02), ...(Array(20).fill(0.6) as number[])],
  ],
])('says nothing about a quota %s', (_, shares) => {
  const series = shares.map((used, i) => reading(i * 10_000, used, 600 * MINUTE));
  expect(exhaustedAt(series, shares.length * 10_000)).toBeNull();
});

it('says nothing when the quota begins anew before it is spent, or has begun anew by now', () => {
  const series = (resetAt: number) =>
    Array.from({ length: 30 }, (_, i) => reading(i * 10_000, 0.4 + i * 0.002, resetAt));
  expect(exhaustedAt(series(6 * MINUTE), 5 * MINUTE)).toBeNull();
  expect(exhaustedAt(series(60 * MINUTE), 61 * MINUTE)).toBeNull();
  expect(exhaustedAt(series(600 * MINUTE), 5 * MINUTE)).not.toBeNull();
});

it('is told five minutes ahead or more of nearly every exhaustion, and seldom of one that does not come', () => {
  let [spent, ahead, alarms, wrong] = [0, 0, 0, 0];
  for (let seed = 1; seed <= 200; seed++) {
    const { series, spentAt } = replay(seed);
    // What a person would act upon: within half an hour, and said three times in a row.
    let [firstAt, row] = [null as number | null, 0];
    for (let i = 30; i < series.length && firstAt === null; i += 6) {
      const now = (series[i] as QuotaAt).at;
      const at = exhaustedAt(series.slice(Math.max(0, i - 200), i + 1), now);
      row = at !== null && at - now < 30 * MINUTE ? row + 1 : 0;
      if (row === 3) firstAt = now;
    }
    if (spentAt !== null) spent += 1;
    if (spentAt !== null && firstAt !== null && spentAt - firstAt >= 5 * MINUTE) ahead += 1;
    if (firstAt !== null) alarms += 1;
    if (firstAt !== null && spentAt === null) wrong += 1;
  }
  expect(spent).toBeGreaterThan(40);
  expect(ahead / spent).toBeGreaterThanOrEqual(0.98);
  expect(wrong / alarms).toBeLessThanOrEqual(0.02);
});

it('knows the used share of every kind of reading', () => {
  const blank = { dimension: 'x', limit: null, remaining: null, utilisation: null, resetAt: null };
  expect(usedOf({ ...blank, utilisation: 0.42 })).toBe(0.42);
  expect(usedOf({ ...blank, limit: 50, remaining: 20 })).toBeCloseTo(0.6);
  expect(usedOf(blank)).toBeNull();
});
