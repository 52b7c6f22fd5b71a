// The guards, as data in one place. Each looks at what is known and may narrow what the planner
// wants to do; none can widen it. Their order is the order in which people are told the reason.

import type { Incident } from '../core/incident.ts';
import type { Autonomy, ErrorType, Family, OutcomeKind } from '../core/words.ts';
import type { LedgerRow } from '../store/contract.ts';

/** What a guard may look at. */
export interface GuardView {
  readonly incident: Incident;
  readonly fix: { readonly name: string; readonly family: Family };
  readonly autonomy: Autonomy;
  readonly now: number;
  readonly autoFix: boolean;
  readonly autoFixTypes: readonly ErrorType[] | null;
  readonly maxAttempts: number;
  readonly paused: string | null;
  readonly breaker: Breaker;
  readonly limits: {
    readonly changesPerHour: number;
    readonly changesPerDay: number;
    readonly restartsPerHour: number;
  };
  /** Attempts of the last day on this host, newest first. */
  readonly ledger: readonly LedgerRow[];
  /** Incidents opened within the last minute. */
  readonly newLastMinute: number;
  readonly stoppedOnPurpose: boolean;
  /** Another plan of this service is running. */
  readonly busyWith: string | null;
  readonly cause: Incident | null;
  /** The rule that found it is the owner's, and says `fixable: false`. */
  readonly leftToPeople: boolean;
  readonly requestedByPerson: boolean;
}

/** Opened by the guards, closed by a person only. */
export interface Breaker {
  readonly open: boolean;
  readonly reason: string;
}

export type Objection =
  | { readonly kind: 'refuse'; readonly reason: string }
  /** Not this fix; another one may still be right. */
  | { readonly kind: 'skip'; readonly reason: string }
  | { readonly kind: 'later'; readonly until: number; readonly reason: string }
  | { readonly kind: 'ask'; readonly reason: string }
  /** Too many changes on this host: stop everything until a person has looked. */
  | { readonly kind: 'trip'; readonly reason: string };

export interface Guard {
  readonly name: string;
  object(view: GuardView): Objection | null;
}

const HOUR_MS = 3_600_000;
/** More fresh incidents than this in a minute is a storm: watch only. Threshold of our threat model. */
const STORM_PER_MINUTE = 20;
const STORM_PAUSE_MS = 60_000;
/** First wait between two attempts; doubles each time. */
const COOL_DOWN_MS = 20_000;

const paused: Guard = {
  name: 'pause',
  object: (v) => (v.paused === null ? null : { kind: 'later', until: v.now + 5_000, reason: `paused: ${v.paused}` }),
};

const breaker: Guard = {
  name: 'breaker',
  object: (v) =>
    v.breaker.open && !v.requestedByPerson
      ? { kind: 'refuse', reason: `the host's breaker is open (${v.breaker.reason}); \`selfheal resume\` closes it` }
      : null,
};

const deliberateStop: Guard = {
  name: 'deliberate stop',
  object: (v) =>
    v.stoppedOnPurpose && v.fix.family === 'restart-service' && !v.requestedByPerson
      ? { kind: 'skip', reason: 'the service was stopped on purpose; a deliberate stop is never undone' }
      : null,
};

const causesFirst: Guard = {
  name: 'causes before symptoms',
  object: (v) =>
    v.cause && !v.requestedByPerson
      ? {
          kind: 'later',
          until: v.now + 10_000,
          reason: `waits for incident ${v.cause.id} (${v.cause.type}), which explains it`,
        }
      : null,
};

const attempts: Guard = {
  name: 'attempts',
  object: (v) =>
    v.incident.attempts >= v.maxAttempts && !v.requestedByPerson
      ? { kind: 'refuse', reason: `tried ${v.incident.attempts} times without lasting success; a person has to look` }
      : null,
};

const coolDown: Guard = {
  name: 'cool-down',
  object: (v) => {
    const last = v.ledger.find((row) => row.incident === v.incident.id);
    if (!last || v.requestedByPerson) return null;
    const until = last.outcome.at + COOL_DOWN_MS * 2 ** Math.max(0, v.incident.attempts - 1);
    return v.now < until ? { kind: 'later', until, reason: 'cooling down after the last attempt' } : null;
  },
};

const storm: Guard = {
  name: 'storm',
  object: (v) =>
    v.newLastMinute > STORM_PER_MINUTE && !v.requestedByPerson
      ? {
          kind: 'later',
          until: v.now + STORM_PAUSE_MS,
          reason: `${v.newLastMinute} new problems in a minute: watching only until it calms down`,
        }
      : null,
};

const budget: Guard = {
  name: 'budget',
  object: (v) => {
    if (v.requestedByPerson) return null;
    const within = (ms: number) =>
      v.ledger.filter((row) => v.now - row.startedAt < ms && !UNTOUCHED.has(row.outcome.kind));
    const restarts = within(HOUR_MS).filter((r) => r.service === v.incident.service && r.family === 'restart-service');
    if (within(HOUR_MS).length >= v.limits.changesPerHour)
      return { kind: 'trip', reason: `${v.limits.changesPerHour} changes within an hour` };
    if (within(24 * HOUR_MS).length >= v.limits.changesPerDay)
      return { kind: 'trip', reason: `${v.limits.changesPerDay} changes within a day` };
    if (v.fix.family === 'restart-service' && restarts.length >= v.limits.restartsPerHour)
      return { kind: 'skip', reason: `restarted ${restarts.length} times within an hour` };
    return null;
  },
};

/** Ends at which nothing had been changed: they are no changes, however many there are. */
const UNTOUCHED: ReadonlySet<OutcomeKind> = new Set(['refused', 'not-applicable', 'rehearsed']);

const oneAtATime: Guard = {
  name: 'one at a time',
  object: (v) =>
    v.busyWith
      ? { kind: 'later', until: v.now + 1_000, reason: `waits for plan ${v.busyWith} of the same service` }
      : null,
};

const detectionOnly: Guard = {
  name: 'detection only',
  object: (v) => (v.autoFix || v.requestedByPerson ? null : { kind: 'ask', reason: 'auto-fix is switched off' }),
};

const allowedType: Guard = {
  name: 'allowed type',
  object: (v) =>
    v.autoFixTypes && !v.autoFixTypes.includes(v.incident.type)
      ? { kind: 'ask', reason: `${v.incident.type} is not among the types that may be fixed without asking` }
      : null,
};

const ownersRule: Guard = {
  name: 'owner’s rule',
  object: (v) =>
    v.leftToPeople
      ? { kind: 'ask', reason: `your rule ${v.incident.rule} says that it is not to be fixed by itself` }
      : null,
};

export const guards: readonly Guard[] = [
  paused,
  breaker,
  deliberateStop,
  causesFirst,
  attempts,
  storm,
  budget,
  oneAtATime,
  coolDown,
  detectionOnly,
  allowedType,
  ownersRule,
];

/** What all guards together say: the gravest objection, or null. */
export function objection(view: GuardView): (Objection & { readonly guard: string }) | null {
  const said = guards.flatMap((guard) => {
    const found = guard.object(view);
    return found ? [{ ...found, guard: guard.name }] : [];
  });
  for (const kind of ['trip', 'refuse', 'later', 'skip', 'ask'] as const) {
    const first = said.find((o) => o.kind === kind);
    if (first) return first;
  }
  return null;
}
