// Opening a log without being fooled: only regular files, never blocking on a pipe or a device,
// and never through a link by which another user could show us a file that is not his.

import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join, onDisk, directoryOf, type BytePath } from './byte-path.ts';

/** What tells one file from another, and how far it goes. Times are milliseconds of the file system's clock. */
export interface Status {
  readonly dev: number;
  readonly ino: number;
  /** When the file was made; 0 where the file system does not know. Inodes are used again, this moment is not. */
  readonly birthMs: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly links: number;
}

export type Refusal = 'absent' | 'denied' | 'not-a-file' | 'foreign-link' | 'link-loop' | 'failed';

export type Opened =
  | { readonly kind: 'open'; readonly fd: number; readonly status: Status; readonly throughLink: boolean }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly reason: string };

/** The kernel's own limit for links in one path (path_resolution(7)). */
const MAX_LINKS = 40;
/** Rotation can exchange a file between our look and our opening, but hardly so often in a row. */
const MAX_TRIES = 5;
// A writer's terminal must not become ours, a pipe must not hold us, a link was resolved before.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;

/**
 * Opens a regular file for reading. Links are followed only when they belong to root, to us, or to the
 * owner of what they lead to. The caller closes `fd`.
 */
export function openRegular(path: BytePath): Opened {
  for (let tries = 1; ; tries += 1) {
    const opened = tryOpening(path);
    if (opened !== 'exchanged') return opened;
    if (tries === MAX_TRIES) return refused('failed', 'the file was exchanged while it was being opened');
  }
}

function tryOpening(path: BytePath): Opened | 'exchanged' {
  try {
    const target = resolve(path);
    if (target.kind === 'refused') return target;
    if (!target.stats.isFile()) return refused('not-a-file', 'not a regular file');
    return openResolved(target);
  } catch (error) {
    return refusalOf(error);
  }
}

export function statusOf(stats: Stats): Status {
  const { dev, ino, birthtimeMs: birthMs, size, mtimeMs, nlink: links } = stats;
  return { dev, ino, birthMs, size, mtimeMs, links };
}

/** What tells one file from all others that are there, or were. */
export interface Identity {
  readonly dev: number;
  readonly ino: number;
  readonly birthMs: number;
}

export function isSameFile(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.dev === b.dev && (a.birthMs === b.birthMs || a.birthMs === 0 || b.birthMs === 0);
}

interface Target {
  readonly kind: 'target';
  readonly path: BytePath;
  readonly stats: Stats;
  readonly linkOwners: ReadonlySet<number>;
}

function openResolved(target: Target): Opened | 'exchanged' {
  const fd = openSync(onDisk(target.path), FLAGS);
  const stats = fstatSync(fd);
  const trusted = [...target.linkOwners].every((uid) => uid === 0 || uid === process.geteuid?.() || uid === stats.uid);
  if (stats.isFile() && trusted && stats.ino === target.stats.ino && stats.dev === target.stats.dev) {
    return { kind: 'open', fd, status: statusOf(stats), throughLink: target.linkOwners.size > 0 };
  }
  closeSync(fd);
  if (!trusted) return refused('foreign-link', 'a link leads to a file of another user');
  return 'exchanged';
}

/** The path without links, and who owns the links that were on the way. */
function resolve(path: BytePath): Target | Extract<Opened, { kind: 'refused' }> {
  const linkOwners = new Set<number>();
  const rest = path.split('/').filter(isStep);
  let done: BytePath = '/';
  let stats = lstatSync('/');
  let links = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = part === '..' ? directoryOf(done) : join(done, part);
    stats = lstatSync(onDisk(next));
    if (!stats.isSymbolicLink()) {
      done = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return refused('link-loop', 'a loop of links');
    linkOwners.add(stats.uid);
    const target = readlinkSync(onDisk(next), 'latin1');
    rest.unshift(...target.split('/').filter(isStep));
    if (target.startsWith('/')) done = '/';
  }
  return { kind: 'target', path: done, stats, linkOwners };
}

function isStep(part: string): boolean {
  return part !== '' && part !== '.';
}

function refused(why: Refusal, reason: string): Extract<Opened, { kind: 'refused' }> {
  return { kind: 'refused', why, reason };
}

const REFUSALS: Readonly<Record<string, readonly [Refusal, string]>> = {
  ENOENT: ['absent', 'does not exist'],
  ENOTDIR: ['absent', 'does not exist'],
  EACCES: ['denied', 'permission denied'],
  EPERM: ['denied', 'permission denied'],
  ELOOP: ['link-loop', 'a loop of links'],
  ENXIO: ['not-a-file', 'not a regular file'],
  EMFILE: ['failed', 'too many open files'],
  ENFILE: ['failed', 'too many open files on this machine'],
};

/** What a failed system call means for a reader. Throws what is not a system error: that is a bug. */
export function refusalOf(error: unknown): Extract<Opened, { kind: 'refused' }> {
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code !== 'string') throw error;
  const [why, reason] = REFUSALS[code] ?? ['failed', `cannot be read (${code})`];
  return refused(why, reason);
}

/** Changes whenever names in the directory change, as far as its clock can tell; empty when there is none. */
export function describeDirectory(directory: BytePath): string {
  try {
    const { dev, ino, mtimeMs } = statSync(onDisk(directory));
    return `${dev}:${ino}:${mtimeMs}`;
  } catch {
    return '';
  }
}
