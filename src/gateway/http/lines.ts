// Connections to upstreams: requests go out on kept connections, answers come back as head and bytes. HTTP/1.1 by hand:
// docs/decisions/0010-http-by-hand.md says why.

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { CallError, type Place } from '../calling.ts';
import { brokenBy } from '../verdict.ts';
import type { Answer, Sink } from './answer.ts';
import { BodyReader, framingOf } from './body.ts';
import { connectionSays, type Head, HEAD_CAP, HEAD_END, isFieldValue, parseHead } from './head.ts';
import type { Stop } from './stop.ts';

export interface Outgoing {
  readonly place: Place;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: readonly Buffer[] | null;
  readonly connectMs: number;
  /** Until the head of the answer. */
  readonly headMs: number;
  /** Asked when that time is over: how long it may take after all. Default: no longer. */
  readonly patienceMs?: () => number;
  readonly signal: Stop;
}

/** Connections kept for one place. */
const KEPT = 64;
/** Kept for so long when the other side does not say; less than servers wait by default. */
const KEPT_MS = 55_000;
/** Up to here head and body go out in one piece. */
const ONE_WRITE = 64 * 1024;
const SESSIONS = 50;
/** Heads that only announce an answer (100, 103). */
const ANNOUNCED_MOST = 10;
/** A connection that was closed before we used it says so within a round trip; later, the other side may have acted. */
const STALE_MS = 300;

/** Reads are handled one by one: all connections without TLS share the place that they read into. */
const readInto = Buffer.allocUnsafeSlow(64 * 1024);

export interface LinesOptions {
  /** The only certificate authority to trust, as PEM. Default: those of Node. */
  readonly ca?: string;
  /** Told of bugs of ours: they end their connection, and no other. Default: nobody hears of them. */
  readonly problem?: (message: string, error: unknown) => void;
}

/** Connections to all upstreams. Close it when done. */
export class Lines {
  readonly #kept = new Map<string, Line[]>();
  readonly #open = new Set<Line>();
  readonly #sessions = new Map<string, Buffer>();
  readonly #o: LinesOptions;
  #closed = false;

  constructor(options: LinesOptions = {}) {
    this.#o = options;
  }

  /** Resolves with the head of the answer. Rejects with a `CallError`, or when the signal aborts. */
  async call(outgoing: Outgoing): Promise<Answer> {
    const kept = this.#take(outgoing.place);
    if (kept === null) return this.#connect(outgoing.place, outgoing.connectMs).ask(outgoing);
    try {
      return await kept.ask(outgoing);
    } catch (error) {
      // The other side had closed a kept connection the moment we used it: nothing was asked yet.
      if (!(error instanceof StaleLine)) throw error;
      return this.#connect(outgoing.place, outgoing.connectMs).ask(outgoing);
    }
  }

  close(): void {
    this.#closed = true;
    for (const line of this.#open) line.destroy();
  }

  #take({ host, secure }: Place): Line | null {
    const kept = this.#kept.get(secure ? `${host} tls` : host);
    for (;;) {
      const line = kept?.pop();
      if (line === undefined) return null;
      if (line.isUsable) return line;
      line.destroy();
    }
  }

  #connect(place: Place, connectMs: number): Line {
    const { hostname: host, port, secure } = place;
    const name = secure ? `${place.host} tls` : place.host;
    const session = this.#sessions.get(name);
    let line: Line | null = null;
    const socket = secure
      ? connectSecurely({
          host,
          port,
          ALPNProtocols: ['http/1.1'],
          ...(isIP(host) === 0 && { servername: host }),
          ...(session && { session }),
          ...(this.#o.ca !== undefined && { ca: this.#o.ca }),
        })
      : connect({
          host,
          port,
          onread: {
            buffer: readInto,
            // What is handed on must outlive the next read, of whichever connection.
            callback: (size) => {
              line?.data(Buffer.from(readInto.subarray(0, size)));
              return true;
            },
          },
        });
    socket.setNoDelay(true);
    if (secure)
      socket.on('session', (fresh: Buffer) => {
        if (this.#sessions.size >= SESSIONS) this.#sessions.clear();
        this.#sessions.set(name, fresh);
      });
    const made = new Line(socket, place, connectMs, {
      free: () => {
        const kept = this.#kept.get(name);
        if (kept === undefined) this.#kept.set(name, [made]);
        else if (kept.length < KEPT && !this.#closed) kept.push(made);
        else made.destroy();
      },
      gone: () => {
        this.#open.delete(made);
        const kept = this.#kept.get(name);
        const at = kept?.indexOf(made) ?? -1;
        if (at >= 0) kept?.splice(at, 1);
      },
      problem: (error) => this.#o.problem?.(`the connection to ${place.host} broke`, error),
    });
    line = made;
    if (secure) socket.on('data', (bytes: Buffer) => made.data(bytes));
    this.#open.add(made);
    return made;
  }
}

/** A kept connection was closed by the other side before it had answered a word. */
class StaleLine extends Error {}

interface Asked {
  /** By a clock that only goes forward, in milliseconds. */
  readonly since: number;
  readonly outgoing: Outgoing;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  readonly abort: () => void;
  timer: NodeJS.Timeout;
}

interface LineOwner {
  readonly free: () => void;
  readonly gone: () => void;
  readonly problem: (error: unknown) => void;
}

/** One connection: one request at a time. */
class Line {
  readonly #socket: Socket;
  readonly #place: Place;
  readonly #owner: LineOwner;
  #connecting: NodeJS.Timeout | null;
  #asked: Asked | null = null;
  #answer: LineAnswer | null = null;
  #head: Buffer | null = null;
  #uses = 0;
  #announced = 0;
  #heard = false;
  #keptUntil = 0;
  #error: NodeJS.ErrnoException | null = null;
  #isOver = false;

  constructor(socket: Socket, place: Place, connectMs: number, owner: LineOwner) {
    this.#socket = socket;
    this.#place = place;
    this.#owner = owner;
    this.#connecting = setTimeout(() => this.#late('connection', connectMs), connectMs);
    socket.once(place.secure ? 'secureConnect' : 'connect', () => this.#connected());
    socket.on('error', (error) => (this.#error = error));
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#ended());
  }

  get isUsable(): boolean {
    return !this.#isOver && this.#socket.writable && performance.now() < this.#keptUntil;
  }

  ask(outgoing: Outgoing): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { signal } = outgoing;
      if (signal.aborted) {
        this.destroy();
        return reject(signal.reason as Error);
      }
      const abort = (): void => this.#fail(signal.reason);
      const timer = setTimeout(() => this.#noHead(outgoing), outgoing.headMs);
      this.#asked = { outgoing, resolve, reject, abort, timer, since: performance.now() };
      this.#uses += 1;
      this.#announced = 0;
      this.#heard = false;
      signal.addEventListener('abort', abort);
      send(this.#socket, headOf(outgoing), outgoing.body ?? []);
    });
  }

  destroy(): void {
    this.#socket.destroy();
    this.#ended();
  }

  #connected(): void {
    if (this.#connecting) clearTimeout(this.#connecting);
    this.#connecting = null;
  }

  /** The deadline has run out; a longer one may hold by now. */
  #noHead({ headMs, patienceMs }: Outgoing): void {
    const longer = patienceMs?.() ?? headMs;
    if (this.#asked === null || longer <= headMs) return this.#late('answer', headMs);
    this.#asked.timer = setTimeout(() => this.#late('answer', longer), longer - headMs);
  }

  #late(what: string, ms: number): void {
    this.#fail(new CallError(brokenBy('timeout', what, `${this.#place.host}: no ${what} within ${ms / 1000} s`)));
  }

  /** Takes what the connection brings. A bug behind it ends this connection, as if the other side had cut it. */
  data(bytes: Buffer): void {
    try {
      this.#data(bytes);
    } catch (error) {
      this.#owner.problem(error);
      this.destroy();
    }
  }

  #data(bytes: Buffer): void {
    this.#heard = true;
    if (this.#answer) return this.#feed(this.#answer, bytes);
    // Nobody has asked: whoever speaks now is not to be trusted with the next request.
    if (this.#asked === null) return this.destroy();
    const head = this.#head ? Buffer.concat([this.#head, bytes]) : bytes;
    const end = head.indexOf(HEAD_END);
    if (end >= 0) {
      this.#head = null;
      return this.#headRead(parseHead(head.toString('latin1', 0, end)), head.subarray(end + HEAD_END.length));
    }
    if (head.length > HEAD_CAP) return this.#fail(this.#broken('head', 'the head of the answer has no end'));
    this.#head = head;
  }

  #headRead(head: Head | null, rest: Buffer): void {
    const asked = this.#asked as Asked;
    const status = head ? Number(/^HTTP\/1\.[01] ([1-9]\d\d)(?: |$)/.exec(head.line)?.[1]) : Number.NaN;
    if (head === null || Number.isNaN(status) || status === 101)
      return this.#fail(this.#broken('head', 'what came is no answer of HTTP/1.1'));
    // 100 and 103 only announce the answer.
    if (status < 200) {
      if (++this.#announced > ANNOUNCED_MOST)
        return this.#fail(this.#broken('head', 'an answer was announced again and again'));
      return rest.length > 0 ? this.#data(rest) : undefined;
    }
    const isEmpty = asked.outgoing.method === 'HEAD' || status === 204 || status === 304;
    const framing = isEmpty ? 0 : framingOf(head, 'close');
    if (framing === 'broken') return this.#fail(this.#broken('length', 'the answer does not say how long it is'));
    const answer = new LineAnswer(this.#socket, head, status, new BodyReader(framing), () => this.destroy());
    this.#keptUntil = framing === 'close' ? 0 : keptUntil(head);
    this.#settled();
    this.#answer = answer;
    asked.resolve(answer);
    if (rest.length > 0 || framing === 0) this.#feed(answer, rest);
  }

  #feed(answer: LineAnswer, bytes: Buffer): void {
    const { body } = answer;
    const data = body.push(bytes);
    if (body.done) this.#complete(answer, body.rest.length > 0);
    if (data.length > 0) answer.data(data);
    if (body.broken) {
      this.#answer = null;
      answer.end(new Error('was no proper message'));
      return this.destroy();
    }
    if (body.done) answer.end(null);
  }

  /** The connection is free before the answer is handed on: the next request may be its consequence. */
  #complete(answer: LineAnswer, hasMore: boolean): void {
    this.#answer = null;
    answer.complete = true;
    const isQuiet = !hasMore && this.#socket.writableLength === 0;
    if (this.#keptUntil === 0 || !isQuiet) return this.destroy();
    this.#socket.resume();
    this.#owner.free();
  }

  #settled(): void {
    const asked = this.#asked;
    if (asked === null) return;
    this.#asked = null;
    clearTimeout(asked.timer);
    asked.outgoing.signal.removeEventListener('abort', asked.abort);
  }

  /** Nothing more comes. */
  #ended(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connected();
    this.#owner.gone();
    const [answer, asked] = [this.#answer, this.#asked];
    this.#answer = null;
    this.#settled();
    this.#socket.destroy();
    if (answer) this.#endAnswer(answer);
    if (asked === null) return;
    const code = this.#error?.code ?? 'ECONNRESET';
    const isStale = this.#uses > 1 && !this.#heard && (code === 'ECONNRESET' || code === 'EPIPE') && mayAskAgain(asked);
    asked.reject(isStale ? new StaleLine() : this.#broken(code, this.#error?.message ?? 'socket hang up'));
  }

  #endAnswer(answer: LineAnswer): void {
    answer.complete = answer.body.endsHere && this.#error === null;
    try {
      answer.end(answer.complete ? null : (this.#error ?? new Error('was cut off')));
    } catch (error) {
      this.#owner.problem(error);
    }
  }

  #fail(error: unknown): void {
    const asked = this.#asked;
    this.#settled();
    this.destroy();
    asked?.reject(error);
  }

  #broken(code: string, message: string): CallError {
    return new CallError(brokenBy('transport', code, `${this.#place.host}: ${message}`));
  }
}

function mayAskAgain({ outgoing, since }: Asked): boolean {
  return outgoing.method === 'GET' || outgoing.method === 'HEAD' || performance.now() - since < STALE_MS;
}

class LineAnswer implements Answer {
  readonly status: number;
  readonly fields: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: BodyReader;
  readonly #socket: Socket;
  readonly #hangUp: () => void;
  complete = false;
  #sink: Sink | null = null;
  /** What came before somebody read. */
  #early: Buffer[] = [];
  #end: { readonly error: Error | null } | null = null;

  constructor(socket: Socket, head: Head, status: number, body: BodyReader, hangUp: () => void) {
    this.#socket = socket;
    this.status = status;
    this.fields = head.fields;
    this.headers = head.headers;
    this.body = body;
    this.#hangUp = hangUp;
  }

  read(sink: Sink): void {
    this.#sink = sink;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) {
      if (!this.#end) this.#socket.resume();
      for (const bytes of early) sink.data(bytes);
    }
    if (this.#end) sink.ended(this.#end.error);
  }

  data(bytes: Buffer): void {
    if (this.#sink) return this.#sink.data(bytes);
    this.#early.push(bytes);
    if (!this.complete) this.#socket.pause();
  }

  end(error: Error | null): void {
    this.#end ??= { error };
    this.#sink?.ended(this.#end.error);
  }

  pause(): void {
    if (!this.complete) this.#socket.pause();
  }

  resume(): void {
    if (!this.complete) this.#socket.resume();
  }

  destroy(): void {
    this.#sink = { data: () => {}, ended: () => {} };
    if (!this.complete) this.#hangUp();
  }
}

/** How long this connection may be used again, in the time of `performance.now()`; 0: not at all. */
function keptUntil(head: Head): number {
  const isOld = head.line.startsWith('HTTP/1.0');
  if (connectionSays(head, 'close') || (isOld && !connectionSays(head, 'keep-alive'))) return 0;
  const stated = /timeout=(\d+)/i.exec(head.headers['keep-alive'] ?? '')?.[1];
  // A second less than stated: our request must arrive before the other side closes.
  const ms = stated === undefined ? KEPT_MS : Number(stated) * 1000 - 1_000;
  return ms <= 0 ? 0 : performance.now() + Math.min(ms, KEPT_MS);
}

function headOf({ method, path, headers }: Outgoing): string {
  let text = `${method} ${path} HTTP/1.1\r\n`;
  for (const name in headers) {
    const value = headers[name] as string | readonly string[];
    for (const one of typeof value === 'string' ? [value] : value) if (isFieldValue(one)) text += `${name}: ${one}\r\n`;
  }
  return `${text}connection: keep-alive\r\n\r\n`;
}

/** Head and body in as few writes as can be. */
export function send(socket: Socket, head: string, body: readonly Buffer[]): void {
  let size = head.length;
  for (const bytes of body) size += bytes.length;
  if (size > ONE_WRITE) {
    socket.cork();
    socket.write(head, 'latin1');
    for (const bytes of body) socket.write(bytes);
    socket.uncork();
    return;
  }
  const all = Buffer.allocUnsafe(size);
  let at = all.write(head, 0, 'latin1');
  for (const bytes of body) at += bytes.copy(all, at);
  socket.write(all);
}
