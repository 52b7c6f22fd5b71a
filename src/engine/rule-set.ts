// Rules of the catalogue and of the user, made ready for matching: one shape, their required words worked
// out once, and the reading order that resolves ties.

import type { FactName } from '../core/facts.ts';
import type { Level } from '../core/record.ts';
import type { ErrorType, Severity } from '../core/words.ts';
import type { Rule } from '../rules/contract.ts';
import { LEVELS } from './levels.ts';
import { literalsOf } from './literals.ts';

export const LEVEL_ORDER = LEVELS;

export interface Hit {
  readonly index: number;
  readonly groups: Readonly<Record<string, string | undefined>>;
}

/** A pattern that can be tried, whatever engine runs it. */
export interface RulePattern {
  exec(text: string): Hit | null;
  readonly source: string;
  readonly on: 'exception' | 'message' | 'text';
  readonly level: Level | undefined;
  readonly confidence: number;
  readonly severity: Severity | undefined;
  readonly fixable: boolean;
  readonly facts: Readonly<Record<string, FactName>>;
  readonly constant: Readonly<Partial<Record<FactName, string | number>>>;
  readonly because: string;
  /** The level is the evidence. */
  readonly byLevel: boolean;
  /** Words of which one must be there, lower case; null when there are none. */
  readonly required: readonly string[] | null;
}

export interface MatchRule {
  readonly name: string;
  readonly type: ErrorType;
  readonly severity: Severity;
  readonly patterns: readonly RulePattern[];
  readonly never: readonly { test(text: string): boolean; readonly source: string }[];
  readonly identity: readonly FactName[];
}

const compiled = new WeakMap<readonly Rule[], readonly MatchRule[]>();

/** The catalogue's rules in the order that resolves ties. Worked out once for each catalogue. */
export function compileRules(rules: readonly Rule[]): readonly MatchRule[] {
  const known = compiled.get(rules) ?? rules.map(compileRule);
  compiled.set(rules, known);
  return known;
}

function compileRule(rule: Rule): MatchRule {
  return {
    name: rule.name,
    type: rule.type,
    severity: rule.severity,
    identity: rule.identity ?? [],
    never: rule.never ?? [],
    patterns: rule.patterns.map((pattern) => ({
      exec: (text: string) => execute(pattern.match, text),
      source: pattern.match.source,
      on: pattern.on ?? 'message',
      level: pattern.level,
      confidence: pattern.confidence ?? 0.9,
      severity: pattern.severity,
      fixable: pattern.fixable ?? rule.fixable ?? true,
      facts: pattern.facts ?? {},
      constant: pattern.constant ?? {},
      because: pattern.because,
      byLevel: pattern.byLevel ?? false,
      required: pattern.words ?? literalsOf(pattern.match),
    })),
  };
}

function execute(pattern: RegExp, text: string): Hit | null {
  const match = pattern.exec(text);
  return match ? { index: match.index, groups: match.groups ?? {} } : null;
}

export function requiredOf(pattern: RulePattern): readonly string[] | null {
  return pattern.required;
}

/** Words that say `error` or worse in the prefixes of lines. Levels without a word are shapes, in the detector. */
const LEVEL_WORDS = [
  'error',
  'eror',
  'fatal',
  'critical',
  'crit]',
  'severe',
  'panic',
  'emerg',
  'alert',
  '[err',
  ' err ',
  'level=err',
];

/** All words that make a line worth reading. */
export function wordsOf(rules: readonly MatchRule[]): readonly string[] {
  return rules.flatMap((rule) =>
    rule.patterns.flatMap((pattern) => pattern.required ?? (pattern.byLevel ? LEVEL_WORDS : [])),
  );
}

/** True when some pattern can match a line that holds none of the words. */
export function needsEveryLine(rules: readonly MatchRule[]): boolean {
  return rules.some((rule) => rule.patterns.some((pattern) => pattern.required === null && !pattern.byLevel));
}
