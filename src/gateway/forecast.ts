// When a quota will be used up if spending goes on as it does: from the series that the heads of answers state.
// Silent unless it is sure enough, for a forecast that cries wolf is worse than none.

import type { QuotaReading } from './contract.ts';

export interface QuotaAt extends QuotaReading {
  /** Epoch milliseconds. */
  readonly at: number;
}

/** So many readings over so long a time make a trend. */
const FEWEST = 5;
const SHORTEST_MS = 60_000;
/** Older spending says little about the present one. */
const LOOKED_BACK_MS = 30 * 60_000;
/** Nobody is warned of what is farther away. */
const HORIZON_MS = 6 * 3_600_000;
/** Below this share there is room for a change of mind. */
const LEAST_USED = 0.3;
/** A fall of this share is a new window, not a correction. */
const RESET_FALL = 0.05;

/** The share of a quota that is used, 0 to 1; null when the reading does not say. */
export function usedOf({ utilisation, limit, remaining }: QuotaReading): number | null {
  if (utilisation !== null) return utilisation;
  return limit === null || remaining === null || limit <= 0 ? null : Math.max(0, 1 - remaining / limit);
}

/**
 * Epoch milliseconds at which nothing will be left; null when that is not to be expected before the quota starts anew, or cannot be told.
 * `series` are the readings of one dimension, oldest first.
 *
 * @example
 * exhaustedAt(series, Date.now());   // in twelve minutes
 */
export function exhaustedAt(series: readonly QuotaAt[], now: number): number | null {
  const points = presentWindow(series, now);
  const last = points.at(-1);
  const first = points[0];
  if (!first || !last || points.length < FEWEST || last.at - first.at < SHORTEST_MS || last.used < LEAST_USED)
    return null;
  // Both the whole of it and its later half must rise: a burst that is over is no trend.
  const half = points.slice(Math.floor(points.length / 2));
  const slope = Math.min(slopeOf(points), slopeOf(half));
  if (slope <= 0) return null;
  const at = last.at + (1 - last.used) / slope;
  if (at - now > HORIZON_MS || (last.resetAt !== null && at >= last.resetAt)) return null;
  return Math.max(now, Math.round(at));
}

interface Point {
  readonly at: number;
  readonly used: number;
  readonly resetAt: number | null;
}

/** The readings since the quota last started anew, no older than is looked back. */
function presentWindow(series: readonly QuotaAt[], now: number): readonly Point[] {
  let points: Point[] = [];
  for (const reading of series) {
    const used = usedOf(reading);
    if (used === null || reading.at < now - LOOKED_BACK_MS) continue;
    const before = points.at(-1);
    if (before && (used < before.used - RESET_FALL || isOver(before, reading.at))) points = [];
    points.push({ at: reading.at, used, resetAt: reading.resetAt });
  }
  const last = points.at(-1);
  return last && isOver(last, now) ? [] : points;
}

const isOver = ({ resetAt }: Point, now: number): boolean => resetAt !== null && resetAt <= now;

/** Share per millisecond, by least squares. */
function slopeOf(points: readonly Point[]): number {
  const count = points.length;
  const [at0, meanUsed] = [points[0]?.at ?? 0, points.reduce((sum, p) => sum + p.used, 0) / count];
  const meanAt = points.reduce((sum, p) => sum + (p.at - at0), 0) / count;
  let [product, square] = [0, 0];
  for (const { at, used } of points) {
    const distance = at - at0 - meanAt;
    product += distance * (used - meanUsed);
    square += distance * distance;
  }
  return square === 0 ? 0 : product / square;
}
