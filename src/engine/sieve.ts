// The second look, at a line that holds a word of some rule: `errors=0` in a line of information is no error, whatever
// stands around it. Decided by the line alone, so that the size of blocks cannot matter; nothing is looked for before it.

import { awaitsReport } from './belonging.ts';
import { type LineParts, startsAfresh } from './framer.ts';
import { atLeast } from './levels.ts';
import { match } from './matcher.ts';
import { peel } from './prefixes.ts';
import { decode, type Reading, read } from './reading.ts';
import type { MatchRule } from './rule-set.ts';
import { indented, opens } from './trace-lines.ts';

const NOWHERE = { line: 1, endLine: 1, startByte: 0, endByte: 0 };

/**
 * True for a line that is no error by itself, tells of none to come, and makes none of the record it may belong to: what
 * is an error there has words of its own in another line.
 */
export function isInnocent(parts: LineParts, rules: readonly MatchRule[], now: number): boolean {
  const { text, carrier } = parts;
  const inner = text.slice(carrier?.from ?? 0);
  if (carrier?.partial || indented(inner)) return false;
  const level = peel(decode(text), now).level;
  if ((level !== undefined && atLeast(level, 'warn')) || awaitsReport(text) || opensOther(inner)) return false;
  const reading = read(alone(text, carrier?.from ?? 0, now), { source: '', service: null }, now);
  if (mayTellMore(reading)) return false;
  const isOwn = reading.record.level !== undefined && startsAfresh(parts);
  return match(isOwn ? reading : shouted(reading), rules).best === null;
}

function opensOther(inner: string): boolean {
  const report = opens(inner);
  return report !== null && report.kind !== 'json';
}

/** As a loud record would say it. What its level alone makes an error, the line with that level is. */
function shouted(reading: Reading): Reading {
  const { level: _, ...record } = reading.record;
  return { ...reading, record, voice: 'loud' };
}

/** Lines below a class name or a trace are its frames, and make loud what was calm. */
function mayTellMore({ record, utterances }: Reading): boolean {
  if (record.level !== undefined && atLeast(record.level, 'warn')) return true;
  return record.trace !== undefined || utterances.some(({ role }) => role === 'exception');
}

function alone(text: string, from: number, touchedAt: number) {
  const place = { span: NOWHERE, reportAt: -1, report: null, before: null, skipped: 0, event: null };
  return { ...place, lines: [text], from: [from], touchedAt, glimpsed: false };
}
