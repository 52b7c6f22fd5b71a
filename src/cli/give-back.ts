// A start leaves more garbage than hours of quiet watching, and V8 keeps the room for it. Collected once, it goes back to
// the machine: about 13 MB of what an idle `watch` takes (Node 20 and 22).

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';

/** By then sources are followed and what had piled up is read. */
const SETTLED_MS = 10_000;

/** Waits until the start is over and collects. Does nothing once the signal has aborted, and never throws. */
export async function giveBack(clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(SETTLED_MS, signal);
  if (signal.aborted) return;
  try {
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    if (typeof collect === 'function') collect();
  } catch {
    // Then the room stays ours: nothing depends on it.
  }
}
