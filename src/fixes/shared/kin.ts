// Which processes belong to a service: its present ones, and leftovers of it that nobody leads any more.

import type { Probe, ProcessInfo, ServiceFacts, ServiceState } from '../../host/contract.ts';

/** A process and everything below it. */
export async function treeOf(probe: Probe, root: ProcessInfo): Promise<readonly ProcessInfo[]> {
  const found = [root];
  for (const one of found) found.push(...(await probe.processes.children(one.pid)));
  return found;
}

export function isSame(a: ProcessInfo, b: ProcessInfo): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks;
}

/** `pid 4711 (nginx -g daemon off;)`, for people. */
export function named(process: ProcessInfo): string {
  const command = process.argv.join(' ').slice(0, 80) || process.executable || 'unknown program';
  return `pid ${process.pid} (${command})`;
}

/**
 * True when the process is a copy of this service that is not its present one: the same program, folder and user, the same
 * arguments, and no terminal at which a person might have started it.
 */
export async function isLeftover(
  probe: Probe,
  service: ServiceFacts,
  state: ServiceState,
  candidate: ProcessInfo,
): Promise<boolean> {
  if (candidate.terminal || candidate.cwd !== service.directory) return false;
  if (state.process && (await treeOf(probe, state.process)).some((one) => isSame(one, candidate))) return false;
  const owner = await probe.files.status(service.directory);
  if (candidate.uid !== owner.uid) return false;
  if (state.process) return runsTheSame(state.process, candidate);
  return service.command ? hasArguments(candidate, service.command) : runsScriptOf(probe, service, candidate);
}

function runsTheSame(one: ProcessInfo, other: ProcessInfo): boolean {
  return one.executable !== null && one.executable === other.executable && hasArguments(other, one.argv);
}

/** The first argument is how the program was called, which may be short or long. */
function hasArguments(process: ProcessInfo, argv: readonly string[]): boolean {
  const given = process.argv.slice(1);
  const wanted = argv.slice(1);
  return wanted.length > 0 && given.length === wanted.length && given.every((part, index) => part === wanted[index]);
}

/** One of its arguments is a file of the service's folder. */
async function runsScriptOf(probe: Probe, service: ServiceFacts, process: ProcessInfo): Promise<boolean> {
  for (const argument of process.argv.slice(1)) {
    if (argument.startsWith('-')) continue;
    const path = await probe.files.inside(service.directory, argument);
    if (path !== null && (await probe.files.status(path)).kind === 'file') return true;
  }
  return false;
}
