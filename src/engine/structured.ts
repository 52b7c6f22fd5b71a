// Lines that are data: JSON objects of pino, bunyan, winston, structlog, zap or a cloud's collector, and
// key=value lines. Gives the few fields that matter under one set of names; the text stays untrusted.

import type { Level } from '../core/record.ts';
import { levelOfNumber, levelOfWord } from './levels.ts';
import { timeOfField } from './times.ts';

/** What a structured line says, as far as it does. */
export interface Structured {
  readonly message: string;
  readonly time?: number;
  readonly level?: Level;
  readonly logger?: string;
  /** Stack trace or further lines, real newlines. */
  readonly detail?: string;
  /** `Type: message` when the error is given as an object. */
  readonly exception?: string;
  readonly status?: number;
  readonly retryAfterSec?: number;
  /** `ECONNREFUSED`, `ERR_MODULE_NOT_FOUND`. */
  readonly code?: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly pid?: number;
}

type Fields = Readonly<Record<string, unknown>>;

const LONGEST = 256 * 1024;
const MESSAGE_KEYS = [
  'msg',
  'message',
  'event',
  '@m',
  'text',
  'log',
  'textPayload',
  'short_message',
  'MESSAGE',
  'body',
];
const DETAIL_KEYS = [
  'stack',
  'exc_info',
  'stack_trace',
  'stacktrace',
  'traceback',
  'exception',
  'detail',
  'details',
  '@x',
];
const LEVEL_KEYS = ['level', 'severity', 'lvl', 'levelname', 'log_level', 'loglevel', '@l', 'log.level', 'PRIORITY'];
const TIME_KEYS = ['time', 'timestamp', 'ts', '@timestamp', 'datetime', 'date', '@t', 'asctime', 'eventTime', 't'];
const LOGGER_KEYS = [
  'logger',
  'logger_name',
  'name',
  'service',
  'component',
  'module',
  'source',
  'caller',
  'log.logger',
  'context',
];
const ERROR_KEYS = ['err', 'error', 'exception', 'e', 'cause', 'reason', 'errmsg'];

/** Reads a JSON object, also a pretty-printed or a cut one; null when the text is none. */
export function readJson(text: string, now: number): Structured | null {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') || trimmed.length > LONGEST) return null;
  const fields = parse(trimmed);
  return fields ? fromFields(fields, now) : readCut(trimmed, now);
}

function parse(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function fromFields(fields: Fields, now: number): Structured | null {
  const inner = first(fields, ['jsonPayload', 'fields', 'record', 'data']);
  const flat: Fields = isFields(inner) ? { ...inner, ...fields } : fields;
  const error = errorOf(flat);
  const message = textOf(flat, MESSAGE_KEYS) ?? (typeof flat['error'] === 'string' ? flat['error'] : '') ?? '';
  const detail = textOf(flat, DETAIL_KEYS) ?? textOf(error, ['stack', 'stack_trace', 'traceback', 'trace']);
  if (!message && !detail && !error) return null;
  const exception = exceptionOf(error, flat, detail);
  return {
    message: message || exception || firstLine(detail ?? ''),
    ...given('time', timeOf(flat, now)),
    ...given('level', levelOf(flat)),
    ...given('logger', textOf(flat, LOGGER_KEYS)),
    ...given('detail', detail),
    ...given('exception', exception),
    ...given('status', numberOf(flat, error, ['status', 'statusCode', 'status_code', 'http_status', 'httpStatus'])),
    ...given('retryAfterSec', retryAfter(flat, error)),
    ...given('code', codeOf(flat, error)),
    ...given('host', textOf(error, ['address', 'hostname', 'host']) ?? textOf(flat, ['address'])),
    ...given('port', numberOf(flat, error, ['port'])),
    ...given('path', textOf(error, ['path', 'filename']) ?? undefined),
    ...given('pid', typeof flat['pid'] === 'number' ? flat['pid'] : undefined),
  };
}

function errorOf(fields: Fields): Fields | null {
  for (const key of ERROR_KEYS) if (isFields(fields[key])) return fields[key];
  return null;
}

/** `Type: message` of an error object, or of the fields a winston line spreads it into. */
function exceptionOf(error: Fields | null, fields: Fields, detail: string | undefined): string | undefined {
  const type =
    textOf(error, ['type', 'name', 'class', 'kind']) ?? (detail ? textOf(fields, ['type', 'exc_type']) : undefined);
  const message =
    textOf(error, ['message', 'msg', 'description', 'detail']) ??
    (type && !error ? textOf(fields, ['message']) : undefined);
  if (type && /^[\w.$]+$/.test(type)) return message ? `${type}: ${message}` : type;
  for (const key of ERROR_KEYS) if (typeof fields[key] === 'string' && fields[key] !== '') return fields[key];
  return message;
}

function codeOf(fields: Fields, error: Fields | null): string | undefined {
  const code = error?.['code'] ?? fields['code'];
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{3,60}$/.test(code) ? code : undefined;
}

function retryAfter(fields: Fields, error: Fields | null): number | undefined {
  for (const holder of [fields['headers'], error?.['headers'], fields, error]) {
    if (!isFields(holder)) continue;
    const value = Number(holder['retry-after'] ?? holder['retry_after'] ?? holder['retryAfter'] ?? Number.NaN);
    if (Number.isFinite(value) && value > 0) return value;
  }
  return undefined;
}

function levelOf(fields: Fields): Level | undefined {
  const value = first(fields, LEVEL_KEYS);
  if (typeof value === 'number') return levelOfNumber(value);
  if (typeof value !== 'string') return isFields(fields['log']) ? levelOf(fields['log']) : undefined;
  return /^\d+$/.test(value) ? levelOfNumber(Number(value)) : levelOfWord(value.trim());
}

function timeOf(fields: Fields, now: number): number | undefined {
  for (const key of TIME_KEYS) {
    const time = timeOfField(fields[key], now);
    if (time !== undefined) return time;
  }
  return undefined;
}

function numberOf(fields: Fields, error: Fields | null, keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = error?.[key] ?? fields[key];
    const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number > 0) return number;
  }
  return undefined;
}

function textOf(fields: Fields | null, keys: readonly string[]): string | undefined {
  if (!fields) return undefined;
  for (const key of keys) {
    const value = fields[key];
    if (typeof value === 'string' && value !== '') return value;
    if (Array.isArray(value) && value.length > 0 && value.every((line) => typeof line === 'string'))
      return value.join('\n');
  }
  return undefined;
}

function first(fields: Fields, keys: readonly string[]): unknown {
  for (const key of keys) if (fields[key] !== undefined) return fields[key];
  return undefined;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Leaves a key out when there is nothing to say. */
function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

// ---------------------------------------------------------------- cut JSON

/** A line that was cut, or that only looks like JSON: the fields that are whole count. */
function readCut(text: string, now: number): Structured | null {
  if (!/^\{\s*"/.test(text)) return null;
  const fields: Record<string, unknown> = {};
  const pair = /"([\w.@-]{1,40})"\s*:\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|(-?\d+(?:\.\d+)?))/g;
  for (let i = 0; i < 60; i++) {
    const match = pair.exec(text);
    if (!match) break;
    const key = match[1] ?? '';
    if (!Object.hasOwn(fields, key))
      fields[key] = match[3] === undefined ? unescapeText(match[2] ?? '') : Number(match[3]);
  }
  return Object.keys(fields).length === 0 ? null : fromFields(fields, now);
}

function unescapeText(text: string): string {
  return text.replace(/\\(n|t|r|"|\\|\/|u[0-9a-fA-F]{4})/g, (_, code: string) => {
    if (code === 'n') return '\n';
    if (code === 't') return '\t';
    if (code === 'r') return '';
    return code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : code;
  });
}

// ---------------------------------------------------------------- key=value

const LOGFMT =
  /^(?:[a-z_@.]{1,20}=(?:"[^"]*"|\S*) ){0,4}(?:level|lvl|severity)="?\w+"?(?: |$)|^(?:time|ts|t)=\S+ .*\b(?:level|lvl|severity|msg|message)=/;
const PAIR = /([A-Za-z_@][\w.@-]{0,60})=(?:"((?:[^"\\]|\\.)*)"?|([^\s"]*))/g;

/** Reads `time=… level=error msg="…" err="…"`; null when the text is no such line. */
export function readLogfmt(text: string, now: number): Structured | null {
  if (!LOGFMT.test(text)) return null;
  const fields: Record<string, unknown> = {};
  for (const match of text.slice(0, LONGEST).matchAll(PAIR)) {
    const key = match[1] ?? '';
    if (!Object.hasOwn(fields, key)) fields[key] = match[2] === undefined ? (match[3] ?? '') : unescapeText(match[2]);
  }
  return fromFields(fields, now);
}

/** The value of a trailing `error="…"` or `err="…"` of a line that is otherwise text. */
export function trailingError(text: string): string | null {
  const match = /\b(?:error|err|error\.message|reason|cause)[=:]"((?:[^"\\]|\\.){3,4000})"?/.exec(text);
  return match ? unescapeText(match[1] ?? '') : null;
}
