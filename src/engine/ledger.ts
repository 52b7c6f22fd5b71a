// What the ledger of finished attempts says, in the specification's words.

import type { LedgerRow } from '../store/contract.ts';

export interface FixSummary {
  readonly totalFixesAttempted: number;
  readonly successful: number;
  readonly failed: number;
  readonly inconclusive: number;
  /** Repairs that had held and that a person took back afterwards: no failure of the fix. */
  readonly takenBack: number;
  /** Successful ones among those that nobody took back: 0 to 1; 0 when there are none. */
  readonly successRate: number;
  readonly byFix: readonly { readonly fix: string; readonly attempted: number; readonly successful: number }[];
}

/** Sums up finished attempts. `refused` and `not-applicable` touched nothing and are no attempts. */
export function summarise(rows: readonly LedgerRow[]): FixSummary {
  const tried = rows.filter((r) => !['refused', 'not-applicable', 'rehearsed'].includes(r.outcome.kind));
  const fixed = tried.filter((r) => r.outcome.kind === 'fixed');
  const inconclusive = tried.filter((r) => r.outcome.kind === 'inconclusive');
  const takenBack = tried.filter((r) => r.outcome.kind === 'rolled-back' && r.outcome.undoneBy !== undefined);
  const judged = tried.length - takenBack.length;
  const names = [...new Set(tried.map((r) => r.fix))].sort();
  return {
    totalFixesAttempted: tried.length,
    successful: fixed.length,
    failed: judged - fixed.length - inconclusive.length,
    inconclusive: inconclusive.length,
    takenBack: takenBack.length,
    successRate: judged ? fixed.length / judged : 0,
    byFix: names.map((fix) => ({
      fix,
      attempted: tried.filter((r) => r.fix === fix).length,
      successful: fixed.filter((r) => r.fix === fix).length,
    })),
  };
}
