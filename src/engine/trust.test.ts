import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUTONOMIES, type OutcomeKind } from '../core/words.ts';
import type { LedgerRow } from '../store/contract.ts';
import { earnedTrust, TRUST_HORIZON_MS, wilsonLowerBound } from './trust.ts';

const NOW = 10 * TRUST_HORIZON_MS;
/** One attempt per word, the last one newest; `undone` is a repair that a person took back. */
function history(...ends: (OutcomeKind | 'undone')[]): LedgerRow[] {
  return ends.map((end, n) => ({
    plan: `${n}-1`,
    incident: String(n),
    service: 'agent',
    fix: 'f',
    family: 'restore-config',
    startedAt: n,
    outcome: {
      kind: end === 'undone' ? 'rolled-back' : end,
      reason: '',
      evidence: [],
      at: NOW - 1_000 + n,
      plan: `${n}-1`,
      ...(end === 'undone' ? { undoneBy: 'cli:me' } : {}),
    },
  }));
}
const fixed = (times: number): 'fixed'[] => Array.from({ length: times }, () => 'fixed');
const after = (configured: (typeof AUTONOMIES)[number], ...ends: Parameters<typeof history>) =>
  earnedTrust(configured, history(...ends), NOW).autonomy;

describe('the lower bound', () => {
  it.each([
    [0, 0, 0],
    [4, 4, 0.51],
    [16, 16, 0.806],
    [15, 16, 0.717],
    [0, 5, 0],
    [50, 100, 0.404],
  ])('of %i successes in %i trials is %f', (successes, trials, bound) => {
    expect(wilsonLowerBound(successes, trials)).toBeCloseTo(bound, 2);
  });

  it('never exceeds the share, and grows with the same share of more trials', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), (good, bad) => {
        fc.pre(good + bad > 0);
        const one = wilsonLowerBound(good, good + bad);
        expect(one).toBeLessThanOrEqual(good / (good + bad) + 1e-9);
        expect(wilsonLowerBound(2 * good, 2 * (good + bad))).toBeGreaterThanOrEqual(one - 1e-9);
      }),
    );
  });
});

describe('trust', () => {
  it('rises from suggest to approve to auto by proven repairs', () => {
    expect(after('suggest', ...fixed(3))).toBe('suggest');
    expect(after('suggest', ...fixed(4))).toBe('approve');
    expect(after('suggest', ...fixed(15))).toBe('approve');
    expect(after('suggest', ...fixed(16))).toBe('auto');
    expect(after('approve', ...fixed(16))).toBe('auto');
  });

  it('never wakes what is switched off, and takes nothing from what is configured as long as nothing was harmed', () => {
    expect(after('off', ...fixed(50))).toBe('off');
    expect(after('auto')).toBe('auto');
    expect(after('auto', 'rolled-back', 'inconclusive', 'rolled-back')).toBe('auto');
  });

  it('falls at once after a repair that was taken back by a person or could not be taken back', () => {
    for (const harm of ['undone', 'rollback-failed'] as const) {
      expect(after('auto', ...fixed(40), harm)).toBe('approve');
      expect(after('auto', harm, ...fixed(15))).toBe('approve');
      expect(after('auto', harm, ...fixed(16))).toBe('auto');
      expect(after('suggest', ...fixed(40), harm)).toBe('suggest');
    }
    expect(earnedTrust('auto', history('fixed', 'undone'), NOW).reason).toMatch(
      /incident 1 was taken back by a person/,
    );
  });

  it('forgets what is older than ninety days, and does not count what was not tried', () => {
    const old = history(...fixed(20)).map((row) => ({
      ...row,
      outcome: { ...row.outcome, at: NOW - TRUST_HORIZON_MS },
    }));
    expect(earnedTrust('suggest', old, NOW).autonomy).toBe('suggest');
    expect(earnedTrust('suggest', history('refused', 'not-applicable', 'rehearsed'), NOW).trials).toBe(0);
  });

  it('is at most approve whatever is configured while a harm has not been made up for', () => {
    const anyEnd = fc.constantFrom<OutcomeKind | 'undone'>(
      'fixed',
      'rolled-back',
      'inconclusive',
      'undone',
      'rollback-failed',
    );
    fc.assert(
      fc.property(fc.constantFrom(...AUTONOMIES), fc.array(anyEnd, { maxLength: 15 }), (configured, ends) => {
        const { autonomy } = earnedTrust(configured, history(...ends, 'undone'), NOW);
        expect(autonomy).not.toBe('auto');
        expect(AUTONOMIES.indexOf(autonomy)).toBeLessThanOrEqual(AUTONOMIES.indexOf(configured));
      }),
    );
  });
});
