// Looks through files once, in order, and gives out what the detector finds: for `selfheal scan` and the
// library. Touches nothing, keeps nothing but one buffer, and stops where the signal says.

import { closeSync, createReadStream, openSync, readSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { Detection } from './core/detection.ts';
import type { Detecting } from './engine/watch.ts';
import type { Block } from './sources/contract.ts';
import { detectEncoding, type Encoding, endOfFirstLine, endOfLastLine, toUtf8 } from './sources/reading/encoding.ts';
import { CHUNK_BYTES, countLines, LongLine } from './sources/reading/lines.ts';

/** A path, plain or gzip, or a stream that somebody pipes in. */
export type ScanInput =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly name: string; readonly stream: AsyncIterable<Uint8Array> };

export type ScanStep =
  /** What one block held, with how far reading has come. `totalBytes` is null where nobody can know. */
  | {
      readonly kind: 'found';
      readonly input: string;
      readonly detections: readonly Detection[];
      readonly lines: number;
      readonly readBytes: number;
      readonly totalBytes: number | null;
    }
  /** This input could not be read, or not to its end. The others go on. */
  | { readonly kind: 'problem'; readonly input: string; readonly message: string };

export interface ScanDeps {
  readonly detector: Detecting;
  readonly inputs: readonly ScanInput[];
  /** Records whose time is known and before this (epoch milliseconds) are left out. */
  readonly since?: number;
  readonly signal?: AbortSignal;
}

/** Lets signals, timers and the reader of our output have their turn. */
const breath = (): Promise<void> => new Promise((done) => setImmediate(done));
const BLOCKS_PER_BREATH = 16;

/**
 * One step per block, in the order of the inputs.
 *
 * @example
 * for await (const step of scan({ detector, inputs: [{ kind: 'file', path: 'agent.log' }] }))
 *   if (step.kind === 'found') for (const d of step.detections) console.log(d.type, d.message);
 */
export async function* scan(deps: ScanDeps): AsyncGenerator<ScanStep, void> {
  for (const input of deps.inputs) {
    if (deps.signal?.aborted) return;
    const name = input.kind === 'file' ? input.path : input.name;
    try {
      yield* scanOne(name, input, deps);
    } catch (error) {
      yield { kind: 'problem', input: name, message: reasonOf(error) };
    }
  }
}

async function* scanOne(name: string, input: ScanInput, deps: ScanDeps): AsyncGenerator<ScanStep, void> {
  const opened = open(input);
  try {
    if (opened.stats && deps.since !== undefined && opened.stats.mtimeMs < deps.since) return;
    for await (const { block, lines } of blocks(input, opened)) {
      if (deps.signal?.aborted) return;
      const found = deps.detector.feed(block);
      const detections = block.final ? [...found, ...deps.detector.flush(block.stream)] : found;
      const place = { input: name, readBytes: opened.readBytes(), totalBytes: opened.stats?.size ?? null };
      yield { kind: 'found', detections: detections.filter((d) => isRecent(d, deps.since)), lines, ...place };
    }
  } finally {
    opened.close();
  }
}

/** The whole lines of an input as a source would give them; valid until the next one is asked for. */
export async function* readBlocks(input: ScanInput): AsyncGenerator<Block, void> {
  const opened = open(input);
  try {
    for await (const { block } of blocks(input, opened)) yield block;
  } finally {
    opened.close();
  }
}

async function* blocks(input: ScanInput, opened: Opened): AsyncGenerator<{ block: Block; lines: number }, void> {
  const place =
    input.kind === 'file' ? { stream: `file:${resolve(input.path)}`, file: input.path } : { stream: input.name };
  let given = 0;
  for await (const { lines, ...piece } of pieces(opened.chunks)) {
    yield { block: { kind: 'block', service: null, ...place, ...piece }, lines };
    if (++given % BLOCKS_PER_BREATH === 0) await breath();
  }
}

/** A record without a time of its own stays: leaving out what cannot be judged would hide it. */
function isRecent(detection: Detection, since: number | undefined): boolean {
  return since === undefined || detection.record.time === undefined || detection.record.time >= since;
}

// ---------------------------------------------------------------- bytes

interface Opened {
  /** Reads into the given space and says how much; 0 at the end. Sync for files: twice as fast from the page cache. */
  readonly chunks: (space: Buffer) => number | Promise<number>;
  /** Of a regular file. */
  readonly stats: Stats | null;
  readonly readBytes: () => number;
  readonly close: () => void;
}

function open(input: ScanInput): Opened {
  if (input.kind === 'stream') return fromStream(input.stream);
  const stats = statSync(input.path);
  if (stats.isDirectory()) throw new ScanError('is a directory; name its files, e.g. DIR/*.log');
  // A pipe blocks whoever opens it until somebody writes: that must not be this thread.
  if (!stats.isFile()) return fromStream(createReadStream(input.path, { highWaterMark: CHUNK_BYTES }));
  const fd = openSync(input.path, 'r');
  let plain = false;
  try {
    plain = !isGzip(fd);
  } finally {
    if (!plain) closeSync(fd);
  }
  return plain ? fromFile(fd, stats) : fromGzip(input.path, stats);
}

class ScanError extends Error {}

function isGzip(fd: number): boolean {
  const magic = Buffer.alloc(6);
  const length = readSync(fd, magic, 0, 6, 0);
  for (const { bytes, program } of OTHER_PACKERS)
    if (length >= bytes.length && bytes.every((byte, at) => magic[at] === byte))
      throw new ScanError(`is packed with ${program}; unpack it into a pipe: ${program} -dc FILE | selfheal scan -`);
  return length >= 2 && magic[0] === 0x1f && magic[1] === 0x8b;
}

const OTHER_PACKERS = [
  { program: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { program: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { program: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { program: 'lz4', bytes: [0x04, 0x22, 0x4d, 0x18] },
];

function fromFile(fd: number, stats: Stats): Opened {
  let read = 0;
  const chunks = (space: Buffer): number => {
    const length = readSync(fd, space, 0, space.length, null);
    read += length;
    return length;
  };
  return { chunks, stats, readBytes: () => read, close: () => closeSync(fd) };
}

/** Progress counts packed bytes, for only their total is known. */
function fromGzip(path: string, stats: Stats): Opened {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => unpacked.destroy(error));
  file.pipe(unpacked);
  const inner = fromStream(unpacked);
  const close = (): void => {
    inner.close();
    file.destroy();
  };
  return { chunks: inner.chunks, stats, readBytes: () => file.bytesRead, close };
}

function fromStream(stream: AsyncIterable<Uint8Array>): Opened {
  const iterator = stream[Symbol.asyncIterator]();
  let waiting: Uint8Array = new Uint8Array(0);
  let read = 0;
  const chunks = async (space: Buffer): Promise<number> => {
    while (waiting.length === 0) {
      const next = await iterator.next();
      if (next.done) return 0;
      waiting = next.value;
      read += waiting.length;
    }
    const length = Math.min(space.length, waiting.length);
    space.set(waiting.subarray(0, length));
    waiting = waiting.subarray(length);
    return length;
  };
  return { chunks, stats: null, readBytes: () => read, close: () => void iterator.return?.().catch(() => undefined) };
}

// ---------------------------------------------------------------- whole lines

type LinePiece = Pick<Block, 'bytes' | 'startByte' | 'startLine' | 'final'> & { readonly lines: number };

/**
 * Cuts what is read behind the last line end. The last piece is final, and may be empty. A line that is longer than
 * the buffer loses its middle, as it does for a followed file.
 */
async function* pieces(chunks: Opened['chunks']): AsyncGenerator<LinePiece, void> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let used = 0;
  let startByte = 0;
  let startLine = 1;
  let encoding: Encoding | null = null;
  for (;;) {
    const reading = chunks(buffer.subarray(used));
    const length = typeof reading === 'number' ? reading : await reading;
    used += length;
    if (encoding === null && (used >= 3 || length === 0)) {
      const mark = detectEncoding(buffer.subarray(0, used));
      encoding = mark.encoding;
      buffer.copyWithin(0, mark.bytes, used);
      used -= mark.bytes;
      startByte = mark.bytes;
    }
    if (encoding === null) continue;
    if (length === 0) {
      const rest = toUtf8(buffer.subarray(0, used), encoding);
      yield { bytes: rest, startByte, startLine, final: true, lines: countLines(rest) + (rest.length > 0 ? 1 : 0) };
      return;
    }
    const end = endOfLastLine(buffer.subarray(0, used), encoding);
    if (end > 0) {
      const bytes = toUtf8(buffer.subarray(0, end), encoding);
      const lines = countLines(bytes);
      yield { bytes, startByte, startLine, final: false, lines };
      startByte += end;
      startLine += lines;
      buffer.copyWithin(0, end, used);
      used -= end;
    } else if (used === buffer.length) {
      const long = await longLine(chunks, buffer, encoding);
      const bytes = Buffer.concat([long.text, Buffer.from('\n')]);
      yield { bytes, startByte, startLine, final: false, lines: 1 };
      startByte += long.length;
      startLine += 1;
      used = long.used;
    }
  }
}

/** Reads on to the end of a line that fills the whole buffer. What follows it stands at the buffer's start afterwards. */
async function longLine(
  chunks: Opened['chunks'],
  buffer: Buffer,
  encoding: Encoding,
): Promise<{ readonly text: Buffer; readonly length: number; readonly used: number }> {
  const line = new LongLine(encoding);
  line.push(buffer);
  let length = buffer.length;
  for (let turn = 1; ; turn++) {
    const reading = chunks(buffer);
    const got = typeof reading === 'number' ? reading : await reading;
    const end = endOfFirstLine(buffer.subarray(0, got), encoding);
    line.push(buffer.subarray(0, end === 0 ? got : end - (encoding === 'utf8' ? 1 : 2)));
    length += end || got;
    if (end > 0 || got === 0) {
      buffer.copyWithin(0, end, got);
      return { text: line.text(), length, used: got - end };
    }
    if (turn % BLOCKS_PER_BREATH === 0) await breath();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof ScanError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? `cannot be read (${code ?? message})`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  Z_BUF_ERROR: 'the compressed file ends in the middle',
  Z_DATA_ERROR: 'the compressed file is damaged',
};
