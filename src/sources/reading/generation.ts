// One file of a log, read through its descriptor: renamed or deleted, it stays readable to its end.
// Nothing is kept in memory but where we are; a half-written last line is simply read again.

import { closeSync, fstatSync, readSync } from 'node:fs';
import { Cutter, type Reading } from './cutter.ts';
import { type Status, statusOf } from './disk.ts';
import { CHUNK_BYTES, type Piece } from './lines.ts';
import { firstPlace, hashOf, type Place, readFully, TAIL_BYTES, tailLength } from './place.ts';

/** A file (plain or compressed) being read once, from a place to its end. */
export interface Generation {
  read(): Reading | Promise<Reading>;
  /** After `end`: the last line even without its own end; null if there is none. */
  finish(): Piece | null;
  /** There are bytes behind the place. */
  hasMore(): boolean | Promise<boolean>;
  place(): Place;
  /** The first bytes of the file (at most 1024), as far as they were read. */
  head(): Buffer;
  close(): void;
}

/** Shared by all files of one source: what was read is valid until the next read. */
export function readingBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(TAIL_BYTES + CHUNK_BYTES);
}

export class OpenFile implements Generation {
  readonly #fd: number;
  readonly #buffer: Buffer;
  readonly #cutter: Cutter;

  private constructor(fd: number, buffer: Buffer, cutter: Cutter) {
    this.#fd = fd;
    this.#buffer = buffer;
    this.#cutter = cutter;
  }

  /** Reads from the first byte. */
  static fromStart(fd: number, status: Status, buffer: Buffer): OpenFile {
    const nothing = Buffer.alloc(0);
    return new OpenFile(fd, buffer, new Cutter(firstPlace(status), nothing, nothing));
  }

  /** Goes on at `place`; null when the file does not hold what was read up to there. */
  static fromPlace(fd: number, status: Status, buffer: Buffer, place: Place): OpenFile | null {
    if (status.size < place.offset) return null;
    const head = Buffer.allocUnsafe(place.headBytes);
    const seen = Buffer.allocUnsafe(tailLength(place.offset));
    readFully(fd, head, head.length, 0);
    readFully(fd, seen, seen.length, place.offset - seen.length);
    if (hashOf(head) !== place.head || hashOf(seen) !== place.tail) return null;
    const here = { ...place, dev: status.dev, ino: status.ino, birthMs: status.birthMs };
    return new OpenFile(fd, buffer, new Cutter(here, head, seen));
  }

  place(): Place {
    return this.#cutter.place;
  }

  head(): Buffer {
    return this.#cutter.head;
  }

  status(): Status {
    return statusOf(fstatSync(this.#fd));
  }

  read(): Reading {
    const data = this.#next();
    if (data === null) return { kind: 'rewritten' };
    if (data.length > 0) return this.#cutter.take(data);
    return { kind: 'end', partial: this.#cutter.position - this.#cutter.place.offset };
  }

  /** No byte was taken from it yet. */
  isUntouched(): boolean {
    return this.#cutter.position === 0;
  }

  hasMore(): boolean {
    return this.status().size > this.#cutter.place.offset;
  }

  finish(): Piece | null {
    const data = this.#next();
    return data && this.#cutter.finish(data);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /**
   * What stands at the position, at most a chunk. One read also fetches the bytes before it: if they are not
   * those we have seen, the file was truncated and has grown again, which its size alone would not tell.
   */
  #next(): Buffer | null {
    const { seen, position } = this.#cutter;
    const back = seen.length;
    const got = readSync(this.#fd, this.#buffer, 0, back + CHUNK_BYTES, position - back);
    if (got < back || seen.compare(this.#buffer, 0, back) !== 0) return null;
    return this.#buffer.subarray(back, got);
  }
}
