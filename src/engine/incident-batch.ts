// What a batch of findings makes of the incidents: worked out before the transaction that stores it, and dropped
// with it when somebody else was faster.

import type { Clock } from '../core/clock.ts';
import type { Detection } from '../core/detection.ts';
import { advance, type Incident, type IncidentEvent, type Said, type Sample } from '../core/incident.ts';
import { severityIn, type ServiceRole, type Severity } from '../core/words.ts';
import type { Store } from '../store/contract.ts';
import type { Counted } from './ahead.ts';
import { regrouped, type Split } from './grouping.ts';
import { CRASH_GRACE_MS, explainsCrash } from './inhibition.ts';

/** What happened to an incident, for the flows that follow. */
export interface IncidentChange {
  readonly kind: 'opened' | 'reopened' | 'repeated' | 'explained';
  readonly incident: Incident;
}

/** What is known of a record. */
export interface Finding {
  /** `provisional`: it may still go on. It is counted, and nobody is told and nothing done about it before it is final. */
  readonly stage: 'provisional' | 'final';
  /** Null: it has ended and is no error. */
  readonly detection: Detection | null;
  /** As what it was counted when it was provisional. */
  readonly counted: Counted | null;
}

/** As what a provisional finding is counted now; null for a final one, and for what waits for its end. */
export type Result = Counted | null;

export interface IncidentsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly node: string;
  /** Masks secrets; applied to every text before it is stored. */
  readonly redact: (text: string) => string;
  /** How much depends on a service. Absent: every service is like the others. */
  readonly roleOf?: (service: string) => ServiceRole | undefined;
}

/** Owner of what no service is configured for. */
export const HOST = 'host';
/** An error and the crash it leads to reach us in any order: wait this long before planning. */
const GRACE_MS = 500;
/** Nothing is done about an incident whose only record may still go on; should its end never be seen, it waits no longer than this. */
const UNREAD_MS = 10_000;
/** Lines read this much later than they were written keep the time of the line. */
const LATE_MS = 5_000;
const SAMPLE_CAP = 4_000;
const MESSAGE_CAP = 500;
/** How far back a crash and its reason look for each other. */
const RECENT_MS = 60_000;

/** `counted`: provisionally, which is no change that anybody is told of. */
export interface Touched {
  readonly kind: IncidentChange['kind'] | 'counted';
  readonly incident: Incident;
}

const isChange = (touched: Touched): touched is IncidentChange => touched.kind !== 'counted';

/** The changes of one transaction, worked out before it. */
export class IncidentBatch {
  readonly #deps: IncidentsDeps;
  readonly #known: ReadonlyMap<string, Incident>;
  readonly #touched = new Map<string, Touched>();
  /** Keys of the crashes among them. */
  readonly #crashed = new Set<string>();
  /** By service: what the store had when it was asked. */
  readonly #recents = new Map<string, { readonly since: number; readonly rows: readonly Incident[] }>();
  /** Places whose stored incident has become another one, or none. */
  readonly #vacated = new Set<string>();
  readonly #removed: Pick<Incident, 'id' | 'revision'>[] = [];
  /** Revision in the store when the batch began: one batch adds one. */
  readonly #stored = new Map<string, number>();
  #room: number;

  readonly #splits: readonly Split[];

  constructor(deps: IncidentsDeps, known: ReadonlyMap<string, Incident>, room: number, splits: readonly Split[] = []) {
    this.#splits = splits;
    this.#deps = deps;
    this.#known = known;
    this.#room = room;
  }

  async take({ stage, detection: found, counted }: Finding): Promise<Result> {
    const detection = found && regrouped(found, serviceOf(found), this.#splits, this.#deps.redact);
    if (stage === 'provisional') return detection && (await this.#count(detection));
    const before = counted && (await this.#countedAs(counted));
    if (detection && before && counted?.place === detection.fingerprint.place) {
      await this.#complete(before, detection, counted.opened);
      return null;
    }
    const turned = detection && before && counted?.opened && isUnread(before) && (await this.#turn(before, detection));
    if (turned) return null;
    if (before && counted) this.#withdraw(before, counted);
    if (detection) await this.add(detection);
    return null;
  }

  async add(detection: Detection): Promise<void> {
    const { service, at, place } = this.#about(detection);
    if (detection.type === 'service_crash' && (await this.#explained(detection, service, at))) return;
    const existing = await this.#existing(detection);
    if (!existing) return this.#open(detection, service, this.#room > 0 ? place : overflowOf(detection), at);
    this.#apply(existing, this.#seen(detection, at), 'repeated');
    if (detection.type !== 'service_crash') await this.#explainCrash(existing, at);
  }

  #about(detection: Detection): { readonly service: string; readonly at: number; readonly place: string } {
    const { place } = detection.fingerprint;
    return { service: serviceOf(detection), at: timeOf(detection, this.#deps.clock.now()), place };
  }

  async #existing(detection: Detection): Promise<Incident | null> {
    const service = serviceOf(detection);
    const own = await this.#find(service, detection.fingerprint.place);
    return own ?? (this.#room > 0 ? null : await this.#find(service, overflowOf(detection)));
  }

  // ------------------------------------------------------------ records that may go on

  /** Whether a crash belongs to an error is decided when both have been read. */
  async #count(detection: Detection): Promise<Counted | null> {
    if (detection.type === 'service_crash') return null;
    const { service, at, place } = this.#about(detection);
    const existing = await this.#existing(detection);
    if (existing) this.#apply(existing, { kind: 'provisional' }, 'counted');
    const incident =
      existing ?? (await this.#begin(detection, service, this.#room > 0 ? place : overflowOf(detection), at));
    return { incident: incident.id, service, place, opened: !existing };
  }

  async #begin(detection: Detection, service: string, place: string, at: number): Promise<Incident> {
    const incident = await this.#create(detection, service, place, at, UNREAD_MS);
    this.#touch(keyOf(service, place), { kind: 'counted', incident });
    return incident;
  }

  async #countedAs({ incident: id, service, place }: Counted): Promise<Incident | null> {
    const here = [...this.#touched.values()].find(({ incident }) => incident.id === id);
    if (here) return here.incident;
    const known = this.#known.get(keyOf(service, place));
    return known?.id === id ? known : await this.#deps.store.incident(id);
  }

  async #complete(incident: Incident, detection: Detection, opened: boolean): Promise<void> {
    const { at } = this.#about(detection);
    if (opened && isUnread(incident)) this.#apply(incident, this.#completed(incident, detection, at), 'opened');
    else this.#apply(incident, { ...this.#seen(detection, at), times: 0 }, opened ? 'opened' : 'repeated');
    await this.#explainCrash(this.#now(incident), at);
  }

  /** What the first lines opened is what the whole record says, unless that is known already. */
  async #turn(incident: Incident, detection: Detection): Promise<boolean> {
    const { service, at, place } = this.#about(detection);
    if (detection.type === 'service_crash' || service !== incident.service || (await this.#existing(detection)))
      return false;
    const old = keyOf(service, incident.fingerprint.place);
    this.#vacated.add(old);
    this.#touched.delete(old);
    const turned = { ...incident, fingerprint: { ...detection.fingerprint, place } };
    this.#stored.set(keyOf(service, place), this.#stored.get(old) ?? incident.revision);
    this.#apply(turned, this.#completed(turned, detection, at), 'opened');
    await this.#explainCrash(this.#now(turned), at);
    return true;
  }

  #withdraw(incident: Incident, { opened }: Counted): void {
    const key = keyOf(incident.service, incident.fingerprint.place);
    if (!opened || !isUnread(incident)) return this.#apply(incident, { kind: 'withdrawn' }, 'counted');
    const revision = this.#stored.get(key) ?? incident.revision;
    this.#touched.delete(key);
    this.#vacated.add(key);
    if (revision > 0) this.#removed.push({ id: incident.id, revision });
  }

  #completed(incident: Incident, detection: Detection, at: number): IncidentEvent {
    const said = {
      ...this.#said(detection),
      fingerprint: { ...detection.fingerprint, place: incident.fingerprint.place },
    };
    return {
      kind: 'completed',
      at,
      notBefore: this.#deps.clock.now() + GRACE_MS,
      said,
      sample: this.#sample(detection, at),
    };
  }

  #now(incident: Incident): Incident {
    return this.#touched.get(keyOf(incident.service, incident.fingerprint.place))?.incident ?? incident;
  }

  incidents(): readonly Incident[] {
    return [...this.#touched.values()].map((change) => change.incident);
  }

  stored(): readonly Touched[] {
    return [...this.#touched.values()];
  }

  changes(): readonly IncidentChange[] {
    return this.stored().filter(isChange);
  }

  /** Incidents as they are stored that turned out to be none. */
  removed(): readonly Pick<Incident, 'id' | 'revision'>[] {
    return this.#removed;
  }

  /** Keys under which nothing is stored any more. */
  vacated(): Iterable<string> {
    return this.#vacated;
  }

  /** A crash right after an error of its service belongs to that error. */
  async #explained(detection: Detection, service: string, at: number): Promise<boolean> {
    const cause = explainsCrash(await this.#recent(service, at), { service, at, signal: detection.facts.signal });
    if (!cause) return false;
    this.#apply(cause, { ...this.#seen(detection, at), times: 0, symptom: 'service_crash' }, 'repeated');
    return true;
  }

  /** The other order: the crash came first, and is closed in favour of its reason. */
  async #explainCrash(cause: Incident, at: number): Promise<void> {
    const crash = (await this.#crashes(cause.service, at)).find(
      (i) =>
        i.state.name === 'open' &&
        i.attempts === 0 &&
        at - i.firstSeen <= CRASH_GRACE_MS &&
        explainsCrash([cause], { service: i.service, at: i.lastSeen, signal: i.facts.signal }) !== null,
    );
    if (!crash) return;
    this.#apply(
      crash,
      { kind: 'cleared', at, by: 'cause', reason: `explained by incident ${cause.id}`, cause: cause.id, outcome: null },
      'explained',
    );
    const current = this.#touched.get(keyOf(cause.service, cause.fingerprint.place))?.incident ?? cause;
    this.#apply(
      current,
      {
        kind: 'seen',
        at,
        times: 0,
        severity: crash.severity,
        facts: crash.facts,
        trusted: true,
        sample: null,
        symptom: 'service_crash',
      },
      'repeated',
    );
  }

  async #recent(service: string, at: number): Promise<readonly Incident[]> {
    return [...this.incidents().filter((i) => i.service === service), ...(await this.#untouched(service, at))];
  }

  /** The same for crashes alone: asked for each error, also in a flood of them. */
  async #crashes(service: string, at: number): Promise<readonly Incident[]> {
    const touched = [...this.#crashed].flatMap((key) => this.#touched.get(key)?.incident ?? []);
    const stored = await this.#untouched(service, at);
    return [...touched.filter((i) => i.service === service), ...stored.filter((i) => i.type === 'service_crash')];
  }

  /** What the store knows of a service's last minute, without what this batch changes. The store is asked once. */
  async #untouched(service: string, at: number): Promise<readonly Incident[]> {
    const since = at - RECENT_MS;
    let known = this.#recents.get(service);
    if (!known || known.since > since)
      known = { since, rows: await this.#deps.store.incidents({ service, since, limit: 50 }) };
    this.#recents.set(service, known);
    return known.rows.filter((i) => {
      const key = keyOf(service, i.fingerprint.place);
      return i.lastSeen >= since && !this.#vacated.has(key) && this.#touched.get(key)?.incident.id !== i.id;
    });
  }

  #touch(key: string, touched: Touched): void {
    this.#touched.set(key, touched);
    if (touched.incident.type === 'service_crash') this.#crashed.add(key);
  }

  async #open(detection: Detection, service: string, place: string, at: number): Promise<void> {
    const grace = detection.type === 'service_crash' ? CRASH_GRACE_MS : GRACE_MS;
    const incident = await this.#create(detection, service, place, at, grace);
    this.#touch(keyOf(service, place), { kind: 'opened', incident });
    if (incident.type !== 'service_crash') await this.#explainCrash(incident, at);
  }

  async #create(detection: Detection, service: string, place: string, at: number, grace: number): Promise<Incident> {
    const said = this.#said(detection);
    this.#room -= 1;
    this.#stored.set(keyOf(service, place), 0);
    return {
      ...said,
      id: await this.#deps.store.nextIncidentId(),
      service,
      node: this.#deps.node,
      state: { name: 'open', notBefore: this.#deps.clock.now() + grace },
      fingerprint: { ...said.fingerprint, place },
      count: 1,
      firstSeen: at,
      lastSeen: at,
      samples: [this.#sample(detection, at)],
      attempts: 0,
      plan: null,
      fix: null,
      outcome: null,
      reason: '',
      causedBy: null,
      symptoms: [],
      revision: 1,
    };
  }

  #said(detection: Detection): Said {
    const { type, rule, fingerprint, facts, fixable, trusted, message } = detection;
    const severity = this.#severity(detection);
    const masked = this.#deps.redact(message).slice(0, MESSAGE_CAP);
    return { type, severity, rule, fingerprint, message: masked, facts, fixable, trusted };
  }

  #severity(detection: Detection): Severity {
    return severityIn(this.#deps.roleOf?.(serviceOf(detection)) ?? 'normal', detection.severity);
  }

  async #find(service: string, place: string): Promise<Incident | null> {
    const key = keyOf(service, place);
    const touched = this.#touched.get(key)?.incident;
    if (touched || this.#vacated.has(key)) return touched ?? null;
    const found = this.#known.get(key) ?? (await this.#deps.store.incidentByFingerprint(service, place));
    // Merged by a person: it lives under a place of its own, where this batch may have changed it already.
    return found && this.#now(found);
  }

  #apply(incident: Incident, event: IncidentEvent, kind: Touched['kind']): void {
    const key = keyOf(incident.service, incident.fingerprint.place);
    const next = advance(incident, event);
    if (!next) return;
    const stored = this.#stored.get(key) ?? incident.revision;
    this.#stored.set(key, stored);
    const first = this.#touched.get(key)?.kind;
    const isBack = event.kind === 'seen' && incident.state.name !== 'open' && next.state.name === 'open';
    this.#touch(key, {
      kind:
        first && first !== 'counted' && (first !== 'repeated' || kind === 'counted')
          ? first
          : isBack
            ? 'reopened'
            : kind,
      incident: { ...next, revision: stored + 1 },
    });
  }

  #seen(detection: Detection, at: number): Extract<IncidentEvent, { kind: 'seen' }> {
    return {
      kind: 'seen',
      at,
      times: 1,
      severity: this.#severity(detection),
      facts: detection.facts,
      trusted: detection.trusted,
      sample: this.#sample(detection, at),
      symptom: null,
    };
  }

  #sample(detection: Detection, at: number): Sample {
    const { record } = detection;
    return {
      at,
      source: record.source,
      line: record.span.line,
      endLine: record.span.endLine,
      text: this.#deps.redact(record.text.slice(0, SAMPLE_CAP)),
    };
  }
}

/** Only counted so far: nobody was told, nothing was tried, and no other record says so. */
function isUnread({ count, state, attempts }: Incident): boolean {
  return count === 1 && state.name === 'open' && attempts === 0;
}

function serviceOf({ record }: Detection): string {
  return record.service ?? HOST;
}

function overflowOf({ type }: Detection): string {
  return `overflow:${type}`;
}

export function keyOf(service: string, place: string): string {
  return `${service}\u0000${place}`;
}

/** When it happened: the line's own time when we read it late, else now. A time from the future is not believed. */
function timeOf(detection: Detection, now: number): number {
  const { time, seenAt } = detection.record;
  if (time === undefined || time > seenAt || seenAt - time < LATE_MS) return Math.min(seenAt, now);
  return time;
}
