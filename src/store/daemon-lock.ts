// One daemon per host: the lock is a held exclusive SQLite transaction, so the kernel frees it when
// the holder dies, however it dies. Pid files alone are wrong after a crash.

import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from './contract.ts';
import { openDatabase, query, type RawDatabase } from './sqlite.ts';

/** Who holds, or last held, the daemon's lock. */
export interface DaemonInfo {
  readonly pid: number;
  /** Start time in clock ticks since boot; with `pid` it names one process for as long as the host runs. */
  readonly startTicks: number;
  /** Epoch milliseconds when the lock was taken. */
  readonly since: number;
}

export type DaemonLock = { readonly release: () => Promise<void> } | { readonly heldBy: DaemonInfo };

/** A connection that is collected as garbage would give the lock back: it is kept here as long as it is held. */
const held = new Set<RawDatabase>();

/**
 * Takes the daemon's lock of a state folder, or tells who has it. Throws `StoreError` when the folder cannot be used.
 *
 * @example
 * const lock = await lockDaemon(config.state);
 * if ('heldBy' in lock) console.error(`already running as pid ${lock.heldBy.pid}`);
 */
export async function lockDaemon(directory: string): Promise<DaemonLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const database = take(join(directory, 'daemon.lock.db'), 'exclusive');
  if (database === null) return { heldBy: (await daemonInfo(directory)) ?? { pid: 0, startTicks: 0, since: 0 } };
  held.add(database);
  await chmod(join(directory, 'daemon.lock.db'), 0o600);
  await writeInfo(directory);
  return {
    release: async () => {
      if (!held.delete(database)) return;
      database.exec('rollback');
      database.close();
    },
  };
}

/** The daemon that runs on this state folder; null when none does. */
export async function runningDaemon(directory: string): Promise<DaemonInfo | null> {
  const path = join(directory, 'daemon.lock.db');
  if (!(await exists(path))) return null;
  const database = take(path, 'shared');
  if (database === null) return daemonInfo(directory);
  database.exec('rollback');
  database.close();
  return null;
}

/** An open connection that holds the lock; null when somebody else does. */
export function take(path: string, strength: 'exclusive' | 'shared'): RawDatabase | null {
  const database = openDatabase(path);
  try {
    // Long enough to outlast somebody who only looks who is running.
    query(database, path, `pragma busy_timeout = ${strength === 'exclusive' ? 300 : 0}`);
    query(database, path, strength === 'exclusive' ? 'begin exclusive' : 'begin');
    query(database, path, 'select count(*) from sqlite_schema');
    return database;
  } catch (error) {
    database.close();
    if (error instanceof StoreError && error.code === 'locked') return null;
    throw error;
  }
}

const infoFile = (directory: string) => join(directory, 'daemon.json');

async function writeInfo(directory: string): Promise<void> {
  const target = infoFile(directory);
  const info = { pid: process.pid, startTicks: startTicksOf(process.pid) };
  await writeFile(`${target}.new`, `${JSON.stringify(info)}\n`, { mode: 0o600 });
  await rename(`${target}.new`, target);
}

async function daemonInfo(directory: string): Promise<DaemonInfo | null> {
  try {
    const target = infoFile(directory);
    const { pid, startTicks } = JSON.parse(await readFile(target, 'utf8')) as DaemonInfo;
    return { pid, startTicks, since: (await stat(target)).mtimeMs };
  } catch {
    return null;
  }
}

/** Field 22 of /proc/PID/stat; 0 where the process is gone. The name in field 2 may hold spaces and brackets. */
export function startTicksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return 0;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
