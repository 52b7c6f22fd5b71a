// The server's side of HTTP/1.1: agents connect, ask with whole requests, and are answered in one piece or in a
// stream. By hand, as docs/decisions/0010-http-by-hand.md says. What is not plainly a request is refused.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { BodyReader, framingOf } from './body.ts';
import { connectionSays, type Head, HEAD_CAP, HEAD_END, parseHead, writeFields } from './head.ts';
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

/** A request that is not served. */
export interface Refusal {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

export interface DoorOptions {
  /** Looks at a head before its body is read; null: come in. */
  readonly admit: (head: RequestHead) => Refusal | null;
  readonly serve: (exchange: Exchange) => void;
  /** Longest body, in bytes; the refusal of what turns out to be longer. */
  readonly bodyCap: number;
  readonly tooLong: () => Refusal;
  readonly connections: number;
}

/** A kept connection may be silent for so long; announced to the other side, a second shorter. */
const KEPT_MS = 31_000;
/** A request must be whole within this time. */
const REQUEST_MS = 120_000;
const SWEEP_MS = 1_000;
/** What a refused caller still sends is read for so long, so that he sees the answer. */
const LINGER_MS = 2_000;
/** Bytes that wait to be sent: more, and the upstream is held back. */
const WAITING_CAP = 256 * 1024;
/** Up to here a write goes out in one piece. */
const ONE_WRITE = 64 * 1024;

/** Listens for agents. */
export class Door {
  readonly #server: Server;
  readonly #guests = new Set<Guest>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: DoorOptions) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const guest = new Guest(socket, options, () => this.#guests.delete(guest));
      this.#guests.add(guest);
    });
    this.#server.maxConnections = options.connections;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** Rejects when the address is taken. */
  listen(port: number, host: string, problem: (error: Error) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        this.#server.on('error', problem);
        resolve();
      });
    });
  }

  address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const guest of this.#guests) guest.destroy();
    await closed;
  }

  #sweep(): void {
    const now = performance.now();
    for (const guest of this.#guests) if (guest.deadline < now) guest.destroy();
  }
}

const NOTHING = Buffer.alloc(0);
const REQUEST_LINE = /^([A-Z]{1,20}) ([\x21-\x7e]{1,8192}) HTTP\/1\.([01])$/;

/** One connection: one request after the other. */
class Guest {
  readonly #socket: Socket;
  readonly #options: DoorOptions;
  /** When it is given up, in the time of `performance.now()`. */
  deadline = performance.now() + REQUEST_MS;
  #waiting: Buffer = NOTHING;
  /** Head of the request whose body is being read. */
  #head: { readonly request: RequestHead; readonly keep: boolean; readonly chunks: boolean } | null = null;
  #body: BodyReader | null = null;
  #chunks: Buffer[] = [];
  #size = 0;
  #exchange: Exchange | null = null;
  #refused = false;

  constructor(socket: Socket, options: DoorOptions, gone: () => void) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (bytes: Buffer) => this.#data(bytes));
    socket.on('drain', () => this.#exchange?.drained());
    socket.on('error', () => {});
    // Who closes his side waits for nothing more.
    socket.on('end', () => this.destroy());
    socket.on('close', () => {
      gone();
      this.#exchange?.left();
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #data(bytes: Buffer): void {
    if (this.#refused) return;
    if (this.#exchange === null) return this.#read(bytes);
    // He asks on before he was answered: his turn comes.
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    if (this.#waiting.length > HEAD_CAP) this.#socket.pause();
  }

  #read(bytes: Buffer): void {
    if (this.#body) return this.#readBody(this.#body, bytes);
    const isFirst = this.#waiting.length === 0;
    const head = isFirst ? bytes : Buffer.concat([this.#waiting, bytes]);
    if (isFirst) this.deadline = performance.now() + REQUEST_MS;
    this.#waiting = NOTHING;
    const end = head.indexOf(HEAD_END);
    if (end < 0) {
      if (head.length > HEAD_CAP) return this.#refuse(plain(431));
      this.#waiting = head;
      return;
    }
    this.#headRead(parseHead(head.toString('latin1', 0, end)), head.subarray(end + HEAD_END.length));
  }

  #headRead(head: Head | null, rest: Buffer): void {
    const line = head && REQUEST_LINE.exec(head.line);
    const framing = head ? framingOf(head, 0) : 'broken';
    if (!head || !line || framing === 'broken' || framing === 'close') return this.#refuse(plain(400));
    const isNew = line[3] === '1';
    const length = typeof framing === 'number' ? framing : null;
    const request: RequestHead = { method: line[1] as string, url: line[2] as string, headers: head.headers, length };
    const refusal = (length ?? 0) > this.#options.bodyCap ? this.#options.tooLong() : this.#options.admit(request);
    if (refusal) return this.#refuse(refusal);
    const keep = isNew ? !connectionSays(head, 'close') : connectionSays(head, 'keep-alive');
    this.#head = { request, keep, chunks: isNew };
    this.#body = new BodyReader(framing);
    if (head.headers['expect']?.toLowerCase() === '100-continue' && rest.length === 0)
      this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    this.#readBody(this.#body, rest);
  }

  #readBody(body: BodyReader, bytes: Buffer): void {
    const data = body.push(bytes);
    if (body.broken) return this.#refuse(plain(400));
    // A small part must not keep all that was read with it.
    if (data.length > 0) this.#chunks.push(data.length * 2 < bytes.length ? Buffer.from(data) : data);
    this.#size += data.length;
    if (this.#size > this.#options.bodyCap) return this.#refuse(this.#options.tooLong());
    if (!body.done) return;
    this.#waiting = body.rest;
    this.#begin();
  }

  #begin(): void {
    if (this.#head === null) return;
    const { request, keep, chunks } = this.#head;
    const body = this.#chunks;
    [this.#head, this.#body, this.#chunks, this.#size] = [null, null, [], 0];
    this.deadline = Number.POSITIVE_INFINITY;
    this.#exchange = new Exchange(request, body, { socket: this.#socket, keep, chunks, over: () => this.#next(keep) });
    this.#options.serve(this.#exchange);
  }

  #next(keep: boolean): void {
    this.#exchange = null;
    if (!keep) {
      // What comes behind the last request was not promised an answer, and whoever stays has no place for ever.
      this.#refused = true;
      this.#waiting = NOTHING;
      this.deadline = performance.now() + LINGER_MS;
      this.#socket.resume();
      return void this.#socket.end();
    }
    this.deadline = performance.now() + KEPT_MS;
    this.#socket.resume();
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = NOTHING;
    this.#read(waiting);
  }

  #refuse({ status, fields, body }: Refusal): void {
    this.#refused = true;
    this.deadline = performance.now() + LINGER_MS;
    const head = headOf(status, [...fields, 'content-length', String(Buffer.byteLength(body)), 'connection', 'close']);
    this.#socket.end(`${head}\r\n${body}`);
  }
}

const plain = (status: number): Refusal => ({ status, fields: [], body: '' });

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

function headOf(status: number, fields: readonly string[]): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}\r\n${writeFields(fields)}`;
}

interface Channel {
  readonly socket: Socket;
  /** The connection lasts longer than this exchange. */
  readonly keep: boolean;
  /** The other side understands chunks. */
  readonly chunks: boolean;
  readonly over: () => void;
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
    if (!this.#isOver) this.#flush();
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
