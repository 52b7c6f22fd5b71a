// Locks that hold across everything of one user on this host that heals: two daemons with state folders of their own know
// nothing of each other's stores. Each is a held SQLite lock on a file in a folder that nobody else may write, so that
// no other user can stop our healing by taking it first, and the kernel gives it back however its holder dies.

import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { take } from './daemon-lock.ts';
import type { RawDatabase } from './sqlite.ts';

/** Releases what was taken. */
export type Release = () => Promise<void>;

/** A connection that is collected as garbage would give its lock back. */
const held = new Set<RawDatabase>();

/**
 * Takes one resource for this process; null when another process of this user has it. Where there is no folder that is
 * ours alone nobody is asked, and the locks in the store are all there is.
 *
 * @example
 * const release = await lockOnHost('path:/srv/agent');
 * if (release === null) console.log('somebody else is at it');
 */
export async function lockOnHost(
  resource: string,
  folders: readonly string[] = lockFolders(),
): Promise<Release | null> {
  const folder = await firstOwn(folders);
  if (folder === null) return async () => {};
  const name = createHash('sha256').update(resource).digest('hex').slice(0, 40);
  const database = take(join(folder, `${name}.db`), 'exclusive');
  if (database === null) return null;
  held.add(database);
  return async () => {
    if (!held.delete(database)) return;
    database.exec('rollback');
    database.close();
  };
}

/** The same for every daemon of this user, whatever its environment says. */
function lockFolders(): readonly string[] {
  const { uid, homedir } = userInfo();
  return uid === 0
    ? ['/run/selfheal', '/var/lib/selfheal/locks']
    : [`/run/user/${uid}/selfheal`, join(homedir, '.local/state/selfheal/locks')];
}

async function firstOwn(folders: readonly string[]): Promise<string | null> {
  for (const folder of folders) if (await isOwn(folder)) return folder;
  return null;
}

/** A folder, no link, of this user, that nobody else may write. Made when it is missing. */
async function isOwn(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const status = await lstat(folder);
    return status.isDirectory() && status.uid === process.getuid?.() && (status.mode & 0o022) === 0;
  } catch {
    return false;
  }
}
