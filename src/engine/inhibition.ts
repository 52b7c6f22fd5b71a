// Causes before symptoms. A full disk explains a failing database; a missing module explains
// the crash right after it. Healing the symptom first only makes noise.

import type { Facts } from '../core/facts.ts';
import type { Incident } from '../core/incident.ts';
import type { ErrorType } from '../core/words.ts';

/** Anywhere on the host, the type on the left explains the types on the right. */
const ON_HOST: Partial<Record<ErrorType, readonly ErrorType[]>> = {
  disk_full: ['database_error', 'config_error', 'git_error', 'import_error', 'service_crash', 'unknown', 'timeout'],
  out_of_memory: ['service_crash', 'timeout', 'database_error'],
};

/** How long after its last sign a cause still explains new symptoms: ten minutes. */
const CAUSE_LASTS_MS = 600_000;

/** An exit this soon after an error of the same service is that error's consequence: three seconds. */
const CRASH_FOLLOWS_MS = 3_000;

/** A log file is flushed later than a process is reaped: wait this long for the reason of a crash. */
export const CRASH_GRACE_MS = 1_200;

/** Kin speak up together: a problem of a minute before its healer's first sign is another matter. */
const KIN_MS = 60_000;

const ACTIVE = new Set(['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human']);

/** The active incident that explains this one and has to be healed first, or null. */
export function causeOf(incident: Incident, others: readonly Incident[], now: number): Incident | null {
  for (const other of others) {
    if (other.id === incident.id || other.node !== incident.node || !ACTIVE.has(other.state.name)) continue;
    if (now - other.lastSeen > CAUSE_LASTS_MS) continue;
    if (ON_HOST[other.type]?.includes(incident.type)) return other;
  }
  return null;
}

/** No route, no name, no answer: as libc, Node, Python, git, pip, npm, curl and Go put it. */
const NO_ANSWER =
  /\b(?:ENETUNREACH|EHOSTUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|EAI_NONAME|ETIMEDOUT)\b|network is (?:unreachable|down)|no route to host|name or service not known|name resolution|could not resolve|no such host|getaddrinfo|name ?resolutionerror|nodename nor servname|failed to lookup address|max retries exceeded|failed to establish a new connection|connect(?:ion)? ?time(?:d ?)?out|connection error|connecterror|fetch failed|unable to access 'https?:/i;
const HERE = /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/i;

/**
 * True when a host that is cut off would explain the incident: its own words speak of the network, or it is a crash of a
 * service that has just spoken of it. An answer that came (a status), and a peer on this host, are something else.
 */
export function mayBeTheNetwork(incident: Incident, others: readonly Incident[], now: number): boolean {
  if (speaksOfNoAnswer(incident)) return true;
  return (
    incident.type === 'service_crash' &&
    others.some(
      (other) =>
        other.service === incident.service && now - other.lastSeen <= CAUSE_LASTS_MS && speaksOfNoAnswer(other),
    )
  );
}

function speaksOfNoAnswer({ message, facts, type }: Incident): boolean {
  if (facts.status !== undefined || (facts.host !== undefined && HERE.test(facts.host))) return false;
  return type === 'timeout' || NO_ANSWER.test(message);
}

/** An incident whose repair was carried out and checked, and when. */
export interface Repaired {
  readonly incident: Incident;
  readonly at: number;
  /** Error types the fix handles. */
  readonly handles: readonly ErrorType[];
}

/**
 * The repair that took this incident away too: git says one conflict in five lines, and each is a problem of its own until
 * the merge is ended. One that was seen again since the repair is not explained by it.
 */
export function healedWith(incident: Incident, repaired: readonly Repaired[]): Repaired | null {
  const isHealer = ({ incident: other, at, handles }: Repaired): boolean =>
    other.id !== incident.id &&
    other.node === incident.node &&
    other.service === incident.service &&
    handles.includes(incident.type) &&
    mayBeOne(other.facts, incident.facts) &&
    at >= incident.lastSeen &&
    incident.lastSeen >= other.firstSeen - KIN_MS;
  return repaired.find(isHealer) ?? null;
}

/** Facts that name what is broken. Two modules that are missing are two problems, whatever the first repair did. */
const SUBJECTS = ['module', 'package', 'path', 'host', 'port', 'env', 'attribute', 'provider'] as const;

function mayBeOne(a: Facts, b: Facts): boolean {
  return SUBJECTS.every((name) => a[name] === undefined || b[name] === undefined || a[name] === b[name]);
}

/**
 * The incident a crash belongs to: an error of the same service that was seen right before it ended by itself. A service
 * that dies of an exception reports both, and both are one problem. Who is killed by a signal says nothing before, so
 * only a lack of memory explains that.
 */
export function explainsCrash(candidates: readonly Incident[], crash: CrashSign): Incident | null {
  const causes = candidates.filter(
    (i) =>
      i.service === crash.service &&
      i.type !== 'service_crash' &&
      i.state.name !== 'silenced' &&
      !isLeftToAPerson(i, crash.at) &&
      (!crash.signal || i.type === 'out_of_memory') &&
      Math.abs(crash.at - i.lastSeen) <= CRASH_FOLLOWS_MS,
  );
  return causes.sort((a, b) => b.lastSeen - a.lastSeen)[0] ?? null;
}

/** A card that waits since an earlier occurrence does not start the service again: such a crash is a problem of its own. */
function isLeftToAPerson(incident: Incident, at: number): boolean {
  return incident.state.name === 'awaiting-approval' && at - incident.firstSeen > CRASH_FOLLOWS_MS;
}

/** What is known of a crash when its reason is looked for. */
export interface CrashSign {
  readonly service: string;
  readonly at: number;
  /** Signal that ended the process; absent when it exited by itself. */
  readonly signal: string | undefined;
}
