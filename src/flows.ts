// The flows of the daemon: what runs beside everything else until the stop. One that breaks stops nothing else and is
// begun again; what cannot be seen meanwhile is remembered, so that `health` and `status` tell the truth.

import type { Clock } from './core/clock.ts';
import { VALUE_KEYS, type BlindStreams, type Store } from './store/contract.ts';
import type { Teardown } from './teardown.ts';
import type { Log } from './telemetry/log.ts';

/** A flow that broke is begun again after this long; doubled up to the most. */
const PAUSE_MS = 1_000;
const PAUSE_MOST_MS = 60_000;
/** One that has held this long is well again. */
const HOLDS_MS = 60_000;

export interface FlowsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly teardown: Teardown;
  /** Ends all flows. */
  readonly signal: AbortSignal;
}

export class Flows {
  readonly #d: FlowsDeps;
  readonly #blind = new Map<string, BlindStreams[string]>();

  constructor(deps: FlowsDeps) {
    this.#d = deps;
  }

  /** Begins a flow, which is waited for when everything is closed. */
  start(name: string, run: (signal: AbortSignal) => Promise<void>): void {
    const done = this.#keepUp(name, run);
    this.#d.teardown.add(name, () => done);
  }

  async #keepUp(name: string, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, log, signal } = this.#d;
    const source = `selfheal itself: ${name}`;
    for (let pauseMs = PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MOST_MS)) {
      const ended = new AbortController();
      void clock.sleep(HOLDS_MS, ended.signal).then(() => !ended.signal.aborted && this.sight(source, null));
      try {
        return await run(signal);
      } catch (error) {
        log.error('a flow broke and is begun again', { name, error });
        this.sight(source, { since: clock.now(), reason: error instanceof Error ? error.message : String(error) });
      } finally {
        ended.abort();
      }
      await clock.sleep(pauseMs, signal);
    }
  }

  /** Remembers what cannot be seen right now. Null: it is seen again. */
  sight(source: string, lost: BlindStreams[string] | null): void {
    if (!lost && !this.#blind.delete(source)) return;
    if (lost) this.#blind.set(source, { since: lost.since, reason: lost.reason });
    this.#d.log.warn(lost ? 'a source is blind' : 'a source sees again', { source, reason: lost?.reason ?? '' });
    this.#d.store.setValue(VALUE_KEYS.blind, Object.fromEntries(this.#blind)).catch(() => {});
  }
}
