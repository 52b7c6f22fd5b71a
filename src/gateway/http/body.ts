// Bodies of HTTP/1.1 messages (RFC 9112 section 6 and 7): where one ends, and what of the bytes belongs to it. Bytes
// are handed on where they are, without a copy.

import type { Head } from './head.ts';

/** `close`: until the connection ends. `broken`: it cannot be told where it ends. */
export type Framing = number | 'chunked' | 'close' | 'broken';

/** `absent` is what holds when the head says nothing: requests have no body, answers last until the end. */
export function framingOf({ headers }: Pick<Head, 'headers'>, absent: 0 | 'close'): Framing {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    // Both at once is how requests are smuggled.
    if (length !== undefined && absent === 0) return 'broken';
    // Whatever else it is coded with would be handed on as if it were the content.
    return coding.toLowerCase() === 'chunked' ? 'chunked' : 'broken';
  }
  if (length === undefined) return absent;
  return /^\d{1,15}$/.test(length) ? Number(length) : 'broken';
}

const NOTHING = Buffer.alloc(0);
/** Extensions of chunks and trailers, all together: nobody needs them, and bytes that are no content are not read for ever. */
const BESIDE_CAP = 16 * 1024;
const [LF, CR, SPACE, SEMICOLON] = [0x0a, 0x0d, 0x20, 0x3b];

/** Takes the bytes of a connection and gives those of one body. */
export class BodyReader {
  readonly #framing: Framing;
  /** Bytes that are still to come: of the body, or of the chunk. */
  #left: number;
  #at: 'size' | 'data' | 'data-end' | 'trailer' = 'size';
  #lineLength = 0;
  #digits = 0;
  /** Bytes of extensions and trailers so far. */
  #beside = 0;
  #hasReturn = false;
  #inExtension = false;
  /** The body has come to its end. */
  done: boolean;
  /** The bytes are no body: nothing more is read. */
  broken = false;
  /** It is broken because too much came beside its content. */
  tooMuchBeside = false;
  /** What came behind the end of the body. */
  rest: Buffer = NOTHING;

  constructor(framing: Framing) {
    this.#framing = framing;
    this.#left = typeof framing === 'number' ? framing : 0;
    this.done = framing === 0;
    this.broken = framing === 'broken';
  }

  /** The bytes of the body among these; may be none. What is behind its end becomes `rest`. */
  push(bytes: Buffer): Buffer {
    if (this.done) {
      this.rest = bytes;
      return NOTHING;
    }
    if (this.#framing === 'close') return bytes;
    if (this.#framing === 'chunked') return this.#chunked(bytes);
    if (bytes.length < this.#left) {
      this.#left -= bytes.length;
      return bytes;
    }
    this.done = true;
    if (bytes.length === this.#left) return bytes;
    this.rest = bytes.subarray(this.#left);
    return bytes.subarray(0, this.#left);
  }

  /** The connection has ended: was that the end of the body? */
  get endsHere(): boolean {
    return this.done || this.#framing === 'close';
  }

  /** Chunks are moved together where they are: the bytes are ours alone. */
  #chunked(bytes: Buffer): Buffer {
    let [at, size] = [0, 0];
    while (at < bytes.length && !this.done && !this.broken) {
      if (this.#at === 'data') {
        const end = Math.min(at + this.#left, bytes.length);
        if (size !== at) bytes.copyWithin(size, at, end);
        size += end - at;
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#at = 'data-end';
      } else at = this.#inLine(bytes, at);
    }
    if (this.done && at < bytes.length) this.rest = bytes.subarray(at);
    return bytes.subarray(0, size);
  }

  /** Reads a line as far as it has come; returns where to go on. */
  #inLine(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length && !this.broken; at++) {
      const byte = bytes[at] as number;
      if (byte === LF) {
        this.#lineRead();
        return at + 1;
      }
      this.#lineByte(byte);
    }
    return bytes.length;
  }

  #lineByte(byte: number): void {
    this.#lineLength += 1;
    // Behind the end of a line there is only its end.
    if (this.#hasReturn) this.broken = true;
    else if (byte === CR) this.#hasReturn = true;
    else if (this.#at === 'data-end') this.broken = true;
    else if (this.#at === 'size' && !this.#inExtension) this.#sizeByte(byte);
    else if (++this.#beside > BESIDE_CAP) this.broken = this.tooMuchBeside = true;
  }

  #sizeByte(byte: number): void {
    const digit = byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
    const isDigit = (byte >= 0x30 && byte <= 0x39) || (digit >= 10 && digit <= 15);
    if (isDigit) [this.#left, this.#digits] = [this.#left * 16 + digit, this.#digits + 1];
    else if (byte === SEMICOLON || byte === SPACE) this.#inExtension = true;
    else this.broken = true;
    if (this.#digits > 8) this.broken = true;
  }

  #lineRead(): void {
    if (!this.#hasReturn) this.broken = true;
    if (this.#at === 'data-end') [this.#at, this.#left] = ['size', 0];
    else if (this.#at === 'trailer') this.done = this.#lineLength === 1;
    else {
      if (this.#digits === 0) this.broken = true;
      this.#at = this.#left === 0 ? 'trailer' : 'data';
    }
    [this.#lineLength, this.#digits] = [0, 0];
    [this.#hasReturn, this.#inExtension] = [false, false];
  }
}
