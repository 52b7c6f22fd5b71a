// Cuts bytes of one file into whole lines and keeps the place. It is handed what stands at its
// position and says how far it went: where the bytes come from is not its business.

import { detectEncoding, type Encoding, endOfFirstLine, endOfLastLine, toUtf8 } from './encoding.ts';
import { CHUNK_BYTES, countLines, LongLine, type Piece } from './lines.ts';
import { HEAD_BYTES, hashOf, type Place, TAIL_BYTES, tailLength } from './place.ts';

export type Reading =
  | { readonly kind: 'piece'; readonly piece: Piece }
  /** Nothing complete to give out. `partial` bytes of a line without its end are there. */
  | { readonly kind: 'end'; readonly partial: number }
  /** Busy within a line that is too long, or a hole; ask again. */
  | { readonly kind: 'more' }
  /** What had been read is not there any more: truncated, or written anew. */
  | { readonly kind: 'rewritten' };

/** A run of NULs this long at the beginning of a line is a hole: a writer kept its offset while the file was truncated. */
const HOLE_BYTES = 64;

export class Cutter {
  #place: Place;
  /** Where to read next. Ahead of the place only within a line that is too long. */
  #position: number;
  #long: LongLine | null = null;
  readonly #seen = Buffer.alloc(TAIL_BYTES);
  #head: Buffer;

  /** `head`: the first bytes of the file, `seen`: the last ones before the place, as they were hashed into it. */
  constructor(place: Place, head: Buffer, seen: Buffer) {
    this.#place = place;
    this.#position = place.offset;
    this.#head = Buffer.from(head);
    seen.copy(this.#seen);
  }

  get place(): Place {
    return this.#place;
  }

  get position(): number {
    return this.#position;
  }

  /** The bytes that were read just before the position. */
  get seen(): Buffer {
    return this.#seen.subarray(0, tailLength(this.#position));
  }

  /** The first bytes of the file, as far as they were read. */
  get head(): Buffer {
    return this.#head;
  }

  /** `data` begins at `position`; a full chunk without a line end is the beginning of a line that is too long. */
  take(data: Buffer): Reading {
    if (this.#long) return this.#passOver(this.#long, data);
    const mark = this.#place.offset === 0 ? detectEncoding(data) : null;
    if (mark && mark.bytes > 0) return this.#skip(data.subarray(0, mark.bytes), mark.encoding);
    const { encoding } = this.#place;
    const hole = leadingNuls(data);
    if (hole >= HOLE_BYTES) return this.#skip(data.subarray(0, hole), encoding);
    const end = endOfLastLine(data, encoding);
    if (end > 0) return { kind: 'piece', piece: this.#give(data.subarray(0, end), false) };
    if (data.length < CHUNK_BYTES) return { kind: 'end', partial: data.length };
    this.#long = new LongLine(encoding);
    return this.#passOver(this.#long, data);
  }

  /** The last line without its end, when nothing more will come. */
  finish(data: Buffer): Piece | null {
    if (this.#long) return this.#giveLong(this.#long, data, true);
    return data.length === 0 ? null : this.#give(data, true);
  }

  #passOver(long: LongLine, data: Buffer): Reading {
    const { encoding, offset } = this.#place;
    const whole = encoding === 'utf8' ? data : data.subarray(0, data.length & ~1);
    const end = endOfFirstLine(whole, encoding);
    if (end > 0) return { kind: 'piece', piece: this.#giveLong(long, whole.subarray(0, end), false) };
    if (whole.length === 0) return { kind: 'end', partial: this.#position - offset };
    long.push(whole);
    this.#moveOver(whole);
    return { kind: 'more' };
  }

  #skip(data: Buffer, encoding: Encoding): Reading {
    this.#advance(data, 0, encoding);
    return { kind: 'more' };
  }

  #give(data: Buffer, final: boolean): Piece {
    const { offset: startByte, line: startLine, encoding } = this.#place;
    const bytes = toUtf8(data, encoding);
    this.#advance(data, countLines(bytes), encoding);
    return { bytes, startByte, startLine, cutBytes: 0, final };
  }

  #giveLong(long: LongLine, rest: Buffer, final: boolean): Piece {
    const { offset: startByte, line: startLine, encoding } = this.#place;
    long.push(rest);
    this.#long = null;
    const bytes = long.text();
    this.#advance(rest, countLines(bytes), encoding);
    return { bytes, startByte, startLine, cutBytes: long.cutBytes, final };
  }

  #advance(data: Buffer, lines: number, encoding: Encoding): void {
    this.#moveOver(data);
    const { line, headBytes, head } = this.#place;
    this.#place = {
      ...this.#place,
      offset: this.#position,
      line: line === 0 ? 0 : line + lines,
      headBytes: this.#head.length,
      head: this.#head.length === headBytes ? head : hashOf(this.#head),
      tail: hashOf(this.seen),
      encoding,
    };
  }

  #moveOver(data: Buffer): void {
    const missing = HEAD_BYTES - this.#head.length;
    if (missing > 0 && this.#head.length === this.#position) {
      this.#head = Buffer.concat([this.#head, data.subarray(0, missing)]);
    }
    if (data.length >= TAIL_BYTES) data.copy(this.#seen, 0, data.length - TAIL_BYTES);
    else Buffer.concat([this.seen, data]).subarray(-TAIL_BYTES).copy(this.#seen);
    this.#position += data.length;
  }
}

function leadingNuls(data: Buffer): number {
  let at = 0;
  while (at < data.length && data[at] === 0) at += 1;
  return at;
}
