// A stream that is written anew for the caller: because the upstream speaks another dialect, or because it finishes
// an answer that another one has begun. Tool calls are held until the answer is complete, as in a raw stream.

import type { AnswerEvent, Dialect, Progress } from './dialects/contract.ts';
import { withoutOverlap } from './overlap.ts';
import { framesOf } from './sse.ts';
import { PassedStream, type StreamEnd, type StreamOptions } from './stream.ts';

export interface WrittenStreamOptions extends StreamOptions {
  /** What the upstream speaks. */
  readonly dialect: Dialect;
  /** Where the caller stands; null: at the beginning. */
  readonly from: Progress | null;
  /** Marks of the answer, names and values in a row. */
  readonly marks: readonly string[];
}

/** Writes the stream; resolves when it has ended one way or the other. */
export function writeStream(options: WrittenStreamOptions): Promise<StreamEnd> {
  return new WrittenStream(options).run();
}

class WrittenStream extends PassedStream<WrittenStreamOptions> {
  readonly #reader = this.o.dialect.reader();
  readonly #writer = this.o.caller.dialect.writer(this.o.from ?? undefined);
  readonly #overlap = this.o.from ? withoutOverlap(this.o.from.text) : null;
  /** Events that wait: for the first content, or for the end of the tool calls. */
  #held: AnswerEvent[] = [];
  protected heldSize = 0;
  #holdsTools = false;

  protected override take(bytes: Buffer): void {
    for (const frame of framesOf(bytes))
      for (const event of this.#reader.push(frame)) {
        if (this.isOver) return;
        this.#event(event);
      }
    // What is held was read from these bytes.
    this.heldSize = this.#held.length === 0 ? 0 : this.heldSize + bytes.length;
  }

  #event(event: AnswerEvent): void {
    switch (event.kind) {
      case 'error':
        return this.failed(event.body);
      case 'end':
        return this.#finish();
      case 'stop':
        this.stopped = true;
        return this.#give(event);
      case 'text':
        return this.#text(event.text);
      case 'tool-call':
        this.content();
        this.#flushOverlap();
        this.#holdsTools = true;
        this.o.caller.keepWaiting();
        return this.#give(event);
      case 'arguments':
      case 'reasoning':
        this.content();
        // Thoughts in the middle of another one's answer would only confuse.
        return event.kind === 'reasoning' && this.o.from ? undefined : this.#give(event);
      case 'start':
      case 'usage':
        return this.#give(event);
    }
  }

  #text(text: string): void {
    this.content();
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

  /** Holds; text lets go of it. */
  #give(event: AnswerEvent): void {
    this.#held.push(event);
  }

  #release(): void {
    this.commit(200, [...STREAM_FIELDS, ...this.o.marks]);
    const text = this.#held.map((event) => this.#writer.write(event)).join('');
    [this.#held, this.heldSize] = [[], 0];
    if (text !== '') this.send(Buffer.from(text));
  }

  #finish(): void {
    this.#flushOverlap();
    this.#give({ kind: 'end' });
    this.#release();
    this.done();
  }

  protected override finishUntold(): void {
    this.#finish();
  }
}

const STREAM_FIELDS = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'];
