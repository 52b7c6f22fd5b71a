// A clock that runs faster than life and can jump: for tests of waits, digests and outages that talk to
// real servers, where a standing clock would never let the other side answer.

import { performance } from 'node:perf_hooks';
import type { Clock } from '../core/clock.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
  timer: NodeJS.Timeout | undefined;
}

export class SwiftClock implements Clock {
  readonly #speed: number;
  readonly #origin: number;
  /** Virtual time that has passed before `#since`. */
  #passed = 0;
  /** Real time since which the clock runs; null while it is frozen. */
  #since: number | null = performance.now();
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
    return this.#passed + (this.#since === null ? 0 : (performance.now() - this.#since) * this.#speed);
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
      const sleeper: Sleeper = { at: this.monotonic() + ms, wake, timer: undefined };
      this.#sleepers.add(sleeper);
      this.#arm(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  /** Time leaps forward; whoever is due wakes. */
  jump(ms: number): void {
    this.#passed += ms;
    for (const sleeper of [...this.#sleepers]) this.#arm(sleeper);
  }

  /** Time stands still until `thaw`, however long the machine takes. */
  freeze(): void {
    this.#passed = this.monotonic();
    this.#since = null;
    for (const sleeper of this.#sleepers) clearTimeout(sleeper.timer);
  }

  thaw(): void {
    this.#since ??= performance.now();
    for (const sleeper of [...this.#sleepers]) this.#arm(sleeper);
  }

  #arm(sleeper: Sleeper): void {
    clearTimeout(sleeper.timer);
    const left = sleeper.at - this.monotonic();
    if (left <= 0) sleeper.wake();
    else if (this.#since !== null)
      sleeper.timer = setTimeout(sleeper.wake, Math.min(2 ** 31 - 1, Math.ceil(left / this.#speed)));
  }
}
