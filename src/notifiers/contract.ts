// A notifier carries one stored notification to a person. It classifies the answer; the
// outbox does the waiting and the repeating.

import type { Notification } from '../core/notification.ts';

/** What became of one attempt. The notifier knows its protocol, so it decides about retrying. */
export type Delivery =
  | { readonly kind: 'sent'; readonly externalId: string | null }
  | {
      readonly kind: 'retry';
      /** What the other side asked for; null: the outbox decides. */
      readonly afterMs: number | null;
      readonly error: string;
      /** True when it may have arrived all the same: no answer came. */
      readonly doubtful?: boolean;
    }
  | { readonly kind: 'rejected'; readonly error: string };

export interface Notifier {
  /** Unique channel name: `telegram`, `console`, `webhook`. */
  readonly name: string;
  /** The newest message known on the channel, whoever wrote it: where to begin to look for a lost one. */
  newest?(): Promise<string | null>;
  /** Can a sent message be changed later? If not, only changes of state are sent anew. */
  readonly edits: boolean;
  /**
   * Sends, or edits the message `replaces` (its external id). Never throws for what the network or the other side does,
   * and no error text ever holds a secret.
   */
  send(
    notification: Notification,
    options: {
      readonly replaces: string | null;
      readonly signal: AbortSignal;
      /**
       * Set when an earlier attempt at sending this may have arrived: its answer was lost. `after` is the newest message
       * known on the channel. A channel that can look must look before it sends again.
       */
      readonly doubtful?: { readonly after: string | null };
    },
  ): Promise<Delivery>;
}
