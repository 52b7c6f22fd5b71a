// How people write how long: `2h`, `1h30m`, `90 min`, `2 hours and 30 minutes`. One reader for every command.

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const PART = String.raw`\d{1,6}(?:\.\d{1,3})?\s*(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)`;
/** Ends where the word ends: the `1h` of `1h30` or of `1h30x` is not what was meant. */
const SPAN = String.raw`${PART}(?:[\s,]*(?:and\s+)?${PART})*(?![\p{L}\p{N}])`;
const FIRST = new RegExp(`^${SPAN}`, 'iu');
const EVERY = new RegExp(String.raw`(?<![\p{L}\p{N}#.-])${SPAN}`, 'giu');

/**
 * The span at the very start of a text, in milliseconds, and what follows it. Null when there is none.
 *
 * @example leadingSpan('1h 30m of rest') // { ms: 5400000, rest: ' of rest' }
 */
export function leadingSpan(text: string): { readonly ms: number; readonly rest: string } | null {
  const [found] = FIRST.exec(text) ?? [];
  return found === undefined ? null : { ms: msOf(found), rest: text.slice(found.length) };
}

/**
 * Every span in a text, in milliseconds, and the text without them.
 *
 * @example takeSpans('silence 3 1h 30m') // { spans: [5400000], rest: 'silence 3  ' }
 */
export function takeSpans(text: string): { readonly spans: readonly number[]; readonly rest: string } {
  const spans: number[] = [];
  const rest = text.replace(EVERY, (found) => {
    spans.push(msOf(found));
    return ' ';
  });
  return { spans, rest };
}

/** A span as it is written in a suggestion, e.g. `90m`. */
export function spanWord(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm'] as const)
    if (ms % (UNIT_MS[unit] as number) === 0) return `${ms / (UNIT_MS[unit] as number)}${unit}`;
  return `${Math.round(ms / 1000)}s`;
}

function msOf(span: string): number {
  let ms = 0;
  for (const [, amount, unit] of span.toLowerCase().matchAll(/(\d[\d.]*)\s*([smhdw])/g))
    ms += Number(amount) * (UNIT_MS[unit as string] as number);
  return Math.round(ms);
}
