// Remembers what was worked out of a text. Errors come in floods of the same few texts: what is dear is done
// once for each. Bounded, and a text that is asked for again and again stays.

/** Longer texts are rarely seen twice, and would be dear to keep. */
const LONGEST = 1_000;

export class Memo<V> {
  readonly #most: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /** Keeps at most `2 * most` texts. Default: 2 * 1000. */
  constructor(most = 1_000) {
    this.#most = most;
  }

  /** What is known of the text, or what `make` says of it now. `make` must say the same each time. */
  of(text: string, make: (text: string) => V): V {
    if (text.length > LONGEST) return make(text);
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    // What is made of it may hold parts of it: of the copy, so that nothing here keeps the caller's whole text alive.
    const own = copyOf(text);
    const value = this.#old.get(own) ?? make(own);
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(own, value);
    return value;
  }
}

/** The same text, but no part of another one: that would keep the whole of it in memory. */
export function copyOf(text: string): string {
  return ` ${text}`.slice(1);
}

/** The function with a memory. `null` and `undefined` are remembered too. */
export function remembering<V>(make: (text: string) => V, most?: number): (text: string) => V {
  const memo = new Memo<{ readonly value: V }>(most);
  return (text) => memo.of(text, (one) => ({ value: make(one) })).value;
}
