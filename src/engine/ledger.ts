// What the ledger of finished attempts says, in the specification's words.

import type { LedgerRow } from '../store/contract.ts';

export interface FixSummary {
  readonly totalFixesAttempted: number;
  readonly successful: number;
  readonly failed: number;
  readonly inconclusive: number;
  /** Repairs that a person has taken back. No failure: it had been proven, or nobody had waited for the proof. */
  readonly takenBack: number;
  /** 0 to 1; 0 when nothing was attempted. */
  readonly successRate: number;
  readonly byFix: readonly { readonly fix: string; readonly attempted: number; readonly successful: number }[];
}

/** Sums up finished attempts. `refused` and `not-applicable` touched nothing and are no attempts. */
export function summarise(rows: readonly LedgerRow[]): FixSummary {
  const undone = rows.filter((r) => r.outcome.undoneBy !== undefined && r.outcome.kind === 'rolled-back');
  const tried = rows.filter(
    (r) => !['refused', 'not-applicable', 'rehearsed'].includes(r.outcome.kind) && !undone.includes(r),
  );
  const fixed = tried.filter((r) => r.outcome.kind === 'fixed');
  const inconclusive = tried.filter((r) => r.outcome.kind === 'inconclusive');
  const names = [...new Set(tried.map((r) => r.fix))].sort();
  return {
    totalFixesAttempted: tried.length,
    successful: fixed.length,
    failed: tried.length - fixed.length - inconclusive.length,
    inconclusive: inconclusive.length,
    takenBack: undone.length,
    successRate: tried.length ? fixed.length / tried.length : 0,
    byFix: names.map((fix) => ({
      fix,
      attempted: tried.filter((r) => r.fix === fix).length,
      successful: fixed.filter((r) => r.fix === fix).length,
    })),
  };
}
