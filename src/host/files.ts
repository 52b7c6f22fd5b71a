// The read-only view of the file system that fixes get. Links are never followed, devices never opened, and
// what cannot be read is an answer, not an exception.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, lstat, open, readdir, realpath, statfs } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import picomatch from 'picomatch';
import type { FileProbe, FileStatus } from './contract.ts';
import { parseConfig } from './parse.ts';
import { codeOf, readEntry } from './safe-files.ts';

const DEFAULT_TEXT_BYTES = 1024 * 1024;
const HASH_CHUNK = 1024 * 1024;
const MAX_MATCHES = 10_000;
/** A pattern over a huge tree must end some time: entries looked at, matching or not. */
const MAX_VISITED = 200_000;

/** Looks and changes nothing. */
export function createFileProbe(): FileProbe {
  return { status: statusOf, text: textOf, sha256: hashOf, inside, list, glob, parse: parseConfig, room: roomOf };
}

async function statusOf(path: string): Promise<FileStatus> {
  try {
    const s = await lstat(path);
    const kind = s.isFile() ? 'file' : s.isDirectory() ? 'directory' : s.isSymbolicLink() ? 'symlink' : 'other';
    return {
      kind,
      bytes: s.size,
      mode: s.mode & 0o7777,
      uid: s.uid,
      gid: s.gid,
      inode: s.ino,
      links: s.nlink,
      modifiedAt: s.mtimeMs,
    };
  } catch (error) {
    const absent = codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
    const nothing = { bytes: 0, mode: 0, uid: -1, gid: -1, inode: 0, links: 0, modifiedAt: 0 };
    return { kind: absent ? 'absent' : 'denied', ...nothing };
  }
}

async function textOf(path: string, maxBytes = DEFAULT_TEXT_BYTES): Promise<string | null> {
  const found = await readEntry(path, { maxBytes }).catch(() => null);
  return found?.kind === 'file' ? found.content.toString('utf8') : null;
}

/** In pieces: a state file may be larger than we want to hold. */
async function hashOf(path: string): Promise<string | null> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);
  if (!handle) return null;
  try {
    const status = await handle.stat();
    if (!status.isFile() || status.nlink !== 1) return null;
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(Math.min(HASH_CHUNK, status.size + 1));
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, piece.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, bytesRead));
    }
  } catch {
    return null;
  } finally {
    await handle.close();
  }
}

/** A name that does not exist yet is inside when its folder is. A link that leads nowhere is not. */
async function inside(root: string, path: string): Promise<string | null> {
  if (path === '' || path.includes('\0') || !isAbsolute(root)) return null;
  const base = await canonical(root);
  const wanted = resolve(root, path);
  const real = (await canonical(wanted)) ?? (await canonicalOfAbsent(wanted));
  if (base === null || real === null) return null;
  return real === base || real.startsWith(base === '/' ? '/' : `${base}/`) ? real : null;
}

async function canonical(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

async function canonicalOfAbsent(path: string): Promise<string | null> {
  if ((await statusOf(path)).kind !== 'absent') return null;
  const folder = await canonical(dirname(path));
  return folder === null ? null : join(folder, basename(path));
}

async function list(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.sort();
}

async function glob(root: string, patterns: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  const budget = { visits: MAX_VISITED };
  for (const pattern of patterns) {
    if (found.size >= MAX_MATCHES || pattern.split('/').includes('..') || isAbsolute(pattern)) continue;
    await globOne(root, pattern, found, budget);
  }
  return [...found].sort();
}

async function globOne(root: string, pattern: string, found: Set<string>, budget: { visits: number }): Promise<void> {
  const { base } = picomatch.scan(pattern);
  const matches = picomatch(pattern, { dot: true });
  const deepest = pattern.includes('**') ? Number.POSITIVE_INFINITY : pattern.split('/').length;
  const waiting = [picomatch.scan(pattern).isGlob ? base : dirname(base).replace(/^\.$/, '')];
  if ((await inside(root, waiting[0] || '.')) !== join(await realpath(root).catch(() => root), waiting[0] as string))
    return;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])) {
      if (--budget.visits < 0 || found.size >= MAX_MATCHES) return;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isFile() && matches(path)) found.add(join(root, path));
      if (entry.isDirectory() && path.split('/').length < deepest) waiting.push(path);
    }
  }
}

async function roomOf(path: string): Promise<Awaited<ReturnType<FileProbe['room']>>> {
  try {
    const s = await statfs(path);
    const readOnly = await access(path, constants.W_OK).then(
      () => false,
      (error: unknown) => codeOf(error) === 'EROFS',
    );
    return {
      freeBytes: s.bavail * s.bsize,
      totalBytes: s.blocks * s.bsize,
      freeInodes: s.ffree,
      totalInodes: s.files,
      readOnly,
    };
  } catch {
    return null;
  }
}
