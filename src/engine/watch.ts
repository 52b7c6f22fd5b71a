// The watch flow: sources are read, records detected, incidents stored. High volume, so it
// commits in batches: whatever arrived while the last commit was under way goes into the next. A cursor is stored
// only when no record is open that began before it, and with all that was found up to there: a kill loses nothing
// and repeats nothing.

import type { Clock } from '../core/clock.ts';
import type { Detection } from '../core/detection.ts';
import type { Block, Event, Source, SourceItem } from '../sources/contract.ts';
import type { Cursor, Store } from '../store/contract.ts';
import type { IncidentChange, Incidents } from './incidents.ts';

/** What the flow needs of the detector. */
export interface Detecting {
  /** `mark` numbers the items for `openSince`; who does not ask it may leave it out. */
  feed(item: Block | Event, mark?: number): readonly Detection[];
  /** Gives out records that were waiting for more lines, older than `olderThanMs`. */
  flush(stream?: string, olderThanMs?: number): readonly Detection[];
  /** True while a record waits for its end: only then there is anything to flush. */
  readonly waiting?: boolean;
}

/** And what a flow needs that must survive being killed. */
export interface Following extends Detecting {
  /** By `record.source`: the mark of the item in which the oldest record that is still open began. */
  openSince(): ReadonlyMap<string, number>;
}

/** An item that was fed, until its cursor may be stored. */
interface Held {
  readonly mark: number;
  /** Of the monotonic clock. */
  readonly since: number;
  readonly cursor: Cursor | null;
  readonly detections: Detection[];
}

/** A source that cannot read since `since` (epoch ms). */
export interface Blind {
  readonly source: string;
  readonly stream: string;
  readonly reason: string;
  readonly since: number;
}

export interface WatchFlowDeps {
  readonly sources: readonly Source[];
  readonly detector: Following;
  readonly incidents: Incidents;
  readonly store: Store;
  readonly clock: Clock;
  /** After each commit, with what changed. What it throws is a `problem`, and changes nothing else. */
  readonly changed: (changes: readonly IncidentChange[]) => void | Promise<void>;
  /** A source went blind, sees again (`blind` null), or failed. Must not throw. */
  readonly sight: (source: string, blind: Blind | null) => void;
  readonly problem: (message: string, error: unknown) => void;
}

/** A record waits this long for its next line. */
const RECORD_WAIT_MS = 400;
const FLUSH_EVERY_MS = 200;
/** While a record waits, so that its end is not seen late. */
const FLUSH_WAITING_MS = 40;
/** Sources pause when this many detections wait for the store: the files are the queue. */
const WAITING_CAP = 5_000;
const RETRY_MS = 1_000;
/** A record that goes on for longer holds nothing back any more: a kill may cost it then, but nothing else has to wait. */
const HELD_MS = 5_000;

export class WatchFlow {
  readonly #deps: WatchFlowDeps;
  #detections: Detection[] = [];
  #cursors = new Map<string, Cursor>();
  #arrived: () => void = () => {};
  #drained: Array<() => void> = [];
  #mark = 0;
  /** By source, in the order in which they were read. */
  readonly #held = new Map<string, Held[]>();
  /** By source: where reading goes on when it is opened again. */
  readonly #readTo = new Map<string, Cursor>();
  /** `record.source` → the source it is read by. */
  readonly #readBy = new Map<string, string>();

  constructor(deps: WatchFlowDeps) {
    this.#deps = deps;
  }

  /** Reads until the signal aborts; resolves when everything read has been stored. `ready` is called once all sources follow. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const reading = new AbortController();
    const committing = this.#commitUntil(reading.signal);
    const flushing = this.#flushUntil(signal);
    let missing = this.#deps.sources.length;
    if (missing === 0) ready();
    const one = () => {
      missing -= 1;
      if (missing === 0) ready();
    };
    await Promise.all(this.#deps.sources.map((source) => this.#follow(source, signal, once(one))));
    await flushing;
    this.#flush(0);
    this.#settle();
    reading.abort();
    this.#arrived();
    await committing;
  }

  /** A source that breaks is opened again, where it broke: a watcher must never die in silence. */
  async #follow(source: Source, signal: AbortSignal, ready: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        // What was read but is not stored yet is still in our hands, and must not be read again.
        const cursor = this.#readTo.get(source.id) ?? (await this.#deps.store.cursor(source.id));
        for await (const item of source.open({ cursor, signal, clock: this.#deps.clock, ready })) {
          this.#take(source, item);
          if (item.cursor) this.#readTo.set(source.id, item.cursor);
          if (this.#detections.length > WAITING_CAP) await this.#drain();
        }
        if (source.finite) return ready();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#deps.sight(source.id, { source: source.id, stream: source.id, reason, since: this.#deps.clock.now() });
        this.#deps.problem(`source ${source.id} failed and is opened again`, error);
      }
      await this.#deps.clock.sleep(RETRY_MS, signal);
    }
  }

  #take(source: Source, item: SourceItem): void {
    const mark = ++this.#mark;
    const detections: Detection[] = [];
    if (item.kind === 'block' || item.kind === 'event') {
      this.#readBy.set(item.kind === 'block' ? item.stream : item.record.source, source.id);
      detections.push(...this.#deps.detector.feed(item, mark));
    } else {
      const blind = { source: source.id, stream: item.stream, reason: item.reason, since: item.since };
      this.#deps.sight(source.id, item.kind === 'blind' ? blind : null);
    }
    const since = this.#deps.clock.monotonic();
    mapped(this.#held, source.id).push({ mark, since, cursor: item.cursor, detections });
    this.#settle();
  }

  /** What a timer ends was read by now: it goes with the last item of its source, or at once when none is held. */
  #flush(olderThanMs: number): void {
    for (const detection of this.#deps.detector.flush(undefined, olderThanMs)) {
      const source = this.#readBy.get(detection.record.source);
      const last = source === undefined ? undefined : this.#held.get(source)?.at(-1);
      (last?.detections ?? this.#detections).push(detection);
    }
  }

  /** Gives free what is before the oldest open record of its source. */
  #settle(): void {
    const open = new Map<string, number>();
    for (const [name, mark] of this.#deps.detector.openSince()) {
      const source = this.#readBy.get(name) ?? name;
      open.set(source, Math.min(mark, open.get(source) ?? mark));
    }
    const late = this.#deps.clock.monotonic() - HELD_MS;
    for (const [source, held] of this.#held) {
      const oldest = open.get(source) ?? Number.POSITIVE_INFINITY;
      const kept = held.findIndex(({ mark, since }) => mark >= oldest && since > late);
      for (const { cursor, detections } of held.splice(0, kept < 0 ? held.length : kept)) {
        for (const detection of detections) this.#detections.push(detection);
        if (cursor) this.#cursors.set(source, cursor);
      }
    }
    if (this.#detections.length > 0 || this.#cursors.size > 0) this.#arrived();
  }

  async #flushUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(this.#deps.detector.waiting ? FLUSH_WAITING_MS : FLUSH_EVERY_MS, signal);
      if (this.#deps.detector.waiting !== false) this.#flush(RECORD_WAIT_MS);
      this.#settle();
    }
  }

  async #commitUntil(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#detections.length === 0 && this.#cursors.size === 0) {
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
          if (signal.aborted) resolve();
        });
        continue;
      }
      await this.#commit(signal);
    }
  }

  async #commit(signal: AbortSignal): Promise<void> {
    const detections = this.#detections;
    const cursors = this.#cursors;
    this.#detections = [];
    this.#cursors = new Map();
    let changes: readonly IncidentChange[] = [];
    try {
      const rows = [...cursors].map(([source, cursor]) => ({ source, cursor }));
      changes = await this.#deps.incidents.take(detections, rows);
    } catch (error) {
      // Keep what was read and try again: a full disk must not lose what is waiting.
      this.#detections = [...detections, ...this.#detections];
      this.#cursors = new Map([...cursors, ...this.#cursors]);
      this.#deps.problem('incidents could not be stored; trying again', error);
      if (signal.aborted) {
        this.#detections = [];
        this.#cursors = new Map();
        return;
      }
      await this.#deps.clock.sleep(RETRY_MS, signal);
    } finally {
      for (const resume of this.#drained.splice(0)) resume();
    }
    if (changes.length) await this.#tell(changes);
  }

  /** It is stored by now: whoever hears of it and fails must not make us store it again. */
  async #tell(changes: readonly IncidentChange[]): Promise<void> {
    try {
      await this.#deps.changed(changes);
    } catch (error) {
      this.#deps.problem('what was stored could not be passed on', error);
    }
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => this.#drained.push(resolve));
  }
}

function mapped<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

function once(call: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    call();
  };
}
