// What a supervised program says, and how it ended. Its output goes to files that the supervisor keeps, so
// nothing is lost when selfheal restarts, and the program never waits for us.

import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LogRecord } from '../core/record.ts';
import type { Generation, Supervisor } from '../host/contract.ts';
import type { Cursor } from '../store/contract.ts';
import type { Block, Source, SourceContext, SourceItem } from './contract.ts';

export interface ProcessSourceOptions {
  readonly supervisor: Supervisor;
  /** Name of a supervised service. */
  readonly service: string;
  /** Gets every byte too, for a person who watches. Default: nobody. */
  readonly echo?: (stream: StreamName, bytes: Uint8Array) => void;
}

export type StreamName = 'stdout' | 'stderr';

/** Where we are in one stream of one generation. */
interface Place {
  readonly byte: number;
  readonly line: number;
}

interface ProcessCursor {
  readonly generation: number;
  readonly stdout: Place;
  readonly stderr: Place;
  /** The end of this generation has been reported. */
  readonly told: boolean;
}

const STREAMS = ['stdout', 'stderr'] as const satisfies readonly StreamName[];
const CHUNK_BYTES = 256 * 1024;
/** A line without an end is passed on when it has grown to this. */
const LINE_CAP_BYTES = 64 * 1024;
/** The kernel's hint may be missing: files are looked at anyway this often. */
const POLL_MS = 1_000;
/** A program that was not started within this time is missed. */
const START_MS = 15_000;
/** What children of an ended program may still write. */
const LAST_WORDS_MS = 250;
/** Generations remembered: a slow reader may be that far behind a quick crash loop. */
const KNOWN = 50;
const START: Place = { byte: 0, line: 1 };

/** One source per supervised service: two streams, and an event at each end. */
export function createProcessSource(options: ProcessSourceOptions): Source {
  return {
    id: `process:${options.service}`,
    service: options.service,
    open: (context) => follow(options, context),
  };
}

async function* follow(options: ProcessSourceOptions, context: SourceContext): AsyncIterable<SourceItem> {
  const seen = createSight(options, context);
  let cursor = parseCursor(context.cursor);
  // Everything a program says from now on goes to files: nothing can be missed any more.
  context.ready?.();
  try {
    const isBlind = !(await seen.begins());
    if (isBlind) yield sight(options, context, 'blind', 'it has not been started', null);
    for (let isNews = isBlind || cursor === null; !context.signal.aborted; isNews = false) {
      const generation = await seen.next(cursor);
      if (!generation) return;
      if (isNews) {
        const place = asCursor(cursor ?? { generation: generation.number, stdout: START, stderr: START, told: false });
        yield sight(options, context, 'sighted', `following start ${generation.number}`, place);
      }
      if (cursor && cursor.generation < generation.number) yield* drainOld(options, context, generation, cursor);
      const reader = new GenerationReader(options, context, generation, cursor);
      yield* reader.items(seen);
      cursor = reader.cursor;
    }
  } finally {
    seen.close();
  }
}

function sight(
  { service }: ProcessSourceOptions,
  { clock }: SourceContext,
  kind: 'blind' | 'sighted',
  reason: string,
  cursor: Cursor | null,
): SourceItem {
  return { kind, stream: `process:${service}`, reason, since: clock.now(), cursor };
}

/** A former selfheal died before it had read everything of an earlier generation. */
async function* drainOld(
  options: ProcessSourceOptions,
  context: SourceContext,
  present: Generation,
  cursor: ProcessCursor,
): AsyncIterable<SourceItem> {
  const folder = dirname(present.stdout);
  const old: Generation = {
    ...present,
    number: cursor.generation,
    stdout: join(folder, `${cursor.generation}.out`),
    stderr: join(folder, `${cursor.generation}.err`),
    ended: null, // how is not known: it ended while nobody looked
  };
  if (cursor.told) return;
  const reader = new GenerationReader(options, context, old, cursor);
  yield* reader.rest();
}

// ---------------------------------------------------------------- one generation

class GenerationReader {
  readonly #options: ProcessSourceOptions;
  readonly #context: SourceContext;
  #generation: Generation;
  readonly #places: Record<StreamName, Place>;
  #told: boolean;

  constructor(
    options: ProcessSourceOptions,
    context: SourceContext,
    generation: Generation,
    cursor: ProcessCursor | null,
  ) {
    const same = cursor?.generation === generation.number ? cursor : null;
    this.#options = options;
    this.#context = context;
    this.#generation = generation;
    this.#places = { stdout: same?.stdout ?? START, stderr: same?.stderr ?? START };
    this.#told = same?.told ?? false;
  }

  get cursor(): ProcessCursor {
    return { generation: this.#generation.number, ...this.#places, told: this.#told };
  }

  /** Everything it says until it has ended and its end is told, or the signal aborts. */
  async *items(seen: Sight): AsyncIterable<SourceItem> {
    if (this.#told) return;
    while (!this.#context.signal.aborted) {
      const version = seen.version();
      // Looked at before reading: what was written before the end is read after it is known.
      const { ended } = seen.latest(this.#generation);
      const quiet = !(yield* this.#readNew(false));
      if (ended) {
        this.#generation = seen.latest(this.#generation);
        await this.#context.clock.sleep(LAST_WORDS_MS, this.#context.signal);
        yield* this.rest();
        return;
      }
      if (quiet) await seen.changed(version);
    }
  }

  /** The rest of both streams, their ends, and how the process ended. */
  async *rest(): AsyncIterable<SourceItem> {
    while (yield* this.#readNew(true));
    for (const stream of STREAMS) yield this.#block(stream, new Uint8Array(), true);
    this.#told = true;
    const { ended } = this.#generation;
    if (ended) yield { kind: 'event', record: this.#endRecord(this.#generation, ended), cursor: asCursor(this.cursor) };
  }

  async *#readNew(toTheEnd: boolean): AsyncGenerator<SourceItem, boolean> {
    let any = false;
    for (const stream of STREAMS) {
      const bytes = await readFrom(this.#generation[stream], this.#places[stream].byte);
      const whole = toTheEnd ? bytes : wholeLines(bytes);
      if (whole.length === 0) continue;
      any = true;
      this.#options.echo?.(stream, whole);
      yield this.#block(stream, whole, false);
    }
    const { stdout, stderr } = this.#places;
    if (any) await this.#options.supervisor.consumed(this.#generation, stdout.byte, stderr.byte);
    return any;
  }

  /** A block and the cursor behind it. */
  #block(stream: StreamName, bytes: Uint8Array, final: boolean): Block & { readonly cursor: Cursor } {
    const place = this.#places[stream];
    this.#places[stream] = { byte: place.byte + bytes.length, line: place.line + count(bytes, NEWLINE) };
    return {
      kind: 'block',
      stream: `process:${this.#options.service}:${stream}`,
      service: this.#options.service,
      bytes,
      startByte: place.byte,
      startLine: place.line,
      final,
      cursor: asCursor(this.cursor),
    };
  }

  #endRecord(generation: Generation, ended: NonNullable<Generation['ended']>): LogRecord {
    const message = `${this.#options.service} ${describeEnd(ended)}`;
    const { line, byte } = this.#places.stderr;
    return {
      source: `process:${this.#options.service}`,
      service: this.#options.service,
      span: { line, endLine: line, startByte: byte, endByte: byte },
      time: ended.at,
      seenAt: this.#context.clock.now(),
      level: ended.deliberate ? 'info' : 'error',
      logger: 'selfheal.supervisor',
      message,
      text: message,
      exit: {
        pid: generation.pid ?? 0,
        exitCode: ended.exitCode,
        signal: ended.signal,
        deliberate: ended.deliberate,
        uptimeMs: ended.uptimeMs,
      },
    };
  }
}

function describeEnd(ended: NonNullable<Generation['ended']>): string {
  if (ended.failure !== null) return `could not be started: ${ended.failure}`;
  const after = `after ${(ended.uptimeMs / 1000).toFixed(1)} s`;
  if (ended.signal !== null) return `was ended by ${ended.signal} ${after}`;
  if (ended.exitCode !== null) return `ended with exit code ${ended.exitCode} ${after}`;
  return `ended ${after}; how is not known, because another selfheal had started it`;
}

// ---------------------------------------------------------------- bytes

const NEWLINE = 0x0a;

/** Up to and with the last line end; everything when a line has grown beyond its cap. */
function wholeLines(bytes: Uint8Array): Uint8Array {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return end === 0 && bytes.length >= LINE_CAP_BYTES ? bytes : bytes.subarray(0, end);
}

function count(bytes: Uint8Array, value: number): number {
  let found = 0;
  for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) found++;
  return found;
}

/** Bytes from a position on; empty when there are none, or no file. */
async function readFrom(file: string, position: number): Promise<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    return buffer.subarray(0, bytesRead);
  } catch {
    return new Uint8Array();
  } finally {
    await handle?.close();
  }
}

// ---------------------------------------------------------------- seeing changes

/** Tells of new generations and of new output, whichever comes first. */
interface Sight {
  /** Waits for the first generation; false when there is none for a while. */
  begins(): Promise<boolean>;
  /** The newest generation that is not told to the end yet; null when the signal aborted. */
  next(cursor: ProcessCursor | null): Promise<Generation | null>;
  /** The same generation as it is now. */
  latest(generation: Generation): Generation;
  /** Counts every change of files or generations. */
  version(): number;
  /** Resolves when something has changed since that version, or after a while. */
  changed(version: number): Promise<void>;
  close(): void;
}

function createSight(options: ProcessSourceOptions, context: SourceContext): Sight {
  const known = new Map<number, Generation>();
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  let version = 0;
  let nap = new AbortController();
  let watched: { readonly folder: string; close(): void } | null = null;

  const note = (): void => {
    version++;
    nap.abort();
  };
  const listen = async (): Promise<void> => {
    for await (const generation of options.supervisor.generations(options.service, signal)) {
      known.set(generation.number, generation);
      known.delete(generation.number - KNOWN);
      const folder = dirname(generation.stdout);
      if (watched?.folder !== folder) {
        watched?.close();
        watched = { folder, close: watchFor(folder, note) };
      }
      note();
    }
  };
  const changed = async (since: number): Promise<void> => {
    if (version !== since) return;
    nap = new AbortController();
    const end = (): void => nap.abort();
    signal.addEventListener('abort', end, { once: true });
    await context.clock.sleep(POLL_MS, nap.signal);
    signal.removeEventListener('abort', end);
  };
  void listen();
  return {
    async begins() {
      const late = context.clock.monotonic() + START_MS;
      while (known.size === 0 && !signal.aborted && context.clock.monotonic() < late) await changed(version);
      return known.size > 0 || signal.aborted;
    },
    async next(cursor) {
      while (!signal.aborted) {
        const before = version;
        const fresh = [...known.values()]
          .sort((a, b) => a.number - b.number)
          .find((g) => !cursor || g.number > cursor.generation || (g.number === cursor.generation && !cursor.told));
        if (fresh) return fresh;
        await changed(before);
      }
      return null;
    },
    latest: (generation) => known.get(generation.number) ?? generation,
    version: () => version,
    changed,
    close() {
      stop.abort();
      watched?.close();
    },
  };
}

function watchFor(folder: string, changed: () => void): () => void {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => {};
  }
}

// ---------------------------------------------------------------- cursors

function asCursor(cursor: ProcessCursor): Cursor {
  return { ...cursor };
}

function parseCursor(cursor: Cursor | null): ProcessCursor | null {
  if (!cursor || typeof cursor.generation !== 'number') return null;
  return {
    generation: cursor.generation,
    stdout: parsePlace(cursor.stdout),
    stderr: parsePlace(cursor.stderr),
    told: cursor.told === true,
  };
}

function parsePlace(value: unknown): Place {
  const { byte, line } = (value ?? {}) as Partial<Place>;
  return typeof byte === 'number' && typeof line === 'number' ? { byte, line } : START;
}
