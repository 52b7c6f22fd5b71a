// Printing: people's text or JSON, colours only where they are wanted, whole lines, and never faster
// than the reader takes them.

import type { Writable } from 'node:stream';
import type pc from 'picocolors';
import { oneLine, visible } from '../core/visible.ts';
import type { Severity } from '../core/words.ts';

export type Colors = ReturnType<typeof pc.createColors>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** https://no-color.org: any value of NO_COLOR switches colours off; FORCE_COLOR switches them on. */
export function wantsColor(stream: { readonly isTTY?: boolean }, environment: Environment): boolean {
  if (environment['NO_COLOR']) return false;
  if (environment['FORCE_COLOR'] && environment['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** The reader of our output has gone (`| head`): nothing is left to do. */
export class ReaderGone extends Error {}

/** Enough text to make a write worth while. */
const FLUSH_AT = 64 * 1024;

/** Gathers text and hands it on in big pieces, waiting when the reader is slow. */
export class Printer {
  readonly #stream: Writable;
  #pending: string[] = [];
  #size = 0;
  #gone = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', () => {
      this.#gone = true;
    });
  }

  /** Resolves when there is room for more. Rejects with `ReaderGone`. */
  async print(text: string): Promise<void> {
    this.#pending.push(text);
    this.#size += text.length;
    if (this.#size >= FLUSH_AT) await this.flush();
  }

  async line(text = ''): Promise<void> {
    await this.print(`${text}\n`);
  }

  /** One JSON value on a line of its own. */
  async json(value: unknown): Promise<void> {
    await this.print(`${JSON.stringify(value)}\n`);
  }

  async flush(): Promise<void> {
    const text = this.#pending.join('');
    this.#pending = [];
    this.#size = 0;
    if (this.#gone) throw new ReaderGone();
    if (text === '') return;
    await new Promise<void>((resolve, reject) =>
      this.#stream.write(text, (error) => (error ? reject(new ReaderGone()) : resolve())),
    );
  }
}

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A line that is written over: for people who wait at a terminal, and for nobody else. */
export class ProgressLine {
  readonly #stream: Terminal;
  readonly #now: () => number;
  readonly #startedAt: number;
  #shownAt = 0;
  #shown = false;

  constructor(stream: Terminal, now: () => number) {
    this.#stream = stream;
    this.#now = now;
    this.#startedAt = now();
  }

  /** Shows the text that `make` gives, at most ten times a second and not within the first half second. */
  update(make: () => string): void {
    const now = this.#now();
    if (!this.#stream.isTTY || now - this.#startedAt < 500 || now - this.#shownAt < 100) return;
    this.#shownAt = now;
    this.#shown = true;
    this.#stream.write(`\r\u001b[2K${oneLine(make(), (this.#stream.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#shown = false;
  }
}

export function paintSeverity(severity: Severity, colors: Colors): string {
  const word = severity.padEnd(8);
  if (severity === 'critical') return colors.bold(colors.red(word));
  if (severity === 'high') return colors.red(word);
  return severity === 'medium' ? colors.yellow(word) : colors.dim(word);
}

/** Columns two spaces apart; the last one takes what is left of the width. Colours do not count as width. */
export function table(rows: readonly (readonly string[])[], width: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => lengthOf(row[column] ?? ''))));
  return rows.map((row) => {
    const last = row.length - 1;
    const head = row.slice(0, last).map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)));
    const used = widths.slice(0, last).reduce((sum, w) => sum + w + 2, 0);
    const room = Math.max(20, width - used);
    const cell = row[last] ?? '';
    return [...head, lengthOf(cell) > room ? oneLine(cell, room) : cell].join('  ').trimEnd();
  });
}

// biome-ignore lint: the escape character is the point
const PAINT = /\u001b\[\d+(?:;\d+)*m/g;
const lengthOf = (cell: string): number => cell.replace(PAINT, '').length;

/** Untrusted text of several lines, indented, safe for a terminal. */
export function quote(text: string, indent = '  '): string {
  return visible(text)
    .split('\n')
    .map((line) => `${indent}${line}`)
    .join('\n');
}

/** `3 errors`, `1 error`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** `45 s`, `12 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** `1.2 GB` for people. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
