// Many messages become one: after an outage, in a storm, or with the hourly digest. A tally is kept,
// so that a storm stays one message that is edited while it goes on.

import type { Incident } from '../core/incident.ts';
import type { Notification } from '../core/notification.ts';
import { isWorse, type Severity } from '../core/words.ts';
import { clockTime, spanText } from './card-lines.ts';
import { stateTitle } from './cards.ts';

/** Why messages were merged; names the digest. */
export type DigestKind = 'periodic' | 'storm' | 'outage';

interface Group {
  readonly count: number;
  /** Incident ids, the first few. */
  readonly ids: readonly string[];
}

/** What one digest holds. Stored as JSON between merges. */
export interface Tally {
  readonly key: string;
  readonly kind: DigestKind;
  /** Epoch milliseconds of the oldest message in it. */
  readonly since: number;
  readonly startedAt: number;
  /** Messages merged so far. */
  readonly count: number;
  /** How often it has been written. */
  readonly edition: number;
  readonly severity: Severity | null;
  readonly groups: Readonly<Record<string, Group>>;
  /** Incidents in it, the first few hundred: what became of them is said when it goes out late. */
  readonly incidents: readonly string[];
}

const IDS_SHOWN = 6;
const GROUPS_KEPT = 60;
const GROUPS_SHOWN = 25;
const OTHERS = 'others';
const INCIDENTS_KEPT = 500;
/** What needs a person goes first, what is over goes last. */
const ORDER = ['🆘', '❓', '🚨', '⚠️', '🔸', '▫️', '⌛', '🔧', '🔕', '✅'];

export function newTally(kind: DigestKind, channel: string, now: number): Tally {
  return {
    key: `digest:${channel}:${now}`,
    kind,
    since: now,
    startedAt: now,
    count: 0,
    edition: 0,
    severity: null,
    groups: {},
    incidents: [],
  };
}

/** The tally with these messages added. */
export function addTo(tally: Tally, notifications: readonly Notification[]): Tally {
  const groups = new Map(Object.entries(tally.groups));
  const incidents = new Set(tally.incidents);
  let { since, severity } = tally;
  for (const notification of notifications) {
    if (notification.incident !== null && incidents.size < INCIDENTS_KEPT) incidents.add(notification.incident);
    since = Math.min(since, notification.at);
    if (notification.severity && (!severity || isWorse(notification.severity, severity)))
      severity = notification.severity;
    count(groups, groupName(notification.title), notification.incident);
  }
  return {
    ...tally,
    since,
    severity,
    count: tally.count + notifications.length,
    edition: tally.edition + 1,
    groups: Object.fromEntries(groups),
    incidents: [...incidents],
  };
}

/** The tally with what its incidents have come to by now; a digest of a long outage must not tell of yesterday. */
export function broughtUpToDate(tally: Tally, incidents: readonly Incident[]): Tally {
  const groups = new Map<string, Group>();
  // What is not about an incident stays as it was.
  for (const [name, group] of Object.entries(tally.groups)) if (group.ids.length === 0) groups.set(name, group);
  for (const incident of incidents) count(groups, groupName(stateTitle(incident)), incident.id);
  return { ...tally, kind: 'outage', groups: Object.fromEntries(groups) };
}

function count(groups: Map<string, Group>, name: string, incident: string | null): void {
  const key = groups.has(name) || groups.size < GROUPS_KEPT ? name : OTHERS;
  const group = groups.get(key) ?? { count: 0, ids: [] };
  const isNew = incident !== null && !group.ids.includes(incident);
  const ids = isNew ? [...group.ids, incident].slice(0, IDS_SHOWN + 1) : group.ids;
  groups.set(key, { count: group.count + 1, ids });
}

/** The digest as a message. The same edition of a tally is the same message. */
export function digestNotification(
  tally: Tally,
  { now, timezone, edits }: { readonly now: number; readonly timezone: string; readonly edits: boolean },
): Notification {
  return {
    id: `${tally.key}#${tally.edition}`,
    key: tally.key,
    incident: null,
    urgency: 'now',
    severity: tally.severity,
    reason: `${tally.count} messages merged into one (${tally.kind})`,
    title: digestTitle(tally, now, timezone),
    body: [...groupLines(tally), '', 'Send "incidents" for what is open, "incident N" for one of them.'].join('\n'),
    buttons: [],
    plan: null,
    at: now,
    manner: edits ? 'progress' : 'news',
  };
}

function digestTitle({ kind, count, since }: Tally, now: number, timezone: string): string {
  const messages = `${count} ${count === 1 ? 'message' : 'messages'}`;
  switch (kind) {
    case 'outage':
      return `📡 I could not reach you for ${spanText(now - since)} (since ${clockTime(since, timezone, now)}): ${messages}`;
    case 'storm':
      return `🌪 Many problems at once: ${messages} since ${clockTime(since, timezone, now)}`;
    case 'periodic':
      return `📋 Digest: ${messages} since ${clockTime(since, timezone, now)}`;
  }
}

function groupLines(tally: Tally): readonly string[] {
  const groups = Object.entries(tally.groups).sort(
    ([a, x], [b, y]) => rank(a) - rank(b) || y.count - x.count || (a < b ? -1 : 1),
  );
  const shown = groups.slice(0, GROUPS_SHOWN).map(([name, group]) => `${name}${times(group.count)}${idsText(group)}`);
  const rest = groups.slice(GROUPS_SHOWN).reduce((sum, [, group]) => sum + group.count, 0);
  return rest > 0 ? [...shown, `and ${rest} more`] : shown;
}

/** Icon and words of the title without the number: incidents of one kind fall together. */
function groupName(title: string): string {
  return title.replace(/#\S+ /, '').slice(0, 120);
}

function rank(name: string): number {
  const index = ORDER.findIndex((icon) => name.startsWith(icon));
  return index < 0 ? ORDER.length : index;
}

function times(count: number): string {
  return count > 1 ? ` ×${count}` : '';
}

function idsText({ ids }: Group): string {
  if (ids.length === 0) return '';
  return ` (${ids
    .slice(0, IDS_SHOWN)
    .map((id) => `#${id}`)
    .join(', ')}${ids.length > IDS_SHOWN ? ', …' : ''})`;
}
