// Files that the owner has declared disposable, oldest first. Nothing else is ever offered for removal.

import type { Check, RemoveFilesStep } from '../../core/plan.ts';
import type { Probe, ServiceFacts } from '../../host/contract.ts';
import { type FullPlace, isSameFileSystem } from './room.ts';

export interface Disposable {
  readonly path: string;
  readonly bytes: number;
  readonly inode: number;
  readonly modifiedAt: number;
}

/** Younger files may just be written. */
const SETTLED_MS = 60_000;
/** Looking for who has files open reads all of /proc: done for so many at a time. */
const LOOKED_AT_ONCE = 500;
const MOST_FILES = 10_000;

/** What may go from this file system: settled, with one name, and open nowhere. */
export async function disposablesOn(
  probe: Probe,
  service: ServiceFacts,
  place: FullPlace,
): Promise<readonly Disposable[]> {
  const now = probe.clock.now();
  const found: Disposable[] = [];
  for (const path of (await probe.files.glob(service.directory, service.disposable)).slice(0, MOST_FILES)) {
    const status = await probe.files.status(path);
    if (status.kind !== 'file' || status.links !== 1 || now - status.modifiedAt < SETTLED_MS) continue;
    const room = await probe.files.room(path);
    if (room && isSameFileSystem(room, place.room))
      found.push({ path, bytes: status.bytes, inode: status.inode, modifiedAt: status.modifiedAt });
  }
  return found.sort((a, b) => a.modifiedAt - b.modifiedAt);
}

/** As many of the oldest as are needed; those that somebody has open are passed over. */
export async function choose(
  probe: Probe,
  files: readonly Disposable[],
  isEnough: (chosen: readonly Disposable[]) => boolean,
): Promise<readonly Disposable[]> {
  const chosen: Disposable[] = [];
  for (let at = 0; at < files.length; at += LOOKED_AT_ONCE) {
    const next = files.slice(at, at + LOOKED_AT_ONCE);
    if (isEnough(chosen)) break;
    const inUse = await probe.processes.inUse(next.map(({ path }) => path));
    for (const file of next) {
      if (isEnough(chosen)) break;
      if (!inUse.has(file.path)) chosen.push(file);
    }
  }
  return chosen;
}

export function removal(chosen: readonly Disposable[]): RemoveFilesStep {
  return {
    kind: 'remove-files',
    title: `remove ${chosen.length} files that you have declared disposable`,
    files: chosen.map(({ path, bytes, inode }) => ({ path, bytes, inode })),
    undo: {
      kind: 'none',
      reason: 'they are declared disposable; copies are kept where the state folder has its own room',
    },
  };
}

/** A file can be written again, and this much room is left. */
export function writableCheck(directory: string, freeBytes: number): Check {
  return {
    kind: 'writable',
    title: `a file can be written in ${directory}`,
    proves: 'operation',
    failsBefore: true,
    directory,
    freeBytes,
  };
}

/** A service that died of it has to be started once there is room. */
export async function diedOfIt(probe: Probe, service: ServiceFacts): Promise<boolean> {
  const state = await probe.services.state(service.name);
  return state.running === false && !state.stoppedOnPurpose;
}

/** `1.4 MB`. */
export function sized(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
