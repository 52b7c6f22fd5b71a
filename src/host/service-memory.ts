// What was seen of a service that others run: without it nobody could tell a crash from a service
// that was never started, nor count its starts.

import type { Clock } from '../core/clock.ts';
import type { Store } from '../store/contract.ts';
import type { ProcessInfo } from './contract.ts';
import { readBootId } from './proc.ts';
import { LONG_RUN_MS, provenStart, STARTS_WINDOW_MS } from './supervised-record.ts';

export interface Sighting {
  readonly pid: number;
  readonly startTicks: number;
  readonly boot: string;
  /** Pid files that named this process. One that is gone later was taken away by a clean stop. */
  readonly pidFiles: readonly string[];
  /** Epoch milliseconds when each new identity was first seen, within the last ten minutes. */
  readonly starts: readonly number[];
}

export interface ServiceMemory {
  /** The last sighting of this boot, or null. */
  last(service: string): Promise<Sighting | null>;
  /** Notes that this process is the service now. Returns the number of recent starts. */
  note(service: string, process: ProcessInfo, pidFiles: readonly string[]): Promise<number>;
}

/** A store that cannot be reached costs memory, not sight: nothing is remembered then. */
export function createServiceMemory(
  store: Pick<Store, 'value' | 'setValue'>,
  clock: Pick<Clock, 'now'>,
): ServiceMemory {
  const key = (service: string): string => `seen:${service}`;
  const recall = (service: string): Promise<Sighting | null> => store.value<Sighting>(key(service)).catch(() => null);
  const last = async (service: string): Promise<Sighting | null> => {
    const sighting = await recall(service);
    return sighting && sighting.boot === (await readBootId()) ? sighting : null;
  };
  return {
    last,
    async note(service, process, pidFiles) {
      const before = await recall(service);
      const boot = await readBootId();
      const same = before?.pid === process.pid && before.startTicks === process.startTicks && before.boot === boot;
      const now = clock.now();
      const proven = await provenStart(store, service);
      const counts = (at: number): boolean => now - at < STARTS_WINDOW_MS && at > proven;
      const ranLong = !same && now - (before?.starts.at(-1) ?? now) >= LONG_RUN_MS;
      const recent = ranLong ? [] : (before?.starts ?? []).filter(counts);
      // The first sighting ever is not a start: it may have run for weeks.
      const starts = same || before === null ? recent : [...recent, now];
      const known = same && sameNames(before.pidFiles, pidFiles) && starts.length === before.starts.length;
      const sighting: Sighting = { pid: process.pid, startTicks: process.startTicks, boot, pidFiles, starts };
      if (!known) await store.setValue(key(service), sighting).catch(() => undefined);
      return starts.length;
    },
  };
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
