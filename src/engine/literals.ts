// Which words a pattern cannot match without. They make the cheap first look possible: a line that holds
// none of them is never decoded, framed or tried. Sound by construction, and tested against the patterns.

import type { Pattern, Rule } from '../rules/contract.ts';

/** A word some pattern needs. Lower case, printable ASCII. */
export interface RequiredLiteral {
  readonly literal: string;
  readonly rule: string;
  /** Index of the pattern in its rule. */
  readonly pattern: number;
}

/** For each pattern the words of which at least one must be there; the list of a pattern without any is empty. */
export function requiredLiterals(rules: readonly Rule[]): readonly RequiredLiteral[] {
  return rules.flatMap((rule) =>
    rule.patterns.flatMap((pattern, i) =>
      (pattern.words ?? literalsOf(pattern.match) ?? []).map((literal) => ({ literal, rule: rule.name, pattern: i })),
    ),
  );
}

/** The words of which any text that the pattern matches must hold at least one, or null when there are none. */
export function literalsOf(pattern: Pattern['match']): readonly string[] | null {
  try {
    const parser = new Parser(pattern.source);
    const info = parser.alternation();
    const set = best(info.exact, info.needed);
    return set && set.every((word) => word.length >= SHORTEST) ? set : null;
  } catch {
    return null;
  }
}

/** Words that stand in every tenth line whatever it is about: anything else tells more. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  'in',
  'is',
  'to',
  'on',
  'at',
  'of',
  'for',
  'the',
  'and',
  'with',
  'from',
]);
const SHORTEST = 3;
const MOST_EXACT = 24;
const MOST_NEEDED = 400;
const LONGEST_EXACT = 48;

/**
 * `exact`: the texts the node can match, or (when not `whole`) the texts its matches can end with. `needed`: one of
 * these stands in whatever it matches. Null: unknown.
 */
interface Info {
  readonly exact: readonly string[] | null;
  readonly whole: boolean;
  readonly needed: readonly string[] | null;
}

const ANYTHING: Info = { exact: null, whole: false, needed: null };
const NOTHING: Info = { exact: [''], whole: true, needed: null };

/** The better of two sets: the longer its shortest word, and the fewer words, the better. */
function best(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  return worth(a) >= worth(b) ? a : b;
}

function worth(set: readonly string[] | null): number {
  if (!set || set.length === 0) return -1;
  const shortest = Math.min(...set.map((word) => (EVERYWHERE.has(word.trim()) ? 1 : word.length)));
  return shortest === 0 ? 0 : Math.min(shortest, 14) * 4 - Math.log2(set.length);
}

/** Printable ASCII that means itself, as far as no repetition follows. As long as `LONGEST_EXACT`. */
const RUN = /[A-Za-z0-9 _,:;!#%&'=@<>~`-]{1,48}(?![*+?{])/y;

/** Reads the part of the regular-expression language that rules use. Anything else makes the node unknown. */
class Parser {
  readonly #source: string;
  #pos = 0;
  constructor(source: string) {
    this.#source = source;
  }

  alternation(): Info {
    const branches = [this.#sequence()];
    while (this.#peek() === '|') {
      this.#pos++;
      branches.push(this.#sequence());
    }
    return branches.length === 1 ? (branches[0] as Info) : union(branches);
  }

  #sequence(): Info {
    let result: Info = NOTHING;
    while (this.#pos < this.#source.length && this.#peek() !== '|' && this.#peek() !== ')')
      result = concat(result, this.#run() ?? this.#quantified());
    return result;
  }

  /** Letters that nothing repeats, taken at once: most of a pattern is such. */
  #run(): Info | null {
    RUN.lastIndex = this.#pos;
    const run = RUN.exec(this.#source)?.[0];
    if (run === undefined) return null;
    this.#pos += run.length;
    return { exact: [run.toLowerCase()], whole: true, needed: null };
  }

  #quantified(): Info {
    const atom = this.#atom();
    const char = this.#peek();
    let least = 1;
    let most = 1;
    if (char === '*') [least, most] = [0, Number.POSITIVE_INFINITY];
    else if (char === '+') [least, most] = [1, Number.POSITIVE_INFINITY];
    else if (char === '?') [least, most] = [0, 1];
    else if (char === '{') {
      const counts = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.#source.slice(this.#pos));
      if (!counts) return atom;
      least = Number(counts[1]);
      most = counts[2] ? (counts[3] ? Number(counts[3]) : Number.POSITIVE_INFINITY) : least;
      this.#pos += counts[0].length - 1;
    } else return atom;
    this.#pos++;
    if (this.#peek() === '?') this.#pos++;
    return repeat(atom, least, most);
  }

  #atom(): Info {
    const char = this.#next();
    if (char === '(') return this.#group();
    if (char === '[') return this.#set();
    if (char === '\\') return this.#escape();
    if (char === '.') return ANYTHING;
    if (char === '^' || char === '$') return NOTHING;
    return letter(char);
  }

  #group(): Info {
    if (this.#peek() === '?') {
      const kind = /^\?(?::|<[A-Za-z_]\w*>|[=!]|<[=!])/.exec(this.#source.slice(this.#pos));
      this.#pos += kind?.[0].length ?? 1;
      const inner = this.alternation();
      this.#pos++;
      return kind && /[=!]$/.test(kind[0]) ? NOTHING : inner;
    }
    const inner = this.alternation();
    this.#pos++;
    return inner;
  }

  #set(): Info {
    const start = this.#pos;
    while (this.#peek() !== ']' || this.#pos === start) {
      if (this.#peek() === '\\') this.#pos++;
      if (++this.#pos > this.#source.length) throw new Error('open class');
    }
    const body = this.#source.slice(start, this.#pos++);
    if (body.startsWith('^') || body.includes('\\') || /.-./.test(body) || body.length > 4) return ANYTHING;
    return union([...body].map(letter));
  }

  #escape(): Info {
    const char = this.#next();
    if (char === 'b' || char === 'B') return NOTHING;
    if (/[dDwWsSpPuxkc0-9]/.test(char)) {
      if (char === 'u' || char === 'x' || char === 'p' || char === 'P' || char === 'k' || char === 'c')
        throw new Error('unknown escape');
      return ANYTHING;
    }
    return /[nrtfv]/.test(char) ? ANYTHING : letter(char);
  }

  #peek(): string {
    return this.#source[this.#pos] ?? '';
  }
  #next(): string {
    return this.#source[this.#pos++] ?? '';
  }
}

/** JSON writes quotes, slashes and backslashes differently, so no literal may contain them. */
function letter(char: string): Info {
  const plain = /[\x20\x21\x23-\x2e\x30-\x5b\x5d-\x7e]/.test(char);
  return plain ? { exact: [char.toLowerCase()], whole: true, needed: null } : ANYTHING;
}

function concat(a: Info, b: Info): Info {
  if (a.exact && b.exact && b.whole && a.exact.length * b.exact.length <= MOST_EXACT) {
    const exact = a.exact.flatMap((x) => (b.exact as readonly string[]).map((y) => x + y));
    if (exact.every((word) => word.length <= LONGEST_EXACT))
      return { exact, whole: a.whole, needed: best(a.needed, b.needed) };
  }
  const needed = best(best(solid(a.exact), a.needed), best(solid(b.exact), b.needed));
  // What follows may grow the end into a longer word.
  return { exact: solid(b.exact), whole: false, needed };
}

/** A set with an empty word says nothing. */
function solid(set: readonly string[] | null): readonly string[] | null {
  return set?.every((word) => word.length > 0) ? set : null;
}

function union(branches: readonly Info[]): Info {
  const exacts = branches.flatMap((branch) => branch.exact ?? []);
  if (branches.every((branch) => branch.exact && branch.whole) && exacts.length <= MOST_EXACT)
    return { exact: [...new Set(exacts)], whole: true, needed: null };
  const sets = branches.map((branch) => best(solid(branch.exact), branch.needed));
  if (sets.some((set) => worth(set) <= 0)) return ANYTHING;
  const needed = [...new Set(sets.flatMap((set) => set ?? []))];
  return { exact: null, whole: false, needed: needed.length <= MOST_NEEDED ? needed : null };
}

function repeat(atom: Info, least: number, most: number): Info {
  if (least === 1 && most === 1) return atom;
  if (least > 0) return { exact: null, whole: false, needed: best(solid(atom.exact), atom.needed) };
  if (most !== 1 || !atom.exact || !atom.whole || atom.exact.length >= MOST_EXACT) return ANYTHING;
  return { exact: ['', ...atom.exact.filter((word) => word !== '')], whole: true, needed: null };
}
