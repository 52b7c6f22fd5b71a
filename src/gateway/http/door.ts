// The server's side of HTTP/1.1: agents connect, ask with whole requests, and are answered in one piece or in a
// stream. By hand, as docs/decisions/0010-http-by-hand.md says. What is not plainly a request is refused.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { BodyReader, framingOf } from './body.ts';
import { Exchange, headOf, KEPT_MS, type RequestHead } from './exchange.ts';
import { connectionSays, type Head, HEAD_CAP, HEAD_END, parseHead } from './head.ts';

/** A request that is not served. */
export interface Refusal {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

export interface DoorOptions {
  /** Looks at a head before its body is read; null: come in. */
  readonly admit: (head: RequestHead) => Refusal | null;
  /** Its body counts until this is done. A throw cuts the connection: what went wrong should be said before. */
  readonly serve: (exchange: Exchange) => unknown;
  /** What is said to whom we do not serve: 400 (no proper request), 413 (longer than `bodyCap`), 431, or 503 (come again). */
  readonly refuse: (status: 400 | 413 | 431 | 503, why: string) => Refusal;
  /** Longest body, in bytes. */
  readonly bodyCap: number;
  /** What all bodies may take together, in bytes: those that are still coming and those that are being served. */
  readonly bodiesCap: number;
  readonly connections: number;
  /** Told of bugs of ours: they end their connection, and no other. */
  readonly problem: (message: string, error: unknown) => void;
}

/** A request must be whole within this time. */
const REQUEST_MS = 120_000;
const SWEEP_MS = 1_000;
/** What a refused caller still sends is read for so long, so that he sees the answer. */
const LINGER_MS = 2_000;
/** What a piece of a body takes besides its bytes: a body that trickles in must not be cheaper than it is. */
const PIECE_COST = 200;

/** Bytes that bodies take: counted from their arrival until nobody needs them. */
class Store {
  taken = 0;
}

/** Listens for agents. */
export class Door {
  readonly #server: Server;
  readonly #store = new Store();
  readonly #guests = new Set<Guest>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: DoorOptions) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const guest = new Guest(socket, options, this.#store, () => this.#guests.delete(guest));
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

  /** Bytes that bodies take now. */
  get bodies(): number {
    return this.#store.taken;
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
  readonly #store: Store;
  /** When it is given up, in the time of `performance.now()`. */
  deadline = performance.now() + REQUEST_MS;
  #waiting: Buffer = NOTHING;
  /** Head of the request whose body is being read. */
  #head: { readonly request: RequestHead; readonly keep: boolean; readonly chunks: boolean } | null = null;
  #body: BodyReader | null = null;
  #chunks: Buffer[] = [];
  #size = 0;
  /** What the body takes in the store, while it is read. */
  #taken = 0;
  #exchange: Exchange | null = null;
  #refused = false;

  constructor(socket: Socket, options: DoorOptions, store: Store, gone: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.#store = store;
    socket.on('data', (bytes: Buffer) => {
      try {
        this.#data(bytes);
      } catch (error) {
        this.#broke(error);
      }
    });
    socket.on('drain', () => {
      try {
        this.#exchange?.drained();
      } catch (error) {
        this.#broke(error);
      }
    });
    socket.on('error', () => {});
    // Who closes his side waits for nothing more.
    socket.on('end', () => this.destroy());
    socket.on('close', () => {
      gone();
      this.#forget();
      try {
        this.#exchange?.left();
      } catch (error) {
        this.#broke(error);
      }
    });
  }

  /** A bug of ours ends this connection; the others know nothing of it. */
  #broke(error: unknown): void {
    this.#options.problem('a connection broke', error);
    this.destroy();
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
      if (head.length > HEAD_CAP) return this.#refuse(431, 'the head of the request is too long');
      this.#waiting = head;
      return;
    }
    this.#headRead(parseHead(head.toString('latin1', 0, end)), head.subarray(end + HEAD_END.length));
  }

  #headRead(head: Head | null, rest: Buffer): void {
    const line = head && REQUEST_LINE.exec(head.line);
    const framing = head ? framingOf(head, 0) : 'broken';
    if (!head || !line || framing === 'broken' || framing === 'close')
      return this.#refuse(400, 'this is no request of HTTP/1.1 that can be understood');
    const isNew = line[3] === '1';
    const length = typeof framing === 'number' ? framing : null;
    const request: RequestHead = { method: line[1] as string, url: line[2] as string, headers: head.headers, length };
    const refusal = this.#options.admit(request);
    if (refusal) return this.#turnAway(refusal);
    if ((length ?? 0) > this.#options.bodyCap) return this.#refuse(413, tooLong(this.#options));
    if (length !== null && length > 0 && this.#store.taken + length > this.#options.bodiesCap)
      return this.#refuse(503, FULL);
    const keep = isNew ? !connectionSays(head, 'close') : connectionSays(head, 'keep-alive');
    this.#head = { request, keep, chunks: isNew };
    this.#body = new BodyReader(framing);
    if (head.headers['expect']?.toLowerCase() === '100-continue' && rest.length === 0)
      this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    this.#readBody(this.#body, rest);
  }

  #readBody(body: BodyReader, bytes: Buffer): void {
    const data = body.push(bytes);
    if (body.tooMuchBeside) return this.#refuse(400, 'the extensions of its chunks, or its trailers, are too long');
    if (body.broken) return this.#refuse(400, 'the body is not framed as its head says');
    if (data.length > 0) {
      this.#take(data.length + PIECE_COST);
      // A small part must not keep all that was read with it.
      this.#chunks.push(data.length * 2 < bytes.length ? Buffer.from(data) : data);
      this.#size += data.length;
      if (this.#size > this.#options.bodyCap) return this.#refuse(413, tooLong(this.#options));
      if (this.#store.taken > this.#options.bodiesCap) return this.#refuse(503, FULL);
    }
    if (!body.done) return;
    this.#waiting = body.rest;
    this.#begin();
  }

  #take(bytes: number): void {
    this.#taken += bytes;
    this.#store.taken += bytes;
  }

  /** Lets go of a body that is not served. */
  #forget(): void {
    this.#store.taken -= this.#taken;
    [this.#taken, this.#chunks, this.#size, this.#body, this.#head] = [0, [], 0, null, null];
  }

  #begin(): void {
    if (this.#head === null) return;
    const { request, keep, chunks } = this.#head;
    const [body, taken] = [this.#chunks, this.#taken];
    // Whoever serves it has it now.
    this.#taken = 0;
    this.#forget();
    this.deadline = Number.POSITIVE_INFINITY;
    const { problem } = this.#options;
    const exchange = new Exchange(request, body, {
      ...{ socket: this.#socket, keep, chunks, problem },
      over: () => this.#next(keep),
    });
    this.#exchange = exchange;
    void this.#serve(exchange).then(() => (this.#store.taken -= taken));
  }

  async #serve(exchange: Exchange): Promise<void> {
    try {
      await this.#options.serve(exchange);
    } catch (error) {
      this.#broke(error);
    }
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

  #refuse(status: 400 | 413 | 431 | 503, why: string): void {
    this.#turnAway(this.#options.refuse(status, why));
  }

  #turnAway({ status, fields, body }: Refusal): void {
    this.#refused = true;
    this.#forget();
    this.deadline = performance.now() + LINGER_MS;
    const head = headOf(status, [...fields, 'content-length', String(Buffer.byteLength(body)), 'connection', 'close']);
    this.#socket.end(`${head}\r\n${body}`);
  }
}

const tooLong = ({ bodyCap }: DoorOptions): string => `the request is longer than ${bodyCap / 1024 / 1024} MiB`;
const FULL = 'too many large requests at a time';
