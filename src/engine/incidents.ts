// Detections become incidents: one problem, however often it is reported. What changed and the
// cursors that led to it are committed together, so a crash loses nothing and repeats nothing.

import type { Clock } from '../core/clock.ts';
import type { Detection } from '../core/detection.ts';
import { advance, type Incident, type IncidentEvent, type Sample } from '../core/incident.ts';
import { StoreError, type Store, type WatchCommit } from '../store/contract.ts';
import { CRASH_GRACE_MS, explainsCrash } from './inhibition.ts';

/** What happened to an incident, for the flows that follow. */
export interface IncidentChange {
  readonly kind: 'opened' | 'reopened' | 'repeated' | 'explained';
  readonly incident: Incident;
}

export interface IncidentsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly node: string;
  /** Masks secrets; applied to every text before it is stored. */
  readonly redact: (text: string) => string;
}

/** Owner of what no service is configured for. */
export const HOST = 'host';
/** An error and the crash it leads to reach us in any order: wait this long before planning. */
const GRACE_MS = 500;
/** Lines read this much later than they were written keep the time of the line. */
const LATE_MS = 5_000;
const SAMPLE_CAP = 4_000;
const MESSAGE_CAP = 500;
/** New problems that are kept apart within a day; what comes on top shares one bucket per type. Known ones stay themselves. */
const GROUP_CAP = 10_000;
const GROUP_WINDOW_MS = 24 * 3_600_000;
/** Stored forms held in memory; others are asked of the store. */
const KNOWN_CAP = 10_000;
const COMMIT_TRIES = 6;

export class Incidents {
  readonly #deps: IncidentsDeps;
  /** Last stored form by service and fingerprint: a flood of repeats asks the store once. */
  readonly #known = new Map<string, Incident>();
  #window = { since: 0, opened: 0 };

  constructor(deps: IncidentsDeps) {
    this.#deps = deps;
  }

  /**
   * Stores a batch with its cursors in one transaction and says what changed, one change per incident.
   * Throws `StoreError` when the store fails; then nothing of the batch is stored.
   */
  async take(detections: readonly Detection[], cursors: WatchCommit['cursors']): Promise<readonly IncidentChange[]> {
    for (let attempt = 1; ; attempt++) {
      const batch = new Batch(this.#deps, this.#known, this.#room());
      for (const detection of detections) await batch.add(detection);
      try {
        await this.#deps.store.commitWatch({ incidents: batch.incidents(), cursors });
      } catch (error) {
        // Somebody else (a decision, the fixer) changed one of these meanwhile: look again.
        this.#known.clear();
        if (error instanceof StoreError && error.code === 'locked' && attempt < COMMIT_TRIES) continue;
        throw error;
      }
      this.#remember(batch.changes());
      // Stored is stored: a line of the story that could not be written must not make the batch be counted once more.
      await this.#tell(batch.changes()).catch(() => undefined);
      return batch.changes();
    }
  }

  /** How many new problems may still be kept apart. */
  #room(): number {
    const now = this.#deps.clock.now();
    if (now - this.#window.since > GROUP_WINDOW_MS) this.#window = { since: now, opened: 0 };
    return GROUP_CAP - this.#window.opened;
  }

  #remember(changes: readonly IncidentChange[]): void {
    for (const { kind, incident } of changes) {
      if (kind === 'opened') this.#window.opened += 1;
      const key = keyOf(incident.service, incident.fingerprint.place);
      this.#known.delete(key);
      this.#known.set(key, incident);
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KNOWN_CAP) break;
      this.#known.delete(oldest);
    }
  }

  async #tell(changes: readonly IncidentChange[]): Promise<void> {
    for (const { kind, incident } of changes) {
      if (kind === 'repeated') continue;
      await this.#deps.store.addTimeline({
        incident: incident.id,
        at: incident.lastSeen,
        kind,
        text: incident.reason || incident.message,
      });
    }
  }
}

/** The changes of one transaction, worked out before it. */
class Batch {
  readonly #deps: IncidentsDeps;
  readonly #known: ReadonlyMap<string, Incident>;
  readonly #touched = new Map<string, IncidentChange>();
  /** Revision in the store when the batch began: one batch adds one. */
  readonly #stored = new Map<string, number>();
  #room: number;

  constructor(deps: IncidentsDeps, known: ReadonlyMap<string, Incident>, room: number) {
    this.#deps = deps;
    this.#known = known;
    this.#room = room;
  }

  async add(detection: Detection): Promise<void> {
    const service = detection.record.service ?? HOST;
    const at = timeOf(detection, this.#deps.clock.now());
    if (detection.type === 'service_crash' && (await this.#explained(detection, service, at))) return;
    const { place } = detection.fingerprint;
    const overflow = `overflow:${detection.type}`;
    const own = await this.#find(service, place);
    const existing = own ?? (this.#room > 0 ? null : await this.#find(service, overflow));
    if (!existing) return this.#open(detection, service, this.#room > 0 ? place : overflow, at);
    this.#apply(existing, this.#seen(detection, at), 'repeated');
    if (detection.type !== 'service_crash') await this.#explainCrash(existing, at);
  }

  incidents(): readonly Incident[] {
    return [...this.#touched.values()].map((change) => change.incident);
  }

  changes(): readonly IncidentChange[] {
    return [...this.#touched.values()];
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
    const crash = (await this.#recent(cause.service, at)).find(
      (i) =>
        i.type === 'service_crash' &&
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
    const stored = await this.#deps.store.incidents({ service, since: at - 60_000, limit: 50 });
    const touched = this.incidents().filter((i) => i.service === service);
    const ids = new Set(touched.map((i) => i.id));
    return [...touched, ...stored.filter((i) => !ids.has(i.id))];
  }

  async #open(detection: Detection, service: string, place: string, at: number): Promise<void> {
    const grace = detection.type === 'service_crash' ? CRASH_GRACE_MS : GRACE_MS;
    const incident: Incident = {
      id: await this.#deps.store.nextIncidentId(),
      service,
      node: this.#deps.node,
      type: detection.type,
      severity: detection.severity,
      state: { name: 'open', notBefore: this.#deps.clock.now() + grace },
      rule: detection.rule,
      fingerprint: { ...detection.fingerprint, place },
      message: this.#deps.redact(detection.message).slice(0, MESSAGE_CAP),
      facts: detection.facts,
      fixable: detection.fixable,
      trusted: detection.trusted,
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
    const key = keyOf(service, place);
    this.#room -= 1;
    this.#stored.set(key, 0);
    this.#touched.set(key, { kind: 'opened', incident });
    if (incident.type !== 'service_crash') await this.#explainCrash(incident, at);
  }

  async #find(service: string, place: string): Promise<Incident | null> {
    const key = keyOf(service, place);
    return (
      this.#touched.get(key)?.incident ??
      this.#known.get(key) ??
      (await this.#deps.store.incidentByFingerprint(service, place))
    );
  }

  #apply(incident: Incident, event: IncidentEvent, kind: IncidentChange['kind']): void {
    const key = keyOf(incident.service, incident.fingerprint.place);
    const next = advance(incident, event);
    if (!next) return;
    const stored = this.#stored.get(key) ?? incident.revision;
    this.#stored.set(key, stored);
    const first = this.#touched.get(key)?.kind;
    const isBack = event.kind === 'seen' && incident.state.name !== 'open' && next.state.name === 'open';
    this.#touched.set(key, {
      kind: first && first !== 'repeated' ? first : isBack ? 'reopened' : kind,
      incident: { ...next, revision: stored + 1 },
    });
  }

  #seen(detection: Detection, at: number): Extract<IncidentEvent, { kind: 'seen' }> {
    return {
      kind: 'seen',
      at,
      times: 1,
      severity: detection.severity,
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

function keyOf(service: string, place: string): string {
  return `${service}\u0000${place}`;
}

/** When it happened: the line's own time when we read it late, else now. A time from the future is not believed. */
function timeOf(detection: Detection, now: number): number {
  const { time, seenAt } = detection.record;
  if (time === undefined || time > seenAt || seenAt - time < LATE_MS) return Math.min(seenAt, now);
  return time;
}
