// Readers of /proc. Every value may be gone or forbidden a moment later, so each answers null
// (or nothing) instead of throwing.

import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { type BigIntStats, readFileSync } from 'node:fs';
import type { ProcessInfo, ProcessUsage } from './contract.ts';

/** USER_HZ: the unit of times in /proc/PID/stat. 100 on every Linux architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const MS_PER_TICK = 1000 / TICKS_PER_SECOND;

/** Fields of /proc/PID/stat that we use; the numbers of proc(5). */
export interface ProcStat {
  readonly state: string;
  readonly ppid: number;
  /** Number of the controlling terminal; 0 when there is none. */
  readonly terminal: number;
  readonly cpuTicks: number;
  readonly startTicks: number;
}

export async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'latin1');
  } catch {
    return null;
  }
}

/** The program name stands in brackets and may hold anything, brackets too: everything is counted from the last one. */
export function parseStat(text: string): ProcStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (number: number): number => Number(fields[number - 3]);
  const state = fields[0];
  if (!state || !Number.isInteger(at(22))) return null;
  return { state, ppid: at(4), terminal: at(7), cpuTicks: at(14) + at(15) + at(16) + at(17), startTicks: at(22) };
}

export async function readStat(pid: number): Promise<ProcStat | null> {
  const text = await readText(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Pid of the parent; null when the process is gone. Read at once: this file never blocks, and a thousand are quick. */
export function parentOf(pid: number): number | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.ppid ?? null;
  } catch {
    return null;
  }
}

/** Start time of a living process in ticks since boot: with the pid an identity. Null when gone or a zombie. */
export async function startTicksOf(pid: number): Promise<number | null> {
  const status = await readStat(pid);
  return status && status.state !== 'Z' && status.state !== 'X' ? status.startTicks : null;
}

export async function isAlive(identity: { readonly pid: number; readonly startTicks: number }): Promise<boolean> {
  return (await startTicksOf(identity.pid)) === identity.startTicks;
}

/** One process; null when it is gone or dead and not collected. */
export async function readProcess(pid: number): Promise<ProcessInfo | null> {
  const [status, line, executable, cwd, uid] = await Promise.all([
    readStat(pid),
    readText(`/proc/${pid}/cmdline`),
    readLink(`/proc/${pid}/exe`),
    readLink(`/proc/${pid}/cwd`),
    readUid(pid),
  ]);
  if (!status || status.state === 'Z' || status.state === 'X') return null;
  return {
    pid,
    startTicks: status.startTicks,
    ppid: status.ppid,
    uid: uid ?? -1,
    executable: executable?.replace(/ \(deleted\)$/, '') ?? null,
    argv: line ? Buffer.from(line, 'latin1').toString('utf8').replace(/\0$/, '').split('\0') : [],
    cwd,
    terminal: status.terminal !== 0,
  };
}

async function readLink(file: string): Promise<string | null> {
  try {
    return await readlink(file);
  } catch {
    return null;
  }
}

async function readUid(pid: number): Promise<number | null> {
  const match = /^Uid:\t\d+\t(\d+)/m.exec((await readText(`/proc/${pid}/status`)) ?? '');
  return match ? Number(match[1]) : null;
}

export async function readPids(): Promise<readonly number[]> {
  const entries = await readdir('/proc');
  return entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
}

/** Milliseconds since boot, time asleep included: the clock of start times. */
async function uptimeMs(): Promise<number> {
  return Number.parseFloat((await readText('/proc/uptime')) ?? '0') * 1000;
}

export async function readUsage(pid: number, now: number): Promise<ProcessUsage | null> {
  const [status, sinceBoot, memory, io, descriptors, limits, own] = await Promise.all([
    readStat(pid),
    uptimeMs(),
    readText(`/proc/${pid}/statm`),
    readText(`/proc/${pid}/io`),
    readDescriptors(pid),
    readText(`/proc/${pid}/limits`),
    readText(`/proc/${pid}/status`),
  ]);
  if (!status) return null;
  return {
    startedAt: Math.round(now - (sinceBoot - status.startTicks * MS_PER_TICK)),
    state: status.state,
    cpuMs: status.cpuTicks * MS_PER_TICK,
    ioBytes: io === null ? null : ioBytes(io),
    residentBytes: Number(memory?.split(' ')[1] ?? 0) * 4096,
    openFiles: descriptors?.length ?? null,
    maxOpenFiles: limitIn(limits, 'Max open files'),
    tasks: Number(/^Threads:\t(\d+)/m.exec(own ?? '')?.[1] ?? 1),
    maxTasks: limitIn(limits, 'Max processes'),
  };
}

function ioBytes(text: string): number {
  const value = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return value('rchar') + value('wchar');
}

/** The soft limit of this name; null when there is none. */
function limitIn(limits: string | null, name: string): number | null {
  const line = limits?.split('\n').find((one) => one.startsWith(name)) ?? '';
  const soft = line.slice(name.length).trim().split(/\s+/)[0] ?? '';
  return /^\d+$/.test(soft) ? Number(soft) : null;
}

/** Paths of a process's open descriptors; null when we may not look. */
export async function readDescriptors(pid: number): Promise<readonly string[] | null> {
  try {
    return (await readdir(`/proc/${pid}/fd`)).map((fd) => `/proc/${pid}/fd/${fd}`);
  } catch {
    return null;
  }
}

/** What a descriptor points to: `/path`, `/path (deleted)`, `socket:[123]`. */
export const readDescriptor = readLink;

export async function statOf(file: string): Promise<BigIntStats | null> {
  try {
    return await stat(file, { bigint: true });
  } catch {
    return null;
  }
}

/** Differs after every boot: start times count from there. */
export async function readBootId(): Promise<string> {
  return ((await readText('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

/** Value of one variable of the environment a process was started with; null when absent or forbidden. */
export async function readVariable(pid: number, name: string): Promise<string | null> {
  const text = await readText(`/proc/${pid}/environ`);
  const entry = text?.split('\0').find((line) => line.startsWith(`${name}=`));
  return entry === undefined ? null : Buffer.from(entry.slice(name.length + 1), 'latin1').toString('utf8');
}
