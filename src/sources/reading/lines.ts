// Lines as bytes: counting them, and keeping a monster of a line within bounds. No line is made
// into a string here.

import { toUtf8, type Encoding } from './encoding.ts';

/** A line longer than this is cut in the middle; a chunk is read in this size. */
export const CHUNK_BYTES = 256 * 1024;
/** What is kept of each end of a line that was cut: an error often stands at the very end. */
const KEPT_BYTES = 32 * 1024;

/** Whole lines, or the end of a stream. `bytes` live in a shared buffer until the next read. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly startByte: number;
  readonly startLine: number;
  /** Bytes of a too long line that were left out. */
  readonly cutBytes: number;
  readonly final: boolean;
}

/** How many line ends there are. */
export function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}

/** Takes in a line of any length and keeps its two ends. */
export class LongLine {
  readonly #encoding: Encoding;
  readonly #head = Buffer.allocUnsafe(KEPT_BYTES);
  #tail: Buffer = Buffer.alloc(0);
  #total = 0;

  constructor(encoding: Encoding) {
    this.#encoding = encoding;
  }

  push(bytes: Buffer): void {
    const room = KEPT_BYTES - this.#total;
    if (room > 0) bytes.copy(this.#head, this.#total, 0, Math.min(room, bytes.length));
    this.#total += bytes.length;
    const rest = room > 0 ? bytes.subarray(Math.min(room, bytes.length)) : bytes;
    const tail = rest.length >= KEPT_BYTES ? rest : Buffer.concat([this.#tail, rest]);
    this.#tail = Buffer.from(tail.subarray(-KEPT_BYTES));
  }

  get cutBytes(): number {
    return this.#total - Math.min(this.#total, KEPT_BYTES) - this.#tail.length;
  }

  /** Both ends as UTF-8, with a mark between them that says how much is missing. */
  text(): Buffer {
    const head = toUtf8(this.#head.subarray(0, Math.min(this.#total, KEPT_BYTES)), this.#encoding);
    const tail = toUtf8(this.#tail, this.#encoding);
    if (this.cutBytes === 0) return Buffer.concat([head, tail]);
    return Buffer.concat([head, Buffer.from(` [... ${this.cutBytes} bytes cut ...] `), tail]);
  }
}
