// Where the older generations of a log are: files beside it whose names are its name with a number
// or a date. Names only tell where to look; content tells what is what.

import { lstatSync, readdirSync } from 'node:fs';
import { type BytePath, directoryOf, join, nameOf, onDisk } from './byte-path.ts';
import { type Identity, isSameFile, type Status, statusOf } from './disk.ts';

export interface Rotated {
  readonly path: BytePath;
  readonly status: Status;
  readonly packing: Packing;
}

export type Packing = 'none' | 'gzip' | 'other';

/** A rotation takes a moment; two looks at the same names within it are not hard to get. */
const MAX_LOOKS = 50;

const MARK = String.raw`(?:[._-]\d[\dT:._+-]*|[._-](?:old|prev|bak))`;
const PACKED = String.raw`(?:\.(?:gz|z|bz2|xz|zst|lz4))?`;
const SUFFIX = new RegExp(`^(?:${MARK}${PACKED}|\\.gz)$`, 'i');
const INFIX = new RegExp(`^[._-]\\d[\\dT:._+-]*$`, 'i');
const COMPRESSED = /\.(?:gz|z|bz2|xz|zst|lz4)$/i;

/** `app.log` → `app.log.1`, `app.log-20260102.gz`, `app.log.old`. */
export function hasRotationSuffix(name: BytePath, base: BytePath): boolean {
  return name.length > base.length && name.startsWith(base) && SUFFIX.test(name.slice(base.length));
}

/** The name a rotated file had when it was written to: `app.log.1` → `app.log`; null when it has no such suffix. */
export function baseOfRotated(name: BytePath): BytePath | null {
  const base = name.replace(new RegExp(`(?:${MARK}${PACKED}|\\.gz)$`, 'i'), '');
  return base === name ? null : base;
}

/** Also `app.log` → `app-20260102.log`, `app.1.log.gz`. */
export function isRotatedName(name: BytePath, base: BytePath): boolean {
  if (hasRotationSuffix(name, base)) return true;
  const dot = base.lastIndexOf('.');
  if (dot <= 0) return false;
  const plain = name.replace(COMPRESSED, '');
  const extension = base.slice(dot);
  if (!plain.startsWith(base.slice(0, dot)) || !plain.endsWith(extension)) return false;
  return INFIX.test(plain.slice(dot, plain.length - extension.length));
}

export function packingOf(name: BytePath): Packing {
  if (!COMPRESSED.test(name)) return 'none';
  return /\.gz$/i.test(name) ? 'gzip' : 'other';
}

/** Older generations of `path`, oldest first. A compressed one whose plain form still stands there is left out. */
export function rotatedFiles(path: BytePath): Rotated[] {
  // A directory that is being renamed in may show a file twice, or not at all: look until two looks agree.
  let files = listRotated(path);
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const again = listRotated(path);
    if (fingerprint(again) === fingerprint(files)) break;
    files = again;
  }
  return files;
}

function fingerprint(files: readonly Rotated[]): string {
  return files.map(({ path, status }) => `${path}\0${status.ino}`).join('\0');
}

function listRotated(path: BytePath): Rotated[] {
  const directory = directoryOf(path);
  const names = list(directory).filter((name) => isRotatedName(name, nameOf(path)));
  const present = new Set(names);
  return names
    .filter((name) => packingOf(name) === 'none' || !present.has(name.replace(COMPRESSED, '')))
    .map((name) => describe(join(directory, name)))
    .filter((found) => found !== null)
    .map((file) => ({ file, number: numberOf(file.path), date: dateOf(file.path) }))
    .sort(olderFirst)
    .map(({ file }) => file);
}

/** Regular files in the directory of `path` that are this one, under whatever name. */
export function namesOf(path: BytePath, file: Identity): Rotated[] {
  const directory = directoryOf(path);
  return list(directory)
    .map((name) => describe(join(directory, name)))
    .filter((found) => found !== null)
    .filter(({ status }) => isSameFile(status, file));
}

function list(directory: BytePath): BytePath[] {
  try {
    return readdirSync(onDisk(directory), { encoding: 'latin1' });
  } catch {
    // Gone or closed to us: whoever opens the log itself will find out and say so.
    return [];
  }
}

function describe(path: BytePath): Rotated | null {
  try {
    const stats = lstatSync(onDisk(path));
    return stats.isFile() ? { path, status: statusOf(stats), packing: packingOf(path) } : null;
  } catch {
    return null;
  }
}

interface Named {
  readonly file: Rotated;
  readonly number: number | null;
  readonly date: readonly number[] | null;
}

/**
 * `.2` is older than `.1`, and a later date newer, whatever their times say: a slow writer may have come back to the
 * older one. Everything else is ordered by its last write.
 */
function olderFirst(a: Named, b: Named): number {
  if (a.number !== null && b.number !== null) return b.number - a.number;
  const dates = compareDates(a.date, b.date);
  if (dates !== 0) return dates;
  return a.file.status.mtimeMs - b.file.status.mtimeMs || (a.file.path < b.file.path ? -1 : 1);
}

/** The numbers of a name that has a time in it, year first: `app.log-20260102`, `app-2026-01-02.3.log`, `app.log.1767225600`; else null. */
function dateOf(path: BytePath): readonly number[] | null {
  const match = /[._-]((?:(?:19|20)\d\d[._-]\d\d|\d{6})[\dT:._+-]*?)(?:\.[a-z]\w*)*$/i.exec(nameOf(path));
  return match?.[1]?.match(/\d+/g)?.map(Number) ?? null;
}

function compareDates(a: readonly number[] | null, b: readonly number[] | null): number {
  if (!a || !b) return 0;
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const order = (a[at] ?? -1) - (b[at] ?? -1);
    if (order !== 0) return order;
  }
  return 0;
}

function numberOf(path: BytePath): number | null {
  const match = /\.(\d{1,5})$/.exec(path.replace(COMPRESSED, ''));
  return match?.[1] ? Number(match[1]) : null;
}
