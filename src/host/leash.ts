// How a child is held so that nothing it starts outlives it. A process group misses a grandchild
// that called setsid; a PID namespace does not (its init dies, the kernel kills the rest).

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Leash } from './contract.ts';

/** Helper programs of the system, absolute; null where the host has none that works. */
export interface LeashTools {
  readonly setpriv: string | null;
  readonly unshare: string | null;
  readonly timeout: string | null;
  /** True when a PID namespace could really be made here (root, and the kernel allows it). */
  readonly namespaces: boolean;
}

/** Name of the variable that marks every process of one run, so that strays can be found without a namespace. */
export const RUN_MARK = 'SELFHEAL_RUN';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Tries once what this host can do: a kernel that has namespaces may still forbid them. */
export function probeLeashTools(find: (program: string) => string | null): LeashTools {
  const tools = { setpriv: find('setpriv'), unshare: find('unshare'), timeout: find('timeout') };
  const setpriv = works(tools.setpriv, ['--pdeathsig', 'KILL', '--', find('true') ?? 'true']) ? tools.setpriv : null;
  const candidate: LeashTools = { ...tools, setpriv, namespaces: true };
  const argv = leashed([find('true') ?? 'true'], 'namespace', candidate, null);
  const namespaces = setpriv !== null && argv[0] === setpriv && works(argv[0], argv.slice(1));
  return { ...candidate, namespaces };
}

function works(program: string | null, args: readonly string[]): boolean {
  if (program === null) return false;
  return spawnSync(program, args, { stdio: 'ignore', timeout: 5_000, env: {} }).status === 0;
}

/**
 * The argv that runs `argv` on this leash. In a namespace `timeout 0` is the init: it forwards TERM, and leaves the
 * program the ordinary signal dispositions that a process 1 does not have. `--pdeathsig` ends the program when we die.
 */
export function leashed(argv: readonly string[], leash: Leash, tools: LeashTools, owner: Owner | null): string[] {
  const { setpriv, unshare, timeout, namespaces } = tools;
  if (setpriv === null || leash === 'none') return [...argv];
  const identity = owner
    ? ['--reuid', String(owner.uid), '--regid', String(owner.gid), '--clear-groups', '--no-new-privs']
    : [];
  if (leash === 'group' || !namespaces || unshare === null || timeout === null)
    return [setpriv, ...identity, '--pdeathsig', 'KILL', '--', ...argv];
  return [
    ...[setpriv, '--pdeathsig', 'KILL', '--'],
    ...[unshare, '--pid', '--fork', '--kill-child', '--'],
    ...[setpriv, ...(owner ? identity : ['--no-new-privs']), '--pdeathsig', 'KILL', '--'],
    ...[timeout, '--foreground', '0'],
    ...argv,
  ];
}

/** True when `leashed` changes the user itself, so that spawn must not. */
export function changesUser(leash: Leash, tools: LeashTools): boolean {
  return tools.setpriv !== null && leash !== 'none';
}

/** True when the argv runs in a namespace: what it starts cannot get away, and a signal shows as 128 + n. */
export function isNamespaced(leash: Leash, tools: LeashTools): boolean {
  return leash === 'namespace' && tools.namespaces;
}

/** Kills what carries the mark: a grandchild that left the group. Only reached where there is no namespace. */
export function killMarked(mark: string): number {
  const needle = `${RUN_MARK}=${mark}`;
  let killed = 0;
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || !environmentHas(pid, needle)) continue;
    killed += kill(pid) ? 1 : 0;
  }
  return killed;
}

function environmentHas(pid: number, needle: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(needle);
  } catch {
    return false; // gone, or not ours to look at
  }
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
