// Reads a block of lines by passing over what is innocent: only lines that hold a word some rule needs, and
// the few around them that decide what they belong to, are made into text and handed to the framer.

import { type Framer, LOOK_BACK_LINES, lineParts, MARK_WORDS, SECTION_LINES, startsAfresh } from './framer.ts';
import type { Line } from './open-record.ts';
import { LEVEL_SHAPES, LEVEL_SHAPE_WORDS, LINE_KEPT, type Prefilter } from './prefilter.ts';
import { isHead } from './prefixes.ts';
import { type Found, PAD, Sampler } from './sampler.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** Heads of one lane behind which nothing before matters: what the last one hangs on, and the one that names it. */
const HEADS = 2;
/** Containers cut lines into parts: whether a head is the end of one is known from the line before. */
const CUT_LANES: ReadonlySet<string> = new Set(['stdout', 'stderr']);

/** Whole lines, with where they stand in their stream. */
export interface Lines {
  /** Lines begin at `PAD`; before it and behind `end` there are `PAD` line ends. */
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly end: number;
  /** The same as text, one character a byte, from `PAD` on: asked for only where something is found. */
  readonly text: () => string;
  /** Place of the first byte in its stream, and number of the first line. */
  readonly startByte: number;
  readonly startLine: number;
  /** The caller's clock. */
  readonly now: number;
}

/** A line whose place is known and whose text was not looked at yet. */
interface Place {
  readonly at: number;
  readonly end: number;
  readonly number: number;
}

type Kind = 'rule' | 'shape' | 'mark';

/** True for a line that holds a word of some rule, and is innocent all the same. */
export type Sieve = (text: string, now: number) => boolean;

export class Skimmer {
  readonly #prefilter: Prefilter;
  readonly #sampler: Sampler;
  readonly #kinds: readonly Kind[];
  readonly #sieve: Sieve;

  /** `words` are those of all rules. */
  constructor(words: readonly string[], prefilter: Prefilter, sieve: Sieve) {
    this.#prefilter = prefilter;
    this.#sieve = sieve;
    const all: readonly (readonly [Kind, readonly string[]])[] = [
      ['rule', words],
      ['shape', LEVEL_SHAPE_WORDS],
      ['mark', MARK_WORDS],
    ];
    this.#kinds = all.flatMap(([kind, list]) => list.map(() => kind));
    this.#sampler = new Sampler(all.flatMap(([, list]) => list));
  }

  /** Hands to the framer what matters of the lines; returns how many lines there were. */
  skim(lines: Lines, framer: Framer): number {
    this.#sampler.look(lines.words, lines.end);
    framer.hasHeads ||= hasHeads(lines);
    const found: Found = { word: 0, at: 0 };
    let at = PAD;
    let number = lines.startLine;
    while (at < lines.end) {
      // Who has something open gets all its lines.
      for (; framer.busy && at < lines.end; number++) {
        const end = lines.bytes.indexOf(NEWLINE, at);
        framer.reach(number);
        const hit = this.#isHit(lines, at, end, found);
        if (hit !== null) this.#give(lines, { at, end, number }, hit, framer);
        else if (framer.awaits(textOf(lines, at, end)))
          framer.push(this.#line(lines, { at, end, number }, false), lines.now);
        at = end + 1;
      }
      if (at >= lines.end) break;
      const next = this.#nextLine(lines, at, found);
      number += countLines(lines.bytes, at, next?.at ?? lines.end);
      at = next?.at ?? lines.end;
      if (next === null) break;
      this.#give(lines, { at, end: next.end, number }, next.hit, framer);
      at = next.end + 1;
      number++;
    }
    this.#settle(lines, number - 1, framer);
    framer.reach(number - 1);
    return number - lines.startLine;
  }

  /** The next line that holds a word; `hit` is false where only a report may begin. */
  #nextLine(lines: Lines, from: number, found: Found): { at: number; end: number; hit: boolean } | null {
    const { bytes, words, end } = lines;
    for (let at = from; this.#sampler.next(bytes, words, at, end, found); ) {
      const start = bytes.lastIndexOf(NEWLINE, found.at) + 1;
      const last = bytes.indexOf(NEWLINE, start);
      const hit = this.#isHit(lines, start, last, found, true);
      if (hit !== null) return { at: start, end: last, hit };
      at = last + 1;
    }
    return null;
  }

  /** Whether a line is of interest, or null when it is innocent. `known`: `found` stands in it already. */
  #isHit(lines: Lines, at: number, end: number, found: Found, known = false): boolean | null {
    let [marked, isSeen] = [false, false];
    for (let has = known || this.#look(lines, at, end, found); has; has = this.#look(lines, at, end, found)) {
      const kind = this.#kinds[found.word];
      if (kind === 'mark') marked = true;
      else if (!isSeen && (kind === 'rule' || hasShape(textOf(lines, at, end)))) {
        isSeen = true;
        // Only so much of a monster is kept, and only that counts.
        if (end - at > LINE_KEPT) return this.#prefilter.next(textOf(lines, at, at + LINE_KEPT), 0) !== null;
        if (!this.#sieve(this.#line(lines, { at, end, number: 0 }, false).text, lines.now)) return true;
      }
    }
    return marked ? false : null;
  }

  #look({ bytes, words }: Lines, at: number, end: number, found: Found): boolean {
    return this.#sampler.next(bytes, words, at, end, found);
  }

  /** Hands over a line of interest behind those lines that decide what it belongs to. */
  #give(lines: Lines, place: Place, hit: boolean, framer: Framer): void {
    const line = this.#line(lines, place, hit);
    const parts = lineParts(line.text);
    const lookBack = new LookBack(place.number, framer);
    lookBack.begin(parts.lane, startsAfresh(parts) ? 1 : 0);
    const before: Line[] = [];
    for (const one of backwards(lines, place)) {
      if (lookBack.isOver(one.number)) break;
      const earlier = this.#line(lines, one, false);
      if (lookBack.wants(earlier, parts.lane)) before.push(earlier);
      if (lookBack.isDone(parts.lane)) break;
    }
    for (const earlier of before.reverse()) framer.push(earlier, lines.now);
    framer.push(line, lines.now);
  }

  /** What the next block needs to know of this one: the last records of all who wrote lately. */
  #settle(lines: Lines, last: number, framer: Framer): void {
    const lookBack = new LookBack(last + 1, framer);
    const before: Line[] = [];
    for (const one of backwards(lines, { at: lines.end, end: lines.end, number: last + 1 })) {
      if (lookBack.isOver(one.number)) break;
      const earlier = this.#line(lines, one, false);
      if (lookBack.wants(earlier, null)) before.push(earlier);
    }
    for (const earlier of before.reverse()) framer.push(earlier, lines.now);
  }

  #line(lines: Lines, { at, end, number }: Place, hit: boolean): Line {
    const startByte = lines.startByte + at - PAD;
    const endByte = lines.startByte + end + 1 - PAD;
    const isCrLf = end > at && lines.bytes[end - 1] === CARRIAGE_RETURN;
    const text =
      end - at > LINE_KEPT
        ? `${textOf(lines, at, at + LINE_KEPT)} [${end - at - LINE_KEPT} bytes cut]`
        : textOf(lines, at, isCrLf ? end - 1 : end);
    return { text, number, startByte, endByte, hit };
  }
}

/** Decides line by line, going back, which lines of a lane the framer must have had. */
class LookBack {
  readonly #framer: Framer;
  readonly #lanes = new Map<string, { heads: number; earliest: number; done: boolean }>();
  /** Number of the line that is looked back from. */
  readonly #from: number;
  readonly #section: number;
  /** The earliest line that any lane still asks for. */
  #until: number;

  constructor(from: number, framer: Framer) {
    this.#framer = framer;
    this.#from = from;
    this.#section = from - (from % SECTION_LINES);
    this.#until = from - LOOK_BACK_LINES;
  }

  begin(lane: string, heads: number): void {
    this.#lanes.set(lane, { heads, earliest: this.#from, done: false });
  }

  /** True when no line from here on back matters. */
  isOver(number: number): boolean {
    return number < this.#section || number < this.#until;
  }

  isDone(lane: string): boolean {
    return this.#lanes.get(lane)?.done ?? false;
  }

  /** True for a line the framer must be given. With `only` the lines of other lanes do not count. */
  wants(line: Line, only: string | null): boolean {
    const parts = lineParts(line.text);
    if (only !== null && parts.lane !== only) return false;
    const lane = this.#lanes.get(parts.lane) ?? { heads: 0, earliest: this.#from, done: false };
    this.#lanes.set(parts.lane, lane);
    if (lane.done) return false;
    lane.done = line.number <= this.#framer.seen(parts.lane) || line.number < lane.earliest - LOOK_BACK_LINES;
    if (lane.done) return false;
    if (startsAfresh(parts)) lane.heads += 1;
    else if (parts.carrier?.partial) lane.heads = 0;
    lane.done = lane.heads >= (CUT_LANES.has(parts.lane) ? HEADS + 1 : HEADS);
    // Blank lines keep no record alive.
    if (line.text.length > 200 || !/^[ \t\r]*$/.test(line.text)) lane.earliest = line.number;
    this.#until = Math.min(this.#until, lane.earliest - LOOK_BACK_LINES);
    return true;
  }
}

function hasShape(text: string): boolean {
  return LEVEL_SHAPES.some((shape) => shape.test(text));
}

function textOf({ text }: Lines, at: number, end: number): string {
  return text().slice(at - PAD, end - PAD);
}

function hasHeads(lines: Lines): boolean {
  for (let at = PAD; at < lines.end; ) {
    const end = lines.bytes.indexOf(NEWLINE, at);
    const { text, carrier } = lineParts(textOf(lines, at, Math.min(end, at + LINE_KEPT)));
    if (isHead(text, carrier?.from ?? 0)) return true;
    at = end + 1;
  }
  return false;
}

/** The lines before a place, the nearest first. */
function* backwards({ bytes }: Lines, before: Place): Generator<Place, void> {
  let { at, number } = before;
  while (at > PAD) {
    const end = at - 1;
    at = bytes.lastIndexOf(NEWLINE, end - 1) + 1;
    yield { at, end, number: --number };
  }
}

/** How many lines end in a part of the text. */
function countLines(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) count += bytes[at] === NEWLINE ? 1 : 0;
  return count;
}
