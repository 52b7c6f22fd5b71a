// When a provider takes calls again, and how much of a quota is left: from headers, then from bodies. The forms are
// those of the providers' own pages; where they differ, the exhausted dimension decides.

import type { QuotaReading } from './contract.ts';
import type { Json } from './dialects/contract.ts';
import { isObject, listAt, objectAt, textAt } from './json.ts';

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const DAY_MS = 86_400_000;
/** A wait beyond a month is an error of the text. */
const LONGEST_MS = 32 * DAY_MS;

export function header(headers: Headers, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : (value?.[0] ?? null);
}

/** Epoch milliseconds at which the provider says it answers again; null when it does not say. */
export function readyAt(headers: Headers, body: Json, now: number): number | null {
  const stated = [retryAfter(headers, now), exhaustedReset(quotasOf(headers, now)), bodyHint(body, now)];
  const believed = stated.filter((at): at is number => at !== null && at > now - 1_000 && at - now < LONGEST_MS);
  return believed[0] === undefined ? null : Math.max(now, believed[0]);
}

/** RFC 9110 10.2.3: seconds or a date; `retry-after-ms` is OpenAI's and Azure's. */
function retryAfter(headers: Headers, now: number): number | null {
  const ms = Number(header(headers, 'retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 0) return now + ms;
  const text = header(headers, 'retry-after');
  if (text === null) return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds >= 0 ? now + seconds * 1000 : null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : date;
}

/** The latest reset among the dimensions of which nothing is left. */
function exhaustedReset(quotas: readonly QuotaReading[]): number | null {
  const resets = quotas.flatMap((q) => {
    const spent = q.remaining === 0 || (q.utilisation !== null && q.utilisation >= 1);
    return spent && q.resetAt !== null ? [q.resetAt] : [];
  });
  return resets.length === 0 ? null : Math.max(...resets);
}

/** Gemini's `RetryInfo`, and the sentences of the others. */
function bodyHint(body: Json, now: number): number | null {
  const error = objectAt(body, 'error');
  for (const detail of listAt(error, 'details')) {
    const delay = textAt(detail, 'retryDelay');
    const ms = delay === null ? null : parseSpan(delay);
    if (ms !== null) return now + ms;
  }
  const message = textAt(error, 'message') ?? textAt(body, 'message') ?? (typeof body === 'string' ? body : '');
  const said =
    /(?:try again|retry|reset|available again)\s+(?:in|after)\s+([\d.]+\s*[a-z]+(?:\s*[\d.]+\s*[a-z]+)*)/i.exec(
      message,
    );
  const ms = said ? parseSpan(said[1] ?? '') : null;
  return ms === null ? null : now + ms;
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  millisecond: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: DAY_MS,
  day: DAY_MS,
};

/** Milliseconds of `12ms`, `1.4s`, `6m0s`, `1h2m3.5s`, `2 minutes`; null for anything else. */
export function parseSpan(text: string): number | null {
  let total = 0;
  let found = false;
  for (const [, value, unit] of text.toLowerCase().matchAll(/([\d.]+)\s*([a-z]+)/g)) {
    const factor = UNITS[unit ?? ''] ?? UNITS[(unit ?? '').replace(/s$/, '')];
    if (factor === undefined || !Number.isFinite(Number(value))) break;
    total += Number(value) * factor;
    found = true;
  }
  return found ? total : null;
}

// ---------------------------------------------------------------- quotas

/** Every quota that the head of an answer states. */
export function quotasOf(headers: Headers, now: number): readonly QuotaReading[] {
  const readings: QuotaReading[] = [];
  for (const name in headers) {
    if (!name.includes('ratelimit')) continue;
    const anthropic = /^anthropic-ratelimit-((?:input-|output-)?tokens|requests)-limit$/.exec(name)?.[1];
    if (anthropic) readings.push(plain(headers, anthropic, (part) => `anthropic-ratelimit-${anthropic}-${part}`, now));
    const openai = /^x-ratelimit-limit-([a-z-]+)$/.exec(name)?.[1];
    if (openai) readings.push(plain(headers, openai, (part) => `x-ratelimit-${part}-${openai}`, now));
    const unified = /^anthropic-ratelimit-unified-([a-z0-9_]+)-utilization$/.exec(name)?.[1];
    if (unified) readings.push(subscription(headers, unified));
  }
  return readings;
}

function plain(headers: Headers, dimension: string, name: (part: string) => string, now: number): QuotaReading {
  const reset = header(headers, name('reset'));
  return {
    dimension,
    limit: positive(header(headers, name('limit'))),
    remaining: count(header(headers, name('remaining'))),
    utilisation: null,
    resetAt: reset === null ? null : resetTime(reset, now),
  };
}

/** Windows of a subscription: a share that is used, and when it starts anew. */
function subscription(headers: Headers, window: string): QuotaReading {
  const reset = positive(header(headers, `anthropic-ratelimit-unified-${window}-reset`));
  return {
    dimension: `unified-${window}`,
    limit: null,
    remaining: null,
    utilisation: count(header(headers, `anthropic-ratelimit-unified-${window}-utilization`)),
    resetAt: reset === null ? null : reset * 1000,
  };
}

/** RFC 3339 (Anthropic), a span (OpenAI, Groq), or bare seconds (Azure). */
function resetTime(text: string, now: number): number | null {
  if (/^\d{4}-\d\d-\d\dT/.test(text)) {
    const date = Date.parse(text);
    return Number.isNaN(date) ? null : date;
  }
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds > 0 ? now + seconds * 1000 : null;
  const span = parseSpan(text);
  return span === null ? null : now + span;
}

function count(text: string | null): number | null {
  const value = Number(text ?? Number.NaN);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

/** Azure says -1 or 0 where it does not know. */
function positive(text: string | null): number | null {
  const value = count(text);
  return value === null || value === 0 ? null : value;
}

/** Only an object can be an error's body. */
export const errorObject = (body: Json): Json => (isObject(body) ? body : null);
