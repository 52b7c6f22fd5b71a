// Output of a program whose children live on (a control script that starts a service). A pipe would break
// under such a child once we stop reading, so it writes to files; they are removed unless it still holds them.

import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildOutput } from './child-output.ts';

export interface KeptOutput {
  /** Descriptors for the child. */
  readonly stdout: number;
  readonly stderr: number;
  /** Hands what was written to the collectors and closes. */
  collect(stdout: ChildOutput, stderr: ChildOutput): void;
  close(): void;
}

export function createKeptOutput(): KeptOutput {
  const directory = mkdtempSync(join(tmpdir(), PREFIX));
  const stdout = openSync(join(directory, 'stdout'), 'a', 0o600);
  const stderr = openSync(join(directory, 'stderr'), 'a', 0o600);
  const close = (): void => {
    const held = isHeldByOthers([identity(fstatSync(stdout)), identity(fstatSync(stderr))]);
    closeSync(stdout);
    closeSync(stderr);
    // A hidden file that grows for ever would be worse than one that everybody can see.
    if (!held) rmSync(directory, { recursive: true, force: true });
  };
  return {
    stdout,
    stderr,
    collect(toStdout, toStderr) {
      toStdout.add(readFileSync(join(directory, 'stdout')));
      toStderr.add(readFileSync(join(directory, 'stderr')));
      close();
    },
    close,
  };
}

const PREFIX = 'selfheal-run-';
/** No command whose output is kept runs for longer. */
const OLD_MS = 86_400_000;

/**
 * Removes what runs that were killed have left in a folder: only folders of ours that hold nothing but our two files, were
 * not written to for a day, and whose files no process holds. Returns what was removed.
 */
export function sweepKeptOutput(now: number, folder = tmpdir()): readonly string[] {
  const left = readdirSync(folder)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(folder, name))
    .flatMap((path) => {
      const files = oldOutput(path, now - OLD_MS);
      return files === null ? [] : [{ path, files }];
    });
  if (left.length === 0) return [];
  const held = new Set(processes().flatMap((pid) => descriptors(pid).map(fileBehind)));
  const free = left.filter(({ files }) => !files.some((file) => held.has(file)));
  for (const { path } of free) rmSync(path, { recursive: true, force: true });
  return free.map(({ path }) => path);
}

/** The files in a folder of ours that is older than that; null for anything else. */
function oldOutput(path: string, before: number): readonly string[] | null {
  try {
    const folder = lstatSync(path);
    if (!folder.isDirectory() || folder.uid !== process.getuid?.() || folder.mtimeMs > before) return null;
    const names = readdirSync(path);
    const files = names.map((name) => lstatSync(join(path, name)));
    const isOurs = names.every((name) => name === 'stdout' || name === 'stderr');
    return isOurs && files.every((file) => file.isFile() && file.mtimeMs <= before) ? files.map(identity) : null;
  } catch {
    return null; // gone meanwhile
  }
}

function isHeldByOthers(files: readonly string[]): boolean {
  return processes()
    .filter((pid) => Number(pid) !== process.pid)
    .some((pid) => descriptors(pid).some((descriptor) => files.includes(fileBehind(descriptor))));
}

const processes = (): readonly string[] => readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));

function descriptors(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
  } catch {
    return []; // gone, or not ours to look at
  }
}

function fileBehind(descriptor: string): string {
  try {
    return identity(statSync(descriptor));
  } catch {
    return '';
  }
}

function identity(status: Stats): string {
  return `${status.dev}:${status.ino}`;
}
