// Finds all words of a list in one pass over a text, whatever their number: one step of a table per
// character (Aho and Corasick, "Efficient string matching", CACM 1975). Linear time, for hostile text too.

/** `\\b429\\b`: a word that counts only where no letter, digit or `_` touches it. */
const ALONE = /^\\b(.+)\\b$/;

/** The word itself, without the mark that it must stand alone. */
export function bare(word: string): string {
  return ALONE.exec(word)?.[1] ?? word;
}

/** Letters count without their case; only ASCII is folded, as regular expressions without `u` do it. */
export class WordFinder {
  readonly words: readonly string[];
  /** Lengths of the words that must stand alone; 0 for those that may stand anywhere. */
  readonly #alone: Uint16Array;
  /** Column of each character; 0 for those that stand in no word. */
  readonly #columns = new Uint8Array(128);
  #width = 1;
  /** Row of each state, a cell for each column: the next state. */
  readonly #next: Uint16Array | Uint32Array;
  /** The longest word that ends in a state, counted from 1; 0: none. */
  readonly #ends: Uint16Array | Uint32Array;
  /** The next shorter suffix of a state in which another word ends; 0: none. */
  readonly #shorter: Uint16Array | Uint32Array;
  /** When each word was last found, by the number of the search. */
  readonly #found: Uint32Array;
  #search = 0;

  /** Words of printable ASCII in lower case, none empty; those in the form `\\bword\\b` must stand alone. */
  constructor(words: readonly string[]) {
    const given = new Set(words);
    // What counts anywhere counts alone too.
    const kept = [...given].filter((word) => bare(word) === word || !given.has(bare(word)));
    this.words = kept.map(bare);
    this.#alone = Uint16Array.from(kept, (word) => (bare(word) === word ? 0 : bare(word).length));
    for (const char of new Set(this.words.join(''))) this.#addColumn(char);
    const states = statesOf(this.words);
    const table = states < 65_536 ? Uint16Array : Uint32Array;
    this.#next = new table(states * this.#width);
    this.#ends = new table(states);
    this.#shorter = new table(states);
    this.#grow();
    this.#link(states);
    this.#found = new Uint32Array(this.words.length);
  }

  /** Where, at or after `from`, the first word ends: the place of its last character. -1 when none stands there. */
  next(text: string, from: number): number {
    const next = this.#next;
    const ends = this.#ends;
    const shorter = this.#shorter;
    const columns = this.#columns;
    const width = this.#width;
    let state = 0;
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      state = next[state * width + (code < 128 ? (columns[code] as number) : 0)] as number;
      if ((ends[state] !== 0 || shorter[state] !== 0) && this.#counts(state, text, at)) return at;
    }
    return -1;
  }

  /** The places in `words` of all words that stand in the text, each once. */
  in(text: string): readonly number[] {
    const next = this.#next;
    const ends = this.#ends;
    const shorter = this.#shorter;
    const columns = this.#columns;
    const width = this.#width;
    const found: number[] = [];
    this.#search += 1;
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      state = next[state * width + (code < 128 ? (columns[code] as number) : 0)] as number;
      for (let end = state; end !== 0; end = shorter[end] as number) {
        const word = ends[end] as number;
        if (word === 0 || !this.#isWhole(word - 1, text, at)) continue;
        if (this.#found[word - 1] === this.#search) continue;
        this.#found[word - 1] = this.#search;
        found.push(word - 1);
      }
    }
    return found;
  }

  /** True when one of the words that end in this state may stand where it does. */
  #counts(state: number, text: string, at: number): boolean {
    for (let end = state; end !== 0; end = this.#shorter[end] as number) {
      const word = this.#ends[end] as number;
      if (word !== 0 && this.#isWhole(word - 1, text, at)) return true;
    }
    return false;
  }

  #isWhole(word: number, text: string, at: number): boolean {
    const length = this.#alone[word] as number;
    return length === 0 || (!isLetter(text.charCodeAt(at + 1)) && isFree(text, at - length));
  }

  #addColumn(char: string): void {
    const column = this.#width++;
    this.#columns[char.charCodeAt(0)] = column;
    this.#columns[char.toUpperCase().charCodeAt(0)] = column;
  }

  /** One state for each beginning of a word; 0 is the state before any. */
  #grow(): void {
    let states = 1;
    for (const [at, word] of this.words.entries()) {
      let state = 0;
      for (let i = 0; i < word.length; i++) {
        const cell = state * this.#width + (this.#columns[word.charCodeAt(i)] as number);
        if (this.#next[cell] === 0) this.#next[cell] = states++;
        state = this.#next[cell] as number;
      }
      this.#ends[state] = at + 1;
    }
  }

  /** Fills the table in the order of depth: what a state does not know, its longest proper suffix does. */
  #link(states: number): void {
    const next = this.#next;
    const width = this.#width;
    const suffix = new Uint32Array(states);
    const queue = new Uint32Array(states);
    for (let taken = 0, given = 1; taken < given; taken++) {
      const state = queue[taken] as number;
      const own = suffix[state] as number;
      this.#shorter[state] = (this.#ends[own] !== 0 ? own : this.#shorter[own]) as number;
      for (let column = 1; column < width; column++) {
        const cell = state * width + column;
        const child = next[cell] as number;
        const known = state === 0 ? 0 : (next[own * width + column] as number);
        if (child === 0) next[cell] = known;
        else {
          suffix[child] = known;
          queue[given++] = child;
        }
      }
    }
  }
}

/** How many different beginnings the words have, with the empty one. */
function statesOf(words: readonly string[]): number {
  let states = 1;
  let before = '';
  for (const word of [...words].sort()) {
    let common = 0;
    while (common < word.length && word[common] === before[common]) common++;
    states += word.length - common;
    before = word;
  }
  return states;
}

/** What a regular expression without `u` calls a word character. Beyond the end of a text stands none. */
export function isLetter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || (code >= 0x61 && code <= 0x7a)
  );
}

/** A letter before a word may be the end of an escape that is read as something else: a colour, `\\n`, `\\u00a0`. */
function isFree(text: string, before: number): boolean {
  const code = text.charCodeAt(before);
  if (!isLetter(code) || code === COLOUR_END) return true;
  return text.charCodeAt(before - 1) === BACKSLASH || (before >= 5 && text.startsWith('\\u', before - 5));
}

/** The same for bytes. */
export function isFreeByte(bytes: Uint8Array, before: number): boolean {
  const code = bytes[before] as number;
  if (!isLetter(code) || code === COLOUR_END) return true;
  return bytes[before - 1] === BACKSLASH || (bytes[before - 5] === BACKSLASH && bytes[before - 4] === LETTER_U);
}

const COLOUR_END = 0x6d;
const LETTER_U = 0x75;
const BACKSLASH = 0x5c;
