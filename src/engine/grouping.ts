// What a person said of the grouping: which problems are one (merges, in the store), and which are several (splits,
// here). A decision names the version of the fingerprints it was made for, and holds for no other.

import type { Detection } from '../core/detection.ts';
import { FACT_NAMES, type FactName } from '../core/facts.ts';
import { hashOf } from './fingerprint.ts';

/** Records of this place that differ in `by` are different problems. */
export interface Split {
  readonly service: string;
  readonly place: string;
  readonly version: number;
  readonly by: SplitBy;
  /** What the incident that was split says there: records that say the same, or nothing, stay with it. */
  readonly keeps: string | number | null;
  readonly person: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

export type SplitBy = FactName | 'message';
export const SPLIT_BY: readonly SplitBy[] = ['message', ...FACT_NAMES];

/** Between a place and what splits it; no fingerprint holds it. */
const MARK = '~';

/** The detection under the place that a person's splits give it. `redact` is what messages are stored with. */
export function regrouped(
  detection: Detection,
  service: string,
  splits: readonly Split[],
  redact: (text: string) => string,
): Detection {
  const { place, version } = detection.fingerprint;
  const split = splits.find((one) => one.place === place && one.service === service && one.version === version);
  const value = split && valueOf(detection, split.by, redact);
  if (value === undefined || value === split?.keeps) return detection;
  return {
    ...detection,
    fingerprint: { ...detection.fingerprint, place: `${place}${MARK}${hashOf(String(value))}` },
  };
}

/** True for a problem that a split of `place` keeps apart. */
export function isSplitFrom(place: string, other: string): boolean {
  return other.startsWith(`${place}${MARK}`);
}

function valueOf(detection: Detection, by: SplitBy, redact: (text: string) => string): string | number | undefined {
  return by === 'message' ? redact(detection.message) : detection.facts[by];
}
