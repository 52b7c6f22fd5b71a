// Detections become incidents: one problem, however often it is reported. What changed and the
// cursors that led to it are committed together, so a crash loses nothing and repeats nothing.

import type { Detection } from '../core/detection.ts';
import type { Incident } from '../core/incident.ts';
import { StoreError, VALUE_KEYS, type WatchCommit } from '../store/contract.ts';
import type { Split } from './grouping.ts';
import {
  type Finding,
  IncidentBatch,
  type IncidentChange,
  type IncidentsDeps,
  keyOf,
  type Result,
  type Touched,
} from './incident-batch.ts';

export type { Finding, IncidentChange, Result } from './incident-batch.ts';
export { HOST } from './incident-batch.ts';

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
  take(detections: readonly Detection[], cursors: WatchCommit['cursors']): Promise<readonly IncidentChange[]> {
    return this.settle(
      detections.map((detection) => ({ stage: 'final', detection, counted: null })),
      () => cursors,
    );
  }

  /**
   * The same for findings of which some are not final: `rowsOf` is told as what each is counted, and gives what is to be
   * stored with that. What is provisional is counted and is no change.
   */
  async settle(
    findings: readonly Finding[],
    rowsOf: (results: readonly Result[]) => WatchCommit['cursors'],
  ): Promise<readonly IncidentChange[]> {
    for (let attempt = 1; ; attempt++) {
      const splits = findings.length === 0 ? null : await this.#deps.store.value<readonly Split[]>(VALUE_KEYS.splits);
      const batch = new IncidentBatch(this.#deps, this.#known, this.#room(), splits ?? []);
      const results: Result[] = [];
      for (const finding of findings) results.push(await batch.take(finding));
      try {
        const removed = batch.removed();
        await this.#deps.store.commitWatch({ incidents: batch.incidents(), cursors: rowsOf(results), removed });
      } catch (error) {
        // Somebody else (a decision, the fixer) changed one of these meanwhile: look again.
        this.#known.clear();
        if (error instanceof StoreError && error.code === 'locked' && attempt < COMMIT_TRIES) continue;
        throw error;
      }
      for (const key of batch.vacated()) this.#known.delete(key);
      this.#remember(batch.stored());
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

  #remember(changes: readonly Touched[]): void {
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
