// When a line says it was written. Knows the shapes programs really print, with zones where they are
// given; a time without a zone is local time of this host, since that is what its programs print.

/** A time found in a text: epoch milliseconds, and the index behind its last character. */
export interface TimeMatch {
  readonly at: number;
  readonly end: number;
}

interface Shape {
  readonly find: RegExp;
  readonly read: (groups: Readonly<Record<string, string | undefined>>, now: number) => number;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const CLOCK = '(?<h>\\d{1,2})[:.](?<i>\\d\\d)[:.](?<s>\\d\\d)(?:[.,:](?<f>\\d{1,9}))?';
const ZONE = '(?: ?(?<z>Z\\b|UTC\\b|GMT\\b|[+-]\\d\\d:?\\d\\d\\b))?';

/** Tried in order at one place of the text; the first that fits is taken. */
const SHAPES: readonly Shape[] = [
  // 2026-01-05T00:00:00.123Z, 2026-01-05 00:00:00,123, 2026/01/05 00:00:00, 2005-07-14-16.20.22.672549
  shape(`(?<y>\\d{4})[-/.](?<m>\\d\\d)[-/.](?<d>\\d\\d)(?:[T_-]|, | {1,2})${CLOCK}${ZONE}`, numeric),
  // 20171223-22:15:29:606, 20260105T000000Z
  shape(
    `(?<y>20\\d\\d)(?<m>\\d\\d)(?<d>\\d\\d)[T -](?<h>\\d\\d):?(?<i>\\d\\d):?(?<s>\\d\\d)(?:[.:,](?<f>\\d{1,6}))?${ZONE}`,
    numeric,
  ),
  // 03/Sep/2019:14:35:51 +0000
  shape(`(?<d>\\d{1,2})[/ -](?<mon>[A-Z][a-z]{2})[/ -](?<y>\\d{4})[: T]${CLOCK}${ZONE}`, named),
  // Sat Feb 13 18:17:40.611618 2016
  shape(`[A-Z][a-z]{2} (?<mon>[A-Z][a-z]{2}) +(?<d>\\d{1,2}) ${CLOCK}(?: [A-Z]{3,4})? (?<y>\\d{4})`, named),
  // Jan  5 00:00:00
  shape(`(?<mon>[A-Z][a-z]{2}) +(?<d>\\d{1,2}) ${CLOCK}`, yearless),
  // 0507 12:04:17.596973 (after the letter of klog)
  shape(`(?<m>[01]\\d)(?<d>[0-3]\\d) ${CLOCK}`, yearless),
  // 07/18/2023 06:18:34, and 18.07.2023 06:18:34
  shape(
    `(?<a>\\d{1,2})(?<sep>[/.-])(?<b>\\d{1,2})[/.-](?<y>\\d{4}),? ${CLOCK}(?: ?(?<half>[AaPp][Mm])\\b)?${ZONE}`,
    dayOrMonthFirst,
  ),
  // 17/06/09 20:10:40: two-digit year first, as log4j writes it
  shape(`(?<y>\\d\\d)/(?<m>\\d\\d)/(?<d>\\d\\d) ${CLOCK}`, numeric),
  // 03-17 16:13:45.466 (Android), 07.26 22:06:02
  shape(`(?<m>\\d\\d)[-.](?<d>\\d\\d) ${CLOCK}`, yearless),
  // 081109 203615
  shape('(?<y>\\d\\d)(?<m>[01]\\d)(?<d>[0-3]\\d) +(?<h>[0-2]\\d):?(?<i>[0-5]\\d):?(?<s>[0-5]\\d)\\b', numeric),
];

/** The time that stands at `from`, or null. `now` supplies the year where the text has none. */
export function timeAt(text: string, from: number, now: number): TimeMatch | null {
  for (const { find, read } of SHAPES) {
    find.lastIndex = from;
    const match = find.exec(text);
    if (!match) continue;
    const at = read(match.groups ?? {}, now);
    if (Number.isFinite(at)) return { at, end: find.lastIndex };
  }
  return null;
}

/** A time as a field of a structured line gives it: a number of seconds, milliseconds or more, or a text. */
export function timeOfField(value: unknown, now: number): number | undefined {
  if (typeof value === 'string' && /^\d{9,19}(?:\.\d+)?$/.test(value)) return timeOfField(Number(value), now);
  if (typeof value === 'string') return timeAt(value.trim(), 0, now)?.at;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1e8) return undefined;
  if (value < 1e11) return Math.round(value * 1000);
  if (value < 1e14) return Math.round(value);
  return value < 1e17 ? Math.round(value / 1e3) : Math.round(value / 1e6);
}

function shape(source: string, read: Shape['read']): Shape {
  return { find: new RegExp(source, 'y'), read };
}

type Groups = Parameters<Shape['read']>[0];

function numeric(g: Groups): number {
  const year = Number(g['y']);
  return assemble(year < 100 ? 2000 + year : year, Number(g['m']), Number(g['d']), g);
}

function named(g: Groups): number {
  return assemble(Number(g['y']), monthOf(g['mon']), Number(g['d']), g);
}

/** Without a year: this one, or the last when that would lie more than a day ahead. */
function yearless(g: Groups, now: number): number {
  const month = g['mon'] === undefined ? Number(g['m']) : monthOf(g['mon']);
  const year = new Date(now).getFullYear();
  const at = assemble(year, month, Number(g['d']), g);
  return at > now + 86_400_000 ? assemble(year - 1, month, Number(g['d']), g) : at;
}

/** `18.07.2023` is day first, `07/18/2023` month first; a number above twelve settles the rest. */
function dayOrMonthFirst(g: Groups): number {
  const [a, b] = [Number(g['a']), Number(g['b'])];
  const dayFirst = a > 12 || (g['sep'] === '.' && b <= 12);
  const half = g['half']?.toLowerCase();
  const hour = Number(g['h']);
  const h = half === 'pm' && hour < 12 ? hour + 12 : half === 'am' && hour === 12 ? 0 : hour;
  return assemble(Number(g['y']), dayFirst ? b : a, dayFirst ? a : b, { ...g, h: String(h) });
}

function monthOf(name: string | undefined): number {
  return MONTHS.indexOf((name ?? '').toLowerCase()) + 1;
}

function assemble(year: number, month: number, day: number, g: Groups): number {
  const [h, i, s] = [Number(g['h']), Number(g['i']), Number(g['s'])];
  if (month < 1 || month > 12 || day < 1 || day > 31 || h > 24 || i > 59 || s > 60) return Number.NaN;
  const ms = g['f'] ? Math.floor(Number(`0.${g['f']}`) * 1000) : 0;
  const offset = zoneMinutes(g['z']);
  if (offset === null) return new Date(year, month - 1, day, h, i, s, ms).getTime();
  return Date.UTC(year, month - 1, day, h, i, s, ms) - offset * 60_000;
}

/** Minutes east of UTC; null when the text names no zone. */
function zoneMinutes(zone: string | undefined): number | null {
  if (zone === undefined) return null;
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (!match) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === '-' ? -minutes : minutes;
}
