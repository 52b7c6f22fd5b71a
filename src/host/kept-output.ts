// Output of a program whose children live on (a control script that starts a service). A pipe would break
// under such a child once we stop reading, so it writes to files; they are removed unless it still holds them.

import {
  closeSync,
  fstatSync,
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
  const directory = mkdtempSync(join(tmpdir(), 'selfheal-run-'));
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

function isHeldByOthers(files: readonly string[]): boolean {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .some((pid) => descriptors(pid).some((descriptor) => files.includes(fileBehind(descriptor))));
}

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
