// The store joins the three flows: watch writes incidents, heal writes plans and the
// journal, tell writes the outbox. Nothing is handed over in memory only, so a crash at any
// moment leaves rows that say what to do next.

import type { Notification } from '../core/notification.ts';
import type { Incident, IncidentStateName } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';

/** Where a source goes on reading. Opaque to everybody but the source that made it. */
export type Cursor = Readonly<Record<string, unknown>>;

/** Incident changes and the cursors that led to them: committed together or not at all. */
export interface WatchCommit {
  readonly incidents: readonly Incident[];
  readonly cursors: readonly { readonly source: string; readonly cursor: Cursor }[];
  /** Incidents as they are stored that turned out to be none, before anybody was told. Default: none. */
  readonly removed?: readonly Pick<Incident, 'id' | 'revision'>[];
}

/** Keys of `value` and `setValue` that more than one process relies on. */
export const VALUE_KEYS = {
  /** `Pause` while a person (or selfheal itself) has stopped all acting; absent otherwise. */
  pause: 'pause',
  /** The breaker over all fixes of this host. */
  breaker: 'breaker',
  /** `ServiceFacts[]` as the daemon uses them; *hands* reads them before it acts. */
  services: 'services',
  /** The splits of incidents that persons have asked for. */
  splits: 'splits',
  /** `Cycle` of the running or last daemon. */
  cycle: 'cycle',
  /** Streams that cannot be read: name → `{ since, reason }`. */
  blind: 'blind',
  /** `ModelRoute[]`: where plans have sent model traffic. */
  routes: 'gateway-routes',
  /** `GatewayReport` of the running gateway; absent without one. */
  gateway: 'gateway',
} as const;

/**
 * Value (epoch milliseconds) that says when a repair that started this service was last proven: earlier starts are
 * explained, and make no crash loop.
 */
export const provenStartKey = (service: string): string => `proven-start:${service}`;

/** Value of `VALUE_KEYS.cycle`: proof that the watcher lives. */
export interface Cycle {
  readonly startedAt: number;
  readonly lastCycleAt: number;
  /** Milliseconds until the next one. Absent in stores of older versions. */
  readonly everyMs?: number;
}

/** Value of `VALUE_KEYS.blind`. */
export type BlindStreams = Readonly<Record<string, { readonly since: number; readonly reason: string }>>;

/** Value of `VALUE_KEYS.pause`. */
export interface Pause {
  readonly by: string;
  readonly at: number;
  readonly reason: string;
  /** Epoch milliseconds when it ends by itself (maintenance); absent: when a person resumes. */
  readonly until?: number;
}

/** True while the pause holds. */
export function isPaused(pause: Pause | null, now: number): pause is Pause {
  return pause !== null && (pause.until === undefined || now < pause.until);
}

/** A file of this name in the state folder stops all acting as well; it works without the program. */
export const PAUSE_FILE = 'DISABLED';

/** One line of an incident's story, for `incident ID`, the demo and the chat. */
export interface TimelineEntry {
  readonly incident: string;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

/** A journal row. Written with synchronous=FULL in a file of its own; never changed, never deleted while its plan is open. */
export interface JournalEntry {
  readonly seq: number;
  readonly plan: string;
  /** Index of the step or check; -1 for the plan as a whole. */
  readonly step: number;
  readonly phase:
    | 'claimed'
    | 'snapshot'
    | 'intent'
    | 'done'
    | 'failed'
    | 'checked'
    | 'undo-intent'
    | 'undone'
    | 'undo-failed'
    | 'finished';
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A decision of a person about one exact plan. */
export interface Approval {
  readonly plan: string;
  readonly hash: string;
  readonly verdict: 'approved' | 'denied';
  readonly by: string;
  readonly at: number;
}

/** A wish of a person or of *hands*, addressed to the running daemon. Taken exactly once. */
export interface Request {
  readonly id: number;
  readonly kind: 'fix' | 'rollback' | 'start-service' | 'stop-service';
  readonly subject: string;
  readonly by: string;
  readonly at: number;
}

export interface OutboxRow {
  readonly notification: Notification;
  /** Channel name, e.g. `telegram`. */
  readonly channel: string;
  readonly state: 'pending' | 'sent' | 'withheld' | 'failed';
  readonly tries: number;
  readonly notBefore: number;
  /** The channel's own id of the message, for later edits. */
  readonly externalId: string | null;
  readonly error: string | null;
}

/** A file as it was when the service ran without errors: the only source a configuration is restored from. */
export interface GoodCopy {
  readonly id: string;
  readonly service: string;
  readonly path: string;
  readonly sha256: string;
  readonly mode: number;
  readonly bytes: number;
  readonly savedAt: number;
  /** Null until the service has run without errors for one check interval with exactly this content. */
  readonly provenAt: number | null;
}

/** One finished healing attempt, for the ledger, `history` and the attempt limits. */
export interface LedgerRow {
  readonly plan: string;
  readonly incident: string;
  readonly service: string;
  readonly fix: string;
  readonly family: string;
  readonly startedAt: number;
  readonly outcome: Outcome;
}

export interface IncidentQuery {
  readonly states?: readonly IncidentStateName[];
  readonly service?: string;
  readonly since?: number;
  readonly limit?: number;
}

/**
 * One host's memory. All methods reject with a `StoreError` (code, retryable) when the disk or the
 * file fails; none of them hides a failure.
 */
export interface Store {
  // ---- watch
  cursor(source: string): Promise<Cursor | null>;
  /**
   * All or nothing. Each incident is compared and swapped like `saveIncident`; several revisions of one
   * incident may follow each other. Rejects with `locked` when one of them was changed by somebody else.
   */
  commitWatch(commit: WatchCommit): Promise<void>;
  /** The incident of this service whose fingerprint (`place`) or merge list says it is the same problem. */
  incidentByFingerprint(service: string, place: string): Promise<Incident | null>;
  incident(id: string): Promise<Incident | null>;
  incidents(query: IncidentQuery): Promise<readonly Incident[]>;
  nextIncidentId(): Promise<string>;
  /**
   * Compare and swap on `revision - 1`; false when somebody else was faster. Inserts when revision is 1.
   * On the disk when it resolves: attempts are counted here before anything is done.
   */
  saveIncident(incident: Incident): Promise<boolean>;
  /** From now on this fingerprint is the same problem as that incident: a person said so. */
  mergeFingerprint(service: string, place: string, incident: string): Promise<void>;
  /** Takes that back; false when nobody had said so. */
  unmergeFingerprint(service: string, place: string): Promise<boolean>;
  merges(): Promise<readonly { readonly service: string; readonly place: string; readonly incident: string }[]>;
  addTimeline(entry: TimelineEntry): Promise<void>;
  timeline(incident: string): Promise<readonly TimelineEntry[]>;

  // ---- heal
  savePlan(plan: Plan): Promise<void>;
  plan(id: string): Promise<Plan | null>;
  plansOf(incident: string): Promise<readonly Plan[]>;
  /** First decision wins; false when the plan was decided before, or no plan with this hash is stored. */
  decide(approval: Approval): Promise<boolean>;
  approval(plan: string): Promise<Approval | null>;
  /**
   * On the disk when it resolves. A `claimed` entry carries `data.generation` (default 1); each generation
   * of a plan can be claimed once: the second claim rejects with `locked`.
   */
  appendJournal(entry: Omit<JournalEntry, 'seq'>): Promise<JournalEntry>;
  journal(plan: string): Promise<readonly JournalEntry[]>;
  /** Plans that were claimed and have no later `finished` entry, oldest first. */
  openPlans(): Promise<readonly string[]>;
  addLedger(row: LedgerRow): Promise<void>;
  ledger(query: {
    readonly since?: number;
    readonly service?: string;
    readonly fix?: string;
    readonly limit?: number;
  }): Promise<readonly LedgerRow[]>;
  /** True when the lock was free, expired, or already held by `owner` (then `until` is renewed). `owner` is pid:startTicks, or `plan:ID`. */
  lock(resource: string, owner: string, until: number): Promise<boolean>;
  unlock(resource: string, owner: string): Promise<void>;
  locks(): Promise<readonly { readonly resource: string; readonly owner: string; readonly until: number }[]>;

  // ---- tell
  enqueue(notification: Notification, channels: readonly string[], withheld: boolean): Promise<void>;
  dueOutbox(channel: string, now: number, limit: number): Promise<readonly OutboxRow[]>;
  updateOutbox(
    row: Pick<OutboxRow, 'channel' | 'state' | 'tries' | 'notBefore' | 'externalId' | 'error'> & {
      readonly id: string;
    },
  ): Promise<void>;
  /** The last row sent under a notification key on a channel: what an edit must address. */
  lastSent(channel: string, key: string): Promise<OutboxRow | null>;
  outbox(query: { readonly since?: number; readonly limit?: number }): Promise<readonly OutboxRow[]>;

  // ---- memory of the host
  /** Small durable values: pause, breaker, daily counters, update offsets, health of our own parts. */
  value<T>(key: string): Promise<T | null>;
  setValue(key: string, value: unknown): Promise<void>;
  /** Atomically replaces the value if it still equals `expected`; false otherwise. */
  swapValue(key: string, expected: unknown, value: unknown): Promise<boolean>;
  saveGoodCopy(copy: Omit<GoodCopy, 'id'>, content: Uint8Array): Promise<GoodCopy>;
  goodCopies(service: string, path: string): Promise<readonly GoodCopy[]>;
  goodCopy(id: string): Promise<{ readonly copy: GoodCopy; readonly content: Uint8Array } | null>;
  /** Marks copies of exactly this content as seen working. */
  proveGoodCopy(id: string, at: number): Promise<void>;
  request(request: Omit<Request, 'id'>): Promise<number>;
  /** Removes and returns waiting requests of these kinds: each is taken exactly once. */
  takeRequests(kinds: readonly Request['kind'][]): Promise<readonly Request[]>;
  /** True while nobody has taken the request. */
  isWaiting(request: number): Promise<boolean>;
  /** Takes a request back; false when somebody has taken it already. */
  withdraw(request: number): Promise<boolean>;

  /** Deletes what is older than `before` and closed; journal, audit and open work stay. */
  prune(before: number): Promise<number>;
  close(): Promise<void>;
}

/** A store failure that the caller can act on. */
export class StoreError extends Error {
  readonly code: 'unreachable' | 'corrupt' | 'newer-schema' | 'full' | 'locked' | 'io';
  readonly retryable: boolean;
  constructor(code: StoreError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
    this.retryable = code === 'locked' || code === 'full' || code === 'io';
  }
}
