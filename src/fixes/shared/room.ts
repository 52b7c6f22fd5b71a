// Which file system of a service is full, and of what: bytes or file entries.

import type { FileProbe, Probe, ServiceFacts } from '../../host/contract.ts';

export type Room = NonNullable<Awaited<ReturnType<FileProbe['room']>>>;

export interface FullPlace {
  /** A folder on the full file system, inside the service's own folder. */
  readonly directory: string;
  readonly room: Room;
  readonly of: 'bytes' | 'entries';
}

/** Less than this is full: one part in twenty, and never more than 64 MiB. */
const FULL_SHARE = 0.05;
const FULL_BYTES = 64 * 1024 * 1024;
const MOST_FOLDERS = 100;
const FULL_ENTRIES_SHARE = 0.01;

/** The place the log names if it is the service's, then its folder, its logs and what it has declared disposable. */
export async function fullPlace(
  probe: Probe,
  service: ServiceFacts,
  claimed: string | undefined,
): Promise<FullPlace | null> {
  for (const directory of await placesOf(probe, service, claimed)) {
    const room = await probe.files.room(directory);
    if (!room || room.readOnly) continue;
    if (room.totalInodes > 0 && room.freeInodes <= room.totalInodes * FULL_ENTRIES_SHARE)
      return { directory, room, of: 'entries' };
    if (room.freeBytes <= Math.min(FULL_BYTES, room.totalBytes * FULL_SHARE)) return { directory, room, of: 'bytes' };
  }
  return null;
}

/** Folders of the service, each once. */
export async function placesOf(
  probe: Probe,
  service: ServiceFacts,
  claimed: string | undefined,
): Promise<readonly string[]> {
  const base = (pattern: string): string =>
    pattern
      .split('/')
      .slice(0, -1)
      .filter((part) => !/[*?[{!(]/.test(part))
      .join('/');
  const paths = [...(claimed === undefined ? [] : [claimed, parent(claimed)]), service.directory];
  for (const pattern of service.logs ?? []) paths.push(base(pattern));
  for (const pattern of service.disposable) paths.push(`${service.directory}/${base(pattern)}`);
  // Any folder at the top may be a file system of its own.
  paths.push(...(await probe.files.list(service.directory)).slice(0, MOST_FOLDERS));
  const found = new Set<string>();
  for (const path of paths) {
    const inside = await probe.files.inside(service.directory, path);
    if (inside !== null && (await probe.files.status(inside)).kind === 'directory') found.add(inside);
  }
  return [...found];
}

function parent(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Free and total agree: as good a name of a file system as there is without its number. */
export function isSameFileSystem(a: Room, b: Room): boolean {
  return a.totalBytes === b.totalBytes && a.freeBytes === b.freeBytes && a.totalInodes === b.totalInodes;
}
