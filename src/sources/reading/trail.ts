// One log under one path, through all its generations: what is renamed away is read to its end, what
// was rotated while we looked away is caught up in order, then the file that stands there now.

import { closeSync, statSync } from 'node:fs';
import { Archive } from './archive.ts';
import { type BytePath, directoryOf, onDisk, shown } from './byte-path.ts';
import { findContent, grownSince, type Known, knownCopies, nextUnread, openFirst, type Unread } from './catch-up.ts';
import type { Reading } from './cutter.ts';
import { describeDirectory, isSameFile, openRegular, type Refusal, refusalOf, type Status, statusOf } from './disk.ts';
import { type Generation, OpenFile } from './generation.ts';
import type { Piece } from './lines.ts';
import { isDistinctive, lastPlace, type Place, readFully } from './place.ts';
import { type Rotated, rotatedFiles } from './rotation.ts';

/** What is stored of a trail. */
export interface TrailState {
  /** Where we are in the generation being read; null before the first. */
  readonly place: Place | null;
  /** Generations read to their end, oldest first: never read again, except for lines that a slow writer adds. */
  readonly history: readonly Place[];
  /** Last change of the live file when we last read it: rotated files changed since may be unread. File system time, ms. */
  readonly floor: number;
}

export type Step =
  | { readonly kind: 'piece'; readonly stream: string; readonly piece: Piece }
  /** Something was lost, or may have been. */
  | { readonly kind: 'gap'; readonly reason: string }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly reason: string }
  /** The file was emptied and is read from its start: worth storing. */
  | { readonly kind: 'restarted' }
  /** Progress without a line; ask again. */
  | { readonly kind: 'again' }
  | { readonly kind: 'nothing' };

export interface TrailOptions {
  readonly path: BytePath;
  readonly buffer: Buffer;
  readonly state: TrailState;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Where another trail has got to in this file, which was moved to our path; that trail lets it go. */
  readonly claim: (fd: number, status: Status) => Place | null;
  /** How long a rotated or deleted file stays open for writers that still hold it, in milliseconds. */
  readonly lingerMs: number;
}

/** An unfinished last line of a rotated file gets this long to be finished, and an empty successor to be written to. */
const HANDOVER_MS = 500;
/** Rotated generations that are remembered, and kept open, for late lines. */
const HISTORY = 12;

/** So often an absent log's directory is searched without having changed. */
const VAIN_SEARCHES = 3;

/** So many equal bytes at the beginning of two logs mean that one is a copy of the other. */
const COPY_BYTES = 64;

/** A file that was found unchanged so often, a look apart each, has been still for longer than any clock is coarse. */
const STILL_TIMES = 3;
const NOTHING: Extract<Step, { kind: 'nothing' }> = { kind: 'nothing' };
const AGAIN: Step = { kind: 'again' };

/** A finished generation that a slow writer may still hold. */
interface Late {
  readonly file: Generation;
  place: Place;
  idleSince: number;
  /** When it had last been written to when it was last found read to its end; file system time, ms. */
  readTo: number;
}

interface Successor {
  readonly generation: Generation;
  readonly live: boolean;
  readonly empty: boolean;
}

export class Trail {
  readonly path: BytePath;
  readonly stream: string;
  readonly #options: TrailOptions;
  #generation: Generation | null = null;
  #place: Place | null;
  /** Never changed in place: it is part of cursors that were given out. */
  #history: readonly Place[];
  #floor: number;
  /** The path shows the generation that is being read. */
  #live = false;
  #idleSince: number;
  #late: Late[] = [];
  #behindBytes = 0;
  /** Set until the generations that may have grown while nobody looked have been searched for. */
  #resumeFrom: number | null = null;
  /** Rotated files known to be read to their end, by what would change if they were written to. */
  readonly #done = new Set<string>();
  /** What the directory looked like when it was searched for unread files in vain, and how often. */
  #searched = { directory: '', times: 0 };
  readonly #unreadable = new Set<BytePath>();
  /** Unread files that come after the one being read, as the last search found them. */
  #upcoming: readonly Rotated[] = [];
  /** Set while the descriptor of an idle file is given back. */
  #resting: { readonly size: number; readonly mtimeMs: number } | null = null;

  /** What the file looks like since it was read to its end, and how often it was found so. */
  #still = { size: -1, mtimeMs: 0, times: 0 };

  /** Why an archive could not be read to its end; told with the next step. */
  #failure: string | null = null;

  constructor(options: TrailOptions) {
    this.#options = options;
    this.path = options.path;
    this.stream = `file:${shown(options.path)}`;
    this.#place = options.state.place;
    this.#history = options.state.history;
    this.#floor = options.state.floor;
    this.#idleSince = options.now();
  }

  state(): TrailState {
    // What late writers added is dealt with only when it was read.
    const floor = Math.min(this.#floor, this.#resumeFrom ?? this.#floor, ...this.#late.map((late) => late.readTo));
    return { place: this.#place, history: this.#history, floor };
  }

  /** Bytes that were there at the last look and had not been read. */
  get behindBytes(): number {
    return this.#behindBytes;
  }

  get descriptors(): number {
    return (this.#generation ? 1 : 0) + this.#late.length;
  }

  /** The path shows a file, and it is the one being read. */
  get isLive(): boolean {
    return this.#live;
  }

  /**
   * Read to its end several times while it looked the same: another look has nothing to add. Clocks of file systems are
   * coarse, so once is not enough.
   */
  get isStill(): boolean {
    if (!this.#live || this.#late.length > 0 || this.#resumeFrom !== null) return false;
    return this.#resting !== null || (this.#still.times >= STILL_TIMES && this.#still.size === this.#place?.offset);
  }

  /** How far this file was read, if it is the one being read or one that was read before. Content has to confirm it. */
  placeOf(status: Status): Place | null {
    return [this.#place, ...this.#history].find((place) => place !== null && isSameFile(place, status)) ?? null;
  }

  /** True when an open file begins with what is being read here: a copy that rotation makes. */
  isCopiedIn(fd: number, size: number): boolean {
    const head = this.#generation?.head() ?? Buffer.alloc(0);
    const start = Buffer.allocUnsafe(Math.min(size, head.length));
    return start.length >= COPY_BYTES && readFully(fd, start, start.length, 0) > 0 && head.indexOf(start) === 0;
  }

  /** Another trail goes on with this file: it was moved there. */
  handAway(status: Status): void {
    for (const late of this.#late.filter((one) => isSameFile(one.place, status))) this.#release(late);
    if (!this.#place || !isSameFile(this.#place, status)) return;
    this.#drop();
    this.#remember(this.#place);
    this.#place = null;
  }

  /**
   * Takes what stands there as known: only what is written from now on is given out. Returns how many bytes were looked
   * through to know line numbers, at most `countUpTo`.
   */
  startAtEnd(countUpTo: number): number {
    const { buffer } = this.#options;
    const opened = openRegular(this.path);
    if (opened.kind === 'refused') return 0;
    const place = lastPlace(opened.fd, opened.status, buffer, countUpTo);
    this.#adopt(OpenFile.fromPlace(opened.fd, opened.status, buffer, place), true);
    const rotated = rotatedFiles(this.path);
    this.#floor = Math.max(opened.status.mtimeMs, ...rotated.map(settledAt)) + 1;
    for (const file of rotated.filter(({ packing }) => packing === 'none').slice(-HISTORY)) {
      const old = openRegular(file.path);
      if (old.kind === 'refused') continue;
      this.#remember(lastPlace(old.fd, old.status, buffer, 0));
      closeSync(old.fd);
    }
    return place.line === 0 ? 0 : place.offset;
  }

  /** Reopens, at the next step, rotated files that have grown while nobody looked. Call once for a trail that was stored. */
  resumeLate(): void {
    if (this.#history.length > 0) this.#resumeFrom = this.#floor;
  }

  /** Compares the path with what is being read. Call when something was renamed, and from time to time. */
  look(): void {
    try {
      const stats = statSync(onDisk(this.path), { throwIfNoEntry: false });
      this.#live = stats !== undefined && this.#place !== null && isSameFile(this.#place, statusOf(stats));
      if (!this.#live) this.#resting = null;
      if (!stats || !this.#live) return;
      this.#behindBytes = Math.max(0, stats.size - (this.#place?.offset ?? 0));
      const { size, mtimeMs } = stats;
      if (size !== this.#still.size || mtimeMs !== this.#still.mtimeMs) this.#still = { size, mtimeMs, times: 0 };
      if (stats.size !== this.#resting?.size || stats.mtimeMs !== this.#resting.mtimeMs) this.#resting = null;
    } catch (error) {
      refusalOf(error);
    }
  }

  /** The next thing to do or to tell. What a piece points at is valid until the next call on any trail with this buffer. */
  async next(): Promise<Step> {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) return { kind: 'gap', reason: `a compressed older file is damaged: ${failure}` };
    try {
      if (this.#resumeFrom !== null) await this.#findLate(this.#resumeFrom);
      const step = await this.#step();
      if (step.kind !== 'nothing' && step.kind !== 'refused') return step;
      return (await this.#lateStep()) ?? step;
    } catch (error) {
      // A file system that fails under our hands (a network share, a dying disk): looked for again later.
      this.#drop();
      return refusalOf(error);
    }
  }

  /** Gives the descriptor of an idle file back. It is recognised by its content when it grows. */
  rest(): void {
    if (!this.#live || this.#late.length > 0 || !(this.#generation instanceof OpenFile)) return;
    const { size, mtimeMs } = this.#generation.status();
    if (size !== this.#place?.offset) return;
    this.#drop();
    this.#resting = { size, mtimeMs };
  }

  close(): void {
    this.#drop();
    for (const late of this.#late.splice(0)) late.file.close();
  }

  async #findLate(floor: number): Promise<void> {
    for (const [file, place] of await grownSince(this.path, this.#history, floor, this.#options.buffer)) {
      // The one being read has its own place.
      if (this.#place && isSameFile(this.#place, file.place())) file.close();
      else this.#late.push({ file, place, idleSince: this.#options.now(), readTo: floor });
    }
    this.#resumeFrom = null;
  }

  async #step(): Promise<Step> {
    if (this.#resting) return NOTHING;
    if (!this.#generation) return this.#begin();
    if (!this.#live || !(this.#generation instanceof OpenFile)) return this.#take(await this.#generation.read());
    return this.#readLive(this.#generation);
  }

  async #readLive(generation: OpenFile): Promise<Step> {
    const { mtimeMs: writtenAt } = generation.status();
    const isFirst = generation.isUntouched();
    const reading = generation.read();
    // The bytes before are still those we know: until then nothing else had been written under this path.
    const isConfirmed = reading.kind !== 'rewritten' && this.#place !== null && this.#place.offset > 0;
    if (isConfirmed) this.#floor = Math.max(this.#floor, writtenAt);
    if (isFirst && reading.kind !== 'end') {
      // Nothing tells these first bytes from what stood there before: it may have been copied and truncated since the
      // file was opened. What was rotated until now can be seen now.
      const unread = await this.#unread(generation.status());
      if (unread.kind === 'busy') {
        this.#drop();
        this.#place = null;
        return NOTHING;
      }
      if (unread.kind === 'found') {
        this.#drop();
        return this.#adopt(unread.generation, false);
      }
    }
    return this.#take(reading);
  }

  async #take(reading: Reading): Promise<Step> {
    if (reading.kind !== 'end') this.#idleSince = this.#options.now();
    switch (reading.kind) {
      case 'piece':
        this.#place = this.#generation?.place() ?? null;
        this.#behindBytes = Math.max(0, this.#behindBytes - reading.piece.bytes.length);
        return { kind: 'piece', stream: this.stream, piece: reading.piece };
      case 'more':
        return AGAIN;
      case 'rewritten':
        return this.#rewritten();
      case 'end':
        if (this.#live && reading.partial === 0) this.#still.times += 1;
        return this.#live ? NOTHING : this.#handOver(reading.partial);
    }
  }

  /** Nothing is open: find where to go on. */
  async #begin(): Promise<Step> {
    const place = this.#place;
    // Of which nothing was read is like any other unread one.
    if (place?.offset === 0) this.#place = null;
    if (place === null || place.offset === 0) return this.#openSuccessor();
    const opened = openRegular(this.path);
    if (opened.kind === 'open') {
      const maySame = isSameFile(place, opened.status) || isDistinctive(place);
      const file = maySame && OpenFile.fromPlace(opened.fd, opened.status, this.#options.buffer, place);
      if (file) return this.#adopt(file, true);
      closeSync(opened.fd);
    } else if (opened.why !== 'absent') {
      return opened;
    }
    const moved = await findContent(this.path, place, this.#options.buffer);
    if (moved) return this.#adopt(moved, false);
    if (opened.kind === 'refused') return opened;
    // A disk that comes back shows the same file; one that was truncated has nothing of what was read.
    if (!isSameFile(opened.status, place)) this.#remember(place);
    this.#place = null;
    return { kind: 'gap', reason: 'the file that was being read is gone: what was written to it last may be missing' };
  }

  /** Truncated, or overwritten. What we had not read may still stand in a copy. */
  async #rewritten(): Promise<Step> {
    const generation = this.#generation as Generation;
    const place = generation.place();
    this.#remember(...knownCopies(this.path, generation, this.#floor, this.#options.buffer));
    this.#drop();
    const copy = await findContent(this.path, place, this.#options.buffer);
    if (copy) return this.#adopt(copy, false);
    this.#place = null;
    const lost = this.#behindBytes;
    this.#behindBytes = 0;
    const next = await this.#openSuccessor();
    if (next.kind !== 'again') return next;
    if (lost === 0) return { kind: 'restarted' };
    return { kind: 'gap', reason: `${lost} bytes were truncated away before they were read` };
  }

  async #openSuccessor(): Promise<Step> {
    const found = await this.#successor();
    return 'kind' in found ? found : this.#adopt(found.generation, found.live);
  }

  /** What has to be read after the generation that has ended. */
  async #successor(): Promise<Successor | Extract<Step, { kind: 'refused' | 'gap' | 'nothing' }>> {
    const opened = openRegular(this.path);
    const status = opened.kind === 'open' ? opened.status : null;
    if (opened.kind === 'refused' && (opened.why !== 'absent' || this.#isSearched())) return opened;
    const unread = await this.#unread(status);
    if (unread.kind === 'found') {
      if (opened.kind === 'open') closeSync(opened.fd);
      this.#searched = { directory: '', times: 0 };
      return { generation: unread.generation, live: false, empty: false };
    }
    if (unread.kind === 'busy') {
      if (opened.kind === 'open') closeSync(opened.fd);
      return NOTHING;
    }
    if (unread.kind === 'unreadable') {
      if (opened.kind === 'open') closeSync(opened.fd);
      this.#unreadable.add(unread.path);
      return { kind: 'gap', reason: unread.reason };
    }
    if (opened.kind === 'refused') return opened;
    return this.#liveSuccessor(opened.fd, opened.status);
  }

  async #unread(live: Status | null): Promise<Unread> {
    const { buffer } = this.#options;
    const held = this.#late.map((late) => late.place);
    if (this.#generation && this.#place) held.push(this.#place);
    const known: Known = {
      live,
      held,
      history: this.#history,
      floor: this.state().floor,
      done: this.#done,
      isReported: (path) => this.#unreadable.has(path),
    };
    // Far behind, the next ones are known already.
    const next = await openFirst(this.#upcoming, known, buffer);
    const isKnown = next !== 'moved' && next.kind === 'found';
    const found = isKnown ? next : await nextUnread(this.path, known, buffer);
    this.#upcoming = found.kind === 'found' ? found.next : [];
    return found;
  }

  /** While nothing stands under the path, an unchanged directory need not be searched again; its clock is coarse, though. */
  #isSearched(): boolean {
    const directory = describeDirectory(directoryOf(this.path));
    const times = directory === this.#searched.directory ? this.#searched.times + 1 : 0;
    this.#searched = { directory, times };
    return times >= VAIN_SEARCHES;
  }

  #liveSuccessor(fd: number, status: Status): Successor {
    const { buffer } = this.#options;
    // A link that was pointed elsewhere and back again shows a file we have read.
    const before = this.#history.find((place) => isSameFile(place, status)) ?? this.#options.claim(fd, status);
    const again = before ? OpenFile.fromPlace(fd, status, buffer, before) : null;
    return { generation: again ?? OpenFile.fromStart(fd, status, buffer), live: true, empty: status.size === 0 };
  }

  /** The generation has ended and is not what the path shows: go on to the next one, without hurry and without a gap. */
  async #handOver(partial: number): Promise<Step> {
    const generation = this.#generation as Generation;
    const idleMs = this.#options.now() - this.#idleSince;
    const successor = await this.#successor();
    if ('kind' in successor) {
      return successor.kind === 'refused' && successor.why === 'absent'
        ? this.#maybeGone(generation, idleMs)
        : successor;
    }
    const early = idleMs < HANDOVER_MS && (partial > 0 || (successor.live && successor.empty));
    // Once more, now that the successor is known to exist: a line may have come between the two looks.
    const last = early ? null : await generation.read();
    if (!last || last.kind !== 'end' || last.partial !== partial) {
      successor.generation.close();
      return last ? this.#take(last) : NOTHING;
    }
    const piece = this.#end(generation);
    this.#adopt(successor.generation, successor.live);
    return { kind: 'piece', stream: this.stream, piece };
  }

  #maybeGone(generation: Generation, idleMs: number): Step {
    const deleted = !(generation instanceof OpenFile) || generation.status().links === 0;
    if (!deleted || idleMs < this.#options.lingerMs) return NOTHING;
    const piece = this.#end(generation);
    this.#place = null;
    return { kind: 'piece', stream: this.stream, piece };
  }

  /** Gives out the last words of a generation and keeps it for a while for late ones. */
  #end(generation: Generation): Piece {
    const { offset, line } = generation.place();
    const piece = generation.finish();
    const place = generation.place();
    this.#remember(place);
    this.#generation = null;
    if (generation instanceof OpenFile) {
      this.#late.push({ file: generation, place, idleSince: this.#options.now(), readTo: this.#floor });
    } else {
      if (generation instanceof Archive) this.#failure = generation.failure;
      generation.close();
    }
    while (this.#late.length > HISTORY) this.#late.shift()?.file.close();
    return piece ?? { bytes: new Uint8Array(0), startByte: offset, startLine: line, cutBytes: 0, final: true };
  }

  async #lateStep(): Promise<Step | null> {
    for (const late of this.#late) {
      const writtenAt = late.file instanceof OpenFile ? late.file.status().mtimeMs : Number.POSITIVE_INFINITY;
      const reading = await late.file.read();
      if (reading.kind === 'more') return AGAIN;
      if (reading.kind === 'piece') {
        const { place } = late;
        late.place = late.file.place();
        late.idleSince = this.#options.now();
        this.#history = this.#history.map((known) => (known === place ? late.place : known));
        return { kind: 'piece', stream: `${this.stream} (rotated)`, piece: reading.piece };
      }
      late.readTo = writtenAt;
      const idleMs = this.#options.now() - late.idleSince;
      if (reading.kind === 'rewritten' || late.file instanceof Archive || idleMs > this.#options.lingerMs)
        return this.#release(late);
    }
    return null;
  }

  #release(late: Late): Step {
    late.file.close();
    this.#late = this.#late.filter((other) => other !== late);
    return AGAIN;
  }

  #adopt(generation: Generation | null, live: boolean): Step {
    this.#generation = generation;
    this.#place = generation?.place() ?? null;
    this.#live = live;
    this.#idleSince = this.#options.now();
    return AGAIN;
  }

  #remember(...places: readonly Place[]): void {
    const others = this.#history.filter((known) => !places.some((place) => isSameFile(known, place)));
    this.#history = [...others, ...places].slice(-HISTORY);
  }

  #drop(): void {
    this.#generation?.close();
    this.#generation = null;
  }
}

/** When a rotated file had its last write, at the latest: packers round it down. */
function settledAt({ status, packing }: Rotated): number {
  return status.mtimeMs + (packing === 'none' ? 0 : 1_000);
}
