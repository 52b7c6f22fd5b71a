// A clock that runs faster than life and can jump: for tests of waits, digests and outages that talk to
// real servers, where a standing clock would never let the other side answer.

import { performance } from 'node:perf_hooks';
import type { Clock } from '../core/clock.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
  timer: NodeJS.Timeout;
}

export class SwiftClock implements Clock {
  readonly #speed: number;
  readonly #origin: number;
  readonly #began = performance.now();
  #jumped = 0;
  readonly #sleepers = new Set<Sleeper>();

  /** @param speed virtual milliseconds per real one. */
  constructor(speed = 50, now = Date.UTC(2026, 0, 5, 12)) {
    this.#speed = speed;
    this.#origin = now;
  }

  now(): number {
    return Math.floor(this.#origin + this.monotonic());
  }

  monotonic(): number {
    return (performance.now() - this.#began) * this.#speed + this.#jumped;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const wake = () => {
        clearTimeout(sleeper.timer);
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper: Sleeper = { at: this.monotonic() + ms, wake, timer: setTimeout(wake, this.#realMs(ms)) };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** Time leaps forward; whoever is due wakes. */
  jump(ms: number): void {
    this.#jumped += ms;
    const now = this.monotonic();
    for (const sleeper of [...this.#sleepers]) {
      clearTimeout(sleeper.timer);
      if (sleeper.at <= now) sleeper.wake();
      else sleeper.timer = setTimeout(sleeper.wake, this.#realMs(sleeper.at - now));
    }
  }

  #realMs(ms: number): number {
    return Math.min(2 ** 31 - 1, Math.ceil(ms / this.#speed));
  }
}
