// Deaths in the middle of an effect, which no boundary of the journal covers: strace kills a program at its n-th call of
// one kind. An unharmed run under strace tells which calls there are.

import { spawnSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';

/** Calls that change files, or bring a change to the disk. `openat` counts where it makes or empties a file. */
const CHANGING = [
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat', 'unlink', 'unlinkat', 'rmdir'],
  ...['mkdir', 'mkdirat', 'chmod', 'fchmod', 'fchmodat', 'chown', 'fchown', 'fchownat', 'lchown', 'utimensat'],
  ...['fsync', 'fdatasync', 'ftruncate', 'write', 'pwrite64', 'openat', 'setxattr', 'fallocate', 'copy_file_range'],
];

/** One place to die: before the `n`-th call of this kind in any thread of the program or of those it runs. */
export interface SystemCall {
  readonly name: string;
  readonly n: number;
  /** What it does it to, as strace shows it. */
  readonly on: string;
}

const PREFIX = 'system-call:';
export const pointOf = ({ name, n }: SystemCall): string => `${PREFIX}${name}:${n}`;
export const WATCH = `${PREFIX}watch`;

/** True when strace is here and may trace. */
export const canTrace = (): boolean => spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0;

/** What stands before a command to watch it, or to kill it at such a point; nothing for points of another kind. */
export function tracer(point: string | null, trace: string): readonly string[] {
  if (!point?.startsWith(PREFIX)) return [];
  const [name, n] = point.slice(PREFIX.length).split(':');
  const calls = point === WATCH ? CHANGING.join() : (name ?? '');
  const inject = point === WATCH ? [] : ['-e', `inject=${calls}:signal=KILL:when=${n}`];
  return ['strace', '-f', '-q', '-y', '-s', '200', '-o', trace, '-e', `trace=${calls}`, ...inject, '--'];
}

/** True when the tracer killed something: the program, or one that it runs. */
export async function somethingWasKilled(trace: string): Promise<boolean> {
  return (await readFile(trace, 'utf8').catch(() => '')).includes('killed by SIGKILL');
}

/** Every place to die that a watched run has shown and that concerns files, in the order of the run. */
export async function listSystemCalls(trace: string): Promise<readonly SystemCall[]> {
  const text = await readFile(trace, 'utf8').catch(() => '');
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  const found: SystemCall[] = [];
  for (const line of text.split('\n')) {
    const [, thread, name = '', on = ''] = /^(\d+)\s+(\w+)\((.*)$/.exec(line) ?? [];
    if (thread === undefined) continue;
    const key = `${thread} ${name}`;
    const n = (counts.get(key) ?? 0) + 1;
    counts.set(key, n);
    const call = { name, n, on };
    if (!concernsFiles(call) || seen.has(pointOf(call))) continue;
    seen.add(pointOf(call));
    found.push(call);
  }
  return found;
}

/** Pipes, sockets, timers, devices and files that are only read are nobody's state. */
function concernsFiles({ name, on }: SystemCall): boolean {
  if (name === 'openat') return /O_CREAT|O_TRUNC/.test(on) && !on.includes('"/dev/');
  return !/^\d+<(?:pipe|anon_inode|socket|UNIX|TCP|UDP|NETLINK|\/dev\/(?!shm\/)|\/proc\/)/.test(on);
}

/** At most `most` of a list, from its whole length. */
export function spread<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)] as T);
}

export const removeTrace = (trace: string): Promise<void> => rm(trace, { force: true });
