// A stream that is passed on byte for byte, in the dialect of the caller. Held until the first content (until then
// nobody has seen anything, and it may come from elsewhere), then passed on unread unless a chunk holds the mark of
// an error, a tool call or an end. Tool calls are held until the answer is complete: half a call is never delivered.

import type { IncomingMessage } from 'node:http';
import type { Caller } from './caller.ts';
import type { Deadlines, Verdict } from './contract.ts';
import { parseJson } from './json.ts';
import type { PlacedFrame } from './sse.ts';
import { FrameGatherer, framesOf } from './sse.ts';
import { brokenBy, verdictOf } from './verdict.ts';

export type StreamEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'broken'; readonly verdict: Verdict }
  | { readonly kind: 'gone' };

export interface RawStreamOptions {
  readonly response: IncomingMessage;
  readonly caller: Caller;
  /** Head that the caller gets, with the first content. */
  readonly head: { readonly status: number; readonly headers: readonly string[] };
  readonly deadlines: Deadlines;
  /** Epoch milliseconds, for hints in error events. */
  readonly now: () => number;
  /** Called with the first content. */
  readonly committed: () => void;
}

/** What is held beyond this goes out: memory matters more than healing. */
const HELD_CAP = 8 * 1024 * 1024;
const COLON = 0x3a;

/** Passes the stream on; resolves when it has ended one way or the other. */
export function passStream(options: RawStreamOptions): Promise<StreamEnd> {
  return new Promise((resolve) => new RawStream(options, resolve));
}

class RawStream {
  readonly #o: RawStreamOptions;
  readonly #resolve: (end: StreamEnd) => void;
  readonly #gatherer = new FrameGatherer();
  readonly #markers: readonly Buffer[];
  /** `hold`: nothing sent. `open`: passing on. `tools`: holding tool calls. `over`: ended. */
  #phase: 'hold' | 'open' | 'tools' | 'over' = 'hold';
  #held: Buffer[] = [];
  #heldSize = 0;
  /** The model has said that it is through: only the terminal event is missing. */
  #stopped = false;
  #lastContent = performance.now();
  #hasContent = false;
  #timer: NodeJS.Timeout;

  constructor(options: RawStreamOptions, resolve: (end: StreamEnd) => void) {
    this.#o = options;
    this.#resolve = resolve;
    this.#markers = markersOf(options.caller.dialect.name, options.caller.dialect.markers);
    const { response, caller } = options;
    this.#timer = setTimeout(() => this.#tick(), options.deadlines.firstMs);
    response.on('data', (chunk: Buffer) => this.#data(chunk));
    response.once('end', () => this.#closed('ended without its terminal event'));
    response.once('error', (error) => this.#closed(error.message));
    response.once('close', () => this.#closed('was cut off'));
    caller.gone.addEventListener('abort', this.#left, { once: true });
    caller.keepWaiting();
    if (caller.gone.aborted) this.#left();
  }

  readonly #left = (): void => this.#end({ kind: 'gone' });

  #data(chunk: Buffer): void {
    if (this.#phase === 'over') return;
    const bytes = this.#gatherer.push(chunk);
    if (bytes.length === 0) return this.#mindSize();
    if (this.#phase === 'open' && !this.#isMarked(bytes)) {
      this.#lastContent = performance.now();
      this.#forward(bytes);
      return;
    }
    this.#look(bytes);
    this.#mindSize();
  }

  #isMarked(bytes: Buffer): boolean {
    if (bytes[0] === COLON) return true;
    for (const marker of this.#markers) if (bytes.includes(marker)) return true;
    return false;
  }

  /** Frame by frame; what stands between frames goes with the one behind it. */
  #look(bytes: Buffer): void {
    let from = 0;
    for (const frame of framesOf(bytes)) {
      const glance = this.#o.caller.dialect.glance(frame);
      if (glance === 'error') return this.#failed(frame);
      if (glance !== 'quiet') this.#content();
      if (glance === 'stop') this.#stopped = true;
      if (glance === 'tool' && this.#phase !== 'tools') {
        this.#give(bytes.subarray(from, frame.start));
        this.#phase = 'tools';
        this.#o.caller.keepWaiting();
        from = frame.start;
      }
      if ((glance === 'text' || glance === 'reasoning') && this.#phase === 'hold') {
        this.#give(bytes.subarray(from, frame.end));
        this.#commit();
        from = frame.end;
      }
      if (glance === 'end') {
        this.#give(bytes.subarray(from));
        return this.#finish();
      }
    }
    this.#give(bytes.subarray(from));
  }

  #content(): void {
    this.#lastContent = performance.now();
    this.#hasContent = true;
  }

  /** Sends, or holds while the phase says so. */
  #give(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#phase === 'open') return this.#forward(bytes);
    this.#held.push(bytes);
    this.#heldSize += bytes.length;
  }

  #commit(): void {
    this.#phase = 'open';
    this.#release();
  }

  #release(): void {
    const { caller, head } = this.#o;
    caller.stopPinging();
    caller.open(head.status, head.headers);
    if (!caller.committed) {
      caller.committed = true;
      this.#o.committed();
    }
    const held = this.#held;
    [this.#held, this.#heldSize] = [[], 0];
    for (const bytes of held) this.#forward(bytes);
  }

  #forward(bytes: Buffer): void {
    const { caller, response } = this.#o;
    if (caller.write(bytes)) return;
    response.pause();
    caller.onceDrained(() => response.resume());
  }

  /** A flood that never comes to a point is passed on as it is, and can no longer be healed. */
  #mindSize(): void {
    if (this.#heldSize + this.#gatherer.rest.length > HELD_CAP)
      this.#broken(brokenBy('transport', 'too-much', 'the answer is larger than what can be held'));
  }

  #finish(): void {
    this.#release();
    this.#o.caller.end();
    this.#end({ kind: 'done' });
  }

  #failed(frame: PlacedFrame): void {
    const body = parseJson(frame.data) ?? frame.data;
    this.#broken(verdictOf({ status: null, headers: {}, body }, this.#o.now()));
  }

  #closed(how: string): void {
    if (this.#phase === 'over') return;
    // The last frame of some servers has no empty line behind it.
    const rest = this.#gatherer.rest;
    if (rest.length > 0 && this.#o.response.complete) this.#look(Buffer.concat([rest, Buffer.from('\n\n')]));
    if (this.#isOver()) return;
    if (!this.#stopped) return this.#broken(brokenBy('transport', 'cut', `the stream ${how}`));
    this.#give(Buffer.from(this.#o.caller.dialect.terminal));
    this.#finish();
  }

  #isOver(): boolean {
    return this.#phase === 'over';
  }

  #tick(): void {
    const { firstMs, stallMs } = this.#o.deadlines;
    const limit = this.#hasContent ? stallMs : firstMs;
    const silent = performance.now() - this.#lastContent;
    if (silent >= limit) {
      const what = this.#hasContent ? 'stalled' : 'said nothing';
      return this.#broken(brokenBy('timeout', 'silence', `the stream ${what} for ${Math.round(silent / 1000)} s`));
    }
    this.#timer = setTimeout(() => this.#tick(), limit - silent + 1);
  }

  #broken(verdict: Verdict): void {
    this.#end({ kind: 'broken', verdict });
  }

  #end(end: StreamEnd): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    clearTimeout(this.#timer);
    this.#held = [];
    const { response, caller } = this.#o;
    caller.gone.removeEventListener('abort', this.#left);
    response.on('error', () => {});
    // What was read to its end leaves the connection usable; anything else is hung up.
    if (end.kind === 'done') response.resume();
    else response.destroy();
    this.#resolve(end);
  }
}

const cache = new Map<string, readonly Buffer[]>();

function markersOf(name: string, markers: readonly string[]): readonly Buffer[] {
  const known = cache.get(name);
  if (known) return known;
  const made = markers.map((marker) => Buffer.from(marker));
  cache.set(name, made);
  return made;
}
