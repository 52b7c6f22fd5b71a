// How an attempt at healing ended, with the evidence for saying so.

import type { OutcomeKind } from './words.ts';

export interface Evidence {
  readonly check: string;
  readonly passed: true | false | 'unknown';
  readonly text: string;
}

export interface Outcome {
  readonly kind: OutcomeKind;
  /** One sentence for people. */
  readonly reason: string;
  readonly evidence: readonly Evidence[];
  /** Epoch milliseconds. */
  readonly at: number;
  readonly plan: string | null;
  /** The person who took a repair back that had been proven or was being watched. */
  readonly undoneBy?: string;
  /** For `refused`: commands a person would use next. */
  readonly next?: readonly string[];
  /** For `rollback-failed`: what a person must do by hand. */
  readonly byHand?: string;
}

/** True for outcomes after which trying the same thing again must count against the limit. */
export function countsAgainstLimit(kind: OutcomeKind): boolean {
  return kind !== 'fixed' && kind !== 'rehearsed';
}
