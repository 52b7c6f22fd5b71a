// The watch flow: sources are read, records detected, incidents stored. High volume, so it
// commits in batches: whatever arrived while the last commit was under way goes into the next. What is found is stored
// at once, also in a record that may still go on; a cursor only when no record is open that began before it. What was
// counted beyond the cursor is stored with it (`Ahead`): a kill loses nothing and repeats nothing.

import type { Clock } from '../core/clock.ts';
import type { Detection } from '../core/detection.ts';
import type { LogRecord } from '../core/record.ts';
import type { Block, Event, Source, SourceItem } from '../sources/contract.ts';
import type { Cursor, Store } from '../store/contract.ts';
import { Ahead, aheadOf, type Entry, keyOfRecord } from './ahead.ts';
import type { Finding, IncidentChange, Incidents, Result } from './incidents.ts';

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
  /** The mark of the item in which the oldest record began that the item fed last went on with; infinite without one. */
  readonly reachesBackTo: number;
  /** Detections of records that may still go on, each once. Left out: what is found is told when its record ends. */
  provisional?(): readonly Detection[];
  /** Records that `provisional` may have given and that have ended as no error. */
  withdrawn?(): readonly LogRecord[];
}

/** An item that was fed, until its cursor may be stored. */
interface Held {
  readonly mark: number;
  /** Of the monotonic clock. */
  readonly since: number;
  readonly cursor: Cursor | null;
  /** A record goes on behind it: who began to read here would count the rest of it once more. */
  isWithin: boolean;
}

/** What was found and is not stored yet. */
interface Found {
  readonly source: string;
  readonly key: string;
  /** Of the last item that had been read of its source then. */
  readonly mark: number;
  readonly stage: Finding['stage'];
  /** Null: the record has ended and is no error. */
  readonly detection: Detection | null;
}

/** What goes into one commit, and what is ahead of the cursors after it. */
interface Batch {
  readonly found: readonly Found[];
  readonly findings: readonly Finding[];
  readonly cursors: ReadonlyMap<string, Reached>;
}

/** A place up to which a source has been dealt with. */
interface Reached {
  readonly cursor: Cursor;
  readonly mark: number;
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
/** While one waits, so that its end is not seen late. */
const FLUSH_EVERY_MS = 40;
/** Sources pause when this many detections wait for the store: the files are the queue. */
const WAITING_CAP = 5_000;
const RETRY_MS = 1_000;
/** A record that goes on for longer holds no cursor back any more: a kill may cost what it has not said yet. */
const HELD_MS = 5_000;
/** Nor when so many records behind it were counted: their keys are written with each commit. */
const AHEAD_CAP = 5_000;
/** What was counted before a restart and is not met again within this time will not come: its file is gone. */
const OLD_MS = 60_000;

export class WatchFlow {
  readonly #deps: WatchFlowDeps;
  #found: Found[] = [];
  #cursors = new Map<string, Reached>();
  #arrived: () => void = () => {};
  #drained: Array<() => void> = [];
  #mark = 0;
  /** By source: the mark of the last item that was read of it. */
  readonly #lastMark = new Map<string, number>();
  #fed: () => void = () => {};
  /** By source, in the order in which they were read. */
  readonly #held = new Map<string, Held[]>();
  /** By source: where reading goes on when it is opened again. */
  readonly #readTo = new Map<string, Cursor>();
  /** `record.source` → the source it is read by. */
  readonly #readBy = new Map<string, string>();
  /** By source, as it is stored. */
  readonly #ahead = new Map<string, Ahead>();
  /** By source: when what it had counted before a restart is forgotten. Another one that breaks now and then changes nothing. */
  readonly #forgetOldAt = new Map<string, number>();
  #isLookDue = false;

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
        const cursor = this.#readTo.get(source.id) ?? (await this.#begin(source.id));
        for await (const item of source.open({ cursor, signal, clock: this.#deps.clock, ready })) {
          this.#take(source, item);
          if (item.cursor) this.#readTo.set(source.id, item.cursor);
          if (this.#found.length > WAITING_CAP) await this.#drain();
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

  async #begin(source: string): Promise<Cursor | null> {
    const { store, clock } = this.#deps;
    if (!this.#ahead.has(source)) this.#ahead.set(source, Ahead.parse(await store.cursor(aheadOf(source))));
    this.#forgetOldAt.set(source, clock.monotonic() + OLD_MS);
    return store.cursor(source);
  }

  #take(source: Source, item: SourceItem): void {
    const mark = ++this.#mark;
    const { detector, clock, sight } = this.#deps;
    this.#lastMark.set(source.id, mark);
    if (item.kind === 'block' || item.kind === 'event') {
      this.#readBy.set(item.kind === 'block' ? item.stream : item.record.source, source.id);
      this.#note('final', detector.feed(item, mark));
      for (const held of this.#held.get(source.id) ?? []) held.isWithin ||= held.mark >= detector.reachesBackTo;
      this.#lookSoon();
    } else {
      const blind = { source: source.id, stream: item.stream, reason: item.reason, since: item.since };
      sight(source.id, item.kind === 'blind' ? blind : null);
    }
    mapped(this.#held, source.id).push({ mark, since: clock.monotonic(), cursor: item.cursor, isWithin: false });
    this.#settle();
    this.#fed();
  }

  /** As soon as nothing more is there to be read right now: in a flood the next block ends most records by itself. */
  #lookSoon(): void {
    if (this.#isLookDue || !this.#deps.detector.provisional) return;
    this.#isLookDue = true;
    setImmediate(() => {
      this.#isLookDue = false;
      this.#note('provisional', this.#deps.detector.provisional?.() ?? []);
      this.#wake();
    });
  }

  #note(stage: Finding['stage'], detections: readonly Detection[]): void {
    for (const detection of detections) this.#find(detection.record, stage, detection);
    for (const record of this.#deps.detector.withdrawn?.() ?? []) this.#find(record, 'final', null);
  }

  #find(record: LogRecord, stage: Finding['stage'], detection: Detection | null): void {
    const source = this.#readBy.get(record.source) ?? record.source;
    const mark = this.#lastMark.get(source) ?? this.#mark;
    this.#found.push({ source, key: keyOfRecord(record), mark, stage, detection });
  }

  #flush(olderThanMs: number): void {
    this.#note('final', this.#deps.detector.flush(undefined, olderThanMs));
  }

  /** Gives free the cursors before the oldest open record of their source, but for those within a record. */
  #settle(): void {
    const open = new Map<string, number>();
    for (const [name, mark] of this.#deps.detector.openSince()) {
      const source = this.#readBy.get(name) ?? name;
      open.set(source, Math.min(mark, open.get(source) ?? mark));
    }
    const late = this.#deps.clock.monotonic() - HELD_MS;
    for (const [source, held] of this.#held) {
      const isTooMuch = (this.#ahead.get(source)?.size ?? 0) > AHEAD_CAP;
      const oldest = isTooMuch ? Number.POSITIVE_INFINITY : (open.get(source) ?? Number.POSITIVE_INFINITY);
      const kept = held.findIndex(({ mark, since }) => mark >= oldest && since > late);
      for (const { cursor, mark, isWithin } of held.splice(0, kept < 0 ? held.length : kept))
        if (cursor && (!isWithin || isTooMuch)) this.#cursors.set(source, { cursor, mark });
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#found.length > 0 || this.#cursors.size > 0) this.#arrived();
  }

  async #flushUntil(signal: AbortSignal): Promise<void> {
    const stop = () => this.#fed();
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      if (this.#isIdle()) await new Promise<void>((resolve) => (this.#fed = resolve));
      await this.#deps.clock.sleep(FLUSH_EVERY_MS, signal);
      if (this.#deps.detector.waiting !== false) this.#flush(RECORD_WAIT_MS);
      this.#forgetOld();
      this.#settle();
    }
    signal.removeEventListener('abort', stop);
  }

  /** Nothing waits for its end, and no timer has to run. */
  #isIdle(): boolean {
    return this.#deps.detector.waiting === false && [...this.#held.values()].every((held) => held.length === 0);
  }

  #forgetOld(): void {
    const now = this.#deps.clock.monotonic();
    for (const [source, at] of this.#forgetOldAt) {
      if (now < at) continue;
      this.#forgetOldAt.delete(source);
      this.#ahead.set(source, (this.#ahead.get(source) ?? Ahead.empty).withoutOld());
    }
  }

  async #commitUntil(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#found.length === 0 && this.#cursors.size === 0) {
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
    const [found, cursors] = [this.#found, this.#cursors];
    this.#found = [];
    this.#cursors = new Map();
    let changes: readonly IncidentChange[] = [];
    try {
      changes = await this.#store({ ...this.#sorted(found), cursors });
    } catch (error) {
      // Keep what was read and try again: a full disk must not lose what is waiting.
      this.#found = [...found, ...this.#found];
      this.#cursors = new Map([...cursors, ...this.#cursors]);
      this.#deps.problem('incidents could not be stored; trying again', error);
      if (signal.aborted) {
        this.#found = [];
        this.#cursors = new Map();
        return;
      }
      await this.#deps.clock.sleep(RETRY_MS, signal);
    } finally {
      for (const resume of this.#drained.splice(0)) resume();
    }
    if (changes.length) await this.#tell(changes);
  }

  /** What is to be counted of what was found: nothing that was counted before, and nothing provisional of what is complete. */
  #sorted(all: readonly Found[]): { found: readonly Found[]; findings: readonly Finding[] } {
    const complete = new Set(all.filter(({ stage }) => stage === 'final').map(idOf));
    const met = new Set<string>();
    const found: Found[] = [];
    const findings: Finding[] = [];
    for (const one of all) {
      const { source, key, stage, detection } = one;
      const ahead = this.#ahead.get(source) ?? Ahead.empty;
      const id = idOf(one);
      const isFirst = !met.has(id);
      met.add(id);
      if (stage === 'provisional' && (!isFirst || complete.has(id) || ahead.has(key))) continue;
      const known = isFirst ? ahead.look(key) : 'new';
      if (known === 'new' && detection === null) continue;
      found.push(one);
      if (known === 'known') findings.push({ stage, detection: null, counted: null });
      else findings.push({ stage, detection, counted: known === 'new' ? null : known });
    }
    return { found, findings };
  }

  async #store({ found, findings, cursors }: Batch): Promise<readonly IncidentChange[]> {
    let after = new Map<string, Ahead>();
    const changes = await this.#deps.incidents.settle(findings, (results) => {
      after = this.#aheadAfter(found, results, cursors);
      const places = [...cursors].map(([source, { cursor }]) => ({ source, cursor }));
      return [...places, ...[...after].map(([source, ahead]) => ({ source: aheadOf(source), cursor: ahead.toJson() }))];
    });
    for (const [source, ahead] of after) this.#ahead.set(source, ahead);
    return changes;
  }

  /** By source, where it changes: what will have been counted beyond its place. */
  #aheadAfter(
    found: readonly Found[],
    results: readonly Result[],
    cursors: ReadonlyMap<string, Reached>,
  ): Map<string, Ahead> {
    const entries = new Map<string, [string, Entry][]>();
    found.forEach(({ source, key, mark, stage }, at) => {
      const counted = results[at] ?? null;
      if (stage === 'final' || counted) mapped(entries, source).push([key, { counted, mark }]);
    });
    const after = new Map<string, Ahead>();
    for (const source of new Set([...entries.keys(), ...cursors.keys()])) {
      const before = this.#ahead.get(source) ?? Ahead.empty;
      const reached = cursors.get(source)?.mark ?? 0;
      const next = before.with(entries.get(source) ?? []).behind(reached);
      if (before.size > 0 || next.size > 0) after.set(source, next);
    }
    return after;
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

function idOf({ source, key }: Found): string {
  return `${source} ${key}`;
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
