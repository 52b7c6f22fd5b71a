// State of a service that the owner's own commands start and stop: nobody answers for it, so it is
// looked for by its port, its pid files and its folder.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { ProcessInfo, ServiceFacts, ServiceState } from '../contract.ts';
import { endpointOf, isLoopback } from '../network.ts';
import type { Sighting } from '../service-memory.ts';
import { CLEAN_STOP, lastLogLine } from './last-line.ts';
import type { ManagerMeans } from './manager.ts';

/** A pid file in the service's folder and the process it names; null when that is gone. */
interface PidFile {
  readonly path: string;
  readonly pid: number;
  readonly process: ProcessInfo | null;
}

export async function commandState(service: ServiceFacts, means: ManagerMeans): Promise<ServiceState> {
  const [pidFiles, last] = await Promise.all([readPidFiles(service, means), means.memory.last(service.name)]);
  const process = await findProcess(service, means, pidFiles, last);
  if (process) return runningState(service, means, process, pidFiles);
  if (await answersElsewhere(service, means, pidFiles, last)) return elsewhere();
  return stoppedState(service, pidFiles, last);
}

async function runningState(
  service: ServiceFacts,
  means: ManagerMeans,
  process: ProcessInfo,
  pidFiles: readonly PidFile[],
): Promise<ServiceState> {
  const naming = pidFiles.filter((file) => file.process?.pid === process.pid).map((file) => file.path);
  return {
    running: true,
    process,
    stoppedOnPurpose: false,
    recentStarts: await means.memory.note(service.name, process, naming),
    supervisorGaveUp: false,
    evidence: `runs as pid ${process.pid}`,
  };
}

function elsewhere(): ServiceState {
  return {
    running: 'unknown',
    process: null,
    stoppedOnPurpose: false,
    recentStarts: 0,
    supervisorGaveUp: false,
    evidence: 'something listens where it should, but no process of its folder was found',
  };
}

// ---------------------------------------------------------------- finding it

/** The listener of its health address, then who a pid file names, then who it was last time, then who lives in its folder. */
async function findProcess(
  service: ServiceFacts,
  means: ManagerMeans,
  pidFiles: readonly PidFile[],
  last: Sighting | null,
): Promise<ProcessInfo | null> {
  const port = loopbackPort(service);
  const listener = port === null ? null : await means.processes.listener(port);
  if (listener !== null && listener !== 'unknown' && livesIn(listener, service)) return listener;
  const named = pidFiles.find((file) => file.process && livesIn(file.process, service));
  if (named?.process) return named.process;
  if (last) {
    const known = await means.processes.process(last.pid);
    if (known?.startTicks === last.startTicks) return known;
  }
  // A job that cron or a timer starts comes and goes: who is seen in its folder once is not missed afterwards.
  return port === null && service.restart !== null ? onlyResident(service, means) : null;
}

function loopbackPort(service: ServiceFacts): number | null {
  const { health } = service;
  if (health?.kind === 'tcp') return isLoopback(health.host) ? health.port : null;
  if (health?.kind !== 'http') return null;
  const endpoint = endpointOf(health.url);
  return endpoint && isLoopback(endpoint.host) ? endpoint.port : null;
}

/** Its folder, its program or one of its arguments stands in the service's folder. */
function livesIn(process: ProcessInfo, service: ServiceFacts): boolean {
  return [process.cwd, process.executable, ...process.argv].some((path) => isWithin(path, service));
}

function isWithin(path: string | null, service: ServiceFacts): boolean {
  return path === service.directory || path?.startsWith(service.directory + sep) === true;
}

/** The one process tree of the folder's owner that lives there without a terminal; null when there are none or several. */
async function onlyResident(service: ServiceFacts, means: ManagerMeans): Promise<ProcessInfo | null> {
  const [all, owner] = await Promise.all([means.processes.list(), ownerOf(service.directory)]);
  const ours = family(all, process.pid);
  const residents: ProcessInfo[] = [];
  for (const one of all) {
    if (one.uid === owner && !one.terminal && !ours.has(one.pid) && isWithin(one.cwd, service)) residents.push(one);
  }
  const roots = residents.filter((one) => !residents.some((other) => other.pid === one.ppid));
  return roots.length === 1 ? (roots[0] ?? null) : null;
}

/** Ourselves, our ancestors and everything below us: never the service. */
function family(all: readonly ProcessInfo[], pid: number): ReadonlySet<number> {
  const found = new Set<number>();
  const byPid = new Map(all.map((one) => [one.pid, one]));
  for (let at = byPid.get(pid); at; at = byPid.get(at.ppid)) found.add(at.pid);
  const below = new Set([pid]);
  for (let size = 0; size !== below.size; ) {
    size = below.size;
    for (const one of all) if (below.has(one.ppid)) below.add(one.pid);
  }
  return new Set([...found, ...below]);
}

async function ownerOf(directory: string): Promise<number> {
  return stat(directory).then(
    (status) => status.uid,
    () => -1,
  );
}

/** True when somebody whom we cannot place listens on the declared address, and nothing says that the service is gone. */
async function answersElsewhere(
  service: ServiceFacts,
  means: ManagerMeans,
  pidFiles: readonly PidFile[],
  last: Sighting | null,
): Promise<boolean> {
  const port = loopbackPort(service);
  if (port === null) return false;
  const listener = await means.processes.listener(port);
  return listener === 'unknown' || (listener !== null && last === null && pidFiles.length === 0);
}

// ---------------------------------------------------------------- why it is down

async function stoppedState(
  service: ServiceFacts,
  pidFiles: readonly PidFile[],
  last: Sighting | null,
): Promise<ServiceState> {
  const reason = await purposeOf(service, pidFiles, last);
  return {
    running: last !== null || pidFiles.length > 0 || loopbackPort(service) !== null ? false : 'unknown',
    process: null,
    stoppedOnPurpose: reason.onPurpose,
    recentStarts: last?.starts.length ?? 0,
    supervisorGaveUp: false,
    evidence: `does not run: ${reason.evidence}`,
  };
}

async function purposeOf(
  service: ServiceFacts,
  pidFiles: readonly PidFile[],
  last: Sighting | null,
): Promise<{ readonly onPurpose: boolean; readonly evidence: string }> {
  const line = await lastLogLine(service.logs ?? []);
  if (line !== null && CLEAN_STOP.test(line))
    return { onPurpose: true, evidence: 'its last log line is that of a clean stop' };
  const gone = last?.pidFiles.find((path) => !pidFiles.some((file) => file.path === path));
  if (gone !== undefined)
    return { onPurpose: true, evidence: `its pid file ${gone} was taken away, as a clean stop does` };
  const stale = pidFiles.find((file) => file.process === null || !livesIn(file.process, service));
  if (stale) return { onPurpose: false, evidence: `${stale.path} still names pid ${stale.pid}, which is gone` };
  if (last) return { onPurpose: false, evidence: `pid ${last.pid} is gone without a word` };
  return { onPurpose: true, evidence: 'it has not run since selfheal watches it, and nothing says that it should' };
}

// ---------------------------------------------------------------- pid files

async function readPidFiles(service: ServiceFacts, means: ManagerMeans): Promise<readonly PidFile[]> {
  const paths = await pidFilePaths(service.directory);
  const found = await Promise.all(
    paths.map(async (path): Promise<PidFile[]> => {
      const pid = Number((await readFile(path, 'latin1').catch(() => '')).slice(0, 32).trim() || Number.NaN);
      if (!Number.isInteger(pid) || pid < 2) return [];
      return [{ path, pid, process: await means.processes.process(pid) }];
    }),
  );
  return found.flat();
}

/** `*.pid` in the service's folder and one level below: where control scripts put them. */
async function pidFilePaths(directory: string): Promise<readonly string[]> {
  const top = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const folders = top.filter(
    (entry) => entry.isDirectory() && !/^(?:\.git|\.venv|venv|node_modules)$/.test(entry.name),
  );
  const below = await Promise.all(
    folders.slice(0, 100).map(async (folder) => {
      const path = join(directory, folder.name);
      const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isFile()).map((entry) => join(path, entry.name));
    }),
  );
  const files = [...top.filter((entry) => entry.isFile()).map((entry) => join(directory, entry.name)), ...below.flat()];
  return files.filter((path) => path.endsWith('.pid')).slice(0, 20);
}
