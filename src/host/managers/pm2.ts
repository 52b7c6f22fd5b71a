// State of a service that pm2 runs, as `pm2 jlist` tells it.

import type { ServiceFacts, ServiceState } from '../contract.ts';
import { isPlainName, type ManagerMeans, unknownState } from './manager.ts';

/** The few fields of a jlist entry that we use. */
interface Pm2Entry {
  readonly name: string;
  readonly pid: number;
  readonly status: string;
}

export async function pm2State(service: ServiceFacts, means: ManagerMeans, name: string): Promise<ServiceState> {
  if (!isPlainName(name)) return unknownState(`"${name}" is not the plain name of a pm2 process`);
  const result = await means.run(['pm2', 'jlist'], { cwd: service.directory, timeoutMs: 20_000, leash: 'none' });
  if (result.code !== 0) return unknownState(`pm2: ${result.failure ?? `exit code ${result.code}`}`);
  const entry = parseJlist(result.stdout).find((one) => one.name === name);
  if (!entry) return unknownState(`pm2 knows no process "${name}"`);
  const process = entry.pid > 0 ? await means.processes.process(entry.pid) : null;
  const starts = process
    ? await means.memory.note(service.name, process, [])
    : ((await means.memory.last(service.name))?.starts.length ?? 0);
  return {
    running: entry.status === 'online' ? process !== null : entry.status === 'launching' ? 'unknown' : false,
    process,
    stoppedOnPurpose: entry.status === 'stopped' || entry.status === 'stopping',
    recentStarts: starts,
    supervisorGaveUp: entry.status === 'errored',
    evidence: `pm2: ${name} is ${entry.status}`,
  };
}

/** The list stands on the last line that looks like one: pm2 may print notices before it. */
export function parseJlist(text: string): readonly Pm2Entry[] {
  const line = text.split('\n').findLast((candidate) => candidate.startsWith('['));
  try {
    const list: unknown = JSON.parse(line ?? '[]');
    return Array.isArray(list) ? list.flatMap((item: unknown) => entryOf(item) ?? []) : [];
  } catch {
    return [];
  }
}

function entryOf(item: unknown): Pm2Entry | null {
  const { name, pid, pm2_env: env } = (item ?? {}) as { name?: unknown; pid?: unknown; pm2_env?: { status?: unknown } };
  if (typeof name !== 'string' || typeof env?.status !== 'string') return null;
  return { name, pid: typeof pid === 'number' ? pid : 0, status: env.status };
}
