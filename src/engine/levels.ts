// The words programs use for a level, in one place.

import type { Level } from '../core/record.ts';

const WORDS: Readonly<Record<string, Level>> = {
  trace: 'trace',
  trce: 'trace',
  verbose: 'trace',
  silly: 'trace',
  finest: 'trace',
  finer: 'trace',
  fine: 'debug',
  debug: 'debug',
  dbug: 'debug',
  dbg: 'debug',
  debug1: 'debug',
  info: 'info',
  inf: 'info',
  information: 'info',
  informational: 'info',
  notice: 'info',
  note: 'info',
  log: 'info',
  http: 'info',
  success: 'info',
  config: 'info',
  warn: 'warn',
  warning: 'warn',
  wrn: 'warn',
  error: 'error',
  err: 'error',
  eror: 'error',
  erro: 'error',
  severe: 'error',
  fail: 'error',
  failure: 'error',
  fatal: 'fatal',
  ftl: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
  dpanic: 'fatal',
};

const LETTERS: Readonly<Record<string, Level>> = {
  v: 'trace',
  d: 'debug',
  i: 'info',
  w: 'warn',
  e: 'error',
  c: 'fatal',
  f: 'fatal',
};

/** Ordered from most talkative to gravest. */
export const LEVELS: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The level a word names, in any case, or undefined. */
export function levelOfWord(word: string): Level | undefined {
  return Object.hasOwn(WORDS, word.toLowerCase()) ? WORDS[word.toLowerCase()] : undefined;
}

/** The level of a one-letter code (klog, logcat, Ruby). */
export function levelOfLetter(letter: string): Level | undefined {
  return LETTERS[letter.toLowerCase()];
}

/** pino and bunyan: 10 to 60; syslog priorities: 0 (worst) to 7. */
export function levelOfNumber(value: number): Level | undefined {
  if (value >= 60) return 'fatal';
  if (value >= 50) return 'error';
  if (value >= 40) return 'warn';
  if (value >= 30) return 'info';
  if (value >= 20) return 'debug';
  return value >= 10 ? 'trace' : levelOfPriority(value);
}

export function levelOfPriority(priority: number): Level | undefined {
  if (!Number.isInteger(priority) || priority < 0 || priority > 7) return undefined;
  return (['fatal', 'fatal', 'fatal', 'error', 'warn', 'info', 'info', 'debug'] as const)[priority];
}

export function atLeast(level: Level, least: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}
