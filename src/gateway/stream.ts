// What the two ways of passing a stream on have in common: they read frames of an upstream, mind its silence by
// content instead of bytes, and end in exactly one way.

import type { Caller } from './caller.ts';
import type { Deadlines, Verdict } from './contract.ts';
import type { Json } from './dialects/contract.ts';
import type { Answer } from './http/answer.ts';
import { FrameGatherer } from './sse.ts';
import { brokenBy, verdictOf } from './verdict.ts';

export type StreamEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'broken'; readonly verdict: Verdict }
  | { readonly kind: 'gone' };

export interface StreamOptions {
  readonly response: Answer;
  readonly caller: Caller;
  readonly deadlines: Deadlines;
  /** Epoch milliseconds, for hints in error events. */
  readonly now: () => number;
  /** Called with the first content. */
  readonly committed: () => void;
}

/** More than this is not held: memory matters more than healing. */
const HELD_CAP = 8 * 1024 * 1024;
const FRAME_END = Buffer.from('\n\n');

export abstract class PassedStream<Options extends StreamOptions> {
  protected readonly o: Options;
  /** The model has said that it is through: only the terminal event is missing. */
  protected stopped = false;
  protected isOver = false;
  readonly #gatherer = new FrameGatherer();
  #lastContent = performance.now();
  #hasContent = false;
  /** Since when the agent's own pause keeps us from reading; null: we read. */
  #pausedAt: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #resolve: (end: StreamEnd) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(options: Options) {
    this.o = options;
  }

  /** Passes the stream on; resolves when it has ended one way or the other. Rejects only for bugs: what came broke us. */
  run(): Promise<StreamEnd> {
    const { response, caller } = this.o;
    return new Promise((resolve, reject) => {
      [this.#resolve, this.#reject] = [resolve, reject];
      this.#watch();
      caller.gone.addEventListener('abort', this.#left);
      caller.keepWaiting();
      if (caller.gone.aborted) return this.#left();
      response.read({
        data: (bytes) => this.#guarded(() => this.#data(bytes)),
        ended: (error) => this.#guarded(() => this.#closed(error)),
      });
    });
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#stop();
      this.o.response.destroy();
      this.#reject(error);
    }
  }

  /** Takes whole frames. */
  protected abstract take(bytes: Buffer): void;
  /** The upstream has closed after the model was through, without its terminal event. */
  protected abstract finishUntold(): void;
  /** Bytes that are held. */
  protected abstract get heldSize(): number;

  protected content(): void {
    this.#lastContent = performance.now();
    if (this.#hasContent) return;
    this.#hasContent = true;
    // Another limit holds from here on, and it may be over sooner.
    this.#watch();
  }

  /** The agent gets the first of it: from here on the answer can only be continued. */
  protected commit(status: number, fields: readonly string[]): void {
    const { caller } = this.o;
    caller.stopPinging();
    caller.open(status, fields);
    if (caller.committed) return;
    caller.committed = true;
    this.o.committed();
  }

  protected send(bytes: Buffer): void {
    const { caller, response } = this.o;
    if (caller.write(bytes)) return;
    response.pause();
    this.#pausedAt ??= performance.now();
    caller.onceDrained(() => this.#goOn());
  }

  /** The agent has caught up: his pause was no silence of the upstream. */
  #goOn(): void {
    if (this.isOver) return;
    if (this.#pausedAt !== null) this.#lastContent += performance.now() - Math.max(this.#pausedAt, this.#lastContent);
    this.#pausedAt = null;
    this.#watch();
    this.o.response.resume();
  }

  protected failed(body: Json): void {
    this.#end({ kind: 'broken', verdict: verdictOf({ status: null, headers: {}, body }, this.o.now()) });
  }

  protected done(): void {
    this.o.caller.end();
    this.#end({ kind: 'done' });
  }

  #data(bytes: Buffer): void {
    if (this.isOver) return;
    const whole = this.#gatherer.push(bytes);
    if (whole.length > 0) this.take(whole);
    if (this.heldSize + this.#gatherer.size > HELD_CAP)
      this.#broken(brokenBy('transport', 'too-much', 'the answer is larger than what can be held'));
  }

  #closed(error: Error | null): void {
    if (this.isOver) return this.#clearTimer();
    // The last frame of some servers has no empty line behind it.
    const { rest } = this.#gatherer;
    if (rest.length > 0 && error === null) this.take(Buffer.concat([rest, FRAME_END]));
    if (this.#hasEnded()) return;
    if (this.stopped) return this.finishUntold();
    const how = error === null ? 'ended without its terminal event' : error.message;
    this.#broken(brokenBy('transport', 'cut', `the stream ${how}`));
  }

  /** `take` may have ended it. */
  #hasEnded(): boolean {
    return this.isOver;
  }

  get #limit(): number {
    const { firstMs, stallMs } = this.o.deadlines;
    return this.#hasContent ? stallMs : firstMs;
  }

  /** Sets the clock to when the upstream will have been silent for too long. */
  #watch(): void {
    this.#clearTimer();
    if (this.isOver) return;
    const silent = performance.now() - this.#lastContent;
    this.#timer = setTimeout(() => this.#tick(), this.#limit - silent + 1);
  }

  #tick(): void {
    this.#timer = null;
    // The clock stands still while we do not read; going on sets it again.
    if (this.#pausedAt !== null) return;
    const silent = performance.now() - this.#lastContent;
    if (silent >= this.#limit) {
      const what = this.#hasContent ? 'stalled' : 'said nothing';
      return this.#broken(brokenBy('timeout', 'silence', `the stream ${what} for ${Math.round(silent / 1000)} s`));
    }
    this.#watch();
  }

  readonly #left = (): void => this.#end({ kind: 'gone' });

  #broken(verdict: Verdict): void {
    this.#end({ kind: 'broken', verdict });
  }

  #end(end: StreamEnd): void {
    if (this.isOver) return;
    this.#stop();
    const { response } = this.o;
    if (end.kind === 'done') this.#drain(response);
    else response.destroy();
    this.#resolve(end);
  }

  #stop(): void {
    this.isOver = true;
    this.#clearTimer();
    this.o.caller.gone.removeEventListener('abort', this.#left);
  }

  /** What comes behind the terminal event is dropped, so that the connection can be used again; but not for ever. */
  #drain(response: Answer): void {
    response.resume();
    if (!response.complete) this.#timer = setTimeout(() => response.destroy(), this.o.deadlines.drainMs);
  }

  #clearTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
