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
  /** False: nothing of what was done has a way back, so none is offered. Absent: there may be one. */
  readonly hasWayBack?: false;
  /** For `refused`: commands a person would use next. */
  readonly next?: readonly string[];
  /** For `rollback-failed`: what a person must do by hand. */
  readonly byHand?: string;
}

/** True when a person may be offered to take it back: it was done, and stands, and has a way back. */
export function canTakeBack(outcome: { readonly kind: string; readonly hasWayBack?: false } | null): boolean {
  return (outcome?.kind === 'fixed' || outcome?.kind === 'inconclusive') && outcome.hasWayBack !== false;
}

/** True for outcomes after which trying the same thing again must count against the limit. */
export function countsAgainstLimit(kind: OutcomeKind): boolean {
  return kind !== 'fixed' && kind !== 'rehearsed';
}
