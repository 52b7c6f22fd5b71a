// A Detection says: this record is an error of this type, by this rule, for this reason.

import type { Facts } from './facts.ts';
import type { LogRecord } from './record.ts';
import type { ErrorType, Severity } from './words.ts';

/**
 * Two hashes that survive changing ids, numbers, paths, line numbers and releases.
 * `kind` is type + message template; `place` is type + application frames, or equal to `kind`
 * where there is no trace. `version` changes whenever the masks do.
 */
export interface Fingerprint {
  readonly version: number;
  readonly kind: string;
  readonly place: string;
  /** The message with its variables masked, for people and for `why`. */
  readonly template: string;
}

export interface Detection {
  readonly rule: string;
  readonly type: ErrorType;
  readonly severity: Severity;
  /** 0 to 1: how sure the rule is that this text is this error. */
  readonly confidence: number;
  readonly fingerprint: Fingerprint;
  readonly facts: Facts;
  /** True when a fix of the catalogue handles this type, the text is trusted, and the rule asks for no person and no change of code. */
  readonly fixable: boolean;
  /** False: the text may be an imitation, or was said too calmly. It is told, and never a reason to do anything. */
  readonly trusted: boolean;
  /** One line for people, masked of secrets. */
  readonly message: string;
  readonly record: LogRecord;
}

/** A detection as `scan --json` prints it. */
export interface DetectionRow {
  readonly file: string | null;
  readonly line: number;
  readonly endLine: number;
  readonly time: string | null;
  readonly type: ErrorType;
  readonly severity: Severity;
  readonly message: string;
  readonly rule: string;
  readonly fingerprint: string;
  readonly fixable: boolean;
  readonly facts: Facts;
}

/** The outward form of a detection. */
export function detectionRow(detection: Detection): DetectionRow {
  const { record } = detection;
  return {
    file: record.file ?? null,
    line: record.span.line,
    endLine: record.span.endLine,
    time: record.time === undefined ? null : new Date(record.time).toISOString(),
    type: detection.type,
    severity: detection.severity,
    message: detection.message,
    rule: detection.rule,
    fingerprint: detection.fingerprint.place,
    fixable: detection.fixable,
    facts: detection.facts,
  };
}
