// One request that has come in whole, and its answer: in one piece or in a stream, framed by us.

import type { Socket } from 'node:net';
import { writeFields } from './head.ts';
import { Hangup, type Stop } from './stop.ts';

/** Head of a request that has come in. */
export interface RequestHead {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes its body will have; null: it will be seen. */
  readonly length: number | null;
}

/** A kept connection may be silent for so long; announced to the other side, a second shorter. */
export const KEPT_MS = 31_000;
/** Bytes that wait to be sent: more, and the upstream is held back. */
const WAITING_CAP = 256 * 1024;
/** Up to here a write goes out in one piece. */
const ONE_WRITE = 64 * 1024;

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export function headOf(status: number, fields: readonly string[]): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}\r\n${writeFields(fields)}`;
}

interface Channel {
  readonly socket: Socket;
  /** The connection lasts longer than this exchange. */
  readonly keep: boolean;
  /** The other side understands chunks. */
  readonly chunks: boolean;
  readonly over: () => void;
  /** Told of bugs of ours. */
  readonly problem: (message: string, error: unknown) => void;
}

/** One request, whole, and its answer. What is written in one turn of the event loop goes out in one piece. */
export class Exchange {
  readonly request: RequestHead;
  readonly body: readonly Buffer[];
  readonly #channel: Channel;
  readonly #hangup = new Hangup();
  #head = '';
  #pieces: Buffer[] = [];
  #waiting = 0;
  #isChunked = false;
  /** Bytes that are still missing of an announced length; null: none was announced. */
  #left: number | null = null;
  #isDue = false;
  #isBlocked = false;
  #isEnded = false;
  #isOver = false;
  #drain: (() => void) | null = null;
  headSent = false;

  constructor(request: RequestHead, body: readonly Buffer[], channel: Channel) {
    this.request = request;
    this.body = body;
    this.#channel = channel;
  }

  /** Aborts when the other side has hung up before the answer was complete. */
  get gone(): Stop {
    return this.#hangup;
  }

  /** Begins an answer whose pieces follow; `length` is that of its body, where it is known. */
  open(status: number, fields: readonly string[], length: number | null = null): void {
    if (this.headSent) return;
    this.headSent = true;
    const { keep, chunks } = this.#channel;
    const isEmpty = status === 204 || status === 304 || this.request.method === 'HEAD';
    this.#isChunked = length === null && chunks && !isEmpty;
    this.#left = isEmpty ? 0 : length;
    // Without chunks only the end of the connection tells the end of the body.
    const lasts = keep && (this.#isChunked || this.#left !== null);
    const framing = this.#isChunked
      ? 'transfer-encoding: chunked\r\n'
      : length === null || status === 204
        ? ''
        : `content-length: ${length}\r\n`;
    const connection = lasts
      ? `connection: keep-alive\r\nkeep-alive: timeout=${KEPT_MS / 1000 - 1}\r\n`
      : 'connection: close\r\n';
    this.#head = `${headOf(status, fields)}${framing}${connection}\r\n`;
    this.#soon();
  }

  /** False when the other side reads slower than we write: wait for `onceDrained`. */
  write(bytes: Buffer): boolean {
    if (this.#isOver || this.#isEnded || bytes.length === 0) return true;
    this.#pieces.push(bytes);
    this.#waiting += bytes.length;
    this.#soon();
    return !this.#isBlocked && this.#waiting <= WAITING_CAP;
  }

  onceDrained(call: () => void): void {
    this.#drain = call;
  }

  end(): void {
    if (this.#isOver || this.#isEnded) return;
    this.#isEnded = true;
    this.#flush();
  }

  /** A whole answer. */
  answer(status: number, fields: readonly string[], body: readonly Buffer[]): void {
    let size = 0;
    for (const piece of body) size += piece.length;
    this.open(status, fields, size);
    if (this.request.method !== 'HEAD') for (const piece of body) this.write(piece);
    this.end();
  }

  /** Cuts the connection: an answer that was begun cannot be ended honestly. */
  destroy(): void {
    this.#channel.socket.destroy();
  }

  /** Told by the connection: what was written is on its way. */
  drained(): void {
    this.#isBlocked = false;
    const drain = this.#drain;
    this.#drain = null;
    drain?.();
  }

  /** Told by the connection: it is closed. */
  left(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pieces = [];
    this.#hangup.abort(new CallerGone());
  }

  #soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    process.nextTick(flush, this);
  }

  /** For the turn of the event loop only. */
  flushNow(): void {
    if (this.#isOver) return;
    try {
      this.#flush();
    } catch (error) {
      this.#channel.problem('an answer could not be sent', error);
      this.destroy();
    }
  }

  #flush(): void {
    this.#isDue = false;
    const size = this.#waiting;
    const isEnd = this.#isEnded;
    if (size > 0 || this.#head !== '' || isEnd) this.#put(size, isEnd);
    if (isEnd) return this.#finished();
    if (!this.#isBlocked && this.#drain) this.drained();
  }

  #put(size: number, isEnd: boolean): void {
    const { socket } = this.#channel;
    const pieces = this.#pieces;
    let before = this.#head;
    let after = '';
    if (this.#isChunked) {
      if (size > 0) [before, after] = [`${before}${size.toString(16)}\r\n`, '\r\n'];
      if (isEnd) after += '0\r\n\r\n';
    }
    [this.#head, this.#pieces, this.#waiting] = ['', [], 0];
    if (this.#left !== null) this.#left -= size;
    if (before.length + size + after.length === 0) return;
    if (size > ONE_WRITE) {
      socket.cork();
      if (before !== '') socket.write(before, 'latin1');
      for (const piece of pieces) socket.write(piece);
      if (after !== '') socket.write(after, 'latin1');
      socket.uncork();
      this.#isBlocked = socket.writableNeedDrain;
      return;
    }
    const all = Buffer.allocUnsafe(before.length + size + after.length);
    let at = before === '' ? 0 : all.write(before, 0, 'latin1');
    for (const piece of pieces) at += piece.copy(all, at);
    if (after !== '') all.write(after, at, 'latin1');
    this.#isBlocked = !socket.write(all);
  }

  #finished(): void {
    this.#isOver = true;
    // Less than was announced: only cutting the connection says so.
    if (this.#left !== null && this.#left !== 0) return this.destroy();
    if (this.#isChunked || this.#left !== null) this.#channel.over();
    else this.#channel.socket.end();
  }
}

const flush = (exchange: Exchange): void => exchange.flushNow();

/** The agent has hung up: nothing more is to be done. */
export class CallerGone extends Error {
  constructor() {
    super('the caller has gone');
    this.name = 'CallerGone';
  }
}
