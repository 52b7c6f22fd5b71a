// Nobody reads the clock except through what it was given.

export interface Clock {
  /** Wall clock, epoch milliseconds. For display and for times that came from outside. */
  now(): number;
  /** Monotonic milliseconds. For every duration and deadline. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
