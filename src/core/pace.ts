// How often a problem is seen, and when that makes it worse. A burst is one problem that shouts; what goes on minute
// after minute is one that nobody mends. Pure.

import type { Severity } from './words.ts';

/** What is remembered of the pace: numbers only, however many records there are. */
export interface Pace {
  /** Minute of the epoch in which it was seen last. */
  readonly minute: number;
  /** How often in that minute. */
  readonly seen: number;
  /** Minutes on end before it that were busy. */
  readonly busy: number;
}

const MINUTE_MS = 60_000;
/** A minute with at least this many records is a busy one. */
const BUSY = 10;
/** So many busy minutes on end make it worse. */
const LASTING = 5;

/** The pace after one more record at `at`, epoch milliseconds. Records that come late count for the minute that is. */
export function paced(pace: Pace | undefined, at: number, times: number): Pace {
  const minute = Math.floor(at / MINUTE_MS);
  if (!pace) return { minute, seen: times, busy: 0 };
  if (minute <= pace.minute) return { ...pace, seen: pace.seen + times };
  const goesOn = minute === pace.minute + 1 && pace.seen >= BUSY;
  return { minute, seen: times, busy: goesOn ? Math.min(pace.busy + 1, LASTING) : 0 };
}

/** Worse by one step when it has gone on for minutes; never critical, which is what something is and not how often it is said. */
export function pacedSeverity(severity: Severity, pace: Pace): Severity {
  if (pace.busy < LASTING) return severity;
  if (severity === 'low') return 'medium';
  return severity === 'medium' ? 'high' : severity;
}
