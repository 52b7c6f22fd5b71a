// An Incident is one problem, however often it is reported. Its state owns its fields;
// `advance` is the only way from one state to the next, and it is pure.

import type { Fingerprint } from './detection.ts';
import type { Facts } from './facts.ts';
import { countsAgainstLimit, type Outcome } from './outcome.ts';
import { type Pace, paced, pacedSeverity } from './pace.ts';
import { isWorse, type ErrorType, type Severity } from './words.ts';

export type IncidentState =
  /** Seen. `notBefore` is the end of a cool-down. */
  | { readonly name: 'open'; readonly notBefore: number }
  | { readonly name: 'awaiting-approval'; readonly plan: string; readonly until: number }
  /** `owner` identifies the acting process (pid and start time), `leaseUntil` when it counts as dead. */
  | { readonly name: 'healing'; readonly plan: string; readonly owner: string; readonly leaseUntil: number }
  /**
   * The last step was done at `since` and the checks passed; the error must stay away until `quietUntil`. `beside`: another
   * incident keeps the service down, and is healed before this one can be proven.
   */
  | {
      readonly name: 'verifying';
      readonly plan: string;
      readonly since: number;
      readonly quietUntil: number;
      readonly beside?: string;
    }
  | { readonly name: 'resolved'; readonly by: 'fix' | 'person' | 'itself' | 'cause'; readonly at: number }
  | { readonly name: 'needs-human'; readonly reason: string; readonly at: number }
  | { readonly name: 'silenced'; readonly by: string; readonly until: number };
export type IncidentStateName = IncidentState['name'];

export interface Sample {
  readonly at: number;
  readonly source: string;
  readonly line: number;
  readonly endLine: number;
  /** Masked of secrets, capped. */
  readonly text: string;
}

export interface Incident {
  /** Small number as text, unique on this host: what people type. */
  readonly id: string;
  readonly service: string;
  readonly node: string;
  readonly type: ErrorType;
  readonly severity: Severity;
  readonly state: IncidentState;
  readonly rule: string;
  readonly fingerprint: Fingerprint;
  readonly message: string;
  readonly facts: Facts;
  readonly fixable: boolean;
  /** False while all that is known comes from texts that may be imitations: nothing is done about it by itself. */
  readonly trusted: boolean;
  readonly count: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** First, and the latest few. */
  readonly samples: readonly Sample[];
  /** Attempts at healing, stored before acting. Survives reopening within the horizon. */
  readonly attempts: number;
  /** Last plan, if there was one. */
  readonly plan: string | null;
  readonly fix: string | null;
  readonly outcome: Outcome | null;
  /** Why the incident is where it is, in one sentence for people. */
  readonly reason: string;
  /** Incident whose repair explains this one away. */
  readonly causedBy: string | null;
  /** What this problem has brought about on the same service, e.g. `service_crash`. */
  readonly symptoms: readonly ErrorType[];
  /** When it came back after it had been resolved, epoch milliseconds, within the last day. Absent: never. */
  readonly comebacks?: readonly number[];
  /** How often it is seen. Absent: once. */
  readonly pace?: Pace;
  /** The worst its records say, however often. Absent: `severity`. */
  readonly said?: Severity;
  /** Grows with each stored change; writers compare and swap on it. */
  readonly revision: number;
}

/** What the record that opened an incident says of it. */
export type Said = Pick<
  Incident,
  'type' | 'severity' | 'rule' | 'fingerprint' | 'message' | 'facts' | 'fixable' | 'trusted'
>;

/** What can happen to an incident. */
export type IncidentEvent =
  | {
      readonly kind: 'seen';
      readonly at: number;
      readonly times: number;
      readonly severity: Severity;
      readonly facts: Facts;
      readonly trusted: boolean;
      readonly sample: Sample | null;
      /** Set when what was seen is a consequence of this incident. */
      readonly symptom: ErrorType | null;
    }
  /** Once more, in a record that may still go on: it is counted, and nothing else changes before the record is complete. */
  | { readonly kind: 'provisional' }
  /** What was counted in a record that might go on was something else. */
  | { readonly kind: 'withdrawn' }
  /** The record that opened the incident is complete: what it says is known only now. */
  | {
      readonly kind: 'completed';
      readonly at: number;
      /** Planned from then on, when it is open. */
      readonly notBefore: number;
      readonly said: Said;
      readonly sample: Sample;
    }
  | {
      readonly kind: 'plan-asks';
      readonly plan: string;
      readonly fix: string;
      readonly until: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'plan-starts';
      readonly plan: string;
      readonly fix: string;
      readonly owner: string;
      readonly leaseUntil: number;
      readonly reason: string;
    }
  /** `since`: when the last step was done. Whatever is seen later was not healed by it. */
  | {
      readonly kind: 'steps-done';
      readonly since: number;
      readonly quietUntil: number;
      readonly reason: string;
      readonly beside?: string;
    }
  | { readonly kind: 'finished'; readonly outcome: Outcome; readonly retryAt: number | null }
  | { readonly kind: 'postponed'; readonly until: number; readonly reason: string }
  /** It could not be tried: the attempt that was counted is given back. */
  | { readonly kind: 'put-off'; readonly until: number; readonly reason: string }
  | {
      readonly kind: 'given-up';
      readonly at: number;
      readonly reason: string;
      readonly outcome: Outcome | null;
      /** A plan that a person may still approve. */
      readonly suggestion: { readonly plan: string; readonly fix: string } | null;
    }
  | { readonly kind: 'denied'; readonly at: number; readonly by: string }
  | { readonly kind: 'expired'; readonly at: number }
  | {
      readonly kind: 'cleared';
      readonly at: number;
      readonly by: 'person' | 'itself' | 'cause';
      readonly reason: string;
      readonly cause: string | null;
      readonly outcome: Outcome | null;
    }
  | { readonly kind: 'silenced'; readonly by: string; readonly until: number }
  | { readonly kind: 'unsilenced'; readonly at: number };

const FROM: Record<IncidentEvent['kind'], readonly IncidentStateName[]> = {
  seen: ['open', 'awaiting-approval', 'healing', 'verifying', 'resolved', 'needs-human', 'silenced'],
  provisional: ['open', 'awaiting-approval', 'healing', 'verifying', 'resolved', 'needs-human', 'silenced'],
  withdrawn: ['open', 'awaiting-approval', 'healing', 'verifying', 'resolved', 'needs-human', 'silenced'],
  completed: ['open', 'awaiting-approval', 'healing', 'verifying', 'resolved', 'needs-human', 'silenced'],
  'plan-asks': ['open', 'needs-human'],
  'plan-starts': ['open', 'awaiting-approval', 'needs-human'],
  'steps-done': ['healing'],
  finished: ['open', 'awaiting-approval', 'healing', 'verifying', 'resolved', 'needs-human'],
  postponed: ['open', 'awaiting-approval', 'needs-human'],
  'put-off': ['healing'],
  'given-up': ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'],
  denied: ['awaiting-approval'],
  expired: ['awaiting-approval'],
  cleared: ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human', 'silenced'],
  silenced: ['open', 'awaiting-approval', 'needs-human', 'resolved', 'silenced'],
  unsilenced: ['silenced'],
};

const SAMPLES_KEPT = 5;

/** A problem that stayed away this long starts with fresh attempts: six hours. */
export const ATTEMPT_HORIZON_MS = 6 * 3_600_000;

/** Comebacks count for a day, and no more than five of them: what then stays away has to stay away 32 times as long. */
const FLAP_WINDOW_MS = 24 * 3_600_000;
const FLAPS_KEPT = 5;

/**
 * How long a problem must stay away before it counts as over by itself, in milliseconds: `baseMs`, doubled for each time
 * it came back within a day. A problem that opens and resolves over and over is one that is still there.
 */
export function quietNeededMs({ comebacks, lastSeen }: Incident, baseMs: number): number {
  const recent = (comebacks ?? []).filter((at) => lastSeen - at < FLAP_WINDOW_MS);
  return baseMs * 2 ** Math.min(recent.length, FLAPS_KEPT);
}

/** What a person was called for is looked at anew when it still happens a day later: the world may have changed. */
export const LOOK_AGAIN_MS = 24 * 3_600_000;

/** True when the event may happen in this state. */
export function canAdvance(incident: Incident, event: IncidentEvent): boolean {
  if (event.kind === 'finished' && event.outcome.kind === 'fixed' && cameBack(incident)) return false;
  return FROM[event.kind].includes(incident.state.name);
}

/** True when the error was seen again after the repair that is being verified. */
export function cameBack({ state, lastSeen }: Incident): boolean {
  return state.name === 'verifying' && lastSeen > state.since;
}

/**
 * The incident after the event, or null when the event is not possible in its state
 * (the caller lost a race and must look again).
 */
export function advance(incident: Incident, event: IncidentEvent): Incident | null {
  if (!canAdvance(incident, event)) return null;
  return { ...change(incident, event), revision: incident.revision + 1 };
}

function change(incident: Incident, event: IncidentEvent): Incident {
  switch (event.kind) {
    case 'seen':
      return seen(incident, event);
    case 'provisional':
      return { ...incident, count: incident.count + 1 };
    case 'withdrawn':
      return { ...incident, count: Math.max(0, incident.count - 1) };
    case 'completed':
      return {
        ...incident,
        ...event.said,
        state: incident.state.name === 'open' ? { name: 'open', notBefore: event.notBefore } : incident.state,
        lastSeen: Math.max(incident.lastSeen, event.at),
        samples: [event.sample],
      };
    case 'plan-asks':
      return {
        ...incident,
        state: { name: 'awaiting-approval', plan: event.plan, until: event.until },
        plan: event.plan,
        fix: event.fix,
        reason: event.reason,
      };
    case 'plan-starts':
      return {
        ...incident,
        state: { name: 'healing', plan: event.plan, owner: event.owner, leaseUntil: event.leaseUntil },
        plan: event.plan,
        fix: event.fix,
        attempts: incident.attempts + 1,
        reason: event.reason,
      };
    case 'steps-done':
      return {
        ...incident,
        state: {
          name: 'verifying',
          plan: incident.plan ?? '',
          since: event.since,
          quietUntil: event.quietUntil,
          ...(event.beside === undefined ? {} : { beside: event.beside }),
        },
        reason: event.reason,
      };
    case 'finished':
      return finished(incident, event.outcome, event.retryAt);
    case 'postponed':
      return { ...incident, state: { name: 'open', notBefore: event.until }, reason: event.reason };
    case 'put-off':
      return {
        ...incident,
        state: { name: 'open', notBefore: event.until },
        attempts: Math.max(0, incident.attempts - 1),
        reason: event.reason,
      };
    case 'given-up':
      return {
        ...incident,
        state: { name: 'needs-human', reason: event.reason, at: event.at },
        plan: event.suggestion?.plan ?? incident.plan,
        fix: event.suggestion?.fix ?? incident.fix,
        outcome: event.outcome ?? incident.outcome,
        reason: event.reason,
      };
    case 'denied':
      return {
        ...incident,
        state: { name: 'needs-human', reason: `denied by ${event.by}`, at: event.at },
        reason: `denied by ${event.by}`,
      };
    case 'expired':
      return {
        ...incident,
        state: { name: 'needs-human', reason: 'nobody decided in time', at: event.at },
        reason: 'nobody decided in time',
      };
    case 'cleared':
      return {
        ...incident,
        state: { name: 'resolved', by: event.by, at: event.at },
        reason: event.reason,
        causedBy: event.cause ?? incident.causedBy,
        outcome: event.outcome ?? incident.outcome,
      };
    case 'silenced':
      return {
        ...incident,
        state: { name: 'silenced', by: event.by, until: event.until },
        reason: `silenced by ${event.by}`,
      };
    case 'unsilenced':
      return { ...incident, state: { name: 'open', notBefore: event.at }, reason: 'the silence has ended' };
  }
}

type Seen = Extract<IncidentEvent, { kind: 'seen' }>;

function seen(incident: Incident, event: Seen): Incident {
  const next: Incident = {
    ...incident,
    count: incident.count + event.times,
    lastSeen: Math.max(incident.lastSeen, event.at),
    ...gravityOf(incident, event),
    // What may be an imitation never changes what a trusted text has said.
    facts: event.trusted || !incident.trusted ? { ...incident.facts, ...event.facts } : incident.facts,
    trusted: incident.trusted || (event.trusted && event.symptom === null),
    samples: keepSamples(incident.samples, event.sample),
    symptoms: event.symptom ? [...new Set([...incident.symptoms, event.symptom])] : incident.symptoms,
  };
  if (incident.state.name === 'needs-human') return calledAgain(next, event, incident.state.at);
  if (incident.state.name !== 'resolved') return next;
  return {
    ...next,
    state: { name: 'open', notBefore: event.at },
    attempts: event.at - incident.state.at > ATTEMPT_HORIZON_MS ? 0 : incident.attempts,
    reason: 'it came back',
    comebacks: [...(incident.comebacks ?? []).filter((at) => event.at - at < FLAP_WINDOW_MS), event.at].slice(
      -FLAPS_KEPT,
    ),
  };
}

/**
 * The worst it was seen with, and a step worse when it goes on and on. Once raised it stays so until the problem is
 * over, so that nothing rings twice for a pace that goes up and down.
 */
function gravityOf(incident: Incident, event: Seen): Pick<Incident, 'severity' | 'said' | 'pace'> {
  const isOver = incident.state.name === 'resolved';
  // Records counted while they went on are completed with no `times`; a consequence is no sighting of the problem itself.
  const times = event.symptom === null ? Math.max(1, event.times) : 0;
  const before = isOver ? undefined : (incident.pace ?? paced(undefined, incident.lastSeen, 1));
  const pace = paced(before, event.at, times);
  const said = worse(event.severity, incident.said ?? incident.severity);
  return { pace, said, severity: isOver ? said : worse(pacedSeverity(said, pace), incident.severity) };
}

function worse(a: Severity, b: Severity): Severity {
  return isWorse(a, b) ? a : b;
}

/** A person was called, and has not come. What it brings about now may still be healed, and so may what a day has changed. */
function calledAgain(incident: Incident, event: Seen, since: number): Incident {
  const isLate = event.at - since > LOOK_AGAIN_MS;
  if (event.symptom === null && !isLate) return incident;
  const reason = event.symptom === null ? 'it still happens a day later' : `it has brought about a ${event.symptom}`;
  return {
    ...incident,
    state: { name: 'open', notBefore: event.at },
    attempts: isLate ? 0 : incident.attempts,
    reason,
  };
}

/** The first sample explains how it began, the latest how it is now; the middle may go. */
function keepSamples(samples: readonly Sample[], sample: Sample | null): readonly Sample[] {
  if (!sample) return samples;
  if (samples.length < SAMPLES_KEPT) return [...samples, sample];
  return [samples[0] as Sample, ...samples.slice(2), sample];
}

function finished(incident: Incident, outcome: Outcome, retryAt: number | null): Incident {
  const next = { ...incident, outcome, reason: outcome.reason };
  if (outcome.kind === 'fixed') return { ...next, state: { name: 'resolved', by: 'fix', at: outcome.at } };
  if (outcome.kind === 'rehearsed') return { ...next, state: { name: 'open', notBefore: outcome.at } };
  if (retryAt !== null && countsAgainstLimit(outcome.kind))
    return { ...next, state: { name: 'open', notBefore: retryAt } };
  return { ...next, state: { name: 'needs-human', reason: outcome.reason, at: outcome.at } };
}

/** An incident as `incidents --json` prints it. */
export interface IncidentRow {
  readonly id: string;
  readonly service: string;
  readonly type: ErrorType;
  readonly severity: Severity;
  readonly state: IncidentStateName;
  readonly message: string;
  readonly count: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly fingerprint: string;
  readonly facts: Facts;
  readonly attempts: number;
  readonly fix: string | null;
  readonly plan: string | null;
  readonly outcome: {
    readonly kind: string;
    readonly reason: string;
    readonly at: string;
    readonly evidence: Outcome['evidence'];
    /** False: nothing of what was done has a way back. */
    readonly hasWayBack?: false;
  } | null;
  readonly reason: string;
}

/** The outward form of an incident. */
export function incidentRow(incident: Incident): IncidentRow {
  const { outcome } = incident;
  return {
    id: incident.id,
    service: incident.service,
    type: incident.type,
    severity: incident.severity,
    state: incident.state.name,
    message: incident.message,
    count: incident.count,
    firstSeen: new Date(incident.firstSeen).toISOString(),
    lastSeen: new Date(incident.lastSeen).toISOString(),
    fingerprint: incident.fingerprint.place,
    facts: incident.facts,
    attempts: incident.attempts,
    fix: incident.fix,
    plan: incident.plan,
    outcome: outcome && {
      kind: outcome.kind,
      reason: outcome.reason,
      at: new Date(outcome.at).toISOString(),
      evidence: outcome.evidence,
      ...(outcome.hasWayBack === false ? { hasWayBack: false } : {}),
    },
    reason: incident.reason,
  };
}
