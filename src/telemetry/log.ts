// Our own log: what selfheal did and why, for the operator's journal. Every line names the logger
// `selfheal`, and no line of ours ever starts without it, so that we never react to ourselves.

import type { Clock } from '../core/clock.ts';
import { visible } from '../core/visible.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The logger's name in every line: readers of logs skip it. */
export const LOGGER = 'selfheal';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  /** A fixed sentence plus fields: something is off, nobody needs to act. */
  warn(message: string, fields?: LogFields): void;
  /** A fixed sentence plus fields: a person must act. */
  error(message: string, fields?: LogFields): void;
  /** The same log, with fields that stand in each of its lines. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  /** Gets whole lines, e.g. `process.stderr`. */
  readonly stream: { write(text: string): unknown };
  readonly clock: Pick<Clock, 'now'>;
  /** Lines below it are not written. Default: `info`. */
  readonly level?: LogLevel;
  /** One JSON object a line instead of text. Default: false. */
  readonly json?: boolean;
  /** Masks secrets; everything goes through it. Default: nothing is masked. */
  readonly redact?: (text: string) => string;
}

/**
 * @example
 * const log = createLog({ stream: process.stderr, clock, redact });
 * log.warn('source cannot be read', { source: 'file:/var/log/app.log', code: 'EACCES' });
 * // 2026-01-05T10:00:00.000Z WARN selfheal: source cannot be read source=file:/var/log/app.log code=EACCES
 */
export function createLog(options: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(options.level ?? 'info');
  const redact = options.redact ?? ((text: string) => text);
  const line = options.json ? jsonLine : textLine;
  const make = (always: LogFields): Log => {
    const write = (level: Exclude<LogLevel, 'silent'>, message: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(level) < least) return;
      const time = new Date(options.clock.now()).toISOString();
      options.stream.write(`${redact(line(time, level, message, { ...always, ...fields }))}\n`);
    };
    return {
      debug: (message, fields) => write('debug', message, fields),
      info: (message, fields) => write('info', message, fields),
      warn: (message, fields) => write('warn', message, fields),
      error: (message, fields) => write('error', message, fields),
      with: (fields) => make({ ...always, ...fields }),
    };
  };
  return make({});
}

/** A log that says nothing, for libraries and tests. */
export const silentLog: Log = createLog({ stream: { write: () => true }, clock: { now: () => 0 }, level: 'silent' });

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const plain = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plainValue(value)]));
  return JSON.stringify({ ...plain, time, level, logger: LOGGER, message });
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${quoted(plainValue(value))}`);
  return `${time} ${level.toUpperCase()} ${LOGGER}: ${oneLine(message)}${shown.join('')}`;
}

function quoted(value: unknown): string {
  const text = oneLine(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)));
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

/** A second line of a message would be a line without our name. */
function oneLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n');
}

/** Errors become their name, code and message; nothing may break the line that reports a problem. */
function plainValue(value: unknown): unknown {
  if (value instanceof Error) return describeError(value);
  if (typeof value === 'bigint') return value.toString();
  try {
    return JSON.stringify(value) === undefined ? undefined : value;
  } catch {
    return String(value);
  }
}

/** `TypeError: x is not a function`, with the causes behind it. */
export function describeError(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? ` [${error.code}]` : '';
  const own = `${error.name}${code}: ${error.message}`;
  return error.cause === undefined || depth >= 3 ? own : `${own} (because: ${describeError(error.cause, depth + 1)})`;
}
