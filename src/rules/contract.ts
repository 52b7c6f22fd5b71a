// A rule says what an error looks like. It is data with reasons: patterns anchored on what
// the PROGRAM wrote (exception class, errno, status, level), typed facts, and samples that
// must and must not match. It does no I/O.

import type { FactName } from '../core/facts.ts';
import type { Level } from '../core/record.ts';
import type { ErrorType, Severity } from '../core/words.ts';

/** One way a record can satisfy a rule. All given conditions must hold together. */
export interface Pattern {
  /** Matched against the part of the record named by `on`. Linear-time syntax only: no look-around, no back-references. */
  readonly match: RegExp;
  /**
   * `exception`: `Type: message` of a parsed trace or of a message that begins so. `message`: the first line with
   * prefixes peeled off. `text`: the whole record. Default `message`.
   */
  readonly on?: 'exception' | 'message' | 'text';
  /**
   * The record's level must be at least this, where it has one. Default `warn`: say `info`, `debug` or `trace` where the
   * text is proof by itself, because the program writes it only when something failed.
   */
  readonly level?: Level;
  /**
   * True where the level of the record is the evidence: a text without a level is never meant. When `match` needs no word,
   * the first look goes by the words and shapes of levels.
   */
  readonly byLevel?: boolean;
  /**
   * Words of which any text that `match` matches holds at least one, lower case. Default: worked out from `match`. Say
   * them where a rarer word than the chosen one exists, since every line that holds one of them is read in full. A word
   * in the form `\\b429\\b` counts only where it stands alone; use it where `match` asks for that too.
   */
  readonly words?: readonly string[];
  /** Facts that named groups of `match` give, when the group's name is not the fact's name. */
  readonly facts?: Readonly<Record<string, FactName>>;
  /** Facts that follow from the match alone, e.g. `{ provider: 'anthropic' }`. */
  readonly constant?: Readonly<Partial<Record<FactName, string | number>>>;
  /** 0 to 1, default 0.9. Ties are resolved by confidence, then by the order of the rules. */
  readonly confidence?: number;
  readonly severity?: Severity;
  /** False: no automatic action can be right; a person or a change of code is needed. Default: as the rule. */
  readonly fixable?: boolean;
  /** Why this pattern is evidence, and where its text comes from (made to happen, or documentation). */
  readonly because: string;
}

/** A text that must (or must not) be recognised, written by us. */
export interface RuleSample {
  readonly text: string;
  readonly facts?: Readonly<Partial<Record<FactName, string | number>>>;
}

export interface Rule {
  /** kebab-case, unique. */
  readonly name: string;
  readonly type: ErrorType;
  readonly severity: Severity;
  readonly patterns: readonly Pattern[];
  /** False: no automatic action can be right for any of the patterns. Default true. */
  readonly fixable?: boolean;
  /**
   * Facts that name the problem by themselves: two records that agree on them are one problem, whatever else they say.
   * Default: the words of the message name it.
   */
  readonly identity?: readonly FactName[];
  /** Any of these on the same record vetoes the rule. */
  readonly never?: readonly RegExp[];
  /** What makes the condition end: a later line, silence, or a probe. Default: silence. */
  readonly clears?: RegExp;
  /** At least three each, enforced by the contract suite. */
  readonly matches: readonly RuleSample[];
  readonly rejects: readonly RuleSample[];
}

/** Identity with types: what a rule file exports by default, one rule or several of one kind. */
export function defineRules(...rules: readonly Rule[]): readonly Rule[] {
  return rules;
}
