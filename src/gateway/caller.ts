// The agent's side of a request: what it was given so far, and the pings that keep it waiting.

import type { Dialect, Frame } from './dialects/contract.ts';
import type { Exchange } from './http/exchange.ts';
import type { Stop } from './http/stop.ts';
import { framesOf } from './sse.ts';

/** Sent bytes are kept so that a stream can be continued; of longer streams only the error is told. */
const KEPT_CAP = 8 * 1024 * 1024;

const STREAM_HEAD = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'];

export class Caller {
  readonly dialect: Dialect;
  readonly #exchange: Exchange;
  readonly #pingMs: number;
  #kept: Buffer[] = [];
  #keptSize = 0;
  #pings: NodeJS.Timeout | null = null;

  constructor(exchange: Exchange, dialect: Dialect, pingMs: number) {
    this.dialect = dialect;
    this.#exchange = exchange;
    this.#pingMs = pingMs;
  }

  /** Aborts when the agent has hung up. */
  get gone(): Stop {
    return this.#exchange.gone;
  }

  get headSent(): boolean {
    return this.#exchange.headSent;
  }

  /** True once content has been sent: from here on the answer can only be continued. */
  committed = false;

  /** Everything of the stream that the agent has, frame by frame; null when it became too much to keep. */
  frames(): readonly Frame[] | null {
    return this.#keptSize > KEPT_CAP ? null : framesOf(Buffer.concat(this.#kept));
  }

  /** Sends an answer that is complete. */
  answer(status: number, fields: readonly string[], body: readonly Buffer[] | string): void {
    this.stopPinging();
    this.#exchange.answer(status, fields, typeof body === 'string' ? [Buffer.from(body)] : body);
  }

  /** Opens the stream. Later calls do nothing. */
  open(status = 200, fields: readonly string[] = STREAM_HEAD): void {
    this.#exchange.open(status, fields);
  }

  /** Sends bytes of the stream; false when the agent reads slower than we write: wait for `onceDrained`. */
  write(bytes: Buffer): boolean {
    this.#keptSize += bytes.length;
    if (this.#keptSize <= KEPT_CAP) this.#kept.push(bytes);
    else this.#kept = [];
    return this.#exchange.write(bytes);
  }

  onceDrained(resume: () => void): void {
    this.#exchange.onceDrained(resume);
  }

  end(): void {
    this.stopPinging();
    this.#exchange.end();
  }

  /** From now on a ping goes out whenever nothing else has for a while. The stream is opened with the first one. */
  keepWaiting(): void {
    if (this.#pings !== null || this.gone.aborted) return;
    this.#pings = setInterval(() => this.#ping(), this.#pingMs);
    this.gone.addEventListener('abort', this.#left);
  }

  readonly #left = (): void => this.stopPinging();

  #ping(): void {
    this.open();
    this.#exchange.write(Buffer.from(this.dialect.ping));
  }

  stopPinging(): void {
    if (this.#pings === null) return;
    clearInterval(this.#pings);
    this.#pings = null;
    this.gone.removeEventListener('abort', this.#left);
  }
}
