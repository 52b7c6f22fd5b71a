// A rotated log that has been compressed meanwhile (.gz): what we had not read of it is read from
// the decompressed stream. Offsets count decompressed bytes, so a place fits both forms.

import { closeSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Cutter, type Reading } from './cutter.ts';
import type { Status } from './disk.ts';
import type { Generation } from './generation.ts';
import { CHUNK_BYTES, type Piece } from './lines.ts';
import { firstPlace, hashOf, type Place, tailLength } from './place.ts';

/** More than this out of one archive is a bomb, not a log: gzip can hide a thousand times its size. */
const MAX_BYTES = 64 * 1024 ** 3;
const PACKED_BYTES = 64 * 1024;

export class Archive implements Generation {
  readonly #fd: number;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #stop: () => void;
  #cutter: Cutter;
  /** Decompressed bytes that stand at the cutter's position. */
  #waiting: Buffer = Buffer.alloc(0);
  #ended = false;
  #failure: string | null = null;

  private constructor(fd: number, status: Status) {
    this.#fd = fd;
    this.#cutter = new Cutter(firstPlace(status), this.#waiting, this.#waiting);
    // Not a file stream: those close the descriptor themselves, at a time of their own.
    const input = Readable.from(packedChunks(fd), { objectMode: false });
    const output = createGunzip({ chunkSize: CHUNK_BYTES });
    input.on('error', (error) => output.destroy(error));
    this.#chunks = input.pipe(output)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#stop = () => {
      input.destroy();
      output.destroy();
    };
  }

  /** Takes over the descriptor of a .gz file. Null (and closed) when it does not hold what was read up to `place`. */
  static async open(fd: number, status: Status, place: Place | null): Promise<Archive | null> {
    const archive = new Archive(fd, status);
    if (
      place === null ||
      (await archive.#goTo({ ...place, dev: status.dev, ino: status.ino, birthMs: status.birthMs }))
    )
      return archive;
    archive.close();
    return null;
  }

  place(): Place {
    return this.#cutter.place;
  }

  head(): Buffer {
    return this.#cutter.head;
  }

  /** Why it could not be read to its end; null when all was well. */
  get failure(): string | null {
    return this.#failure;
  }

  async read(): Promise<Reading> {
    if (this.#waiting.length < CHUNK_BYTES) await this.#load();
    const before = this.#cutter.position;
    const reading = this.#cutter.take(this.#waiting);
    this.#waiting = this.#waiting.subarray(this.#cutter.position - before);
    return reading.kind === 'end' && !this.#ended ? { kind: 'more' } : reading;
  }

  async hasMore(): Promise<boolean> {
    while (this.#waiting.length === 0 && (await this.#load()));
    return this.#waiting.length > 0;
  }

  finish(): Piece | null {
    return this.#cutter.finish(this.#waiting);
  }

  close(): void {
    this.#stop();
    closeSync(this.#fd);
  }

  /** Adds the next decompressed chunk to what is waiting; false at the end. */
  async #load(): Promise<boolean> {
    if (this.#ended) return false;
    try {
      const { value, done } = await this.#chunks.next();
      if (!done) this.#waiting = this.#waiting.length ? Buffer.concat([this.#waiting, value]) : value;
      if (this.#cutter.position > MAX_BYTES) throw new Error('it decompresses to more than 64 GiB');
      this.#ended = done === true;
    } catch (error) {
      this.#ended = true;
      this.#failure = (error as Error).message;
    }
    return !this.#ended;
  }

  async #goTo(place: Place): Promise<boolean> {
    let head: Buffer = Buffer.alloc(0);
    let seen: Buffer = Buffer.alloc(0);
    for (let at = 0; at < place.offset; ) {
      if (this.#waiting.length === 0 && !(await this.#load())) return false;
      const part = this.#waiting.subarray(0, place.offset - at);
      if (head.length < place.headBytes) head = Buffer.concat([head, part]).subarray(0, place.headBytes);
      if (head.length === place.headBytes && hashOf(head) !== place.head) return false;
      seen = Buffer.concat([seen, part]).subarray(-tailLength(place.offset));
      this.#waiting = this.#waiting.subarray(part.length);
      at += part.length;
    }
    this.#cutter = new Cutter(place, head, seen);
    return hashOf(seen) === place.tail;
  }
}

function* packedChunks(fd: number): Generator<Buffer> {
  for (let at = 0; ; ) {
    const chunk = Buffer.allocUnsafe(PACKED_BYTES);
    const got = readSync(fd, chunk, 0, chunk.length, at);
    if (got === 0) return;
    yield chunk.subarray(0, got);
    at += got;
  }
}
