// Whose turn it is: one piece of work at a time for each service, few on the host, and a rest, longer each time, for
// whatever could not get on. Kept in memory only: a new process may look at everything at once.

import type { Clock } from '../core/clock.ts';

/** Pieces of work at once on this host. */
const AT_ONCE = 2;
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;

export class Turns {
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<void>>();
  readonly #rests = new Map<string, { readonly until: number; readonly ms: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get busy(): boolean {
    return this.#running.size > 0;
  }

  get full(): boolean {
    return this.#running.size >= AT_ONCE;
  }

  isRunning(service: string): boolean {
    return this.#running.has(service);
  }

  /** Runs work for a service and calls `done` after it, whatever came of it. */
  start(service: string, work: () => Promise<unknown>, done: (error: unknown) => void): void {
    const end = (error: unknown): void => {
      this.#running.delete(service);
      done(error);
    };
    this.#running.set(
      service,
      work().then(() => end(null), end),
    );
  }

  /** Waits until nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Not before a second from now; twice as long each time, a minute at most. `ms` sets the length of this one. */
  rest(subject: string, ms?: number): void {
    const longer = Math.min((this.#rests.get(subject)?.ms ?? FIRST_REST_MS / 2) * 2, LONGEST_REST_MS);
    this.#rests.set(subject, { until: this.#clock.now() + (ms ?? longer), ms: ms ?? longer });
  }

  /** It got on: the next rest is short again. */
  rested(subject: string): void {
    this.#rests.delete(subject);
  }

  /** Epoch milliseconds before which the subject rests; 0 when it does not. */
  restsUntil(subject: string): number {
    return this.#rests.get(subject)?.until ?? 0;
  }
}
