// Printing one answer: as a JSON document with times in ISO 8601, or as lines of text.

import { type CliContext, type CommonOptions, widthOf } from './context.ts';
import type { Look } from './render.ts';

export function lookOf(context: CliContext): Look {
  return { colors: context.colors, width: widthOf(context), now: context.clock.now() };
}

export async function answer<T>(
  context: CliContext,
  options: CommonOptions,
  value: T,
  text: (value: T, look: Look) => readonly string[],
): Promise<void> {
  if (options.json) await context.out.json(outward(value));
  else for (const line of text(value, lookOf(context))) await context.out.line(line);
}

/** Names that hold epoch milliseconds inside the program. Durations end in `Ms` and stay numbers. */
const TIMES = new Set([
  ...['at', 'until', 'since', 'createdAt', 'expiresAt', 'startedAt', 'notBefore', 'quietUntil', 'leaseUntil'],
  ...['firstSeen', 'lastSeen', 'seenAt', 'savedAt', 'provenAt', 'lastCycleAt', 'time'],
]);

/** The same data with every point in time as ISO 8601 in UTC. */
export function outward(value: unknown, name = ''): unknown {
  if (typeof value === 'number') return TIMES.has(name) && value > 1e11 ? new Date(value).toISOString() : value;
  if (Array.isArray(value)) return value.map((item) => outward(item, name));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, outward(item, key)]));
}
