// Understands configuration texts: does it parse, which keys has it, which scalars. Errors name the
// place and never quote the text, because a configuration holds secrets.

import { parse as parseJsonc, type ParseError } from 'jsonc-parser';
import { parse as parseToml, TomlError } from 'smol-toml';
import { parseAllDocuments } from 'yaml';
import type { ConfigFormat, ParsedText } from './contract.ts';

const MAX_DEPTH = 32;
const MAX_KEYS = 10_000;

/** Pure, never throws. Keys are dotted paths; entries of lists count by their index (`tools.0`). */
export function parseConfig(text: string, format: ConfigFormat): ParsedText {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  switch (format) {
    case 'json':
      return json(body);
    case 'jsonl':
      return jsonLines(body);
    case 'yaml':
      return yaml(body);
    case 'toml':
      return toml(body);
    case 'env':
      return env(body);
  }
}

function failed(error: string, line: number | null): ParsedText {
  return { ok: false, error: line === null ? error : `${error} (line ${line})`, line };
}

function json(text: string): ParsedText {
  try {
    return collected(JSON.parse(text));
  } catch {
    return failed(text.trim() === '' ? 'empty, where JSON was expected' : 'not valid JSON', jsonErrorLine(text));
  }
}

/** JSON.parse quotes the text in its errors; the lenient parser only says where. */
function jsonErrorLine(text: string): number | null {
  const errors: ParseError[] = [];
  parseJsonc(text, errors, { allowTrailingComma: false, disallowComments: true });
  return errors[0] ? lineAt(text, errors[0].offset) : null;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

function jsonLines(text: string): ParsedText {
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    try {
      JSON.parse(line);
    } catch {
      return failed('a record is not valid JSON', index + 1);
    }
  }
  return { ok: true, keys: [], values: new Map() };
}

function yaml(text: string): ParsedText {
  try {
    // Programs differ about repeated keys, so those are not our business; everything else that is wrong is.
    const documents = parseAllDocuments(text, { uniqueKeys: false, logLevel: 'silent' });
    if (!Array.isArray(documents)) return collected(null);
    for (const document of documents) {
      const error = document.errors[0];
      if (error) return failed('not valid YAML', error.linePos?.[0].line ?? null);
    }
    const values = documents.map((document) => document.toJS({ maxAliasCount: 100 }) as unknown);
    return collected(values.length === 1 ? values[0] : values);
  } catch {
    return failed('not valid YAML', null);
  }
}

function toml(text: string): ParsedText {
  try {
    return collected(parseToml(text));
  } catch (error) {
    return failed('not valid TOML', error instanceof TomlError ? error.line : null);
  }
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/;

/** What dotenv libraries read: `KEY=value`, `export KEY="..."` also over several lines, comments. */
function env(text: string): ParsedText {
  const values = new Map<string, string>();
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const [, key, start] = ASSIGNMENT.exec(line) ?? [];
    if (key === undefined || start === undefined) return failed('a line is neither KEY=value nor a comment', index + 1);
    const read = envValue(start, lines, index);
    if (!read) return failed('a quote is never closed', index + 1);
    values.set(key, read.value);
    index = read.last;
  }
  return { ok: true, keys: [...values.keys()], values };
}

function envValue(start: string, lines: readonly string[], first: number): { value: string; last: number } | null {
  const quote = start[0];
  if (quote !== '"' && quote !== "'" && quote !== '`')
    return { value: start.replace(/\s+#.*$/, '').trim(), last: first };
  let text = start.slice(1);
  for (let last = first; last < lines.length; last++) {
    if (last > first) text += `\n${lines[last]}`;
    const end = closingQuote(text, quote);
    if (end >= 0) return { value: text.slice(0, end), last };
  }
  return null;
}

function closingQuote(text: string, quote: string): number {
  for (let at = 0; at < text.length; at++) {
    if (quote === '"' && text[at] === '\\') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** The lines that set these keys, as they stand: for taking them over into another file. */
export function envLines(text: string, keys: readonly string[]): readonly string[] {
  const wanted = new Set(keys);
  const lines = text.split(/\r?\n/);
  const taken: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const [, key, start] = ASSIGNMENT.exec(lines[index] as string) ?? [];
    if (key === undefined || start === undefined) continue;
    const last = envValue(start, lines, index)?.last ?? index;
    if (wanted.has(key)) taken.push(...lines.slice(index, last + 1));
    index = last;
  }
  return taken;
}

function collected(value: unknown): ParsedText {
  const keys: string[] = [];
  const values = new Map<string, string>();
  const deep = !collect(value, '', 0, keys, values);
  return deep ? failed('nested too deeply or too large', null) : { ok: true, keys, values };
}

function collect(value: unknown, path: string, depth: number, keys: string[], values: Map<string, string>): boolean {
  if (depth > MAX_DEPTH || keys.length > MAX_KEYS) return false;
  if (value === null || typeof value !== 'object' || value instanceof Date) {
    if (path !== '') values.set(path, String(value));
    return true;
  }
  for (const [key, inner] of Object.entries(value)) {
    const next = path === '' ? key : `${path}.${key}`;
    keys.push(next);
    if (!collect(inner, next, depth + 1, keys, values)) return false;
  }
  return true;
}
