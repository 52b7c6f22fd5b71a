// Processes of a service that outlived what we know of it: each carries a mark in its environment, so that a
// copy from before a crash of ours is found, and never mistaken for somebody else's.

import { readPids, readVariable, startTicksOf } from './proc.ts';

/** Variable that every process of a supervised service inherits. */
export const SERVICE_MARK = 'SELFHEAL_SERVICE';

export interface Stray {
  readonly pid: number;
  readonly startTicks: number;
}

/** The mark of one generation. The state folder tells two selfheals of one host apart. */
export function markOf(stateDirectory: string, service: string, generation: number): string {
  return `${stateDirectory}#${service}#${generation}`;
}

/** Living processes of the service, of any generation but `except`. */
export async function findStrays(
  stateDirectory: string,
  service: string,
  except: number | null,
): Promise<readonly Stray[]> {
  const prefix = `${stateDirectory}#${service}#`;
  const kept = except === null ? null : markOf(stateDirectory, service, except);
  const found: Stray[] = [];
  for (const pid of await readPids()) {
    if (pid === process.pid) continue;
    const mark = await readVariable(pid, SERVICE_MARK);
    if (!mark?.startsWith(prefix) || mark === kept) continue;
    const startTicks = await startTicksOf(pid);
    if (startTicks !== null) found.push({ pid, startTicks });
  }
  return found;
}

/** Signals a process if it still is the one that was meant. */
export async function signalIf(target: Stray, signal: NodeJS.Signals): Promise<boolean> {
  if (target.pid <= 1 || (await startTicksOf(target.pid)) !== target.startTicks) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}
