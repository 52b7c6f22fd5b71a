// A record on its way: the line it begins with, what it is while lines may still come, and what it is in the end.

import type { Level, LogRecord, Span } from '../core/record.ts';
import type { Report } from './trace-lines.ts';

/** One line of a stream. `text` holds one character a byte (latin1) and no line end. */
export interface Line {
  readonly text: string;
  readonly number: number;
  readonly startByte: number;
  readonly endByte: number;
  /** The line holds a word that some rule needs. Records without any are dropped unread. */
  readonly hit: boolean;
  /** What `MARKS` says of its text, where that is known better. */
  readonly marked?: boolean;
}

/** A finished record, still as bytes-in-characters. */
export interface Framed {
  readonly lines: readonly string[];
  /** Where the text of each line begins behind its carrier's prefix. */
  readonly from: readonly number[];
  readonly span: Span;
  /** Index of the line that opened a trace below a head, or -1. */
  readonly reportAt: number;
  /** Where that line stands in its stream. */
  readonly report: { readonly line: number; readonly startByte: number } | null;
  /** The head of another record right before lines that carry no prefix of their own; or `BEFORE_UNSEEN`. */
  readonly before: string | null;
  /** Lines left out of the middle. */
  readonly skipped: number;
  /** Set when the source had parsed it already. */
  readonly event: LogRecord | null;
  /** Time of the caller's clock when its last line came. */
  readonly touchedAt: number;
  /** It was given by `glimpse` before. */
  readonly glimpsed: boolean;
}

/** A record to which lines may still come. */
export interface Open {
  readonly lane: string;
  readonly order: number;
  lines: string[];
  from: number[];
  readonly firstLine: number;
  readonly startByte: number;
  lastLine: number;
  endByte: number;
  chars: number;
  skipped: number;
  hit: boolean;
  /** Holds the beginning of a report that says only at its end what happened. */
  marked: boolean;
  /** Began with a prefix of its own. */
  readonly head: boolean;
  report: Report | null;
  reportAt: number;
  reportSite: { readonly line: number; readonly startByte: number } | null;
  before: string | null;
  blanks: number;
  /** Lines without prefix or grammar that were taken in good faith. */
  raw: number;
  level: Level | 'none' | null;
  event: LogRecord | null;
  touchedAt: number;
  /** Lines that it had when `glimpse` gave it last. */
  glimpsed: number;
  /** Mark of the framer when it began. */
  readonly mark: number;
}

/** The record as it stands, for those who read it. */
export function framed(open: Open): Framed {
  return {
    lines: open.lines,
    from: open.from,
    span: { line: open.firstLine, endLine: open.lastLine, startByte: open.startByte, endByte: open.endByte },
    reportAt: open.reportAt,
    report: open.reportSite,
    before: open.before,
    skipped: open.skipped,
    event: open.event,
    touchedAt: open.touchedAt,
    glimpsed: open.glimpsed > 0,
  };
}
