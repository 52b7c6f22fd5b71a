// Keeps a program of our own running beside us: started with a message, started again when it dies, ended with us.
// What it is told never stands in its arguments or its environment.

import { type ChildProcess, fork } from 'node:child_process';
import type { Clock } from '../core/clock.ts';

export interface WorkerOptions {
  /** Compiled program, absolute. */
  readonly program: string;
  /** The first message of each start. */
  readonly hello: () => unknown;
  readonly onMessage: (message: unknown) => void;
  /** It has ended by itself, and is started again after `waitMs`. */
  readonly onEnd: (how: string, waitMs: number) => void;
  readonly clock: Clock;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Worker {
  readonly pid: number | null;
  /** Dropped while none runs: the next hello says everything. */
  send(message: unknown): void;
  /** Asks it to end; kills it when it does not. */
  close(): Promise<void>;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** Who lived this long starts with a short wait again. */
const STEADY_MS = 30_000;
const GRACE_MS = 3_000;

/** @example const worker = keepWorker({ program, hello: () => ({ kind: 'start' }), onMessage, onEnd, clock }); */
export function keepWorker(options: WorkerOptions): Worker {
  return new KeptWorker(options);
}

class KeptWorker implements Worker {
  readonly #o: WorkerOptions;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  readonly #running: Promise<void>;

  constructor(options: WorkerOptions) {
    this.#o = options;
    this.#running = this.#keep();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  send(message: unknown): void {
    if (this.#child?.connected) this.#child.send(message as object, () => {});
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    // It ends by itself when the channel closes.
    if (child?.connected) child.disconnect();
    const killed = setTimeout(() => child?.kill('SIGKILL'), GRACE_MS);
    await this.#ended;
    clearTimeout(killed);
    await this.#running;
  }

  async #keep(): Promise<void> {
    const { clock } = this.#o;
    let wait = FIRST_WAIT_MS;
    while (!this.#stopping.signal.aborted) {
      const began = clock.monotonic();
      const how = await this.#live();
      if (this.#stopping.signal.aborted) return;
      wait = clock.monotonic() - began > STEADY_MS ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS);
      this.#o.onEnd(how, wait);
      await clock.sleep(wait, this.#stopping.signal);
    }
  }

  /** One life; resolves with how it ended. */
  #live(): Promise<string> {
    const life = new Promise<string>((resolve) => {
      const child = fork(this.#o.program, [], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        execArgv: [],
        env: { ...this.#o.env },
      });
      this.#child = child;
      let said = '';
      child.stderr?.on('data', (bytes: Buffer) => {
        said = (said + bytes.toString('utf8')).slice(-2_000);
      });
      child.on('message', (message) => this.#o.onMessage(message));
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, signal) => {
        this.#child = null;
        const last = said.trim().split('\n').at(-1) ?? '';
        resolve(`ended with ${signal ?? code}${last === '' ? '' : `: ${last}`}`);
      });
      child.send(this.#o.hello() as object, () => {});
    });
    this.#ended = life.then(() => {});
    return life;
  }
}
