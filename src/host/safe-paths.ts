// How we reach a file without being led astray: through a handle on its folder, opened name by name from the root without
// following a single link, so that nobody can swap a folder for a link under us. And how we look at what stands there.

import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises';
import { EffectError } from './contract.ts';

/** Text is UTF-8. A Buffer is for names that are not (a repository may hold any bytes). */
export type FilePath = string | Buffer;

/** O_PATH of open(2): a handle to pass through, good without read permission. Not among Node's constants. */
export const O_PATH = 0o10000000;
const PASS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** O_NONBLOCK: a FIFO in the place of a file must not hang a thread of the pool for ever. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const MAX_BYTES = 256 * 1024 * 1024;

// ---------------------------------------------------------------- folders

/** A folder held open. Its entries are addressed through the handle, so renaming folders above cannot redirect us. */
export interface Folder {
  entry(name: Buffer): Buffer;
  /** Makes the names in this folder durable. */
  sync(): Promise<void>;
}

/** Opens the folder of `path` component by component, refusing links, and closes it after `use`. */
export async function withParent<T>(path: FilePath, use: (folder: Folder, name: Buffer) => Promise<T>): Promise<T> {
  const parts = components(path);
  const name = parts.pop();
  if (!name) throw new EffectError('refused', 'a folder is not a file: /');
  return withFolderOf(parts, path, (folder) => use(folder, name));
}

/** Opens the folder `path` itself, refusing links on the way and at its end. */
export async function withFolder<T>(path: FilePath, use: (folder: Folder) => Promise<T>): Promise<T> {
  return withFolderOf(components(path), path, use);
}

async function withFolderOf<T>(
  parts: readonly Buffer[],
  path: FilePath,
  use: (folder: Folder) => Promise<T>,
): Promise<T> {
  let handle = await open('/', PASS);
  try {
    for (const part of parts) {
      const next = await open(below(handle, part), PASS);
      await handle.close();
      handle = next;
    }
  } catch (error) {
    await handle.close();
    throw pathError(error, path);
  }
  try {
    return await use({ entry: (name) => below(handle, name), sync: () => syncFolder(handle) });
  } finally {
    await handle.close();
  }
}

function below(handle: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${handle.fd}/`), name]);
}

/** The handle we pass through cannot be flushed: a second one on the same folder can, where we may read it. */
async function syncFolder(handle: FileHandle): Promise<void> {
  const readable = await open(below(handle, Buffer.from('.')), constants.O_RDONLY | constants.O_DIRECTORY).catch(
    () => null,
  );
  try {
    await readable?.sync();
  } finally {
    await readable?.close();
  }
}

/** Names of an absolute path. A path of a plan is canonical: dots and NULs have no business in it. */
function components(path: FilePath): Buffer[] {
  const text = Buffer.isBuffer(path) ? path.toString('latin1') : Buffer.from(path).toString('latin1');
  const parts = text.split('/').filter((part) => part !== '');
  if (!text.startsWith('/') || text.includes('\0') || parts.some((part) => part === '.' || part === '..'))
    throw new EffectError('refused', `not a plain absolute path: ${shown(path)}`);
  return parts.map((part) => Buffer.from(part, 'latin1'));
}

export function pathError(error: unknown, path: FilePath): EffectError {
  const code = codeOf(error);
  if (code === 'ENOENT') return new EffectError('precondition', `the folder of ${shown(path)} is gone`);
  if (code === 'ENOTDIR' || code === 'ELOOP')
    return new EffectError('refused', `a link or a file stands where the folder of ${shown(path)} should be`);
  return new EffectError('failed', `cannot reach ${shown(path)}: ${code ?? String(error)}`, { cause: error });
}

export function shown(path: FilePath): string {
  return path.toString();
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

// ---------------------------------------------------------------- looking

/** What stands under a name. `unfit`: something there that we do not read or replace, with the reason. */
export type Found =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly content: Buffer; readonly sha256: string; readonly stats: Stats }
  | { readonly kind: 'link'; readonly target: Buffer; readonly stats: Stats }
  | { readonly kind: 'unfit'; readonly reason: string };

export interface ReadOptions {
  /** Most bytes taken. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Names the file may have. Default 1: a second name could be anybody's. */
  readonly maxLinks?: number;
}

/** Reads a file of an effect. A missing folder on the way reads as absent; a link on the way throws. */
export async function readSafely(path: FilePath, options: ReadOptions = {}): Promise<Found> {
  try {
    return await withParent(path, (folder, name) => readEntry(folder.entry(name), options));
  } catch (error) {
    if (error instanceof EffectError && error.code === 'precondition') return { kind: 'absent' };
    throw error;
  }
}

/** The same for a path that is safe already, or of which only the last name matters. */
export async function readEntry(path: FilePath, options: ReadOptions = {}): Promise<Found> {
  let handle: FileHandle;
  try {
    handle = await open(path, READ);
  } catch (error) {
    return notOpened(path, error);
  }
  try {
    const stats = await handle.stat();
    const flaw = flawOf(stats, options);
    if (flaw) return { kind: 'unfit', reason: flaw };
    const content = await handle.readFile();
    return { kind: 'file', content, sha256: sha256Of(content), stats };
  } finally {
    await handle.close();
  }
}

async function notOpened(path: FilePath, error: unknown): Promise<Found> {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
  if (code !== 'ELOOP') return { kind: 'unfit', reason: `cannot be read (${code ?? String(error)})` };
  const [target, stats] = await Promise.all([readlink(path, { encoding: 'buffer' }), lstat(path)]);
  return { kind: 'link', target, stats };
}

function flawOf(stats: Stats, { maxBytes = MAX_BYTES, maxLinks = 1 }: ReadOptions): string | null {
  if (!stats.isFile()) return 'is not a regular file';
  if (stats.nlink > maxLinks) return 'has a second name elsewhere';
  return stats.size > maxBytes ? `is larger than ${maxBytes} bytes` : null;
}

export function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** lstat, or null when nothing is there. */
export async function lookAt(path: FilePath): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
