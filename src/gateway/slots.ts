// How many requests a local model is given at a time: its own queue does not protect it.

import type { Stop } from './http/stop.ts';

export class Slots {
  readonly #limit: number | null;
  #busy = 0;
  readonly #waiting: Array<() => void> = [];

  /** `limit` null: any number. */
  constructor(limit: number | null) {
    this.#limit = limit;
  }

  /** Resolves with the function that gives the slot back. Rejects with the signal's reason. */
  async take(signal: Stop): Promise<() => void> {
    if (this.#limit === null) return () => {};
    if (this.#busy >= this.#limit) await this.#turn(signal);
    else this.#busy += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#busy -= 1;
    };
  }

  /** A slot that becomes free is handed over; the count stays. */
  #turn(signal: Stop): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const leave = (): void => {
        signal.removeEventListener('abort', leave);
        const at = this.#waiting.indexOf(turn);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal.reason as Error);
      };
      const turn = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      signal.addEventListener('abort', leave);
      this.#waiting.push(turn);
    });
  }
}
