// All logs that a set of patterns means, followed together: one buffer, few descriptors, and everybody
// has his turn. Events of the kernel say where to look first; a regular look at every file is the truth.

import { closeSync, realpathSync } from 'node:fs';
import { type BytePath, directoryOf, join, nameOf, onDisk, shown } from './byte-path.ts';
import { describeDirectory, openRegular, type Status } from './disk.ts';
import type { FileCursor } from './file-cursor.ts';
import { OpenFile, readingBuffer } from './generation.ts';
import type { Globs } from './globs.ts';
import { Hints } from './hints.ts';
import type { Piece } from './lines.ts';
import { firstPlace, type Place } from './place.ts';
import { baseOfRotated, packingOf, rotatedFiles } from './rotation.ts';
import { type Step, Trail, type TrailState } from './trail.ts';

export type Told =
  | { readonly kind: 'piece'; readonly stream: string; readonly file: string; readonly piece: Piece }
  | { readonly kind: 'blind' | 'sighted'; readonly stream: string; readonly reason: string; readonly since: number };

export interface FollowOptions {
  readonly globs: Globs;
  /** Stream under which the source speaks of itself. */
  readonly id: string;
  readonly cursor: FileCursor;
  /** Set at the very first start: what stands in the files is known, only what comes is news. */
  readonly startAtEnd: boolean;
  /** Listen to the kernel's events. */
  readonly events: boolean;
  /** How long a rotated or deleted file stays open for late writers, ms. */
  readonly lingerMs: number;
  readonly maxOpen: number;
  /** Unread bytes of one file from which on we say that we are blind to what happens now. */
  readonly tooFarBytes: number;
  /** Something to be told at the start, because it may mean a loss. */
  readonly note: string | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly monotonic: () => number;
  /** Something may have to be done: call `next`. */
  readonly onHint: () => void;
}

/** Up to so many bytes are looked through at the first start, so that line numbers are those of an editor. */
const COUNT_BYTES = 64 * 1024 * 1024;
/** A log that is named without wildcards may be missing so long: rotation takes it away for a moment. */
const MISSING_MS = 3_000;
/** A log that has gone is remembered so long: its disk may only be unmounted. */
const REMEMBERED_MS = 7 * 24 * 3_600_000;
/** Directories whose change cannot be seen (coarse clocks, network shares) are walked every so many looks. */
const LOOKS_PER_WALK = 10;

/** The same where every change is heard. */
const LOOKS_PER_QUIET_WALK = 60;
/** A file that is still where every change is heard is looked at every so many looks, and read every so many of those. */
const LOOKS_PER_STILL = 5;
const LOOKS_PER_READ = 2;
/** So many events between two looks, and some may have been lost: the kernel keeps 16,384 (inotify(7)). */
const STORM = 2_000;

interface Followed {
  readonly trail: Trail;
  /** Spreads the looks at files that are still. */
  readonly turn: number;
  /** Since when the path shows nothing, monotonic; null when it does. */
  missingSince: number | null;
}

export class FollowedFiles {
  readonly #options: FollowOptions;
  readonly #buffer = readingBuffer();
  readonly #hints: Hints;
  readonly #followed = new Map<BytePath, Followed>();
  /** Names under which a followed file really stands, when its path goes through links. */
  readonly #realPaths = new Map<BytePath, BytePath>();
  /** What each directory looked like when it was walked. */
  readonly #directories = new Map<BytePath, string>();
  readonly #due = new Set<Followed>();
  /** To be looked at: once, however many events told so. */
  readonly #hinted = new Set<Followed>();
  readonly #blind = new Map<string, { readonly reason: string; readonly since: number }>();
  readonly #told: Told[] = [];
  #cursor: FileCursor;
  #walkDue = false;
  #looks = 0;
  #turns = 0;
  /** Events since the last look. */
  #heard = 0;
  #countable = COUNT_BYTES;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#cursor = options.cursor;
    this.#hints = new Hints({
      onHint: (directory, name, what) => this.#hear(directory, name, what),
      onDeaf: (reason) => this.#tell('sighted', options.id, reason, options.now()),
    });
  }

  get cursor(): FileCursor {
    return this.#cursor;
  }

  get behindBytes(): number {
    let sum = 0;
    for (const { trail } of this.#followed.values()) sum += trail.behindBytes;
    return sum;
  }

  /** Finds the files. Whatever is written afterwards will be given out. */
  start(): void {
    for (const [path, state] of this.#cursor.trails) {
      const followed = this.#follow(path, state);
      followed.trail.resumeLate();
    }
    this.#walk(this.#options.startAtEnd);
    this.look();
    this.#sayWhetherAnything();
  }

  /** Looks at every path. To be called from time to time, whatever the kernel says. */
  look(): void {
    this.#looks += 1;
    const changed = [...this.#directories].filter(([path, before]) => describeDirectory(path) !== before);
    for (const [path, before] of changed)
      if (identityOf(describeDirectory(path)) !== identityOf(before)) this.#hints.renew(path);
    const hearsAll = this.#heard < STORM && [...this.#directories.keys()].every((path) => this.#hints.hearsAll(path));
    this.#heard = 0;
    const looksPerWalk = hearsAll ? LOOKS_PER_QUIET_WALK : LOOKS_PER_WALK;
    if (changed.length > 0 || this.#looks % looksPerWalk === 0) this.#walkDue = true;
    for (const followed of this.#followed.values()) this.#lookAgain(followed, hearsAll);
    this.#restIfTooMany();
  }

  /** What is to be told next; null when everything is read. The bytes are valid until the next call. */
  async next(): Promise<Told | null> {
    for (;;) {
      const told = this.#told.shift();
      if (told) return told;
      if (this.#walkDue) this.#walk(false);
      for (const hinted of this.#hinted) this.#look(hinted);
      this.#hinted.clear();
      const [followed] = this.#due;
      if (!followed) return null;
      this.#due.delete(followed);
      const step = await followed.trail.next();
      if (step.kind === 'piece') return this.#give(followed, step);
      this.#note(followed, step);
    }
  }

  close(): void {
    this.#hints.close();
    for (const { trail } of this.#followed.values()) trail.close();
    this.#followed.clear();
    this.#due.clear();
  }

  #give(followed: Followed, { stream, piece }: Extract<Step, { kind: 'piece' }>): Told {
    const { trail } = followed;
    this.#due.add(followed);
    // The most active come last: descriptors are taken back from the front.
    this.#followed.delete(trail.path);
    this.#followed.set(trail.path, followed);
    this.#cursor = this.#cursor.with(trail.path, trail.state());
    if (!this.#isTooFarBehind(trail)) this.#see(trail.stream);
    return { kind: 'piece', stream, file: shown(trail.path), piece };
  }

  #note(followed: Followed, step: Exclude<Step, { kind: 'piece' }>): void {
    const { trail } = followed;
    switch (step.kind) {
      case 'again':
        this.#due.add(followed);
        return;
      case 'restarted':
        this.#due.add(followed);
        this.#cursor = this.#cursor.with(trail.path, trail.state());
        this.#blind.delete(trail.stream);
        return this.#tell('sighted', trail.stream, 'emptied, read from its start', this.#options.now());
      case 'nothing':
        followed.missingSince = null;
        return this.#see(trail.stream);
      case 'gap': {
        const { now } = this.#options;
        this.#due.add(followed);
        this.#tell('blind', trail.stream, step.reason, now());
        this.#tell('sighted', trail.stream, 'reading goes on', now());
        this.#cursor = this.#cursor.with(trail.path, trail.state());
        return;
      }
      case 'refused':
        return step.why === 'absent' ? this.#miss(followed, step.reason) : this.#refuse(followed, step);
    }
  }

  #isTooFarBehind({ behindBytes, stream }: Trail): boolean {
    const { tooFarBytes } = this.#options;
    if (behindBytes < (this.#blind.has(stream) ? tooFarBytes / 2 : tooFarBytes)) return false;
    this.#lose(stream, `more than ${Math.round(tooFarBytes / 2e6)} MB behind what is being written`);
    return true;
  }

  #miss(followed: Followed, reason: string): void {
    const { trail } = followed;
    const { globs, monotonic, now } = this.#options;
    followed.missingSince ??= monotonic();
    const { place, floor } = trail.state();
    if (globs.isLiteral(trail.path)) {
      const started = this.#looks <= 1;
      if (started || monotonic() - followed.missingSince >= MISSING_MS) this.#lose(trail.stream, reason);
      return;
    }
    const isOver = place === null && this.#looks % LOOKS_PER_WALK === 0 && rotatedFiles(trail.path).length === 0;
    if (trail.descriptors === 0 && (isOver || now() - floor > REMEMBERED_MS)) this.#forget(trail);
  }

  #refuse({ trail }: Followed, { why, reason }: Extract<Step, { kind: 'refused' }>): void {
    // A wildcard may well meet a directory or a pipe; that is no loss.
    if (why === 'not-a-file' && !this.#options.globs.isLiteral(trail.path)) return this.#forget(trail);
    if (why === 'failed') this.#rest(Math.ceil(this.#followed.size / 2));
    this.#lose(trail.stream, reason);
  }

  #forget(trail: Trail): void {
    trail.close();
    this.#followed.delete(trail.path);
    this.#cursor = this.#cursor.without(trail.path);
    this.#see(trail.stream);
  }

  #lose(stream: string, reason: string): void {
    if (this.#blind.get(stream)?.reason === reason) return;
    const since = this.#blind.get(stream)?.since ?? this.#options.now();
    this.#blind.set(stream, { reason, since });
    this.#tell('blind', stream, reason, since);
  }

  #see(stream: string): void {
    if (this.#blind.delete(stream)) this.#tell('sighted', stream, 'can be read again', this.#options.now());
  }

  #tell(kind: 'blind' | 'sighted', stream: string, reason: string, since: number): void {
    this.#told.push({ kind, stream, reason, since });
  }

  /** Says at the start that it follows, or that there is nothing to follow yet. Carries the first cursor. */
  #sayWhetherAnything(): void {
    const { id, note, now } = this.#options;
    if (note) this.#tell('blind', id, note, now());
    if (this.#followed.size === 0) this.#lose(id, 'no file matches');
    else this.#tell('sighted', id, `following ${this.#followed.size} files`, now());
  }

  #hear(directory: BytePath, name: BytePath, what: 'change' | 'rename'): void {
    this.#heard += 1;
    const path = join(directory, name);
    const base = baseOfRotated(name);
    const followed =
      this.#followed.get(this.#realPaths.get(path) ?? path) ??
      (base === null ? undefined : this.#followed.get(join(directory, base)));
    if (followed) this.#hinted.add(followed);
    else if (what === 'rename') this.#walkDue = true;
    if (followed || this.#walkDue) this.#options.onHint();
  }

  /** Without a hint: seldom where hints would have come, and without reading what has not changed. */
  #lookAgain(followed: Followed, hearsAll: boolean): void {
    const { trail, turn } = followed;
    const looks = this.#looks + turn;
    if (!trail.isStill) return this.#look(followed);
    const every = hearsAll ? LOOKS_PER_STILL : 1;
    if (looks % every !== 0) return;
    trail.look();
    // Also what keeps size and time may have been written anew.
    const isDue = !trail.isStill || Math.floor(looks / every) % (hearsAll ? LOOKS_PER_READ : LOOKS_PER_WALK) === 0;
    if (isDue) this.#due.add(followed);
  }

  #look(followed: Followed): void {
    if (this.#followed.get(followed.trail.path) !== followed) return;
    followed.trail.look();
    this.#due.add(followed);
  }

  // ------------------------------------------------------------ finding files

  /** Takes up new files. Once more for directories that are listened to only now: a file may have come before that. */
  #walk(isFirst: boolean): void {
    this.#walkDue = false;
    for (const path of this.#directories.keys()) this.#directories.set(path, describeDirectory(path));
    let listensToMore = true;
    while (listensToMore) {
      const { files, directories } = this.#options.globs.find();
      const fresh = [...files].filter((path) => !this.#followed.has(path) && !this.#isRotated(path, files));
      const owners = fresh.length > 0 ? this.#owners() : new Map<string, Followed>();
      for (const path of fresh) this.#takeUp(path, owners, isFirst);
      listensToMore = this.#listen(directories);
    }
    if (this.#followed.size > 0) this.#see(this.#options.id);
  }

  #takeUp(path: BytePath, owners: Map<string, Followed>, isFirst: boolean): void {
    const opened = openRegular(path);
    if (opened.kind === 'refused') {
      // Named by the owner, or closed to us: followed, so that the reason is told and it is tried again.
      if (this.#options.globs.isLiteral(path) || opened.why !== 'not-a-file') this.#follow(path, this.#blank(null));
      return;
    }
    const { fd, status } = opened;
    const known = this.#knownAs(fd, status, owners);
    const isCopy = this.#originalOf(path)?.trail.isCopiedIn(fd, status.size) ?? false;
    closeSync(fd);
    if (known === 'elsewhere' || isCopy) return;
    const followed = this.#follow(path, this.#blank(known ?? firstPlace(status)));
    owners.set(keyOf(status), followed);
    if (!isFirst) return;
    this.#countable -= followed.trail.startAtEnd(this.#countable);
    this.#cursor = this.#cursor.with(path, followed.trail.state());
  }

  /** A file that was moved here is read on where we were; one that still has its other name is read there. */
  #knownAs(fd: number, status: Status, owners: ReadonlyMap<string, Followed>): Place | 'elsewhere' | null {
    const owner = owners.get(keyOf(status));
    const place = owner?.trail.placeOf(status);
    if (!owner || !place) return null;
    owner.trail.look();
    if (owner.trail.isLive && owner.trail.state().place === place) return 'elsewhere';
    if (!OpenFile.fromPlace(fd, status, this.#buffer, place)) return null;
    // Before anything was read the two could not be told apart later; it will be moved soon.
    if (place.offset === 0) return 'elsewhere';
    owner.trail.handAway(status);
    this.#cursor = this.#cursor.with(owner.trail.path, owner.trail.state());
    return place;
  }

  #owners(): Map<string, Followed> {
    const owners = new Map<string, Followed>();
    for (const followed of this.#followed.values()) {
      const { place, history } = followed.trail.state();
      for (const known of [...history, place]) if (known) owners.set(keyOf(known), followed);
    }
    return owners;
  }

  /** Older generations are read by the trail of the log itself; packed ones are never followed. */
  #isRotated(path: BytePath, files: ReadonlySet<BytePath>): boolean {
    if (packingOf(path) !== 'none') return true;
    const base = baseOfRotated(nameOf(path));
    if (base === null) return false;
    const log = join(directoryOf(path), base);
    return files.has(log) || this.#followed.has(log);
  }

  /** `app-20260102.log` may be a rotated `app.log`, or a log of its own: only content can tell. */
  #originalOf(path: BytePath): Followed | undefined {
    const base = nameOf(path).replace(/[._-]\d[\dT:._+-]*(?=\.[^.]*$)/i, '');
    return this.#followed.get(join(directoryOf(path), base));
  }

  #follow(path: BytePath, state: TrailState): Followed {
    const { monotonic, lingerMs } = this.#options;
    const claim = (fd: number, status: Status) => {
      const known = this.#knownAs(fd, status, this.#owners());
      return known === 'elsewhere' ? null : known;
    };
    const trail = new Trail({ path, state, buffer: this.#buffer, now: monotonic, claim, lingerMs });
    this.#turns += 1;
    const followed = { trail, turn: this.#turns, missingSince: null };
    this.#followed.set(path, followed);
    this.#look(followed);
    return followed;
  }

  #blank(place: Place | null): TrailState {
    return { place, history: [], floor: this.#cursor.since };
  }

  /** Listens to the directories of the patterns and of what links lead to; true when some are new. */
  #listen(directories: ReadonlySet<BytePath>): boolean {
    this.#realPaths.clear();
    const wanted = new Set(directories);
    for (const path of this.#followed.keys()) {
      const real = realPath(path);
      if (real === null || real === path) continue;
      this.#realPaths.set(real, path);
      wanted.add(directoryOf(real));
    }
    const more = [...wanted].filter((path) => !this.#directories.has(path));
    for (const path of this.#directories.keys()) if (!wanted.has(path)) this.#directories.delete(path);
    for (const path of more) this.#directories.set(path, describeDirectory(path));
    if (this.#options.events) this.#hints.follow(wanted);
    return more.length > 0;
  }

  // ------------------------------------------------------------ descriptors

  #restIfTooMany(): void {
    let open = 0;
    for (const { trail } of this.#followed.values()) open += trail.descriptors;
    if (open > this.#options.maxOpen) this.#rest(open - this.#options.maxOpen);
  }

  /** Gives back the descriptors of the files that have been quiet longest. */
  #rest(count: number): void {
    let left = count;
    for (const { trail } of this.#followed.values()) {
      if (left <= 0) return;
      const before = trail.descriptors;
      trail.rest();
      left -= before - trail.descriptors;
    }
  }
}

function keyOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

function realPath(path: BytePath): BytePath | null {
  try {
    return realpathSync.native(onDisk(path), 'latin1');
  } catch {
    return null;
  }
}

function identityOf(description: string): string {
  return description.split(':', 2).join(':');
}
