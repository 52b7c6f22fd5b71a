// A model that is asked to go on with a text often says its last words, or all of it, once more. What the caller
// has already is not sent again.

/** Shorter repeats may be meant: "very, very" is no mistake. */
const SHORTEST = 8;
/** Whoever begins with all that was said has begun anew, however short that was. */
const SHORTEST_WHOLE = 2;
/** So much of the continuation is looked at; it is held until it cannot be a repeat any more. */
const LOOKED_AT = 400;

export interface Overlap {
  /** Takes the next piece of the continuation; gives what is new and certain. */
  push(text: string): string;
  /** Gives what still waits: the continuation is over. */
  end(): string;
}

/**
 * Leaves out the beginning of a continuation that repeats the end, or the whole, of `before`.
 *
 * @example
 * const overlap = withoutOverlap('The answer is forty');
 * overlap.push('answer is forty-two.') + overlap.end();   // '-two.'
 */
export function withoutOverlap(before: string): Overlap {
  let held = '';
  let settled = false;
  const settle = (): string => {
    settled = true;
    return held.slice(repeated(before, held));
  };
  return {
    push(text) {
      if (settled) return text;
      held += text;
      if (held.length < LOOKED_AT && mayGrow(before, held)) return '';
      return settle();
    },
    end: () => (settled ? '' : settle()),
  };
}

/** Characters at the beginning of `text` that repeat `before`. */
function repeated(before: string, text: string): number {
  if (before.length >= SHORTEST_WHOLE && text.startsWith(before)) return before.length;
  for (let length = Math.min(before.length, text.length); length >= SHORTEST; length--)
    if (before.endsWith(text.slice(0, length))) return length;
  return 0;
}

/** Could more text make it a (longer) repeat? Only while all of it stands somewhere in what was said, or all of that in it. */
function mayGrow(before: string, text: string): boolean {
  if (before.length < SHORTEST_WHOLE) return false;
  return (
    (before.length >= SHORTEST && before.includes(text)) ||
    (before.startsWith(text.slice(0, before.length)) && text.length < before.length)
  );
}
