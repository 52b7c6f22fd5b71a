// Keeping the files: copies now and then, room put aside for the moment when the disk is full, and
// what to do with a file that is damaged.

import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { StoreError, VALUE_KEYS, type Pause, type Store } from './contract.ts';
import { backupFile, damageOf } from './file.ts';
import { EVENTS_FILE, JOURNAL_FILE, openStore } from './open.ts';

interface Folder {
  readonly directory: string;
  readonly clock: Clock;
}

/**
 * The store, for the daemon: every page is read first, and files that are damaged are set aside by `quarantineStore`.
 * `moved` names what was; empty when all was sound. Throws what `openStore` throws, except `corrupt` that this mends.
 */
export async function openSoundStore(folder: Folder): Promise<Quarantined> {
  try {
    return { store: await openStore({ ...folder, verify: true }), moved: [] };
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error;
    return quarantineStore(folder);
  }
}

export interface Quarantined {
  readonly store: Store;
  /** Paths in `quarantine/`. */
  readonly moved: readonly string[];
}

/**
 * Moves damaged files (with their `-wal` and `-shm`) into `quarantine/` and opens a fresh store beside them. All acting
 * is paused until a person resumes: nobody knows what was half done, or how often it was tried. Nothing is deleted.
 */
export async function quarantineStore({ directory, clock }: Folder): Promise<Quarantined> {
  const moved: string[] = [];
  for (const file of [EVENTS_FILE, JOURNAL_FILE]) {
    if (!existsSync(join(directory, file)) || damageOf(join(directory, file)) === null) continue;
    moved.push(...(await setAside(directory, file, clock.now())));
  }
  const store = await openStore({ directory, clock });
  if (moved.length > 0) await store.setValue(VALUE_KEYS.pause, lostMemory(clock.now(), moved));
  return { store, moved };
}

const lostMemory = (at: number, moved: readonly string[]): Pause => ({
  by: 'selfheal',
  at,
  reason: `its memory was damaged and set aside (${moved[0]}): check by hand what was under way, then resume`,
});

async function setAside(directory: string, file: string, at: number): Promise<readonly string[]> {
  const folder = join(directory, 'quarantine');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const moved: string[] = [];
  for (const suffix of ['', '-wal', '-shm']) {
    const from = join(directory, `${file}${suffix}`);
    if (!existsSync(from)) continue;
    const to = join(folder, `${at}-${file}${suffix}`);
    await rename(from, to);
    moved.push(to);
  }
  return moved;
}

/** What is wrong with each file of the store; null where it is sound. Reads every page; others may write meanwhile. */
export async function examineStore(directory: string): Promise<Readonly<Record<string, string | null>>> {
  const found: Record<string, string | null> = {};
  for (const file of [EVENTS_FILE, JOURNAL_FILE]) {
    const path = join(directory, file);
    found[file] = existsSync(path) ? damageOf(path) : null;
  }
  return found;
}

/** Writes a consistent copy of both files to `backups/` and keeps the newest `keep` of each (default 7). */
export async function backUpStore({ directory, clock, keep = 7 }: Folder & { readonly keep?: number }): Promise<void> {
  for (const file of [EVENTS_FILE, JOURNAL_FILE]) {
    await backupFile(join(directory, file), String(clock.now()));
    await dropOldest(join(directory, 'backups'), file.replace('.db', '-'), keep);
  }
}

/** When the last whole copy was made, in epoch milliseconds; 0 when there is none. */
export async function lastBackUpAt(directory: string): Promise<number> {
  // The journal is copied last: when it is there, both are.
  return (await timedCopies(join(directory, 'backups'), JOURNAL_FILE.replace('.db', '-')))[0]?.at ?? 0;
}

async function dropOldest(folder: string, prefix: string, keep: number): Promise<void> {
  for (const { name } of (await timedCopies(folder, prefix)).slice(keep)) await rm(join(folder, name), { force: true });
}

/** Newest first. Only timed copies are counted, not those made before a migration (`-vN-`), which stay. */
async function timedCopies(
  folder: string,
  prefix: string,
): Promise<readonly { readonly name: string; readonly at: number }[]> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  return names
    .filter((name) => name.startsWith(prefix))
    .map((name) => ({ name, at: Number(name.slice(prefix.length, -'.db'.length)) }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => b.at - a.at);
}

/**
 * Removes what *hands* kept to undo plans that ended before `before` (epoch milliseconds): they cannot be taken back
 * any more. Plans that are open, or that nobody knows, are left alone. Returns the plans whose folders went.
 */
export async function pruneSnapshots(directory: string, store: Store, before: number): Promise<readonly string[]> {
  const folder = join(directory, 'snapshots');
  const open = new Set(await store.openPlans());
  const gone: string[] = [];
  for (const plan of existsSync(folder) ? await readdir(folder) : []) {
    const last = (await store.journal(plan)).at(-1);
    if (open.has(plan) || last?.phase !== 'finished' || last.at >= before) continue;
    await rm(join(folder, plan), { recursive: true, force: true });
    gone.push(plan);
  }
  return gone;
}

const BALLAST_BYTES = 8 * 1024 * 1024;
/** Taken back only when there is plenty: ballast must never be what fills the disk. */
const BALLAST_NEEDS_BYTES = 8 * BALLAST_BYTES;

/** Puts 8 MiB aside in the state folder when there is room. Returns false when there is not. */
export async function keepBallast(directory: string): Promise<boolean> {
  const path = join(directory, 'ballast');
  const size = await stat(path).then(
    (status) => status.size,
    () => 0,
  );
  if (size >= BALLAST_BYTES) return true;
  const room = await statfs(directory);
  if (room.bavail * room.bsize < BALLAST_NEEDS_BYTES) return false;
  // Written out, not sparse: only real blocks can be given back.
  await writeFile(path, Buffer.alloc(BALLAST_BYTES, 0x5a), { mode: 0o600 });
  return true;
}

/** Gives the ballast up after a `full` error, so that the last words can still be stored. True when there was some. */
export async function dropBallast(directory: string): Promise<boolean> {
  const path = join(directory, 'ballast');
  if (!existsSync(path)) return false;
  await rm(path, { force: true });
  return true;
}
