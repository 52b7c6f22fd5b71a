// Reads a source as the monitor does, takes its blocks apart into lines, and lets a test wait for what it
// expects instead of sleeping.

import type { Blindness, Source, SourceItem } from '../sources/contract.ts';
import type { Cursor } from '../store/contract.ts';
import { systemClock } from '../host/clock.ts';

export interface SeenLine {
  readonly text: string;
  readonly stream: string;
  /** Number of the line as the block says; 0 when unknown. */
  readonly line: number;
}

/** Everything one opened source has given out so far. */
export class SourceRig {
  readonly lines: SeenLine[] = [];
  readonly sights: Blindness[] = [];
  readonly blocks: {
    readonly stream: string;
    readonly startByte: number;
    readonly bytes: number;
    readonly final: boolean;
  }[] = [];
  cutBytes = 0;
  #cursor: Cursor | null;
  readonly #stopping = new AbortController();
  readonly #ready: Promise<void>;
  readonly #done: Promise<void>;
  #wake: () => void = () => {};
  #failure: unknown = null;

  constructor(
    source: Source,
    cursor: Cursor | null = null,
    onItem: (item: SourceItem) => Promise<void> | void = () => {},
  ) {
    this.#cursor = cursor;
    let ready = () => {};
    this.#ready = new Promise((resolve) => (ready = resolve));
    this.#done = this.#read(source, ready, onItem).catch((error: unknown) => {
      this.#failure = error;
      ready();
      this.#wake();
    });
  }

  get texts(): string[] {
    return this.lines.map((line) => line.text);
  }

  /** As the store would have it: through JSON. */
  get cursor(): Cursor | null {
    return this.#cursor && (JSON.parse(JSON.stringify(this.#cursor)) as Cursor);
  }

  async ready(): Promise<this> {
    await this.#ready;
    this.#throwFailure();
    return this;
  }

  /** Resolves as soon as it holds; rejects with what was seen when it does not within `ms`. */
  async until(holds: (rig: this) => boolean, ms = 10_000): Promise<void> {
    const giveUp = AbortSignal.timeout(ms);
    const onTimeout = () => this.#wake();
    giveUp.addEventListener('abort', onTimeout, { once: true });
    while (!holds(this)) {
      this.#throwFailure();
      if (giveUp.aborted) throw new Error(`not within ${ms} ms; seen: ${this.#summary()}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    giveUp.removeEventListener('abort', onTimeout);
  }

  async untilLines(count: number, ms?: number): Promise<void> {
    await this.until(() => this.lines.length >= count, ms);
  }

  /** Ends the reading as a signal would, and gives the last cursor. */
  async stop(): Promise<Cursor | null> {
    this.#stopping.abort();
    await this.#done;
    this.#throwFailure();
    return this.cursor;
  }

  async #read(source: Source, ready: () => void, onItem: (item: SourceItem) => Promise<void> | void): Promise<void> {
    const context = { cursor: this.#cursor, signal: this.#stopping.signal, clock: systemClock, ready };
    for await (const item of source.open(context)) {
      this.#take(item);
      await onItem(item);
      if (item.cursor) this.#cursor = item.cursor;
      this.#wake();
    }
  }

  #take(item: SourceItem): void {
    if (item.kind === 'event') {
      this.lines.push({ text: item.record.text, stream: item.record.source, line: item.record.span.line });
    } else if (item.kind === 'block') {
      const { stream, startByte, final, cutBytes = 0 } = item;
      this.blocks.push({ stream, startByte, bytes: item.bytes.length, final });
      this.cutBytes += cutBytes;
      linesOf(item.bytes).forEach((text, at) => {
        this.lines.push({ text, stream, line: item.startLine === 0 ? 0 : item.startLine + at });
      });
    } else {
      this.sights.push(item);
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }

  #summary(): string {
    const texts = this.texts.map((text) => JSON.stringify(text.slice(0, 60)));
    const sights = this.sights.map((sight) => `${sight.kind} ${sight.stream}: ${sight.reason}`);
    return `${texts.length} lines, last ${texts.slice(-5).join(' ')}; ${sights.join('; ')}`;
  }
}

/** Lines of a block as a framer sees them: without line ends. */
export function linesOf(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return [];
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
}
