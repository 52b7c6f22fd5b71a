// Finding what we have not read among the files that rotation left behind. Content decides: a file is
// ours if it holds what we read before, and unread if it holds nothing that we know.

import { closeSync } from 'node:fs';
import { Archive } from './archive.ts';
import { type BytePath, shown } from './byte-path.ts';
import { openRegular, type Status } from './disk.ts';
import { type Generation, OpenFile } from './generation.ts';
import { lastPlace, type Place, readFully } from './place.ts';
import { filesWithInode, type Rotated, rotatedFiles } from './rotation.ts';

/** What must not be read again. */
export interface Known {
  readonly history: readonly Place[];
  /** File system time in ms: files not changed since then were dealt with. */
  readonly floor: number;
  /** Files that are open already, and the live one. */
  readonly isOpen: (status: Status) => boolean;
}

export type Unread =
  | { readonly kind: 'found'; readonly generation: Generation }
  | { readonly kind: 'unreadable'; readonly path: BytePath; readonly reason: string }
  | { readonly kind: 'none' };

/** The file that holds what was read of `path` up to `place`, whatever it is called now; null when there is none. */
export async function findContent(path: BytePath, place: Place, buffer: Buffer): Promise<Generation | null> {
  const rotated = rotatedFiles(path);
  const sameInode = rotated.filter(({ status }) => status.ino === place.ino && status.dev === place.dev);
  for (const file of sameInode) {
    const found = await openAt(file, place, buffer);
    if (found) return found;
  }
  for (const other of filesWithInode(path, place.dev, place.ino)) {
    const found = other.path === path ? null : await openAt(other, place, buffer);
    if (found) return found;
  }
  // Under another inode only content can tell, and nothing read means nothing to tell by.
  if (place.offset === 0) return null;
  for (const file of rotated) {
    const found = await openAt(file, place, buffer);
    if (found) return found;
  }
  return null;
}

/** The oldest rotated generation of which nothing was read. */
export async function nextUnread(path: BytePath, known: Known, buffer: Buffer): Promise<Unread> {
  for (const file of rotatedFiles(path)) {
    if (file.status.size === 0 || file.status.mtimeMs < known.floor || known.isOpen(file.status)) continue;
    if (file.packing === 'other') {
      return { kind: 'unreadable', path: file.path, reason: `${shown(file.path)} is packed in a form we cannot read` };
    }
    if (await holdsAny(file, known.history, buffer)) continue;
    const generation = await openAt(file, null, buffer);
    if (generation) return { kind: 'found', generation };
  }
  return { kind: 'none' };
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

/** Opens a file at a place, or at its start; null when it cannot be opened or does not hold what was read. */
async function openAt(file: Rotated, place: Place | null, buffer: Buffer): Promise<Generation | null> {
  const opened = file.packing === 'other' ? null : openRegular(file.path);
  if (opened?.kind !== 'open') return null;
  const { fd, status } = opened;
  if (file.packing === 'gzip') return Archive.open(fd, status, place);
  if (place === null) return OpenFile.fromStart(fd, status, buffer);
  const found = OpenFile.fromPlace(fd, status, buffer, place);
  if (!found) closeSync(fd);
  return found;
}

async function holdsAny(file: Rotated, places: readonly Place[], buffer: Buffer): Promise<boolean> {
  for (const place of places) {
    if (place.offset === 0) continue;
    const found = await openAt(file, place, buffer);
    found?.close();
    if (found) return true;
  }
  return false;
}
