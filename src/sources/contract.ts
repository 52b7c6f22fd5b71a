// A source says where lines come from. It reads bytes, keeps its place, and says so when it
// is blind. It never parses, and it never writes to what it reads.

import type { Clock } from '../core/clock.ts';
import type { LogRecord } from '../core/record.ts';
import type { Cursor } from '../store/contract.ts';

/** Whole lines of one stream, as bytes. The detector owns decoding, framing and classification. */
export interface Block {
  readonly kind: 'block';
  /** One stream has one writer and one order: `file:/path`, `process:agent:stdout`. */
  readonly stream: string;
  readonly file?: string;
  readonly service: string | null;
  /** Ends with a newline unless `final`. Valid only until the next item is asked for. */
  readonly bytes: Uint8Array;
  /** Position of the first byte in the stream. */
  readonly startByte: number;
  /** Number of the first line in the stream, counted from 1; 0 when the source cannot know. */
  readonly startLine: number;
  /** True when the stream ends here (rotated away, process gone): open records must be flushed. */
  readonly final: boolean;
  /** Bytes of a too long line that were left out, with a mark in their place. Default 0. */
  readonly cutBytes?: number;
}

/** A record that arrives already parsed (journald, a process that ended). */
export interface Event {
  readonly kind: 'event';
  readonly record: LogRecord;
}

/** The source cannot read, or can again. `since` is epoch milliseconds. */
export interface Blindness {
  readonly kind: 'blind' | 'sighted';
  readonly stream: string;
  readonly reason: string;
  readonly since: number;
}

/** Everything a source gives out, with the cursor that is right once the item has been dealt with. */
export type SourceItem = (Block | Event | Blindness) & { readonly cursor: Cursor | null };

export interface SourceContext {
  /** Where to go on; null for a source never read before. */
  readonly cursor: Cursor | null;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Call once, as soon as everything written from now on will be seen: `watch` is ready when all sources are. */
  readonly ready?: () => void;
}

export interface Source {
  /** Stable across restarts; key of the stored cursor, e.g. `file:agent:data/logs/*.log`. */
  readonly id: string;
  readonly service: string | null;
  /** True for a source that ends by itself (standard input). Others are opened again when they end. */
  readonly finite?: boolean;
  /** Items in order until the signal aborts. Throws only for bugs: what can be expected is `blind`. */
  open(context: SourceContext): AsyncIterable<SourceItem>;
}
