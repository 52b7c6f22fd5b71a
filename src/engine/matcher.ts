// Which rule a record satisfies, and why: every pattern whose words occur is tried on everything the
// record says, the surest match wins, and what lost is kept for whoever asks.

import type { FactName } from '../core/facts.ts';
import { Memo, remembering } from '../core/memo.ts';
import { type Hit, LEVEL_ORDER, type MatchRule, type RulePattern } from './rule-set.ts';
import { type Reading, type Utterance, type Voice, withoutQuotes } from './reading.ts';
import { requiredOf } from './rule-set.ts';
import { bare, WordFinder } from './word-finder.ts';

/** A pattern that matched, with what it matched on. */
export interface Match {
  readonly rule: MatchRule;
  readonly pattern: RulePattern;
  readonly said: Utterance;
  readonly facts: Readonly<Partial<Record<FactName, string | number>>>;
  readonly confidence: number;
}

/** A match that does not count, with the reason. */
export interface NearMiss {
  readonly rule: MatchRule;
  readonly because: string;
}

export interface Verdict {
  readonly best: Match | null;
  readonly nearMisses: readonly NearMiss[];
}

/** Why a rule that goes by the level says nothing. */
export const NO_LEVEL = 'it goes by the level of a record, and this one names none';

/** Text without any level must convince more. */
const PLAIN_CONFIDENCE = 0.8;

/** Tries all rules on a reading. Ties: confidence, then nearness to the root cause, then the order of the rules. */
export function match(reading: Reading, rules: readonly MatchRule[]): Verdict {
  const matches: Match[] = [];
  const nearMisses: NearMiss[] = [];
  if (reading.voice === 'silent') return { best: null, nearMisses };
  for (const [rule, patterns] of candidatesOf(rules).in(textOf(reading))) {
    const found = matchRule(rule, patterns, reading, nearMisses);
    if (!found) continue;
    const veto = rule.never.find((pattern) => pattern.test(reading.record.text) || pattern.test(found.said.text));
    if (veto) nearMisses.push({ rule, because: `but ${vetoText(veto, [reading.record.text, found.said.text])}` });
    else matches.push(found);
  }
  const best = matches.reduce<Match | null>((a, b) => (a === null || beats(b, a) ? b : a), null);
  for (const lost of matches)
    if (lost !== best)
      nearMisses.push({
        rule: lost.rule,
        because: `it matched too, less surely (${lost.confidence} to ${best?.confidence}): ${lost.pattern.because}`,
      });
  return { best, nearMisses };
}

/** The words that veto; of a rule of the user, whose engine does not tell, the pattern. */
function vetoText(veto: MatchRule['never'][number], texts: readonly string[]): string {
  const words = veto instanceof RegExp ? texts.map((text) => veto.exec(text)?.[0].trim()).find(Boolean) : undefined;
  return words
    ? `it says "${words}", which vetoes the rule`
    : `its \`never\` ${veto.source} matches, which vetoes the rule`;
}

/** A line below the message says less surely what happened than the message or the exception itself. */
const BELOW = 0.02;

function beats(a: Match, b: Match): boolean {
  const gain = sureness(a) - sureness(b);
  if (Math.abs(gain) > 1e-6) return gain > 0;
  return a.said.depth > b.said.depth;
}

function sureness({ confidence, said }: Match): number {
  return said.role === 'body' ? confidence - BELOW : confidence;
}

function matchRule(
  rule: MatchRule,
  patterns: readonly RulePattern[],
  reading: Reading,
  nearMisses: NearMiss[],
): Match | null {
  let best: Match | null = null;
  for (const pattern of patterns) {
    for (const said of targets(pattern, reading)) {
      const found = matchOne(rule, pattern, said, reading, nearMisses);
      if (found && (best === null || saysMore(found, best))) best = found;
    }
  }
  return best;
}

/** Of one rule the outermost exception counts, with its class: that is what the program itself says of it. */
function saysMore(a: Match, b: Match): boolean {
  const gain = sureness(a) - sureness(b);
  if (Math.abs(gain) > 1e-6) return gain > 0;
  return a.said.role === 'exception' && b.said.role !== 'exception';
}

function matchOne(
  rule: MatchRule,
  pattern: RulePattern,
  said: Utterance,
  reading: Reading,
  nearMisses: NearMiss[],
): Match | null {
  const voice = voiceOf(said, reading);
  const text = voice === 'loud' ? said.text : withoutQuotes(said.text);
  const hit = tried(pattern, text);
  if (!hit) {
    if (text !== said.text && tried(pattern, said.text))
      nearMisses.push({ rule, because: 'it stands in quotes, and the program does not call it an error' });
    return null;
  }
  const reason = refusal(pattern, voice, hit.index, reading);
  if (reason) {
    nearMisses.push({ rule, because: reason });
    return null;
  }
  return { rule, pattern, said, facts: factsOf(pattern, hit.groups), confidence: pattern.confidence };
}

/** What patterns said of the texts that were tried last. */
const TRIED = new Memo<Map<RulePattern, Hit | null>>(300);

function tried(pattern: RulePattern, text: string): Hit | null {
  const known = TRIED.of(text, () => new Map());
  const before = known.get(pattern);
  if (before !== undefined) return before;
  const hit = pattern.exec(text);
  known.set(pattern, hit);
  return hit;
}

/** A calm line with a trace below it: the trace speaks for itself, the line does not. */
function voiceOf(said: Utterance, reading: Reading): Voice {
  if (reading.voice !== 'loud' || said.role !== 'message') return reading.voice;
  const { level } = reading.record;
  return level !== undefined && LEVEL_ORDER.indexOf(level) < LEVEL_ORDER.indexOf('warn') ? 'calm' : 'loud';
}

function refusal(pattern: RulePattern, voice: Voice, index: number, reading: Reading): string | null {
  const { level } = reading.record;
  if (pattern.byLevel && level === undefined) return NO_LEVEL;
  const least = pattern.level ?? 'warn';
  const low = level !== undefined && LEVEL_ORDER.indexOf(level) < LEVEL_ORDER.indexOf(least);
  if (voice === 'calm' && reading.suspicion !== null) return `the record is calm, and ${reading.suspicion}`;
  if (voice === 'calm' && low) return `the record's level is ${level}, the pattern asks for ${least}`;
  if (voice === 'loud' && pattern.level !== undefined && low && !reading.record.trace)
    return `the record's level is ${level}, the pattern asks for ${least}`;
  if (voice === 'plain' && pattern.confidence < PLAIN_CONFIDENCE && index > 0)
    return 'the words are somewhere in a text that names no level: that is not sure enough';
  return null;
}

function targets(pattern: RulePattern, reading: Reading): readonly Utterance[] {
  if (pattern.on === 'text') return [{ text: reading.record.text, role: 'message', depth: 0 }];
  if (pattern.on === 'exception') return reading.utterances.filter((one) => one.role === 'exception');
  return reading.utterances;
}

function factsOf(pattern: RulePattern, groups: Readonly<Record<string, string | undefined>>): Match['facts'] {
  const facts: Partial<Record<FactName, string | number>> = { ...pattern.constant };
  for (const [group, value] of Object.entries(groups)) {
    if (value === undefined || value === '') continue;
    // A second spelling of a group (`path2`) stands for the first: alternatives cannot share a name.
    const name = pattern.facts[group] ?? (group.replace(/\d+$/, '') as FactName);
    facts[name] = value;
  }
  return facts;
}

/** The text of a record and what it says besides: a JSON line is read without its escapes, a status gets a name. */
function textOf({ record, utterances }: Reading): string {
  const besides = utterances.flatMap(({ text }) => (record.text.includes(text) ? [] : [text]));
  return besides.length === 0 ? record.text : `${record.text}\n${besides.join('\n')}`;
}

// ---------------------------------------------------------------- patterns whose words occur

/** The rules that may match a text, each with those of its patterns of which a word occurs, in their order. */
class Candidates {
  readonly #rules: readonly MatchRule[];
  readonly #finder: WordFinder;
  /** For each word of the finder the numbers of the patterns that need it, or another one. */
  readonly #patternsOf: readonly (readonly number[])[];
  readonly #patterns: readonly { readonly rule: number; readonly pattern: RulePattern }[];
  /** Patterns that no word can exclude. */
  readonly #always: readonly number[];

  constructor(rules: readonly MatchRule[]) {
    this.#rules = rules;
    this.#patterns = rules.flatMap((rule, at) => rule.patterns.map((pattern) => ({ rule: at, pattern })));
    this.#finder = new WordFinder(this.#patterns.flatMap(({ pattern }) => requiredOf(pattern) ?? []).map(bare));
    const byWord = new Map<string, number[]>(this.#finder.words.map((word) => [word, []]));
    for (const [at, { pattern }] of this.#patterns.entries())
      for (const word of requiredOf(pattern) ?? []) byWord.get(bare(word))?.push(at);
    this.#patternsOf = [...byWord.values()];
    this.#always = this.#patterns.flatMap(({ pattern }, at) => (requiredOf(pattern) === null ? [at] : []));
  }

  readonly #numbersIn = remembering((line: string): readonly number[] => [
    ...new Set(this.#finder.in(line).flatMap((word) => this.#patternsOf[word] ?? [])),
  ]);

  in(text: string): Map<MatchRule, RulePattern[]> {
    const numbers = new Set(this.#always);
    // No word goes over a line end, and lines of a trace come again and again.
    const [first = '', ...others] = text.split('\n');
    for (const word of this.#finder.in(first)) for (const at of this.#patternsOf[word] ?? []) numbers.add(at);
    for (const line of others) for (const at of this.#numbersIn(line)) numbers.add(at);
    const found = new Map<MatchRule, RulePattern[]>();
    for (const at of [...numbers].sort((a, b) => a - b)) {
      const { rule, pattern } = this.#patterns[at] as { rule: number; pattern: RulePattern };
      const key = this.#rules[rule] as MatchRule;
      const known = found.get(key);
      if (known) known.push(pattern);
      else found.set(key, [pattern]);
    }
    return found;
  }
}

/** One table for each set of rules, made when it is first used. */
const tables = new WeakMap<readonly MatchRule[], Candidates>();

function candidatesOf(rules: readonly MatchRule[]): Candidates {
  const known = tables.get(rules);
  if (known) return known;
  const table = new Candidates(rules);
  tables.set(rules, table);
  return table;
}
