// A stream that is written anew for the caller: because the upstream speaks another dialect, or because it finishes
// an answer that another one has begun. Tool calls are held until the answer is complete, as in a raw stream.

import type { IncomingMessage } from 'node:http';
import type { Caller } from './caller.ts';
import type { Deadlines, Verdict } from './contract.ts';
import type { AnswerEvent, Dialect, Progress, StreamReader, StreamWriter } from './dialects/contract.ts';
import { withoutOverlap } from './overlap.ts';
import type { StreamEnd } from './raw-stream.ts';
import { FrameGatherer, framesOf } from './sse.ts';
import { brokenBy, verdictOf } from './verdict.ts';

export interface WrittenStreamOptions {
  readonly response: IncomingMessage;
  readonly caller: Caller;
  /** What the upstream speaks. */
  readonly dialect: Dialect;
  /** Where the caller stands; null: at the beginning. */
  readonly from: Progress | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  readonly committed: () => void;
}

const HELD_CAP = 8 * 1024 * 1024;

/** Writes the stream; resolves when it has ended one way or the other. */
export function writeStream(options: WrittenStreamOptions): Promise<StreamEnd> {
  return new Promise((resolve) => new WrittenStream(options, resolve));
}

class WrittenStream {
  readonly #o: WrittenStreamOptions;
  readonly #resolve: (end: StreamEnd) => void;
  readonly #gatherer = new FrameGatherer();
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;
  readonly #overlap: ReturnType<typeof withoutOverlap> | null;
  /** Events that wait: for the first content, or for the end of the tool calls. */
  #held: AnswerEvent[] = [];
  #heldSize = 0;
  #holdsTools = false;
  #stopped = false;
  #over = false;
  #lastContent = performance.now();
  #hasContent = false;
  #timer: NodeJS.Timeout;

  constructor(options: WrittenStreamOptions, resolve: (end: StreamEnd) => void) {
    this.#o = options;
    this.#resolve = resolve;
    const { response, caller, dialect, from } = options;
    this.#reader = dialect.reader();
    this.#writer = caller.dialect.writer(from ?? undefined);
    this.#overlap = from ? withoutOverlap(from.text) : null;
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
    if (this.#over) return;
    this.#frames(this.#gatherer.push(chunk));
    this.#heldSize += chunk.length;
    if ((this.#held.length > 0 && this.#heldSize > HELD_CAP) || this.#gatherer.rest.length > HELD_CAP)
      this.#broken(brokenBy('transport', 'too-much', 'the answer is larger than what can be held'));
  }

  #frames(bytes: Buffer): void {
    for (const frame of framesOf(bytes))
      for (const event of this.#reader.push(frame)) {
        if (this.#over) return;
        this.#event(event);
      }
  }

  #event(event: AnswerEvent): void {
    switch (event.kind) {
      case 'error':
        return this.#broken(verdictOf({ status: null, headers: {}, body: event.body }, this.#o.now()));
      case 'end':
        return this.#finish();
      case 'stop':
        this.#stopped = true;
        return this.#give(event);
      case 'text':
        return this.#text(event.text);
      case 'tool-call':
        this.#content();
        this.#flushOverlap();
        this.#holdsTools = true;
        this.#o.caller.keepWaiting();
        return this.#give(event);
      case 'arguments':
      case 'reasoning':
        this.#content();
        // Thoughts in the middle of another one's answer would only confuse.
        return event.kind === 'reasoning' && this.#o.from ? undefined : this.#give(event);
      case 'start':
      case 'usage':
        return this.#give(event);
    }
  }

  #text(text: string): void {
    this.#content();
    const fresh = this.#overlap ? this.#overlap.push(text) : text;
    if (fresh !== '') this.#say(fresh);
  }

  #flushOverlap(): void {
    const rest = this.#overlap?.end() ?? '';
    if (rest !== '') this.#say(rest);
  }

  #say(text: string): void {
    this.#give({ kind: 'text', text });
    if (!this.#holdsTools) this.#release();
  }

  #content(): void {
    this.#lastContent = performance.now();
    this.#hasContent = true;
  }

  /** Holds; text lets go of it. */
  #give(event: AnswerEvent): void {
    this.#held.push(event);
  }

  #release(): void {
    const { caller, headers } = this.#o;
    caller.stopPinging();
    caller.open(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', ...headers });
    if (!caller.committed) {
      caller.committed = true;
      this.#o.committed();
    }
    const text = this.#held.map((event) => this.#writer.write(event)).join('');
    [this.#held, this.#heldSize] = [[], 0];
    if (text === '' || caller.write(Buffer.from(text))) return;
    this.#o.response.pause();
    caller.onceDrained(() => this.#o.response.resume());
  }

  #finish(): void {
    this.#flushOverlap();
    this.#give({ kind: 'end' });
    this.#release();
    this.#o.caller.end();
    this.#end({ kind: 'done' });
  }

  #closed(how: string): void {
    if (this.#over) return;
    const rest = this.#gatherer.rest;
    if (rest.length > 0 && this.#o.response.complete) this.#frames(Buffer.concat([rest, Buffer.from('\n\n')]));
    if (this.#isOver()) return;
    if (this.#stopped) this.#finish();
    else this.#broken(brokenBy('transport', 'cut', `the stream ${how}`));
  }

  #isOver(): boolean {
    return this.#over;
  }

  #tick(): void {
    const { firstMs, stallMs } = this.#o.deadlines;
    const limit = this.#hasContent ? stallMs : firstMs;
    const silent = performance.now() - this.#lastContent;
    if (silent >= limit)
      return this.#broken(brokenBy('timeout', 'silence', `the stream was silent for ${Math.round(silent / 1000)} s`));
    this.#timer = setTimeout(() => this.#tick(), limit - silent + 1);
  }

  #broken(verdict: Verdict): void {
    this.#end({ kind: 'broken', verdict });
  }

  #end(end: StreamEnd): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#held = [];
    const { response, caller } = this.#o;
    caller.gone.removeEventListener('abort', this.#left);
    response.on('error', () => {});
    if (end.kind === 'done') response.resume();
    else response.destroy();
    this.#resolve(end);
  }
}
