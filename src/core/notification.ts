// What the owner is told. A notification is stored before it is sent, with the reason why.

import type { Severity } from './words.ts';

export type Urgency =
  /** At once. */
  | 'now'
  /** With the next digest. */
  | 'batched'
  /** Stored and shown on request, never sent. */
  | 'none';

export interface Button {
  /** What the owner reads, e.g. `Approve`. */
  readonly label: string;
  readonly action: 'approve' | 'deny' | 'details' | 'silence' | 'rollback';
}

export interface Notification {
  readonly id: string;
  /** Messages with the same key are one message that is edited. One per incident. */
  readonly key: string;
  readonly incident: string | null;
  readonly urgency: Urgency;
  readonly severity: Severity | null;
  /** Why it is sent or withheld, e.g. `critical: at once`, `low: shown on request only`. */
  readonly reason: string;
  readonly title: string;
  /** Plain text, lines separated by `\n`; each channel escapes for itself. */
  readonly body: string;
  /** Untrusted excerpt out of a log, shown quoted. Secrets are masked already. */
  readonly excerpt?: string;
  readonly buttons: readonly Button[];
  /** Plan the buttons decide on; an approval is valid for this hash only. */
  readonly plan: { readonly id: string; readonly hash: string; readonly expiresAt: number } | null;
  readonly at: number;
  /**
   * `news` (default) is a message of its own. `progress` edits what stands under the key, and is sent anew where a
   * channel cannot edit. `count` edits too, and is dropped where that is not possible. Neither ever rings a phone.
   */
  readonly manner?: 'news' | 'progress' | 'count';
  /** True: delivered without a sound, where the channel can. */
  readonly silent?: boolean;
}

/** The specification's severity table: who hears of a fresh incident, and when. */
export function urgencyOf(severity: Severity): Urgency {
  if (severity === 'critical' || severity === 'high') return 'now';
  return severity === 'medium' ? 'batched' : 'none';
}
