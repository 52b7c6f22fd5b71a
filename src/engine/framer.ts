// Lines become records: a stack trace with its head is one, a git failure of five lines is one, and two
// writers that share a file are kept apart. Sees each line once, in order, so block sizes cannot matter.

import type { LogRecord } from '../core/record.ts';
import {
  announces,
  awaitsReport,
  explains,
  goesOn,
  isForeignComplaint,
  isKernelDump,
  isUnitResult,
  leads,
  leavesOpenWhy,
  STRUCTURED,
  toolReport,
} from './belonging.ts';
import { atLeast } from './levels.ts';
import { framed, type Framed, type Line, type Open } from './open-record.ts';
import { carried, type Carried, isCarriedHead, isHead, peel } from './prefixes.ts';
import { awaitedLast, continues, indented, isFrame, mayBeCut, opens, type Report, resumes } from './trace-lines.ts';

interface Lane {
  current: Open | null;
  /** A report that other lines have cut into; it may go on. */
  suspended: Open | null;
  /** Heads seen since it was suspended. */
  cuts: number;
  /** CRI: the pieces of a line so far. */
  partial: { text: string; number: number; startByte: number; hit: boolean; marked: boolean; mark: number } | null;
  /** Number of the last line it was given. */
  seen: number;
}

const LINES_KEPT = 200;
const HEAD_LINES_KEPT = 140;
const CHARS_KEPT = 256 * 1024;
const RAW_TAKEN = 40;
const BLANKS_TAKEN = 3;
/** Lines that explain a complaint of a tool. */
const MORE_TAKEN = 4;
/** Foreign records in a row that may cut into a report before it counts as over. */
const CUTS_TAKEN = 4;
/** A record nothing was added to for this many lines of its stream is over, whatever its writer still plans. */
const IDLE_LINES = 100;
const SWEEP_LINES = 20;
/** So many lines back a record that holds nothing of interest is looked for; then it is forgotten. */
export const LOOK_BACK_LINES = 100;
/** No such record reaches over a line whose number is a multiple of this: nothing further back ever matters. */
export const SECTION_LINES = 4_096;
/** Stands for a head that may be there and was let go of, as no head is written. */
export const BEFORE_UNSEEN = '\u0000';
const LANES_KEPT = 2_000;
const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** Words of which each text that `MARKS` matches holds one, lower case. */
export const MARK_WORDS: readonly string[] = [
  'traceback (most recent call',
  'file "',
  'the above exception was',
  'during handling of the above',
  '<--- last few gcs',
  '<--- js stacktrace',
  'invoked oom-killer',
  'oom-kill:constraint',
  ...['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'jsx', 'tsx'].map((ending) => `.${ending}:`),
];
/** Where reports begin that go on behind other writers' lines, and say only later what happened. */
const MARKS =
  /traceback \(most recent call|file "|the above exception was|during handling of the above|<--- last few gcs|<--- js stacktrace|invoked oom-killer|oom-kill:constraint|\.[cm]?[jt]sx?:\d{1,9}\r?$/i;

function isMarked(line: Line): boolean {
  return line.marked ?? MARKS.test(line.text);
}

/** A line, what carried it, and who wrote it. */
export interface LineParts {
  /** Without colours. */
  readonly text: string;
  readonly carrier: Carried | null;
  readonly lane: string;
}

export function lineParts(given: string): LineParts {
  const text = given.includes('\u001b') ? given.replace(ANSI, '') : given;
  const carrier = carried(text);
  return { text, carrier, lane: carrier?.lane ?? '' };
}

/**
 * True for a line without anything of interest that begins a record of its own whatever stood before it, as long as
 * nothing that matters is open: behind it, its lane has forgotten everything else.
 */
export function startsAfresh({ text, carrier }: LineParts): boolean {
  const from = carrier?.from ?? 0;
  return !carrier?.partial && isHead(text, from) && !JOINS_UNSEEN.test(from === 0 ? text : text.slice(from));
}

/** Heads that a report without anything of interest may take in. */
const JOINS_UNSEEN = /^\s*(?:error|fatal|hint|warning|timeout|herror|gaierror): /;

export class Framer {
  readonly #lanes = new Map<string, Lane>();
  readonly #out: Framed[] = [];
  /** Closed records that wait for an earlier one to close. */
  #closed: Open[] = [];
  /** Interesting records that are still open. */
  readonly #pending = new Set<Open>();
  /** Lanes with a line of which more parts are to come. */
  readonly #cut = new Set<Lane>();
  /** Names of the lanes that have something open that matters. */
  readonly #busy = new Set<string>();
  #order = 0;
  /** Whether lines of this stream have prefixes of their own; whoever passes over lines says so. */
  hasHeads = false;
  #sweepAt = 0;
  /** Set by the caller before it pushes: `openSince` gives it back. */
  mark = 0;
  /** The lowest mark of a record that went on under the present one. */
  #reachesBack = Number.POSITIVE_INFINITY;

  /** Takes one line; `now` is the caller's clock, used only by `flush`. */
  push(line: Line, now: number): void {
    this.#push(line, lineParts(line.text), now);
  }

  /** True when the writer of a line has a record open that it may belong to. Any other innocent line may be passed over. */
  awaits(text: string): boolean {
    return this.#busy.has(lineParts(text).lane);
  }

  /** True while some writer has a record open to which the next line may belong, and which matters. */
  get busy(): boolean {
    return this.#busy.size > 0;
  }

  /** Number of the last line of a lane that was given; 0 when nothing of it is remembered. */
  seen(lane: string): number {
    return this.#lanes.get(lane)?.seen ?? 0;
  }

  /** Lines up to this one have been passed over or given: what was silent for too long is over. */
  reach(number: number): void {
    if (number >= this.#sweepAt) this.#sweep(number);
  }

  #push(line: Line, { text, carrier, lane: name }: LineParts, now: number): void {
    this.reach(line.number);
    const lane = this.#lane(name);
    this.#forget(lane, line.number);
    lane.seen = line.number;
    if (carrier?.partial || (lane.partial && carrier)) this.#partial(lane, carrier, text, line, now);
    else this.#place(lane, name, text, carrier?.from ?? 0, line, now, null);
    this.#note(name, lane);
  }

  #note(name: string, { current, suspended, partial }: Lane): void {
    if ((current && matters(current)) || suspended || partial) this.#busy.add(name);
    else this.#busy.delete(name);
  }

  /** Takes a record that its source has parsed already. Lines of one writer still join. */
  pushEvent(record: LogRecord, hit: boolean, now: number): void {
    const name = `event ${record.logger ?? ''}`;
    const lane = this.#lane(name);
    const parts = record.text.split('\n');
    const { span } = record;
    parts.forEach((text, i) => {
      const line = { text, number: span.line, startByte: span.startByte, endByte: span.endByte, hit };
      this.#place(lane, name, text, 0, line, now, i === 0 ? record : null);
    });
  }

  /** Finished records since the last call, in the order in which they began. */
  take(): readonly Framed[] {
    return this.#out.splice(0);
  }

  /** Ends open records: all, or those nothing was added to since `olderThan` (caller's clock). */
  flush(olderThan = Number.POSITIVE_INFINITY): void {
    for (const [name, lane] of this.#lanes) {
      if (lane.suspended && lane.suspended.touchedAt <= olderThan) this.#close(lane.suspended, lane);
      if (lane.current && lane.current.touchedAt <= olderThan) this.#close(lane.current, lane);
      this.#note(name, lane);
    }
    this.#release();
  }

  /**
   * Interesting records that are not handed out yet, as they stand. Each once, and again when it has twice the lines;
   * never a report whose last line, which says what happened, is still to come.
   */
  glimpse(): readonly Framed[] {
    const seen: Framed[] = [];
    for (const open of [...this.#pending, ...this.#closed]) {
      if (!open.hit || open.report?.open || open.lines.length < 2 * open.glimpsed) continue;
      open.glimpsed = open.lines.length;
      seen.push(framed(open));
    }
    return seen;
  }

  /** True while an interesting record is open. */
  get waiting(): boolean {
    return this.#pending.size > 0;
  }

  /** The mark under which the oldest interesting record that is still open began; null when there is none. */
  get openSince(): number | null {
    let oldest: number | null = null;
    const note = (mark: number): void => {
      if (oldest === null || mark < oldest) oldest = mark;
    };
    for (const open of this.#pending) note(open.mark);
    for (const { partial } of this.#cut) if (partial) note(partial.mark);
    return oldest;
  }

  /** Once: the lowest mark under which a record began that has gone on under a later one since this was asked last. */
  takeReach(): number {
    const reach = this.#reachesBack;
    this.#reachesBack = Number.POSITIVE_INFINITY;
    return reach;
  }

  // -------------------------------------------------------------- placing a line

  #place(lane: Lane, name: string, text: string, from: number, line: Line, now: number, event: LogRecord | null): void {
    const current = lane.current;
    const inner = from === 0 ? text : text.slice(from);
    if (isBlank(inner)) {
      if (current) current.blanks++;
      return;
    }
    const awaited = current?.report?.open ?? false;
    const head =
      (isHead(text, from) && !(awaited && awaitedLast(inner))) ||
      (name !== '' && !awaited && isCarriedHead(text, from));
    const dump = current !== null && isKernelDump(current, inner);
    const home = dump ? current : head ? this.#homeOfHead(lane, inner) : this.#homeOfRaw(lane, inner);
    if (home === lane.suspended) lane.cuts = 0;
    if (home) return this.#add(home, text, from, line, now);
    this.#begin(lane, name, text, from, head || event !== null, inner, line, now, event);
  }

  /** A head belongs to the open record only when its message goes on with that record's own report. */
  #homeOfHead(lane: Lane, inner: string): Open | null {
    for (const open of [lane.current, lane.suspended]) {
      if (
        open?.report?.kind === 'git' &&
        /^(?:error|fatal|hint|warning): /.test(inner) &&
        !isForeignComplaint(open === lane.current, inner) &&
        continues(open.report, inner)
      )
        return open;
      if (!open || !matters(open)) continue;
      if (open.report?.kind === 'v8' && continues(open.report, inner)) return open;
      if (open.report?.kind === 'git' && /^[a-z]/.test(inner) && continues(open.report, inner)) return open;
      if (!open.report && /^[a-z]/.test(inner) && this.#mayAttach(open, inner)) return open;
      if (open === lane.current && open.head && goesOn(open, inner)) return open;
    }
    return null;
  }

  #homeOfRaw(lane: Lane, inner: string): Open | null {
    const { current, suspended } = lane;
    if (current?.hit && isUnitResult(current, inner)) return current;
    if (current?.report && this.#goesOn(current, inner)) return current;
    if (suspended?.report?.open && resumes(suspended.report, inner)) return suspended;
    // What a loud head announces hangs below it, and not below an earlier one.
    if (current && this.#mayAttach(current, inner)) return current;
    if (suspended && this.#resumes(suspended, inner, lane.cuts)) return suspended;
    if (!current) return null;
    if (opens(inner)) return null;
    if (indented(inner)) return this.#isPaste(current, inner) ? null : current;
    if (this.#tellsMore(current, inner)) return current;
    // Before the first frame of a trace stand the further lines of its message.
    const inMessage = !current.report || (current.report.kind === 'frames' && current.report.odd === 0);
    const takes = current.head && inMessage && current.raw < RAW_TAKEN && current.blanks < BLANKS_TAKEN;
    if (!takes || !this.#isLoud(current)) return null;
    current.raw++;
    return current;
  }

  /** What tools print to a terminal has no prefix: the line right below a complaint explains it, unless it complains itself. */
  #tellsMore(current: Open, inner: string): boolean {
    if (current.head || !current.hit || current.blanks > 0 || current.raw >= MORE_TAKEN) return false;
    const bare = current.report === null || (current.report.kind === 'frames' && current.report.odd === 0);
    if (!bare || !explains(current.lines[0] ?? '', inner)) return false;
    current.raw++;
    return true;
  }

  /** A report that somebody pasted with an indentation is none of the quiet line above it. */
  #isPaste(current: Open, inner: string): boolean {
    if (current.report || (current.hit && this.#isLoud(current))) return false;
    return opens(inner.trimStart()) !== null && !isFrame(inner);
  }

  #goesOn(open: Open, inner: string): boolean {
    const report = open.report as Report;
    if (report.kind === 'spring' && report.depth > 1 && open.blanks > 0) return false;
    if (open.blanks >= BLANKS_TAKEN && !report.open && report.kind !== 'v8' && report.kind !== 'spring') return false;
    return continues(report, inner);
  }

  /** Lines that foreign records cut off from their report find back to it, when they can only be its own. */
  #resumes(open: Open, inner: string, cuts: number): boolean {
    // A head that only announced something may have its report torn off by one record, not by many.
    if (!open.report)
      return cuts === 0 && this.#isLoud(open) && leavesOpenWhy(open.lines[0] ?? '') && this.#mayAttach(open, inner);
    return resumes(open.report, inner);
  }

  /** A trace or a tool's report hangs below the loud head that announces it. */
  #mayAttach(open: Open, inner: string): boolean {
    if (open.report || open.blanks > 1) return false;
    if (!open.head && !leads(open)) return false;
    // A line that is a JSON object or logfmt holds its own stack.
    if (STRUCTURED.test((open.lines[0] ?? '').slice(open.from[0] ?? 0))) return false;
    const report = opens(inner);
    if (!report || report.kind === 'v8' || report.kind === 'node' || inner.startsWith('Fatal Python')) return false;
    const first = open.lines[0] ?? '';
    // What we say of others' errors has no report of its own.
    if (/\bself-?heal/i.test(first)) return false;
    if (/^(?:error|fatal|warning): /.test(inner) && !/\bgit\b|:\s*$/.test(first)) return false;
    if (!this.#isLoud(open) && !(open.level === 'none' ? announces : awaitsReport)(first)) return false;
    open.report = report;
    open.reportAt = open.lines.length;
    return true;
  }

  #isLoud(open: Open): boolean {
    if (open.level === null) open.level = open.event?.level ?? peel(open.lines[0] ?? '', 0).level ?? 'none';
    return open.level !== 'none' && atLeast(open.level, 'warn');
  }

  // -------------------------------------------------------------- records

  #begin(
    lane: Lane,
    name: string,
    text: string,
    from: number,
    head: boolean,
    inner: string,
    line: Line,
    now: number,
    event: LogRecord | null,
  ): void {
    const previous = lane.current;
    const before = previous ? headBefore(previous) : this.#unseenBefore(line.number);
    if (head) this.hasHeads = true;
    if (previous) this.#setAside(lane, previous);
    const report = head ? toolReport(inner) : (opens(inner) ?? (indented(inner) ? opens(inner.trimStart()) : null));
    // Frames are set in by nature; anything else that is set in was pasted so.
    if (report && !(report.kind === 'frames' && isFrame(inner)))
      report.indent = inner.length - inner.trimStart().length;
    const open: Open = {
      lane: name,
      // Lines may be given late, when another lane has gone on.
      order: event ? this.#order++ : line.number,
      lines: [text],
      from: [from],
      firstLine: line.number,
      startByte: line.startByte,
      lastLine: line.number,
      endByte: line.endByte,
      chars: text.length,
      skipped: 0,
      hit: line.hit,
      marked: isMarked(line),
      head,
      report,
      reportAt: report ? 0 : -1,
      reportSite: report ? { line: line.number, startByte: line.startByte } : null,
      before,
      blanks: 0,
      raw: 0,
      level: null,
      event,
      touchedAt: now,
      glimpsed: 0,
      mark: this.mark,
    };
    lane.current = open;
    if (matters(open)) this.#pending.add(open);
  }

  #add(open: Open, text: string, from: number, line: Line, now: number): void {
    for (; open.blanks > 0; open.blanks--) this.#keep(open, '', 0);
    if (open.report) open.reportSite ??= { line: line.number, startByte: line.startByte };
    this.#keep(open, text, from);
    open.lastLine = line.number;
    open.endByte = line.endByte;
    open.touchedAt = now;
    if (line.hit) open.hit = true;
    else if (!matters(open) && open.report && isMarked(line)) open.marked = true;
    if (!matters(open)) return;
    this.#pending.add(open);
    if (open.mark < this.mark) this.#reachesBack = Math.min(this.#reachesBack, open.mark);
  }

  /** The beginning and the end of a long report are kept: both say what happened. */
  #keep(open: Open, text: string, from: number): void {
    open.lines.push(text);
    open.from.push(from);
    open.chars += text.length + 1;
    while (open.lines.length > LINES_KEPT || (open.chars > CHARS_KEPT && open.lines.length > 2)) {
      const at = Math.min(HEAD_LINES_KEPT, open.lines.length - 2);
      open.chars -= (open.lines[at]?.length ?? 0) + 1;
      open.lines.splice(at, 1);
      open.from.splice(at, 1);
      open.skipped++;
    }
  }

  /** Another record begins in the lane: a report that may go on is kept for a while, all else is over. */
  #setAside(lane: Lane, open: Open): void {
    lane.current = null;
    if (lane.suspended && ++lane.cuts > CUTS_TAKEN) this.#close(lane.suspended, lane);
    const mayGoOn =
      matters(open) && (mayBeCut(open.report) || (open.hit && open.head && announces(open.lines[0] ?? '')));
    if (!mayGoOn) return this.#close(open, lane);
    if (lane.suspended) this.#close(lane.suspended, lane);
    lane.suspended = open;
    lane.cuts = 0;
  }

  #close(open: Open, lane: Lane): void {
    if (lane.suspended === open) lane.suspended = null;
    if (lane.current === open) lane.current = null;
    this.#pending.delete(open);
    if (open.hit) this.#closed.push(open);
    this.#release();
  }

  /** Hands out closed records up to the earliest that is still open. */
  #release(): void {
    if (this.#closed.length === 0) return;
    let first = Number.POSITIVE_INFINITY;
    for (const open of this.#pending) if (open.order < first) first = open.order;
    const ready = this.#closed.filter((open) => open.order < first).sort((a, b) => a.order - b.order);
    if (ready.length === 0) return;
    this.#closed = this.#closed.filter((open) => open.order >= first);
    for (const open of ready) this.#out.push(framed(open));
  }

  /** Ends what has been silent for hundreds of lines, by line numbers only, so that block sizes cannot matter. */
  #sweep(number: number): void {
    const now = number - (number % SWEEP_LINES);
    this.#sweepAt = now + SWEEP_LINES;
    for (const [name, lane] of this.#lanes) {
      for (const open of [lane.suspended, lane.current])
        if (open && now - open.lastLine > IDLE_LINES) this.#close(open, lane);
      this.#note(name, lane);
      if (!lane.current && !lane.suspended && !lane.partial) this.#lanes.delete(name);
    }
  }

  /**
   * Lets go of what holds nothing of interest once it is too old to matter. So what a line becomes is decided by few
   * lines before it, and whoever passes over lines knows how far to look back.
   */
  #forget(lane: Lane, number: number): void {
    const { current, partial } = lane;
    if (current && !matters(current) && isForgotten(current.firstLine, current.lastLine, number)) lane.current = null;
    if (!partial || partial.hit || !isForgotten(partial.number, partial.number, number)) return;
    lane.partial = null;
    this.#cut.delete(lane);
  }

  /** Right behind a line where all is forgotten, nobody knows whose words a line without a prefix goes on with. */
  #unseenBefore(number: number): string | null {
    return this.hasHeads && number >= SECTION_LINES && number % SECTION_LINES < LOOK_BACK_LINES ? BEFORE_UNSEEN : null;
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known) return known;
    if (this.#lanes.size >= LANES_KEPT) this.#dropOldest();
    const lane: Lane = { current: null, suspended: null, cuts: 0, partial: null, seen: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }

  #dropOldest(): void {
    for (const [name, lane] of this.#lanes) {
      if (lane.suspended) this.#close(lane.suspended, lane);
      if (lane.current) this.#close(lane.current, lane);
      this.#cut.delete(lane);
      this.#busy.delete(name);
      this.#lanes.delete(name);
      return;
    }
  }

  /** Containers cut long lines into parts; the whole counts as one line from the first to the last. */
  #partial(lane: Lane, carrier: ReturnType<typeof carried>, text: string, line: Line, now: number): void {
    const from = carrier?.from ?? 0;
    const whole = lane.partial ?? {
      text: text.slice(0, from),
      number: line.number,
      startByte: line.startByte,
      hit: false,
      marked: false,
      mark: this.mark,
    };
    const joined = {
      ...whole,
      text: whole.text.length < CHARS_KEPT ? whole.text + text.slice(from) : whole.text,
      hit: whole.hit || line.hit,
      marked: whole.marked || isMarked(line),
    };
    lane.partial = carrier?.partial ? joined : null;
    if (carrier?.partial) return void this.#cut.add(lane);
    this.#cut.delete(lane);
    if (joined.mark < this.mark) this.#reachesBack = Math.min(this.#reachesBack, joined.mark);
    const complete = {
      ...line,
      text: joined.text,
      hit: joined.hit,
      marked: joined.marked,
      number: joined.number,
      startByte: joined.startByte,
    };
    this.#place(lane, carrier?.lane ?? '', joined.text, from, complete, now, null);
    const open = lane.current;
    if (open) open.lastLine = line.number;
  }
}

/** Worth following: something in it is of interest, or must be expected to come. */
function matters(open: Open): boolean {
  return open.hit || open.marked;
}

function headBefore(previous: Open): string | null {
  return previous.head ? (previous.lines[0] ?? null) : previous.before;
}

/** Records without anything of interest do not reach further than this. */
function isForgotten(first: number, last: number, number: number): boolean {
  return number - last > LOOK_BACK_LINES || Math.floor(first / SECTION_LINES) !== Math.floor(number / SECTION_LINES);
}

function isBlank(text: string): boolean {
  if (text.length > 200) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== 0x20 && code !== 0x09 && code !== 0x0d) return false;
  }
  return true;
}
