// Out of all rows that wait: which are overtaken, which make a sound, which only edit. Pure, so that
// its promise can be tested: a row is dropped only in favour of a row that is stored as well.

import type { Notification } from '../core/notification.ts';
import type { OutboxRow } from '../store/contract.ts';

/** Marks a row whose last attempt may have arrived. */
export const DOUBT = 'unanswered: ';

/** Key of the first message ever on a channel. */
export const HELLO = 'hello';

/** True when the last attempt may have arrived: it must be cleared up, and is neither dropped nor merged. */
export function isDoubtful(row: OutboxRow): boolean {
  return isNews(row) && (row.error?.startsWith(DOUBT) ?? false);
}

/** A message of its own: the row it is stored as, what it says by now, and rows that it says as well. */
export interface NewsItem {
  readonly row: OutboxRow;
  readonly content: Notification;
  readonly with: readonly OutboxRow[];
}

export interface Arranged {
  readonly overtaken: readonly { readonly row: OutboxRow; readonly by: string }[];
  readonly news: readonly NewsItem[];
  readonly edits: readonly OutboxRow[];
}

/**
 * What of these rows (oldest first) is to be sent: the newest news of each incident with the newest words, and the
 * newest edit of each other message. An older row is dropped only in favour of a row that is stored as well.
 */
export function arrange(rows: readonly OutboxRow[]): Arranged {
  const overtaken: { row: OutboxRow; by: string }[] = [];
  const news: NewsItem[] = [];
  const edits: OutboxRow[] = [];
  const newest = new Map<string, OutboxRow>();
  for (const row of rows) if (isNews(row)) newest.set(threadOf(row.notification), row);
  for (const [, group] of groupBy(rows, (row) => row.notification.key)) {
    const latest = group.at(-1) as OutboxRow;
    const own = group.filter(isNews);
    const head = own.at(-1);
    const chosen = head && newest.get(threadOf(head.notification));
    for (const row of own)
      if (row !== chosen && isDoubtful(row)) news.push({ row, content: row.notification, with: [] });
      else if (row !== chosen) overtaken.push({ row, by: (chosen ?? latest).notification.id });
    const rest = group.filter((row) => !isNews(row));
    if (head && head === chosen) news.push({ row: head, content: wordsOf(head, latest), with: rest });
    else {
      for (const row of rest.slice(0, -1)) overtaken.push({ row, by: latest.notification.id });
      const last = rest.at(-1);
      if (last) edits.push(last);
    }
  }
  return { overtaken, news: news.sort(byUrgency), edits };
}

/** The newest words under the identity of the row that makes the sound. */
function wordsOf(head: OutboxRow, latest: OutboxRow): Notification {
  const { id, urgency, reason, manner } = head.notification;
  return { ...latest.notification, id, urgency, reason, ...(manner && { manner }) };
}

function byUrgency(a: NewsItem, b: NewsItem): number {
  return rankOf(a) - rankOf(b);
}

/** What is in doubt and the greeting first, then questions, then what is critical; otherwise in order. */
function rankOf({ row, content }: NewsItem): number {
  if (isDoubtful(row) || isHello(row)) return -1;
  return content.plan ? 0 : isCritical(content) ? 1 : 2;
}

function threadOf(notification: Notification): string {
  return notification.incident === null ? notification.key : `incident:${notification.incident}`;
}

function groupBy(rows: readonly OutboxRow[], key: (row: OutboxRow) => string): ReadonlyMap<string, OutboxRow[]> {
  const groups = new Map<string, OutboxRow[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return groups;
}

export function isNews(row: OutboxRow): boolean {
  return (row.notification.manner ?? 'news') === 'news';
}

export function isCritical(notification: Notification): boolean {
  return notification.severity === 'critical';
}

/** A question that can still be answered. */
export function isLiveAsk(notification: Notification, now: number): boolean {
  return notification.plan !== null && notification.plan.expiresAt > now;
}

export function isHello(row: OutboxRow): boolean {
  return row.notification.key.startsWith(`${HELLO}:`);
}

export function isDigest(row: OutboxRow): boolean {
  return row.notification.key.startsWith('digest:');
}
