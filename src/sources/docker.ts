// The output of one container, followed through the engine's socket. The parts of a long line are joined,
// and standard output and standard error stay two streams.

import { type IncomingMessage, request } from 'node:http';
import type { Cursor } from '../store/contract.ts';
import type { Block, Source, SourceContext, SourceItem } from './contract.ts';

export interface DockerSourceOptions {
  readonly service: string;
  /** Name or id of the container. */
  readonly container: string;
  /** Default `/var/run/docker.sock`. */
  readonly socket?: string;
  /** Pause before a container that is gone or stopped is asked for again, milliseconds. Default 2000. */
  readonly retryMs?: number;
}

type StreamName = 'stdout' | 'stderr';

/** Where reading stands in the output of one container. */
interface Place {
  readonly container: string;
  /** Time of the last message that was dealt with, as the engine writes it, and how many messages of just this time were. */
  readonly time: string;
  readonly count: number;
  readonly stdout: StreamPlace;
  readonly stderr: StreamPlace;
}

interface StreamPlace {
  readonly byte: number;
  readonly line: number;
}

interface Message {
  readonly stream: StreamName;
  readonly time: string;
  readonly bytes: Buffer;
}

const SOCKET = '/var/run/docker.sock';
const RETRY_MS = 2_000;
const ANSWER_MS = 10_000;
const ANSWER_CAP_BYTES = 1024 * 1024;
/** The engine cuts lines into messages of 16 KiB; nothing larger comes from a sound one. */
const FRAME_CAP_BYTES = 1024 * 1024;
/** What is kept of a line; the rest is counted and left out. */
const LINE_CAP_BYTES = 1024 * 1024;
/** Messages held back at most while a line is unfinished. */
const HELD_MOST = 4_096;
const HEADER_BYTES = 8;
const NEWLINE = 10;
const START: StreamPlace = { byte: 0, line: 1 };

/**
 * Lines of a container, each once, also through restarts of the container and of selfheal.
 *
 * @example createDockerSource({ service: 'agent', container: 'agent-1' })
 */
export function createDockerSource(options: DockerSourceOptions): Source {
  return {
    id: `docker:${options.service}`,
    service: options.service,
    open: (context) => new Follower(options, context).items(),
  };
}

class Follower {
  readonly #options: DockerSourceOptions;
  readonly #context: SourceContext;
  #place: Place | null;
  #isBlind = false;
  /** Streams within a line whose last part has not come. While there are some nothing is given out: no cursor fits between. */
  readonly #unfinished = new Set<StreamName>();

  constructor(options: DockerSourceOptions, context: SourceContext) {
    this.#options = options;
    this.#context = context;
    this.#place = parsePlace(context.cursor);
  }

  async *items(): AsyncGenerator<SourceItem> {
    const { signal, clock, ready } = this.#context;
    const isFirst = this.#place === null;
    for (let round = 0; !signal.aborted; round += 1) {
      try {
        const container = await this.#inspect();
        if (this.#place?.container !== container.id) this.#place = this.#begin(container, isFirst && round === 0);
        const answer = await this.#get(this.#logsPath(this.#place));
        yield this.#sight('sighted', `following ${this.#options.container}`);
        if (round === 0) ready?.();
        yield* this.#follow(answer, container.isTerminal);
      } catch (error) {
        if (!signal.aborted && !this.#isBlind) yield this.#sight('blind', (error as Error).message);
        if (round === 0) ready?.();
      }
      this.#unfinished.clear();
      await clock.sleep(this.#options.retryMs ?? RETRY_MS, signal);
    }
  }

  /** What stood there before our very first look is no news; a container that comes later is read from its start. */
  #begin({ id }: Container, isFirst: boolean): Place {
    const time = isFirst ? new Date(this.#context.clock.now()).toISOString() : '';
    const place = isFirst ? { byte: 0, line: 0 } : START;
    return { container: id, time, count: 0, stdout: place, stderr: place };
  }

  async *#follow(answer: IncomingMessage, isTerminal: boolean): AsyncGenerator<SourceItem> {
    let toSkip = this.#place?.count ?? 0;
    const from = this.#place?.time;
    const messages = isTerminal ? terminalMessages(answer) : framedMessages(answer);
    const held: Message[] = [];
    for await (const message of messages) {
      // The engine gives again what was written in the very moment that was reached.
      if (message.time === from && toSkip > 0) {
        toSkip -= 1;
        continue;
      }
      held.push(message);
      if (isWhole(message)) this.#unfinished.delete(message.stream);
      else this.#unfinished.add(message.stream);
      if (this.#unfinished.size > 0 && held.length < HELD_MOST) continue;
      yield* this.#blocks(held.splice(0));
    }
    // The container has ended: what has no line end will get none.
    yield* this.#blocks(held);
  }

  /** Lines out of messages, parts joined. Only the last carries a cursor: before it, parts of other lines may be on the way. */
  *#blocks(messages: readonly Message[]): Generator<SourceItem> {
    const lines = { stdout: new JoinedLine(), stderr: new JoinedLine() };
    const done: { readonly stream: StreamName; readonly line: JoinedLine }[] = [];
    for (const message of messages) {
      const line = lines[message.stream];
      line.push(message.bytes);
      this.#count(message);
      if (!isWhole(message)) continue;
      done.push({ stream: message.stream, line });
      lines[message.stream] = new JoinedLine();
    }
    for (const stream of ['stdout', 'stderr'] as const)
      if (!lines[stream].isEmpty) done.push({ stream, line: lines[stream] });
    for (const [at, { stream, line }] of done.entries()) {
      const block = this.#block(stream, line);
      yield { ...block, cursor: at === done.length - 1 ? this.#cursor() : null };
    }
  }

  #count({ time }: Message): void {
    const place = this.#place as Place;
    this.#place = { ...place, time, count: time === place.time ? place.count + 1 : 1 };
  }

  #block(stream: StreamName, joined: JoinedLine): Block {
    const place = this.#place as Place;
    const { byte, line } = place[stream];
    const bytes = joined.bytes();
    const { cutBytes } = joined;
    this.#place = { ...place, [stream]: { byte: byte + bytes.length + cutBytes, line: line === 0 ? 0 : line + 1 } };
    return {
      kind: 'block',
      stream: `docker:${this.#options.container}:${stream}`,
      service: this.#options.service,
      bytes,
      startByte: byte,
      startLine: line,
      final: false,
      cutBytes,
    };
  }

  #sight(kind: 'blind' | 'sighted', reason: string): SourceItem {
    this.#isBlind = kind === 'blind';
    const stream = `docker:${this.#options.container}`;
    return { kind, stream, reason, since: this.#context.clock.now(), cursor: this.#cursor() };
  }

  #cursor(): Cursor | null {
    return this.#place && { ...this.#place };
  }

  // ------------------------------------------------------------ asking the engine

  #logsPath({ container, time }: Place): string {
    const since = time === '' ? '' : `&since=${sinceOf(time)}`;
    return `/containers/${container}/logs?follow=1&stdout=1&stderr=1&timestamps=1${since}`;
  }

  async #inspect(): Promise<Container> {
    const answer = await this.#get(`/containers/${encodeURIComponent(this.#options.container)}/json`);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > ANSWER_CAP_BYTES) throw new Error('the answer of the engine is too long');
      chunks.push(chunk);
    }
    const { Id: id, Config: config } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Inspected;
    if (typeof id !== 'string' || !/^[0-9a-f]{12,64}$/.test(id)) throw new Error('the engine names no container');
    return { id, isTerminal: config?.Tty === true };
  }

  #get(path: string): Promise<IncomingMessage> {
    const { socket = SOCKET, container } = this.#options;
    const { signal } = this.#context;
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: socket, path, signal }, (answer) => {
        call.setTimeout(0);
        if (answer.statusCode === 200) return resolve(answer);
        answer.resume();
        const why =
          answer.statusCode === 404
            ? `there is no container ${container}`
            : `status ${answer.statusCode} of the engine`;
        reject(new Error(why));
      });
      call.setTimeout(ANSWER_MS, () => call.destroy(new Error('the engine does not answer')));
      call.on('error', (error: NodeJS.ErrnoException) => reject(new Error(REASONS[error.code ?? ''] ?? error.message)));
      call.end();
    });
  }
}

interface Container {
  readonly id: string;
  /** Its output is one raw stream, without frames. */
  readonly isTerminal: boolean;
}

interface Inspected {
  readonly Id?: unknown;
  readonly Config?: { readonly Tty?: unknown };
}

const LINE_END = Buffer.from('\n');
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no engine at the socket',
  ECONNREFUSED: 'the engine does not answer at its socket',
  EACCES: 'permission denied for the socket of the engine',
};

// ---------------------------------------------------------------- messages

/**
 * Frames of the engine: the stream (1 or 2), three zero bytes, the length as a big-endian 32-bit number, the message
 * (Docker Engine API, "Attach to a container", stream format).
 */
async function* framedMessages(answer: IncomingMessage): AsyncGenerator<Message> {
  let waiting: Buffer = Buffer.alloc(0);
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    while (waiting.length >= HEADER_BYTES) {
      const length = waiting.readUInt32BE(4);
      const kind = waiting[0] ?? 0;
      if (kind > 2 || length > FRAME_CAP_BYTES) throw new Error('the engine sends something that is no frame');
      if (waiting.length < HEADER_BYTES + length) break;
      yield messageOf(kind === 2 ? 'stderr' : 'stdout', waiting.subarray(HEADER_BYTES, HEADER_BYTES + length));
      waiting = waiting.subarray(HEADER_BYTES + length);
    }
  }
}

/** A terminal has one stream and no frames; each line begins with its time. */
async function* terminalMessages(answer: IncomingMessage): AsyncGenerator<Message> {
  let waiting: Buffer = Buffer.alloc(0);
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    for (let end = waiting.indexOf(NEWLINE); end >= 0; end = waiting.indexOf(NEWLINE)) {
      yield messageOf('stdout', waiting.subarray(0, end + 1));
      waiting = waiting.subarray(end + 1);
    }
    if (waiting.length <= FRAME_CAP_BYTES) continue;
    yield messageOf('stdout', waiting);
    waiting = Buffer.alloc(0);
  }
  if (waiting.length > 0) yield messageOf('stdout', waiting);
}

function isWhole({ bytes }: Message): boolean {
  return bytes.at(-1) === NEWLINE;
}

/** The parts of one line, as far as they are kept. */
class JoinedLine {
  readonly #parts: Buffer[] = [];
  #length = 0;
  cutBytes = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  push(part: Buffer): void {
    const kept = part.subarray(0, Math.max(0, LINE_CAP_BYTES - this.#length));
    this.#parts.push(kept);
    this.#length += kept.length;
    this.cutBytes += part.length - kept.length;
  }

  bytes(): Buffer {
    const isEnded = this.#parts.at(-1)?.at(-1) === NEWLINE;
    return Buffer.concat(isEnded ? this.#parts : [...this.#parts, LINE_END]);
  }
}

/** `2026-01-05T10:00:00.123456789Z text`. */
function messageOf(stream: StreamName, message: Buffer): Message {
  const space = message.subarray(0, 40).indexOf(0x20);
  const time = message.toString('latin1', 0, Math.max(0, space));
  if (!TIME.test(time)) return { stream, time: '', bytes: Buffer.from(message) };
  return { stream, time, bytes: Buffer.from(message.subarray(space + 1)) };
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/;

/** Seconds with nanoseconds, as the engine takes them: a number of JavaScript cannot hold those. */
function sinceOf(time: string): string {
  const nanos = (TIME.exec(time)?.[1] ?? '').padEnd(9, '0');
  return `${Math.floor(Date.parse(time) / 1_000)}.${nanos}`;
}

function parsePlace(cursor: Cursor | null): Place | null {
  if (!cursor || typeof cursor.container !== 'string' || typeof cursor.time !== 'string') return null;
  const { container, time, count } = cursor;
  if (time !== '' && !TIME.test(time)) return null;
  return {
    container,
    time,
    count: typeof count === 'number' ? count : 0,
    stdout: parseStream(cursor.stdout),
    stderr: parseStream(cursor.stderr),
  };
}

function parseStream(value: unknown): StreamPlace {
  const { byte, line } = (value ?? {}) as Partial<StreamPlace>;
  return typeof byte === 'number' && typeof line === 'number' ? { byte, line } : START;
}
