// Finding what we have not read among the files that rotation left behind. Content decides: a file is
// ours if it holds what we read before, and unread if it holds nothing that we know.

import { closeSync } from 'node:fs';
import { Archive } from './archive.ts';
import { type BytePath, shown } from './byte-path.ts';
import { openRegular, type Status } from './disk.ts';
import { type Generation, OpenFile } from './generation.ts';
import { hasContentOf, lastPlace, type Place, readFully } from './place.ts';
import { filesWithInode, type Rotated, rotatedFiles } from './rotation.ts';

/** Rotation may go on while we look; after so many looks we take what there is. */
const MAX_LOOKS = 10;

/** What must not be read again. */
export interface Known {
  /** The file that was read last: what rotation put after it is newer. */
  readonly last: Place | null;
  readonly history: readonly Place[];
  /** File system time in ms: files not changed since then were dealt with. */
  readonly floor: number;
  /** Files of which was said that they cannot be read. */
  readonly isReported: (path: BytePath) => boolean;
  /** Files that are open already. */
  readonly isOpen: (status: Status) => boolean;
  /** The file that stood under the path a moment ago, and comes next unless an older one is unread. */
  readonly live: Status | null;
}

export type Unread =
  | { readonly kind: 'found'; readonly generation: Generation }
  | { readonly kind: 'unreadable'; readonly path: BytePath; readonly reason: string }
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
  yield* rotated.filter(({ status }) => status.ino === place.ino && status.dev === place.dev);
  yield* filesWithInode(path, place.dev, place.ino).filter((file) => file.path !== path);
  // Under another inode only content can tell, and nothing read means nothing to tell by.
  if (place.offset > 0) yield* rotated;
}

async function firstWith(place: Place, files: Iterable<Rotated>, buffer: Buffer): Promise<Generation | 'moved' | null> {
  for (const file of files) {
    const found = await openAt(file, place, buffer);
    if (found) return found;
  }
  return null;
}

/** The oldest rotated generation of which nothing was read. */
export async function nextUnread(path: BytePath, known: Known, buffer: Buffer): Promise<Unread> {
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const found = await firstUnread(rotatedFiles(path), known, buffer);
    if (found !== 'moved') return found;
  }
  return { kind: 'none' };
}

async function firstUnread(files: readonly Rotated[], known: Known, buffer: Buffer): Promise<Unread | 'moved'> {
  for (const file of newerThan(known, files)) {
    // Rotated since then: what is newer has to wait for it.
    if (file.status.ino === known.live?.ino && file.status.dev === known.live.dev) break;
    if (file.status.size === 0 || known.isOpen(file.status)) continue;
    if (file.packing === 'other') {
      if (known.isReported(file.path)) continue;
      return { kind: 'unreadable', path: file.path, reason: `${shown(file.path)} is packed in a form we cannot read` };
    }
    const isKnown = await holdsAny(file, known.history, buffer);
    if (isKnown === 'moved') return 'moved';
    if (isKnown) continue;
    const generation = await openAt(file, null, buffer);
    if (generation === 'moved') return 'moved';
    if (generation) return { kind: 'found', generation };
  }
  return { kind: 'none' };
}

/** By their order where the last one is among them, else by their times, which a slow writer can confuse. */
function newerThan({ last, floor }: Known, files: readonly Rotated[]): readonly Rotated[] {
  const at = files.findIndex(({ status }) => status.ino === last?.ino && status.dev === last.dev);
  return at >= 0 ? files.slice(at + 1) : files.filter(({ status }) => status.mtimeMs >= floor);
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

/** Rotated generations that were read before and have got more lines since. */
export function grownSince(path: BytePath, history: readonly Place[], buffer: Buffer): [OpenFile, Place][] {
  const grown: [OpenFile, Place][] = [];
  for (const { path: name, status, packing } of rotatedFiles(path)) {
    const place = history.find((known) => known.ino === status.ino && known.dev === status.dev);
    if (!place || packing !== 'none' || status.size <= place.offset) continue;
    const opened = openRegular(name);
    if (opened.kind === 'refused') continue;
    const file = OpenFile.fromPlace(opened.fd, opened.status, buffer, place);
    if (file) grown.push([file, place]);
    else closeSync(opened.fd);
  }
  return grown;
}

/**
 * Opens a file at a place, or at its start. Null when it cannot be opened or does not hold what was read; `moved` when
 * rotation went on meanwhile and another file has this name now.
 */
async function openAt(file: Rotated, place: Place | null, buffer: Buffer): Promise<Generation | 'moved' | null> {
  const opened = file.packing === 'other' ? null : openRegular(file.path);
  if (opened?.kind !== 'open') return opened?.why === 'absent' ? 'moved' : null;
  const { fd, status } = opened;
  if (status.ino !== file.status.ino || status.dev !== file.status.dev) {
    closeSync(fd);
    return 'moved';
  }
  if (file.packing === 'gzip') return Archive.open(fd, status, place);
  if (place === null) return OpenFile.fromStart(fd, status, buffer);
  const found = OpenFile.fromPlace(fd, status, buffer, place);
  if (!found) closeSync(fd);
  return found;
}

/** True when all that was read up to one of the places stands in the file. */
async function holdsAny(file: Rotated, places: readonly Place[], buffer: Buffer): Promise<boolean | 'moved'> {
  const telling = places.filter((place) => place.offset > 0);
  if (file.packing === 'none') return plainHoldsAny(file, telling);
  for (const place of telling) {
    const found = await openAt(file, place, buffer);
    if (found === 'moved') return 'moved';
    found?.close();
    if (found) return true;
  }
  return false;
}

function plainHoldsAny(file: Rotated, places: readonly Place[]): boolean | 'moved' {
  const opened = openRegular(file.path);
  if (opened.kind === 'refused') return opened.why === 'absent' ? 'moved' : false;
  const { fd, status } = opened;
  const isSame = status.ino === file.status.ino && status.dev === file.status.dev;
  const holds = isSame && places.some((place) => status.size >= place.offset && hasContentOf(fd, place));
  closeSync(fd);
  return isSame ? holds : 'moved';
}
