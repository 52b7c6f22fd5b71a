// Finds the lines that hold a word, by looking at four bytes at every second place of the raw text: each
// word holds such a window wherever it begins, so what lies between is never decoded, split or compared.

import { bare, isFreeByte, isLetter } from './word-finder.ts';

/** Bytes of free room the text needs before it and behind it, filled with line ends. */
export const PAD = 64;

/** Folds ASCII letters to lower case, and some signs onto each other; what is found is compared anew. */
const FOLD = 0x20;
const FOLD_ALL = 0x20202020;
const MIX = 0x9e3779b1;
const BITS = 18;
const SLOTS = 15;
/** An aligned look at every second byte: both kinds of place a word may begin at. */
const STEP = 2;
const SHORTEST = 3;
const WINDOW = 4;

interface Window {
  readonly word: number;
  /** Where the window begins in the word; -1 and beyond its end stands any byte. */
  readonly at: number;
  readonly values: readonly number[];
}

/** A word that was found: its number, and where it begins. */
export interface Found {
  word: number;
  at: number;
}

export class Sampler {
  readonly words: readonly string[];
  /** One bit for each hash of a window: most of the text ends here. */
  readonly #bits = new Int32Array(1 << (BITS - 5));
  /** Open addressing: a window, and the end of its entries. */
  readonly #windows = new Int32Array(2 << SLOTS);
  readonly #first: Int32Array;
  /** Pairs: the word, and where the window stands in it. */
  readonly #entries: Int32Array;
  /** The bytes of all words, folded as `FOLD` does. */
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  /** Words that must stand alone. */
  readonly #alone: Uint8Array;
  #places = new Int32Array(0);
  #count = 0;
  #next = 0;
  /** In the window that is looked at: the next entry, -1 for the first, and the end of its entries. */
  #entry = -1;
  #lastEntry = 0;

  /** Words of ASCII in lower case, three letters or longer, or in the form `\\bword\\b`. */
  constructor(words: readonly string[]) {
    this.words = words;
    const plain = words.map(bare);
    this.#alone = Uint8Array.from(words, (word, i) => (word === plain[i] ? 0 : 1));
    this.#starts = new Int32Array(words.length + 1);
    for (const [i, word] of plain.entries()) this.#starts[i + 1] = (this.#starts[i] as number) + word.length;
    this.#bytes = Uint8Array.from(Buffer.from(plain.join(''), 'latin1'));
    const byValue = new Map<number, number[]>();
    for (const { word, at, values } of plain.flatMap((text, i) => windowsOf(text, i)))
      for (const value of values) {
        const known = byValue.get(value);
        if (known) known.push(word, at);
        else byValue.set(value, [word, at]);
      }
    this.#first = new Int32Array(byValue.size + 1);
    this.#entries = Int32Array.from([...byValue.values()].flat());
    let group = 0;
    for (const [value, pairs] of byValue) {
      this.#first[group + 1] = (this.#first[group] as number) + pairs.length;
      this.#put(value, ++group);
    }
  }

  #put(value: number, group: number): void {
    const hash = Math.imul(value, MIX) >>> (32 - BITS);
    this.#bits[hash >>> 5] = (this.#bits[hash >>> 5] as number) | (1 << (hash & 31));
    const mask = (1 << SLOTS) - 1;
    let slot = Math.imul(value, MIX) >>> (32 - SLOTS);
    while (this.#windows[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
    this.#windows[2 * slot] = value;
    this.#windows[2 * slot + 1] = group;
  }

  /** Looks through a text of `end - PAD` bytes that begins at `PAD`; `next` then gives what was found. */
  look(words: Int32Array, end: number): void {
    const length = (end + 3) >> 2;
    if (this.#places.length < 2 * length) this.#places = new Int32Array(2 * length + 64);
    this.#count = sample(words, (PAD >> 2) - 1, length, this.#bits, this.#places);
    this.#next = 0;
    this.#entry = -1;
  }

  /**
   * The next word between `from` and `end`, or with the line end before it, in the order of the windows it was found by;
   * false when there is none. Asked for growing places only.
   */
  next(bytes: Uint8Array, words: Int32Array, from: number, end: number, found: Found): boolean {
    for (; this.#next < this.#count; this.#next++, this.#entry = -1) {
      const place = this.#places[this.#next] as number;
      // Its words, if any, stand in the next line.
      if (place > end - SHORTEST) return false;
      if (place + WINDOW < from) continue;
      if (this.#entry < 0) this.#open(words, place);
      while (this.#entry < this.#lastEntry) {
        const word = this.#entries[this.#entry] as number;
        const at = place - (this.#entries[this.#entry + 1] as number);
        this.#entry += 2;
        if (!this.#stands(bytes, at, word, from, end)) continue;
        found.word = word;
        found.at = at;
        return true;
      }
    }
    return false;
  }

  /** Finds the entries of the window that stands at a place. */
  #open(words: Int32Array, place: number): void {
    const low = words[place >> 2] as number;
    const value = ((place & 2) === 0 ? low : (low >>> 16) | ((words[(place >> 2) + 1] as number) << 16)) | FOLD_ALL;
    let slot = Math.imul(value, MIX) >>> (32 - SLOTS);
    let group = this.#windows[2 * slot + 1] as number;
    while (group !== 0 && this.#windows[2 * slot] !== value) {
      slot = (slot + 1) & ((1 << SLOTS) - 1);
      group = this.#windows[2 * slot + 1] as number;
    }
    this.#entry = group === 0 ? 0 : (this.#first[group - 1] as number);
    this.#lastEntry = group === 0 ? 0 : (this.#first[group] as number);
  }

  #stands(bytes: Uint8Array, at: number, word: number, from: number, end: number): boolean {
    const first = this.#starts[word] as number;
    const length = (this.#starts[word + 1] as number) - first;
    if (at < from - 1 || at + length > end) return false;
    for (let i = 0; i < length; i++) {
      const byte = bytes[at + i] as number;
      const folded = byte >= 0x41 && byte <= 0x5a ? byte | FOLD : byte;
      if (folded !== this.#bytes[first + i]) return false;
    }
    if (this.#alone[word] === 0) return true;
    return !isLetter(bytes[at + length] as number) && isFreeByte(bytes, at - 1);
  }
}

/** Writes the places of all windows that may be of a word; returns how many. Free of fields: that makes it fast. */
function sample(words: Int32Array, from: number, to: number, bits: Int32Array, places: Int32Array): number {
  let count = 0;
  let low = (words[from] as number) | FOLD_ALL;
  for (let i = from; i < to; i++) {
    const high = (words[i + 1] as number) | FOLD_ALL;
    const a = Math.imul(low, MIX) >>> (32 - BITS);
    if ((((bits[a >>> 5] as number) >>> a) & 1) !== 0) places[count++] = i << 2;
    const b = Math.imul((low >>> 16) | (high << 16), MIX) >>> (32 - BITS);
    if ((((bits[b >>> 5] as number) >>> b) & 1) !== 0) places[count++] = (i << 2) + STEP;
    low = high;
  }
  return count;
}

// ---------------------------------------------------------------- choosing windows

const OFTEN = ' etaoinsrldhcum0123';
const RARE = 'jqxzkvw';

/** How often a byte stands in a log, roughly: only the order of windows depends on it. */
function weight(char: string): number {
  if (char === ' ') return 0.12;
  if (OFTEN.includes(char)) return 0.05;
  if (RARE.includes(char)) return 0.004;
  return /[a-z0-9]/.test(char) ? 0.02 : 0.01;
}

/** For each of the two kinds of place the rarest window. */
function windowsOf(text: string, word: number): readonly Window[] {
  return Array.from({ length: STEP }, (_, parity) => {
    const choices: { readonly at: number; readonly cost: number }[] = [];
    for (let at = -1; at + WINDOW <= text.length + 1; at++) {
      if ((at & 1) !== parity) continue;
      let cost = 1;
      for (let i = at; i < at + WINDOW; i++) cost *= text[i] === undefined ? 1 : weight(text[i] as string);
      choices.push({ at, cost });
    }
    const { at } = choices.reduce((a, b) => (b.cost < a.cost ? b : a));
    return { word, at, values: valuesOf(text, at) };
  });
}

/** The folded values of a window, lowest byte first; where it goes beyond the word any byte may stand. */
function valuesOf(text: string, at: number): readonly number[] {
  let values: readonly number[] = [0];
  for (let i = 0; i < WINDOW; i++) {
    const code = text.charCodeAt(at + i);
    const bytes = Number.isNaN(code) ? ANY : [code | FOLD];
    values = values.flatMap((value) => bytes.map((byte) => value | (byte << (8 * i))));
  }
  return values;
}

const ANY: readonly number[] = [...new Set(Array.from({ length: 256 }, (_, byte) => byte | FOLD))];
