// How people write how long: `2h`, `1h30m`, `90 min`, `2 hours and 30 minutes`, `an hour and a half`. One reader for every
// command.

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const NUMBERS = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
const UNIT = '(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)';
/** A letter alone is no unit behind a word: "a m" says nothing. */
const LONG_UNIT = '(?:secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|wks?|weeks?)';
const IN_DIGITS = String.raw`\d{1,6}(?:\.\d{1,3})?\s*${UNIT}`;
const IN_WORDS = String.raw`(?:half\s+an?|(?:an?|${NUMBERS.join('|')})(?:\s+and\s+a\s+half)?)\s+${LONG_UNIT}(?:\s+and\s+a\s+half)?`;
/** Ends where the word ends: the `1h` of `1h30` or of `1h30x` is not what was meant. */
const ENDS = String.raw`(?![\p{L}\p{N}])`;
const PART = `(?:${IN_DIGITS}|${IN_WORDS}${ENDS})`;
const SPAN = String.raw`${PART}(?:[\s,]*(?:and\s+)?${PART})*${ENDS}`;
const FIRST = new RegExp(`^${SPAN}`, 'iu');
const EVERY = new RegExp(String.raw`(?<![\p{L}\p{N}#.'-])${SPAN}`, 'giu');
const LAST = new RegExp(String.raw`^(.*?)(?:^|[\s:,;(]+)(?:for\s+)?(${SPAN})[\s.!)]*$`, 'isu');

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
 * The span at the very end of a text, in milliseconds, and what stands before it. Null when there is none.
 *
 * @example trailingSpan('maintenance for 2h') // { ms: 7200000, rest: 'maintenance' }
 */
export function trailingSpan(text: string): { readonly ms: number; readonly rest: string } | null {
  const [, rest, found] = LAST.exec(text) ?? [];
  return found === undefined ? null : { ms: msOf(found), rest: rest ?? '' };
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
  const parts =
    /(\d[\d.]*|half\s+an?|an?|[a-z]+?)(\s+and\s+a\s+half)?\s*(?<=[\d\s])([smhdw])[a-z]*(\s+and\s+a\s+half)?/g;
  for (const [, amount = '', before, unit = '', after] of span
    .toLowerCase()
    .replace(/\band\s+(?!a\s+half)/g, ' ')
    .matchAll(parts))
    ms += (amountOf(amount) + (before || after ? 0.5 : 0)) * (UNIT_MS[unit] as number);
  return Math.round(ms);
}

function amountOf(text: string): number {
  if (/^\d/.test(text)) return Number(text);
  if (text.startsWith('half')) return 0.5;
  return NUMBERS.indexOf(text) + 1 || 1;
}
