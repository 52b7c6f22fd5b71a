// Quiet hours: when a person must not be woken by less than a critical problem.

import type { Config } from '../config/contract.ts';

type QuietHours = NonNullable<Config['quietHours']>;

const DAY_MIN = 1440;
const MINUTE_MS = 60_000;

/**
 * Epoch milliseconds at which the quiet time around `now` ends; null when it is not quiet. `from` after `to`
 * spans midnight. Clocks that change within the night move the end by that hour, as people would expect.
 */
export function quietUntil(hours: QuietHours | null, now: number): number | null {
  if (!hours) return null;
  const from = minuteOfDay(hours.from);
  const to = minuteOfDay(hours.to);
  const at = minuteNow(now, hours.timezone);
  if (from === to || !isWithin(at, from, to)) return null;
  const left = (to - at + DAY_MIN) % DAY_MIN;
  const end = now - (now % MINUTE_MS) + left * MINUTE_MS;
  // A clock change in between: look again from there.
  const shift = to - minuteNow(end, hours.timezone);
  return Math.abs(shift) <= 120 ? end + shift * MINUTE_MS : end;
}

function isWithin(at: number, from: number, to: number): boolean {
  return from < to ? at >= from && at < to : at >= from || at < to;
}

/** `22:30` as minutes since midnight. */
function minuteOfDay(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
}

export function minuteNow(now: number, timezone: string): number {
  const text = new Date(now).toLocaleTimeString('en-GB', { timeZone: timezone, hour: '2-digit', minute: '2-digit' });
  return minuteOfDay(text) % DAY_MIN;
}
