// News that is not about one incident.

import type { Urgency } from '../core/notification.ts';
import type { Severity } from '../core/words.ts';

/** For example: the breaker opened, a source went blind, a stranger wrote. */
export interface Notice {
  /** The same key is the same message, edited; a new one makes a sound. */
  readonly key: string;
  readonly severity: Severity | null;
  readonly title: string;
  readonly body: string;
  /** Untrusted text, quoted. */
  readonly excerpt?: string;
  readonly urgency: Urgency;
  readonly reason: string;
  /** Tells two messages of one key and the same words apart; only the newest of those that wait is sent. */
  readonly edition?: string;
}
