// What of the news that wait goes out by itself now, what is merged into one message, and what waits. Pure: the budget
// of a person's attention is spent here.

import type { Config } from '../config/contract.ts';
import { isCritical, isDigest, isDoubtful, isHello, isLiveAsk, type NewsItem } from './arrange.ts';
import type { DigestKind } from './digest.ts';
import { isCardKey } from './news.ts';
import { quietUntil } from './quiet-hours.ts';

/** A first alert waits this long: most problems have more to say by then, and it is said once. */
const HOLD_MS = 2_500;
const HOLD_CRITICAL_MS = 400;
/** Messages of their own within the window; what comes on top is merged. */
export const WINDOW_MS = 300_000;
const BUDGET = 10;
const CRITICAL_EXTRA = 4;
/** More than this many waiting at the same time are merged at once. */
const MERGE_OVER = 5;
const ASKS_AT_ONCE = 3;
/** Questions of their own within the window. Whoever is asked too often approves without reading: the rest is merged. */
const ASKS = 6;
/** A storm's digest is edited at most this often. */
const DIGEST_GAP_MS = 60_000;
/** Whoever could not be reached for this long is told so. */
export const OUTAGE_MS = 600_000;

export interface Choice {
  /** In the order in which they are to be sent. */
  readonly send: readonly NewsItem[];
  readonly merge: readonly NewsItem[];
  readonly kind: DigestKind;
  /** When the earliest of what waits is due; Infinity when nothing waits. */
  readonly nextAt: number;
}

export interface Moment {
  readonly now: number;
  /** True when there may be more rows than were read. */
  readonly full: boolean;
  /** When news were sent, and when questions were, lately. */
  readonly newsAt: readonly number[];
  readonly asksAt: readonly number[];
  readonly mergedAt: number;
  /** Since when nothing could be delivered; null when it can. */
  readonly failingSince: number | null;
  readonly config: Pick<Config, 'quietHours' | 'digestIntervalMs'>;
}

export function choose(news: readonly NewsItem[], moment: Moment): Choice {
  const { now, full } = moment;
  // A full batch would hide what is behind it: everything in it is due.
  const due = news.filter((item) => full || dueAt(item, moment) <= now);
  const nextAt = Math.min(...news.filter((item) => !due.includes(item)).map((item) => dueAt(item, moment)));
  const mayAsk = Math.min(ASKS_AT_ONCE, Math.max(0, ASKS - recent(moment.asksAt, now).length));
  const first = due.filter(({ row }) => isDoubtful(row) || isHello(row));
  const asks = due.filter((item) => !first.includes(item) && isLiveAsk(item.content, now)).slice(0, mayAsk);
  const notices = due.filter(({ row }) => row.notification.severity === null && !isDigest(row) && !isHello(row));
  const plain = due.filter(
    (item) => !first.includes(item) && (isDigest(item.row) || (notices.length <= MERGE_OVER && notices.includes(item))),
  );
  const others = due.filter((item) => ![first, asks, plain].some((part) => part.includes(item)));
  const alone = [...first, ...asks, ...plain];
  const merged = merge(others, alone, moment, mayAsk < ASKS_AT_ONCE);
  return { ...merged, nextAt: Math.min(nextAt, merged.nextAt) };
}

/** Those that have no right to a message of their own: are they few enough to get one all the same? */
function merge(others: readonly NewsItem[], alone: readonly NewsItem[], moment: Moment, asksSpent: boolean): Choice {
  const { now } = moment;
  const batched = others.filter(({ row }) => row.notification.urgency === 'batched');
  if (batched.length > 1) return { send: [], merge: batched, kind: 'periodic', nextAt: Infinity };
  if (others.length > 1 && wasOut(others, moment)) return { send: [], merge: others, kind: 'outage', nextAt: Infinity };
  const room = BUDGET - recent(moment.newsAt, now).length;
  const tooManyAsks = asksSpent && others.some(({ content }) => isLiveAsk(content, now));
  if (others.length <= Math.min(MERGE_OVER, room) && !tooManyAsks)
    return { send: [...alone, ...others], merge: [], kind: 'storm', nextAt: Infinity };
  const critical = others.filter(({ content }) => isCritical(content) && !isLiveAsk(content, now));
  const loud = critical.length <= room + CRITICAL_EXTRA ? critical.slice(0, CRITICAL_EXTRA) : [];
  const rest = others.filter((item) => !loud.includes(item));
  const mergeAt = moment.mergedAt + DIGEST_GAP_MS;
  if (rest.length > 0 && mergeAt <= now) return { send: [], merge: rest, kind: 'storm', nextAt: Infinity };
  return { send: [...alone, ...loud], merge: [], kind: 'storm', nextAt: mergeAt };
}

function dueAt({ row, content }: NewsItem, { now, config }: Moment): number {
  if (row.tries > 0 || isHello(row)) return 0;
  const quiet = isCritical(content) || isLiveAsk(content, now) ? null : quietUntil(config.quietHours, now);
  if (quiet !== null) return quiet;
  const { notification } = row;
  if (notification.urgency === 'batched') return nextMultiple(notification.at, config.digestIntervalMs);
  if (!isCardKey(notification)) return 0;
  return notification.at + (isCritical(content) ? HOLD_CRITICAL_MS : HOLD_MS);
}

function wasOut(items: readonly NewsItem[], { now, failingSince }: Moment): boolean {
  const failing = failingSince !== null && now - failingSince > OUTAGE_MS;
  return failing || items.some(({ row }) => row.tries > 0 && now - row.notification.at > OUTAGE_MS);
}

/** The times that still count against the budget. */
export function recent(times: readonly number[], now: number): readonly number[] {
  return times.filter((at) => now - at < WINDOW_MS);
}

/** The next moment of a grid of `step`, strictly after `at`. */
function nextMultiple(at: number, step: number): number {
  return step <= 0 ? at : (Math.floor(at / step) + 1) * step;
}
