// The agent's side of a request: what it was given so far, and the pings that keep it waiting.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { endWith } from './calling.ts';
import type { Dialect, Frame } from './dialects/contract.ts';
import { framesOf } from './sse.ts';

/** Sent bytes are kept so that a stream can be continued; of longer streams only the error is told. */
const KEPT_CAP = 8 * 1024 * 1024;

const STREAM_HEAD = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' } as const;

export class Caller {
  readonly dialect: Dialect;
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  readonly #pingMs: number;
  #kept: Buffer[] = [];
  #keptSize = 0;
  #pings: NodeJS.Timeout | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, dialect: Dialect, pingMs: number) {
    this.dialect = dialect;
    this.#response = response;
    this.#pingMs = pingMs;
    response.on('error', () => {});
    response.once('close', () => {
      this.stopPinging();
      if (!response.writableFinished) this.#gone.abort(new CallerGone());
    });
    request.on('error', () => {});
  }

  /** Aborts when the agent has hung up. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  /** True once content has been sent: from here on the answer can only be continued. */
  committed = false;

  /** Everything of the stream that the agent has, frame by frame; null when it became too much to keep. */
  frames(): readonly Frame[] | null {
    return this.#keptSize > KEPT_CAP ? null : framesOf(Buffer.concat(this.#kept));
  }

  /** Sends an answer that is complete. */
  answer(status: number, headers: readonly string[] | Readonly<Record<string, string>>, body: Buffer | string): void {
    this.stopPinging();
    this.#response.writeHead(status, headers as string[]);
    endWith(this.#response, typeof body === 'string' ? Buffer.from(body) : body);
  }

  /** Opens the stream. Later calls do nothing. */
  open(status = 200, headers: readonly string[] | Readonly<Record<string, string>> = STREAM_HEAD): void {
    if (!this.#response.headersSent) this.#response.writeHead(status, headers as string[]);
  }

  /** Sends bytes of the stream; false when the agent reads slower than we write: wait for `drained`. */
  write(bytes: Buffer): boolean {
    this.#keptSize += bytes.length;
    if (this.#keptSize <= KEPT_CAP) this.#kept.push(bytes);
    else this.#kept = [];
    return this.#response.write(bytes);
  }

  onceDrained(resume: () => void): void {
    this.#response.once('drain', resume);
  }

  end(): void {
    this.stopPinging();
    this.#response.end();
  }

  /** From now on a ping goes out whenever nothing else has for a while. The stream is opened with the first one. */
  keepWaiting(): void {
    this.#pings ??= setInterval(() => {
      this.open();
      this.#response.write(this.dialect.ping);
    }, this.#pingMs);
  }

  stopPinging(): void {
    if (this.#pings) clearInterval(this.#pings);
    this.#pings = null;
  }
}

/** The agent has hung up: nothing more is to be done. */
export class CallerGone extends Error {
  constructor() {
    super('the caller has gone');
    this.name = 'CallerGone';
  }
}
