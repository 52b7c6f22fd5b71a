// The user's own rules out of YAML. They are matched in linear time whatever they say (re2js), so no
// pattern can hang us, and they go before the catalogue: the owner knows his program best.

import { readFile } from 'node:fs/promises';
import { RE2JS } from 're2js';
import { z } from 'zod';
import { ConfigError, type ConfigProblem } from '../config/contract.ts';
import { byPlace, describeIssues } from '../config/problems.ts';
import { nearest } from '../config/nearest.ts';
import { readYaml, type YamlFile } from '../config/yaml.ts';
import { FACT_NAMES, type FactName } from '../core/facts.ts';
import { ERROR_TYPES, SEVERITIES } from '../core/words.ts';
import { LEVELS } from './levels.ts';
import type { Hit, MatchRule, RulePattern } from './rule-set.ts';

const patternSchema = z.strictObject({
  match: z.string().min(1),
  on: z.enum(['exception', 'message', 'text']).default('message'),
  level: z.enum(LEVELS).optional(),
  confidence: z.number().min(0).max(1).default(0.98),
  severity: z.enum(SEVERITIES).optional(),
});

const ruleSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'must be lower-case words joined by hyphens'),
  type: z.enum(ERROR_TYPES),
  severity: z.enum(SEVERITIES).default('medium'),
  because: z.string().default('a rule of the owner'),
  patterns: z.array(patternSchema).min(1),
  never: z.array(z.string().min(1)).default([]),
  fixable: z.boolean().default(true),
  matches: z.array(z.string()).default([]),
  rejects: z.array(z.string()).default([]),
});

const fileSchema = z.strictObject({ rules: z.array(ruleSchema).min(1) });

type UserRule = z.infer<typeof ruleSchema>;

/** A rule with the samples its owner gave, for `rules test`. */
export interface UserRules {
  readonly rules: readonly MatchRule[];
  readonly samples: readonly { readonly rule: string; readonly text: string; readonly expected: boolean }[];
}

/**
 * Rules of all files, in order. Rejects with a `ConfigError` that names file, line and column of what is wrong.
 *
 * @example
 * const userRules = await loadUserRules(['/etc/selfheal/rules.yaml']);
 */
export async function loadUserRules(files: readonly string[]): Promise<readonly MatchRule[]> {
  return (await Promise.all(files.map(readUserRules))).flatMap((one) => one.rules);
}

/** One file with its samples. */
export async function readUserRules(file: string): Promise<UserRules> {
  const yaml = readYaml(await textOf(file));
  const problems: ConfigProblem[] = yaml.complaints.map(({ path, place, message }) =>
    problem(file, path, place, message),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  const parsed = fileSchema.safeParse(yaml.data);
  if (!parsed.success) {
    throw new ConfigError(describeIssues(parsed.error.issues, file, yaml, fileSchema));
  }
  const rules = parsed.data.rules.map((rule, index) =>
    compile(rule, (path, message) => {
      problems.push(at(file, yaml, ['rules', index, ...path], message));
    }),
  );
  if (problems.length > 0) throw new ConfigError(problems.sort(byPlace));
  const samples = parsed.data.rules.flatMap((rule) => [
    ...rule.matches.map((text) => ({ rule: rule.name, text, expected: true })),
    ...rule.rejects.map((text) => ({ rule: rule.name, text, expected: false })),
  ]);
  return { rules, samples };
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const message = code === 'ENOENT' ? 'there is no such file' : `the rules cannot be read (${code ?? String(error)})`;
    throw new ConfigError([problem(file, [], null, message)]);
  }
}

type Complain = (path: readonly (string | number)[], message: string) => void;

function compile(rule: UserRule, complain: Complain): MatchRule {
  const patterns = rule.patterns.map((pattern, n): RulePattern => {
    const expression = expressionOf(pattern.match, ['patterns', n, 'match'], complain);
    return {
      exec: (text) => (expression ? find(expression, text) : null),
      source: pattern.match,
      on: pattern.on,
      level: pattern.level,
      confidence: pattern.confidence,
      severity: pattern.severity,
      fixable: rule.fixable,
      facts: {},
      constant: {},
      because: rule.because,
      byLevel: false,
      required: wordsIn(pattern.match),
    };
  });
  const never = rule.never.map((source, n) => {
    const expression = expressionOf(source, ['never', n], complain);
    return { source, test: (text: string) => expression?.test(text) ?? false };
  });
  return {
    name: rule.name,
    type: rule.type,
    severity: rule.severity,
    patterns,
    never,
    identity: [] satisfies FactName[],
  };
}

function expressionOf(source: string, path: readonly (string | number)[], complain: Complain): RE2JS | null {
  try {
    const expression = RE2JS.compile(source);
    for (const name of Object.keys(expression.namedGroups() ?? {})) if (!isFact(name)) complain(path, noFact(name));
    return expression;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    complain(
      path,
      `the pattern cannot be used: ${reason}. Look-around and back-references are not supported, so that every pattern takes linear time`,
    );
    return null;
  }
}

/** A second spelling of a group (`path2`) stands for the first, as in the catalogue. */
function isFact(group: string): boolean {
  return (FACT_NAMES as readonly string[]).includes(group.replace(/\d+$/, ''));
}

function noFact(group: string): string {
  const near = nearest(group, FACT_NAMES);
  const hint = near === null ? `the names are ${FACT_NAMES.join(', ')}` : `did you mean ${near}?`;
  return `the group "${group}" is no fact; ${hint}`;
}

function find(expression: RE2JS, text: string): Hit | null {
  if (!expression.test(text)) return null;
  const matcher = expression.matcher(text);
  if (!matcher.find()) return null;
  const names = Object.keys(expression.namedGroups() ?? {});
  const groups = Object.fromEntries(names.map((name) => [name, matcher.group(name) ?? undefined]));
  return { index: matcher.start(), groups };
}

/** A word that must occur, when the pattern has one that is surely literal; null makes every line a candidate. */
function wordsIn(source: string): readonly string[] | null {
  if (/[|?*{[(\\^$+.]/.test(source)) return null;
  return source.length >= 3 ? [source.toLowerCase()] : null;
}

function at(file: string, yaml: YamlFile, path: readonly PropertyKey[], message: string): ConfigProblem {
  const plain = path.filter((key): key is string | number => typeof key !== 'symbol');
  return problem(file, plain, yaml.locate(plain), message);
}

function problem(
  file: string,
  path: readonly (string | number)[],
  place: { readonly line: number; readonly column: number } | null,
  message: string,
): ConfigProblem {
  const key = path.join('.');
  return {
    file,
    line: place?.line ?? null,
    column: place?.column ?? null,
    key,
    message: key ? `${key}: ${message}` : message,
  };
}
