// Moves entries into a live folder, and others out of it, so that any crash in between can be gone
// on from or taken back: the list of moves is on disk before the first of them.

import { chown, cp, lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EffectError } from './contract.ts';

/** One entry, known by its inode: a rename keeps it, so nobody else's file is ever mistaken for ours. */
export interface MovedEntry {
  /** Below the live folder. */
  readonly path: string;
  readonly inode: number;
}

/** Moves that belong together. `out` first, then `into`; undo goes the other way. */
export interface Swap {
  /** Folder that is changed. */
  readonly live: string;
  /** Private folder on the same file system, for what comes and what goes. Gone when all is done. */
  readonly staging: string;
  /** Folder below `staging` that mirrors `live` and holds what goes in. */
  readonly incoming: string;
  /** Where what goes out is moved to; on the file system of `live`. */
  readonly gone: string;
  readonly out: readonly MovedEntry[];
  readonly into: readonly MovedEntry[];
}

const MANIFEST = 'swap.json';

export async function readSwap(snapshotDirectory: string): Promise<Swap | null> {
  try {
    return JSON.parse(await readFile(join(snapshotDirectory, MANIFEST), 'utf8')) as Swap;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Makes the list durable. What goes out will be moved into the snapshot folder; where that is another file system, a
 * copy is laid there now. Nothing live has been touched yet.
 */
export async function prepareSwap(plan: Omit<Swap, 'gone'>, snapshotDirectory: string): Promise<Swap> {
  const kept = keptPath(snapshotDirectory);
  const swap: Swap = {
    ...plan,
    gone: (await canMove(plan.staging, snapshotDirectory)) ? kept : join(plan.staging, 'gone'),
  };
  await rm(kept, { recursive: true, force: true });
  if (swap.gone !== kept) for (const { path } of swap.out) await copyEntry(join(swap.live, path), join(kept, path));
  await writeDurably(join(snapshotDirectory, MANIFEST), JSON.stringify(swap));
  return swap;
}

/** Tried, not computed: two mounts of one file system look alike and still refuse a rename. */
async function canMove(from: string, to: string): Promise<boolean> {
  const [here, there] = [join(from, 'try'), join(to, 'try')];
  await rm(here, { force: true });
  await (await open(here, 'w')).close();
  try {
    await rename(here, there);
    return true;
  } catch {
    return false;
  } finally {
    await rm(there, { force: true });
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(`${path}.new`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(dirname(path));
}

function keptPath(snapshotDirectory: string): string {
  return join(snapshotDirectory, 'kept');
}

/** Carries out what is left to do of a prepared swap. Stops between two moves when the signal aborts. */
export async function performSwap(swap: Swap, signal?: AbortSignal): Promise<void> {
  for (const entry of swap.out) {
    stopIfAborted(signal);
    if ((await inodeOf(join(swap.live, entry.path))) !== entry.inode) continue;
    await moveInto(join(swap.live, entry.path), join(swap.gone, entry.path));
  }
  for (const entry of swap.into) {
    stopIfAborted(signal);
    const target = join(swap.live, entry.path);
    const there = await inodeOf(target);
    if (there === entry.inode) continue;
    if (there !== null) throw new EffectError('failed', `${target} appeared while it was about to be installed`);
    await rename(join(swap.incoming, entry.path), target);
  }
  await syncParents(swap);
  await rm(swap.staging, { recursive: true, force: true });
}

function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EffectError('timeout', 'stopped between two moves');
}

/** True when every entry is where the swap wants it and nothing is left in between. */
export async function isSwapped(swap: Swap): Promise<boolean> {
  if ((await inodeOf(swap.staging)) !== null) return false;
  for (const entry of swap.into) if ((await inodeOf(join(swap.live, entry.path))) !== entry.inode) return false;
  return true;
}

/** Takes back what was done of a swap, from any state. What is not ours by its inode stays. */
export async function revertSwap(swap: Swap, snapshotDirectory: string): Promise<void> {
  await mkdir(swap.staging, { recursive: true, mode: 0o700 });
  for (const entry of [...swap.into].reverse()) {
    const target = join(swap.live, entry.path);
    if ((await inodeOf(target)) === entry.inode) await moveInto(target, join(swap.staging, 'undone', entry.path));
  }
  for (const entry of [...swap.out].reverse()) await bringBack(swap, entry, snapshotDirectory);
  await syncParents(swap);
  await rm(swap.staging, { recursive: true, force: true });
  await rm(join(snapshotDirectory, MANIFEST), { force: true });
}

/** The entry itself where it still is in the staging folder, else its copy. Never over something that is there. */
async function bringBack(swap: Swap, entry: MovedEntry, snapshotDirectory: string): Promise<void> {
  const target = join(swap.live, entry.path);
  if ((await inodeOf(target)) !== null) return;
  const gone = join(swap.gone, entry.path);
  if ((await inodeOf(gone)) === entry.inode) return rename(gone, target);
  const fresh = join(swap.staging, 'back', entry.path);
  await rm(fresh, { recursive: true, force: true });
  await copyEntry(join(keptPath(snapshotDirectory), entry.path), fresh);
  await rename(fresh, target);
}

async function moveInto(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true });
  await rename(from, to);
}

async function syncParents(swap: Swap): Promise<void> {
  const parents = new Set([...swap.out, ...swap.into].map(({ path }) => dirname(join(swap.live, path))));
  for (const parent of parents) await syncFolder(parent);
}

/** Makes renames in a folder durable. A folder we may not read is left to the kernel. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

export async function inodeOf(path: string): Promise<number | null> {
  const stats = await lstat(path).catch(() => null);
  return stats?.ino ?? null;
}

/** A copy with content, modes, times and, as root, owners. Links stay links. */
export async function copyEntry(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, errorOnExist: true });
  if (process.getuid?.() === 0) await copyOwners(from, to);
}

async function copyOwners(from: string, to: string): Promise<void> {
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) return;
  if (stats.uid !== 0 || stats.gid !== 0) await chown(to, stats.uid, stats.gid);
  if (!stats.isDirectory()) return;
  for (const name of await readdir(from)) await copyOwners(join(from, name), join(to, name));
}
