// What runs on this host, read from /proc. Processes are identified by pid and start time,
// because the kernel gives a pid to somebody else sooner than one thinks.

import { availableParallelism } from 'node:os';
import type { Clock } from '../core/clock.ts';
import type { DeletedFile, ProcessInfo, ProcessProbe } from './contract.ts';
import {
  parentOf,
  readDescriptor,
  readDescriptors,
  readPids,
  readProcess,
  readText,
  readUsage,
  statOf,
} from './proc.ts';

/** Looks and changes nothing. Processes of other users are seen as far as the kernel allows. */
export function createProcessProbe(options: { readonly clock: Pick<Clock, 'now'> }): ProcessProbe {
  return {
    process: readProcess,
    listener: listenerOf,
    holders: holdersOf,
    inUse,
    children: childrenOf,
    list: listProcesses,
    usage: (pid) => readUsage(pid, options.clock.now()),
    deletedFiles: deletedFilesOn,
    load: loadPerCore,
    availableMemory,
  };
}

async function listProcesses(): Promise<readonly ProcessInfo[]> {
  const found = await Promise.all((await readPids()).map(readProcess));
  return found.filter((candidate) => candidate !== null);
}

/** Asked often, so only the short line of each process is read first. */
async function childrenOf(pid: number): Promise<readonly ProcessInfo[]> {
  const pids = (await readPids()).filter((candidate) => parentOf(candidate) === pid);
  return (await Promise.all(pids.map(readProcess))).filter((child) => child !== null);
}

// ---------------------------------------------------------------- listeners

async function listenerOf(port: number): Promise<ProcessInfo | 'unknown' | null> {
  const tables = await Promise.all([readText('/proc/net/tcp'), readText('/proc/net/tcp6')]);
  const sockets = tables.flatMap((table) => listeningSockets(table ?? '', port));
  if (sockets.length === 0) return null;
  const names = new Set(sockets.map((inode) => `socket:[${inode}]`));
  const owners = await processesWith(async (descriptor) => names.has((await readDescriptor(descriptor)) ?? ''));
  // A listener that was handed on at a fork has several owners: the eldest is the one that opened it.
  return [...owners].sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0] ?? 'unknown';
}

const LISTEN = '0A';

/** Inodes of sockets that listen on the port, in a table of proc_net_tcp(5). */
export function listeningSockets(table: string, port: number): readonly string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const listens = fields[1]?.endsWith(`:${wanted}`) && fields[3] === LISTEN;
    return listens && fields[9] ? [fields[9]] : [];
  });
}

// ---------------------------------------------------------------- holders of files

async function processesWith(matches: (descriptor: string) => Promise<boolean>): Promise<readonly ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const pid of await readPids()) {
    for (const descriptor of (await readDescriptors(pid)) ?? []) {
      if (!(await matches(descriptor))) continue;
      const owner = await readProcess(pid);
      if (owner) found.push(owner);
      break;
    }
  }
  return found;
}

async function holdersOf(path: string): Promise<readonly ProcessInfo[]> {
  const wanted = await statOf(path);
  if (!wanted) return [];
  const open = await processesWith(async (descriptor) => {
    const status = await statOf(descriptor);
    return status !== null && status.ino === wanted.ino && status.dev === wanted.dev;
  });
  const locking = await lockHolders(wanted.dev, wanted.ino);
  const unseen = locking.filter((pid) => !open.some((holder) => holder.pid === pid));
  const others = await Promise.all(unseen.map(readProcess));
  return [...open, ...others.filter((holder) => holder !== null)];
}

async function inUse(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const byFile = new Map<string, string[]>();
  for (const path of paths) {
    const status = await statOf(path);
    if (status) mapped(byFile, lockName(status.dev, status.ino)).push(path);
  }
  const found = new Set<string>();
  const note = (name: string): void => {
    for (const path of byFile.get(name) ?? []) found.add(path);
  };
  for (const pid of await readPids()) {
    for (const descriptor of (await readDescriptors(pid)) ?? []) {
      const status = await statOf(descriptor);
      if (status) note(lockName(status.dev, status.ino));
    }
  }
  for (const fields of await readLocks()) for (const field of fields) note(field);
  return found;
}

function mapped(map: Map<string, string[]>, key: string): string[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

/** Pids in /proc/locks for this file: also of processes whose descriptors we may not see. */
async function lockHolders(device: bigint, inode: bigint): Promise<readonly number[]> {
  const name = lockName(device, inode);
  const lines = (await readLocks()).filter((fields) => fields.includes(name));
  return lines.map((fields) => Number(fields[fields.indexOf(name) - 1]));
}

/** A file as /proc/locks names it. */
function lockName(device: bigint, inode: bigint): string {
  const major = (device >> 8n) & 0xfffn;
  const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
  const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
  return `${hex(major)}:${hex(minor)}:${inode}`;
}

async function readLocks(): Promise<readonly (readonly string[])[]> {
  return ((await readText('/proc/locks')) ?? '').split('\n').map((line) => line.trim().split(/\s+/));
}

async function deletedFilesOn(path: string): Promise<readonly DeletedFile[]> {
  const home = await statOf(path);
  if (!home) return [];
  const found: DeletedFile[] = [];
  for (const pid of await readPids()) {
    const seen = new Set<bigint>();
    for (const descriptor of (await readDescriptors(pid)) ?? []) {
      const target = await readDescriptor(descriptor);
      if (!target?.startsWith('/') || !target.endsWith(' (deleted)')) continue;
      const status = await statOf(descriptor);
      if (!status?.isFile() || status.nlink > 0n || status.dev !== home.dev || seen.has(status.ino)) continue;
      seen.add(status.ino);
      const process = await readProcess(pid);
      const bytes = Number(status.blocks) * 512;
      if (process) found.push({ process, path: target.slice(0, -' (deleted)'.length), bytes });
    }
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

// ---------------------------------------------------------------- the host

async function loadPerCore(): Promise<number> {
  const minute = Number.parseFloat((await readText('/proc/loadavg')) ?? '0');
  return minute / availableParallelism();
}

/** What may still be used without swapping: the host's, or the control group's when that is tighter. */
async function availableMemory(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
  const [host, limit, used] = await Promise.all([
    readText('/proc/meminfo'),
    readText('/sys/fs/cgroup/memory.max'),
    readText('/sys/fs/cgroup/memory.current'),
  ]);
  const value = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(host ?? '')?.[1] ?? 0) * 1024;
  const whole = { freeBytes: value('MemAvailable'), totalBytes: value('MemTotal') };
  const cap = Number(limit ?? 'max');
  if (!Number.isFinite(cap) || cap >= whole.totalBytes) return whole;
  return { freeBytes: Math.min(whole.freeBytes, cap - Number(used ?? 0)), totalBytes: cap };
}
