// A stream that is passed on byte for byte, in the dialect of the caller. Held until the first content (until then
// nobody has seen anything, and it may come from elsewhere), then passed on unread, but for frames that hold the mark of
// an error, a tool call or an end. Tool calls are held until the answer is complete: half a call is never delivered.

import type { Dialect, Frame } from './dialects/contract.ts';
import { parseJson } from './json.ts';
import { endOfFrame, parseFrame, startOfFrame } from './sse.ts';
import { PassedStream, type StreamEnd, type StreamOptions } from './stream.ts';

export interface RawStreamOptions extends StreamOptions {
  /** Head that the caller gets, with the first content. */
  readonly head: { readonly status: number; readonly fields: readonly string[] };
}

const COLON = 0x3a;

/** Passes the stream on; resolves when it has ended one way or the other. */
export function passStream(options: RawStreamOptions): Promise<StreamEnd> {
  return new RawStream(options).run();
}

class RawStream extends PassedStream<RawStreamOptions> {
  readonly #markers = markersOf(this.o.caller.dialect);
  /** `hold`: nothing sent. `open`: passing on. `tools`: holding tool calls. */
  #phase: 'hold' | 'open' | 'tools' = 'hold';
  #held: Buffer[] = [];
  protected heldSize = 0;

  protected override take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.isOver; ) {
      // Comments keep a connection alive; they are no content.
      if (this.#phase === 'open' && bytes[at] !== COLON) {
        const start = this.#marked(bytes, at);
        if (start > at) {
          this.content();
          this.send(at === 0 && start === bytes.length ? bytes : bytes.subarray(at, start));
          at = start;
          continue;
        }
      }
      at = this.#frame(bytes, at);
    }
  }

  /** Where the first frame begins that holds a mark; the end of the bytes when none does. */
  #marked(bytes: Buffer, from: number): number {
    let first = bytes.length;
    for (const marker of this.#markers) {
      const at = bytes.indexOf(marker, from);
      if (at >= 0 && at < first) first = at;
    }
    return first === bytes.length ? first : startOfFrame(bytes, from, first);
  }

  /** Looks at one frame and gives its bytes; returns where the next one begins. */
  #frame(bytes: Buffer, at: number): number {
    const end = endOfFrame(bytes, at);
    const frame = end < 0 ? null : parseFrame(bytes.toString('utf8', at, end));
    const upTo = end < 0 ? bytes.length : end;
    const glance = frame ? this.o.caller.dialect.glance(frame) : 'quiet';
    if (frame && glance === 'error') {
      this.#held = [];
      this.failed(bodyOf(frame));
      return bytes.length;
    }
    if (glance !== 'quiet') this.content();
    if (glance === 'stop') this.stopped = true;
    if (glance === 'end') {
      this.#give(bytes.subarray(at));
      this.#finish();
      return bytes.length;
    }
    if (glance === 'tool' && this.#phase !== 'tools') {
      this.#phase = 'tools';
      this.o.caller.keepWaiting();
    }
    this.#give(bytes.subarray(at, upTo));
    if (this.#phase === 'hold' && (glance === 'text' || glance === 'reasoning')) {
      this.#phase = 'open';
      this.#release();
    }
    return upTo;
  }

  /** Sends, or holds while the phase says so. */
  #give(bytes: Buffer): void {
    if (this.#phase === 'open') return this.send(bytes);
    this.#held.push(bytes);
    this.heldSize += bytes.length;
  }

  #release(): void {
    this.commit(this.o.head.status, this.o.head.fields);
    const held = this.#held;
    [this.#held, this.heldSize] = [[], 0];
    for (const bytes of held) this.send(bytes);
  }

  #finish(): void {
    this.#release();
    this.done();
  }

  protected override finishUntold(): void {
    this.#give(Buffer.from(this.o.caller.dialect.terminal));
    this.#finish();
  }
}

const bodyOf = ({ data }: Frame) => parseJson(data) ?? data;

const cache = new Map<string, readonly Buffer[]>();

function markersOf({ name, markers }: Dialect): readonly Buffer[] {
  const known = cache.get(name);
  if (known) return known;
  const made = markers.map((marker) => Buffer.from(marker));
  cache.set(name, made);
  return made;
}
