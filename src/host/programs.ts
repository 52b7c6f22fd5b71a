// Which program a name means: an absolute file on a fixed search path, never one that another
// user could have put there, never one out of the current directory.

import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';

/** Where the system keeps its programs. The search path of everything we start. */
export const SYSTEM_PATH = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
] as const satisfies readonly string[];

/**
 * Absolute path of a program, or null. An absolute name is taken as it is; a bare name is looked for in `path`, where
 * folders and files that others may write to do not count; anything with a slash that is not absolute is refused.
 */
export function findProgram(name: string, path: readonly string[]): string | null {
  if (isAbsolute(name)) return isProgram(name) ? name : null;
  if (name === '' || basename(name) !== name) return null;
  for (const directory of path) {
    if (!isAbsolute(directory)) continue;
    const candidate = join(directory, name);
    if (isProgram(candidate) && isTrusted(candidate) && isTrusted(dirname(candidate))) return candidate;
  }
  return null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Owned by root or by ourselves, and writable by nobody else. */
function isTrusted(file: string): boolean {
  let status: Stats;
  try {
    status = statSync(file);
  } catch {
    return false;
  }
  const ownerIsFine = status.uid === 0 || status.uid === process.getuid?.();
  const groupMayWrite = (status.mode & 0o020) !== 0 && status.gid !== 0;
  return ownerIsFine && !groupMayWrite && (status.mode & 0o002) === 0;
}
