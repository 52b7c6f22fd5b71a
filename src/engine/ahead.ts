// What was counted of a source beyond its stored place: records that may still go on, and whole ones behind them.
// Stored in the transaction that counts them, so that a watcher that was killed reads them again and counts them once.

import { createHash } from 'node:crypto';
import type { LogRecord } from '../core/record.ts';
import type { Cursor } from '../store/contract.ts';

/** As what a record was counted. */
export interface Counted {
  readonly incident: string;
  readonly service: string;
  /** Place of the fingerprint by which it was counted. */
  readonly place: string;
  /** The record opened the incident. */
  readonly opened: boolean;
}

export interface Entry {
  /** Null: the record is complete, and what it is counted as stays. */
  readonly counted: Counted | null;
  /** Mark of the item after which it was found; null while it is known only from before a restart. */
  readonly mark: number | null;
}

/** Rows of what is ahead stand beside the cursors under this name. */
export const aheadOf = (source: string): string => `ahead:${source}`;

/** Tells one record of a source from the others that may be read again with it, also after a restart. */
export function keyOfRecord({ source, span, time, text }: LogRecord): string {
  const stream = source.replace(/ \(rotated\)$/, '');
  // Records that came as events have no place, but a time of their own.
  const place = span.line === 0 && span.startByte === 0 ? `at ${time ?? ''}` : span.startByte;
  const end = text.indexOf('\n');
  const first = end < 0 ? text : text.slice(0, end);
  return createHash('sha1').update(`${stream}\n${place}\n${first}`).digest('base64url').slice(0, 16);
}

/** Immutable: a commit that fails leaves what was. */
export class Ahead {
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(entries: ReadonlyMap<string, Entry>) {
    this.#entries = entries;
  }

  static readonly empty = new Ahead(new Map());

  /** What an earlier run had stored; what cannot be understood is dropped. */
  static parse(stored: Cursor | null): Ahead {
    const rows = Array.isArray(stored?.counted) ? (stored.counted as unknown[]) : [];
    return new Ahead(new Map(rows.flatMap((row) => parseRow(row))));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether a record that was found now is news, is the rest of one that was counted, or was dealt with before the restart. */
  look(key: string): 'new' | 'known' | Counted {
    const entry = this.#entries.get(key);
    if (entry?.counted) return entry.counted;
    // Within one run nothing is read twice: it is another record that looks the same.
    return entry && entry.mark === null ? 'known' : 'new';
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  with(found: Iterable<readonly [key: string, entry: Entry]>): Ahead {
    return new Ahead(new Map([...this.#entries, ...found]));
  }

  /** Without those that cannot be read again once the place behind this item is stored. */
  behind(mark: number): Ahead {
    const rest = [...this.#entries].filter(([, entry]) => entry.counted || entry.mark === null || entry.mark > mark);
    return rest.length === this.#entries.size ? this : new Ahead(new Map(rest));
  }

  /** Without what was known from before the restart and has not been met again. */
  withoutOld(): Ahead {
    return new Ahead(new Map([...this.#entries].filter(([, { mark }]) => mark !== null)));
  }

  toJson(): Cursor {
    return {
      counted: [...this.#entries].map(([key, { counted }]) =>
        counted ? [key, counted.incident, counted.service, counted.place, counted.opened] : [key],
      ),
    };
  }
}

function parseRow(row: unknown): [string, Entry][] {
  if (!Array.isArray(row) || typeof row[0] !== 'string') return [];
  const [key, incident, service, place, opened] = row as unknown[];
  if (incident === undefined) return [[key as string, { counted: null, mark: null }]];
  if (typeof incident !== 'string' || typeof service !== 'string' || typeof place !== 'string') return [];
  const counted = { incident, service, place, opened: opened === true };
  return [[key as string, { counted, mark: null }]];
}
