// Trust that is earned: how far a fix may go on one service, by what became of it there. It rises slowly, by proven
// repairs, and falls at once. Only where the owner has said `trust: earned`; a plan that must ask still asks.

import { narrower, type Autonomy } from '../core/words.ts';
import type { LedgerRow } from '../store/contract.ts';

/** What is older says little about the service as it is: ninety days. */
export const TRUST_HORIZON_MS = 90 * 86_400_000;

/**
 * Bars for the lower bound. With a 95 % interval and no failure they are passed by 4 repairs (0.51) and by 16 (0.81): a fix
 * is asked about before it is believed, and believed only after it has been seen to work for a while.
 */
export const BARS = { approve: 0.5, auto: 0.8 } as const;

/** Two-sided 95 %. */
const Z = 1.959964;

/**
 * Lower end of the Wilson score interval for a share of successes, 0 to 1; 0 without trials. Unlike the plain share it is
 * cautious about few trials. Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
 * Journal of the American Statistical Association 22 (1927), 209-212.
 *
 * @example
 * wilsonLowerBound(4, 4); // 0.51
 * wilsonLowerBound(16, 16); // 0.806
 */
export function wilsonLowerBound(successes: number, trials: number): number {
  if (trials === 0) return 0;
  const share = successes / trials;
  const z2 = Z * Z;
  const middle = share + z2 / (2 * trials);
  const spread = Z * Math.sqrt((share * (1 - share) + z2 / (4 * trials)) / trials);
  return Math.max(0, (middle - spread) / (1 + z2 / trials));
}

export interface Trust {
  readonly autonomy: Autonomy;
  /** Proven repairs and attempts since the last harm. */
  readonly successes: number;
  readonly trials: number;
  readonly lowerBound: number;
  /** One sentence; null when the autonomy is what was configured. */
  readonly reason: string | null;
}

/**
 * What a fix has earned on a service. `rows` are its attempts there, in any order. `off` stays off; a harmful or undone
 * repair takes `auto` away until the bar is passed anew by what came after it.
 */
export function earnedTrust(configured: Autonomy, rows: readonly LedgerRow[], now: number): Trust {
  const recent = rows
    .filter((row) => now - row.outcome.at < TRUST_HORIZON_MS)
    .sort((a, b) => b.outcome.at - a.outcome.at);
  const harm = recent.find(isHarm);
  const since = harm ? recent.slice(0, recent.indexOf(harm)) : recent;
  const tried = since.filter(({ outcome }) => !UNTRIED.has(outcome.kind));
  const successes = tried.filter(({ outcome }) => outcome.kind === 'fixed').length;
  const lowerBound = wilsonLowerBound(successes, tried.length);
  const earned = levelFor(lowerBound);
  const said = `${successes} of ${tried.length} repairs proven, lower bound ${Math.round(lowerBound * 100)} %`;
  const figures = { successes, trials: tried.length, lowerBound };
  if (configured === 'off') return { autonomy: 'off', ...figures, reason: null };
  if (harm && earned !== 'auto') {
    const autonomy = narrower(configured, 'approve');
    const what = harm.outcome.kind === 'rollback-failed' ? 'could not be taken back' : 'was taken back by a person';
    const reason = `asks since the repair of incident ${harm.incident} ${what} (${said} since then)`;
    return { autonomy, ...figures, reason: autonomy === configured ? null : reason };
  }
  const autonomy = narrower(configured, earned) === earned ? configured : earned;
  return { autonomy, ...figures, reason: autonomy === configured ? null : `trusted more than configured: ${said}` };
}

/** What one fix has earned on one service, for `history`. */
export interface TrustRow {
  readonly service: string;
  readonly fix: string;
  /** Since the last harm. */
  readonly successes: number;
  readonly trials: number;
  /** Lower end of the 95 % Wilson interval, 0 to 1. */
  readonly lowerBound: number;
  /** Incident whose repair was taken back or could not be; null when there was none within ninety days. */
  readonly harmed: string | null;
}

/** One row for each fix and service of the ledger. */
export function trustTable(rows: readonly LedgerRow[], now: number): readonly TrustRow[] {
  const groups = new Map<string, LedgerRow[]>();
  for (const row of rows) {
    const key = `${row.service}\u0000${row.fix}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { successes, trials, lowerBound } = earnedTrust('auto', group, now);
    const harm = group.filter((row) => now - row.outcome.at < TRUST_HORIZON_MS && isHarm(row)).at(-1);
    return [{ service: first.service, fix: first.fix, successes, trials, lowerBound, harmed: harm?.incident ?? null }];
  });
}

const UNTRIED: ReadonlySet<string> = new Set(['refused', 'not-applicable', 'rehearsed']);

function isHarm({ outcome }: LedgerRow): boolean {
  return outcome.kind === 'rollback-failed' || (outcome.kind === 'rolled-back' && outcome.undoneBy !== undefined);
}

function levelFor(lowerBound: number): Autonomy {
  if (lowerBound >= BARS.auto) return 'auto';
  return lowerBound >= BARS.approve ? 'approve' : 'suggest';
}
