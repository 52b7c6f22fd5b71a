// What the supervisor knows of a service, as it stands in the store: other processes of selfheal judge a
// supervised service by it, and a restarted supervisor recognises its orphans.

import { provenStartKey, type Store } from '../store/contract.ts';
import type { Generation } from './contract.ts';

export interface SupervisedRecord {
  readonly generation: Generation;
  /** Start times count from boot: after another boot the pid says nothing. */
  readonly boot: string;
  /** Epoch milliseconds of the starts within the last ten minutes, since the last deliberate stop and the last long run, oldest first. */
  readonly starts: readonly number[];
  /** Set when a person stopped it: it stays down until a person starts it. */
  readonly stoppedBy: string | null;
}

/** Window in which starts are counted: a service that starts more often than now and then has a cause to be found. */
export const STARTS_WINDOW_MS = 600_000;

/** Whoever ran this long did not fail to start: two minutes. */
export const LONG_RUN_MS = 120_000;

export const supervisedKey = (service: string): string => `supervised:${service}`;

export function readSupervised(store: Pick<Store, 'value'>, service: string): Promise<SupervisedRecord | null> {
  return store.value<SupervisedRecord>(supervisedKey(service));
}

/** When a repair that started the service was last proven, epoch milliseconds; 0 when none was or the store is away. */
export async function provenStart(store: Pick<Store, 'value'>, service: string): Promise<number> {
  return (await store.value<number>(provenStartKey(service)).catch(() => null)) ?? 0;
}
