// Finding what we have not read among the files that rotation left behind. A file is known by its identity or,
// copied and compressed, by its content: it was read if it holds what we read, and how far is where that ended.

import { closeSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { Archive } from './archive.ts';
import { type BytePath, shown } from './byte-path.ts';
import { isSameFile, openRegular, type Status } from './disk.ts';
import { type Generation, OpenFile } from './generation.ts';
import { hashOf, lastPlace, type Place, readFully } from './place.ts';
import { namesOf, type Rotated, rotatedFiles } from './rotation.ts';

/** Rotation may go on while we look; after so many looks we take what there is. */
const MAX_LOOKS = 10;
/** Some packers keep the time of the last write only to the second. */
const PACKED_GRAIN_MS = 1_000;

/** Unpacked they are more than a head, and never more than a few megabytes. */
const PACKED_HEAD_BYTES = 4096;
/** The same first words may begin many logs: so many equal bytes are more than a greeting. */
const TELLING_BYTES = 32;

/** What was read of the generations of one log, and what must not be read again. */
export interface Known {
  /** Where the generations that were read ended, oldest first. */
  readonly history: readonly Place[];
  /** File system time in ms: files not changed since then were dealt with. */
  readonly floor: number;
  /** Files of which was said that they cannot be read. */
  readonly isReported: (path: BytePath) => boolean;
  /** Where we are in the files that are open: whatever else holds the same content is a copy of them. */
  readonly held: readonly Place[];
  /** The file that stood under the path a moment ago, and comes next unless an older one is unread. */
  readonly live: Status | null;
  /** Versions of files that were found read to their end before: looking again would cost a decompression. */
  readonly done: Set<string>;
}

export type Unread =
  /** `from`: the place in the history where it is read on; null when nothing of it was read. */
  | {
      readonly kind: 'found';
      readonly generation: Generation;
      readonly from: Place | null;
      /** What is to be read after it, in order. */
      readonly next: readonly Rotated[];
    }
  | { readonly kind: 'unreadable'; readonly path: BytePath; readonly reason: string }
  /** Files come and go faster than we can look: to be asked again, for going on would leave some out. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'none' };

/** The file that holds what was read of `path` up to `place`, whatever it is called now; null when there is none. */
export async function findContent(path: BytePath, place: Place, buffer: Buffer): Promise<Generation | null> {
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const found = await firstWith(place, candidates(path, place), buffer);
    if (found !== 'moved') return found;
  }
  return null;
}

/** Most likely first: the same file under an older name, then under any name, then another file with its content. */
function* candidates(path: BytePath, place: Place): Generator<Rotated> {
  const rotated = rotatedFiles(path);
  yield* rotated.filter(({ status }) => isSameFile(status, place));
  yield* namesOf(path, place).filter((file) => file.path !== path);
  yield* rotated.filter(({ status }) => !isSameFile(status, place));
}

async function firstWith(place: Place, files: Iterable<Rotated>, buffer: Buffer): Promise<Generation | 'moved' | null> {
  for (const file of files) {
    const found = await openAt(file, place, buffer);
    if (found) return found;
  }
  return null;
}

/** The oldest rotated generation of which something is unread. */
export async function nextUnread(path: BytePath, known: Known, buffer: Buffer): Promise<Unread> {
  const relations = new Map<string, Relation>();
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const found = await firstUnread(rotatedFiles(path), known, relations, buffer);
    if (found !== 'moved') return found;
  }
  return { kind: 'busy' };
}

async function firstUnread(
  files: readonly Rotated[],
  known: Known,
  relations: Map<string, Relation>,
  buffer: Buffer,
): Promise<Unread | 'moved'> {
  // Rotated since then: what is newer than the live file has to wait for it.
  const live = files.findIndex(({ status }) => known.live !== null && isSameFile(status, known.live));
  const older = live < 0 ? files : files.slice(0, live);
  const unread: Rotated[] = [];
  let grown: Rotated | null = null;
  let isBehindKnown = false;
  for (const file of older.toReversed()) {
    if (file.status.size === 0) continue;
    // What is older than what was read was read too, and may be forgotten; only a slow writer can have come back to it.
    if (isBehindKnown && !isChangedSince(file, known.floor)) continue;
    const relation = relations.get(versionOf(file)) ?? (await relationOf(file, known, buffer));
    if (relation === 'moved') return 'moved';
    relations.set(versionOf(file), relation);
    if (relation === 'grown') grown = file;
    if (relation === 'unknown' && !isBehindKnown) unread.push(file);
    if (relation !== 'unknown') isBehindKnown = true;
  }
  // Among strangers only time tells what is news.
  const news = isBehindKnown ? unread : unread.filter((file) => isChangedSince(file, known.floor));
  return openFirst([...(grown ? [grown] : []), ...news.toReversed()], known, buffer);
}

/** Read to its end, read and written to since, or never read. */
type Relation = 'read' | 'grown' | 'unknown';

async function relationOf(file: Rotated, known: Known, buffer: Buffer): Promise<Relation | 'moved'> {
  if (known.held.some((place) => isSameFile(place, file.status)) || known.done.has(versionOf(file))) return 'read';
  if (file.packing === 'other') return 'unknown';
  for (const place of beginningLike(file, known.held)) {
    const copy = await openAt(file, place, buffer);
    if (copy === 'moved') return 'moved';
    copy?.close();
    if (copy) return 'read';
  }
  const found = await openUnread(file, known.history, buffer);
  if (found === 'moved') return 'moved';
  if (found.kind === 'none') {
    known.done.add(versionOf(file));
    return 'read';
  }
  if (found.kind === 'unreadable') return 'unknown';
  found.generation.close();
  return found.from ? 'grown' : 'unknown';
}

/** The first of these, oldest first, of which something is unread. `moved` when one of them is gone, or packed by now. */
export async function openFirst(
  files: readonly Rotated[],
  known: Known,
  buffer: Buffer,
): Promise<Exclude<Unread, { kind: 'busy' }> | 'moved'> {
  for (const [at, file] of files.entries()) {
    const { path, packing, status } = file;
    if (known.isReported(path) || known.held.some((place) => isSameFile(place, status))) continue;
    if (packing === 'other')
      return { kind: 'unreadable', path, reason: `${shown(path)} is packed in a form we cannot read` };
    const found = await openUnread(file, known.history, buffer);
    if (found === 'moved' || found.kind === 'unreadable') return found;
    if (found.kind === 'found') return { ...found, next: files.slice(at + 1) };
  }
  return { kind: 'none' };
}

function isChangedSince({ status, packing }: Rotated, floor: number): boolean {
  return status.mtimeMs + (packing === 'none' ? 0 : PACKED_GRAIN_MS) >= floor;
}

function versionOf({ status }: Rotated): string {
  const { dev, ino, birthMs, size, mtimeMs } = status;
  return [dev, ino, birthMs, size, mtimeMs].join(':');
}

/** Opens a file where reading it ended, or at its start; `none` when it was read to its end. */
async function openUnread(
  file: Rotated,
  history: readonly Place[],
  buffer: Buffer,
): Promise<Extract<Unread, { kind: 'found' | 'none' | 'unreadable' }> | 'moved'> {
  // Itself first: the content of another one may be the same. Then the longest: a short one may be the start of many.
  const own = history.filter((place) => isSameFile(place, file.status));
  const others = beginningLike(
    file,
    history.filter((place) => !own.includes(place)),
  );
  const longestFirst = (a: Place, b: Place) => b.offset - a.offset;
  for (const from of [...own.sort(longestFirst), ...others.sort(longestFirst)]) {
    const generation = await openAt(file, from, buffer);
    if (generation === 'moved') return 'moved';
    if (!generation) continue;
    const hasMore = await generation.hasMore();
    if (hasMore && (own.includes(from) || from.offset >= TELLING_BYTES))
      return { kind: 'found', generation, from, next: [] };
    generation.close();
    if (!hasMore) return { kind: 'none' };
  }
  const generation = await openAt(file, null, buffer);
  if (generation === 'moved') return 'moved';
  if (generation) return { kind: 'found', generation, from: null, next: [] };
  return { kind: 'unreadable', path: file.path, reason: `${shown(file.path)} cannot be opened` };
}

/** Those places whose file began as this one does: few bytes tell most strangers apart. */
function beginningLike(file: Rotated, places: readonly Place[]): Place[] {
  const telling = places.filter(({ offset }) => offset > 0);
  const opened = telling.length > 0 ? openNow(file) : null;
  if (opened === null || opened === 'moved') return telling;
  const start = Buffer.allocUnsafe(PACKED_HEAD_BYTES);
  const read = start.subarray(0, readFully(opened.fd, start, start.length, 0));
  closeSync(opened.fd);
  const head = file.packing === 'gzip' ? unpackedStart(read) : read;
  const hashes = new Map<number, string>();
  return telling.filter(({ headBytes, head: wanted }) => {
    if (head.length < headBytes) return false;
    if (!hashes.has(headBytes)) hashes.set(headBytes, hashOf(head.subarray(0, headBytes)));
    return hashes.get(headBytes) === wanted;
  });
}

/** What the first bytes of an archive unpack to; nothing when they are no archive. */
function unpackedStart(packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

/**
 * Places at the end of copies that hold only what we read of a file before it was truncated. A copy is shorter than
 * what we read when lines were written between copying and truncating.
 */
export function knownCopies(path: BytePath, read: Generation, floor: number, buffer: Buffer): Place[] {
  const head = read.head();
  const copies: Place[] = [];
  for (const file of rotatedFiles(path)) {
    const { size, mtimeMs } = file.status;
    if (file.packing !== 'none' || mtimeMs < floor || size === 0 || size >= read.place().offset) continue;
    const opened = openRegular(file.path);
    if (opened.kind === 'refused') continue;
    const start = Buffer.allocUnsafe(Math.min(size, head.length));
    readFully(opened.fd, start, start.length, 0);
    if (start.equals(head.subarray(0, start.length))) copies.push(lastPlace(opened.fd, opened.status, buffer, 0));
    closeSync(opened.fd);
  }
  return copies;
}

/** Generations that were read before and have got more lines since, also when they were compressed afterwards. */
export async function grownSince(
  path: BytePath,
  history: readonly Place[],
  floor: number,
  buffer: Buffer,
): Promise<[Generation, Place][]> {
  const grown: [Generation, Place][] = [];
  for (const file of rotatedFiles(path)) {
    const isKnown = history.some((place) => isSameFile(place, file.status));
    if (file.packing === 'other' || !(isKnown || isChangedSince(file, floor))) continue;
    const found = await openUnread(file, history, buffer);
    if (found === 'moved' || found.kind !== 'found') continue;
    if (found.from) grown.push([found.generation, found.from]);
    else found.generation.close();
  }
  return grown;
}

/**
 * Opens a file at a place, or at its start. Null when it cannot be opened or does not hold what was read; `moved` when
 * rotation went on meanwhile and another file has this name now.
 */
async function openAt(file: Rotated, place: Place | null, buffer: Buffer): Promise<Generation | 'moved' | null> {
  const opened = file.packing === 'other' ? null : openNow(file);
  if (opened === null || opened === 'moved') return opened;
  const { fd, status } = opened;
  if (file.packing === 'gzip') return Archive.open(fd, status, place);
  if (place === null) return OpenFile.fromStart(fd, status, buffer);
  const found = OpenFile.fromPlace(fd, status, buffer, place);
  if (!found) closeSync(fd);
  return found;
}

/** Opens a file under the name that it has by now: rotation may go on while we look. */
function openNow(file: Rotated): { readonly fd: number; readonly status: Status } | 'moved' | null {
  let path = file.path;
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const opened = openRegular(path);
    if (opened.kind === 'open' && isSameFile(opened.status, file.status)) return opened;
    if (opened.kind === 'open') closeSync(opened.fd);
    else if (opened.why !== 'absent' && opened.why !== 'failed') return null;
    const [now] = namesOf(file.path, file.status);
    if (!now || now.packing !== file.packing) return 'moved';
    path = now.path;
  }
  return 'moved';
}
