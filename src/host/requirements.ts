// Reads a requirements file the way pip does, but only to learn what the project pins. It never
// guesses: a line that is not plainly understood gives no pin.

import { parse as parseVersion, validRange } from '@renovatebot/pep440';
import type { Pin } from './contract.ts';

/** A pin that may hold only for some interpreters. */
export interface RequirementPin extends Pin {
  /** Environment marker after `;`, not evaluated. */
  readonly marker: string | null;
}

export interface ParsedRequirements {
  readonly pins: readonly RequirementPin[];
  /** Files named by `-r`, as written. */
  readonly includes: readonly string[];
  /** Files named by `-c`, as written. */
  readonly constraints: readonly string[];
  /** Places besides the index that the file sends pip to. */
  readonly indexes: readonly string[];
}

const LONGEST_LINE = 20_000;
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?![A-Za-z0-9._-])/;
const HASH = /(?:^|\s)--hash[=\s]\s*(sha256:[0-9a-fA-F]{64}|[a-z0-9_]+:[0-9a-fA-F]+)/g;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const VCS = /^(?:git|hg|svn|bzr)(?:\+|:)/i;

/** PEP 503: how names of distributions are compared. */
export function normalizeName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** True for a name that an index can hold: ASCII letters, digits, `-`, `_`, `.`. */
export function isDistributionName(name: string): boolean {
  return name.length <= 200 && NAME.exec(name)?.[0] === name;
}

/**
 * What one requirements file says.
 *
 * @example
 * parseRequirements('wordtrim==1.2.0  # words\n', 'requirements.txt').pins[0]?.version; // '1.2.0'
 */
export function parseRequirements(text: string, file: string): ParsedRequirements {
  const pins: RequirementPin[] = [];
  const includes: string[] = [];
  const constraints: string[] = [];
  const indexes: string[] = [];
  for (const { text: line, number } of logicalLines(text)) {
    const option = optionOf(line);
    if (option === null) pins.push(...requirement(line, file, number));
    else if (option.name === 'requirement') includes.push(option.value);
    else if (option.name === 'constraint') constraints.push(option.value);
    else if (option.name === 'editable') pins.push(...located(option.value, file, number, true));
    else if (option.name === 'index') indexes.push(option.value);
  }
  return { pins, includes, constraints, indexes };
}

/** Options of pip that matter here; all others change nothing about what is pinned. */
const OPTIONS: Readonly<Record<string, string>> = {
  '-r': 'requirement',
  '--requirement': 'requirement',
  '-c': 'constraint',
  '--constraint': 'constraint',
  '-e': 'editable',
  '--editable': 'editable',
  '-i': 'index',
  '--index-url': 'index',
  '-f': 'index',
  '--find-links': 'index',
  '--extra-index-url': 'index',
};

/** A line that is an option: `-r base.txt`, `-rbase.txt`, `--requirement=base.txt`. Null for a requirement. */
function optionOf(line: string): { readonly name: string; readonly value: string } | null {
  if (!line.startsWith('-')) return null;
  const match = /^(--[A-Za-z-]+|-[A-Za-z])(?:\s*=\s*|\s+)?(.*)$/.exec(line);
  return { name: OPTIONS[match?.[1] ?? ''] ?? 'other', value: (match?.[2] ?? '').trim() };
}

/** Lines with `\` continuations joined and comments gone, numbered by their first line. */
function logicalLines(text: string): readonly { readonly text: string; readonly number: number }[] {
  const lines: { text: string; number: number }[] = [];
  let open: { text: string; number: number } | null = null;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const isComment = /^\s*#/.test(raw);
    const current: { readonly text: string; readonly number: number } = open ?? { text: '', number: index + 1 };
    if (raw.endsWith('\\') && !isComment) {
      open = { text: current.text + raw.slice(0, -1), number: current.number };
      continue;
    }
    // pip ends a continuation at a comment line, and drops the comment.
    lines.push({ text: current.text + (isComment ? '' : raw), number: current.number });
    open = null;
  }
  if (open) lines.push(open);
  return lines
    .map(({ text: line, number }) => ({ text: line.replace(/(?:^|\s+)#.*$/, '').trim(), number }))
    .filter(({ text: line }) => line !== '' && line.length <= LONGEST_LINE);
}

function requirement(line: string, file: string, number: number): readonly RequirementPin[] {
  if (line.includes('${')) return [];
  const hashes = [...line.matchAll(HASH)].map((m) => (m[1] ?? '').toLowerCase());
  const bare = line.replace(/\s--?[A-Za-z].*$/, '').trim();
  if (!/^[^\s@]+\s*@/.test(bare) && isLocation(bare)) return located(bare, file, number, false);
  const parsed = parseRequirement(bare);
  if (parsed === null) return [];
  return [{ ...parsed, hashes, file, line: number }];
}

/** An address, a path or a file of a distribution: pip would fetch or build exactly that. */
function isLocation(text: string): boolean {
  return SCHEME.test(text) || /^[./~\\]/.test(text) || /\.(?:whl|zip|tgz|tar\.[a-z0-9]+)(?:[\s;[]|$)/i.test(text);
}

/**
 * One PEP 508 requirement; null when it is none.
 *
 * @example
 * parseRequirement('uvicorn[standard]>=0.20,<1; python_version >= "3.9"')?.range; // '>=0.20,<1'
 */
export function parseRequirement(
  text: string,
): Pick<RequirementPin, 'name' | 'version' | 'range' | 'kind' | 'marker'> | null {
  const name = NAME.exec(text)?.[0];
  if (name === undefined || name.length > 200) return null;
  const rest = text
    .slice(name.length)
    .replace(/^\s*\[[A-Za-z0-9._,\s-]*\]/, '')
    .trim();
  if (rest.startsWith('@')) {
    return { name, version: null, range: null, kind: kindOf(rest.slice(1).trim()), marker: null };
  }
  const semicolon = rest.indexOf(';');
  const marker = semicolon < 0 ? null : rest.slice(semicolon + 1).trim();
  const written = (semicolon < 0 ? rest : rest.slice(0, semicolon)).trim();
  const range = /^\(.*\)$/.test(written) ? written.slice(1, -1).trim() : written;
  if (range !== '' && !isRange(range)) return null;
  return {
    name,
    version: exactVersion(range),
    range: exactVersion(range) === null ? range : null,
    kind: 'registry',
    marker,
  };
}

function isRange(range: string): boolean {
  return /^[<>=!~0-9A-Za-z.*+,_\s-]+$/.test(range) && validRange(range);
}

/** The version of a range that allows exactly one, else null. */
export function exactVersion(range: string): string | null {
  const match = /^={2,3}\s*([0-9A-Za-z.+!_-]+)$/.exec(range.trim());
  const version = match?.[1];
  return version !== undefined && parseVersion(version) !== null ? version : null;
}

/** A requirement that says where to fetch from: known by name at most, never installed unasked. */
function located(text: string, file: string, number: number, editable: boolean): readonly RequirementPin[] {
  const named = /#(?:.*&)?egg=([A-Za-z0-9._-]+)/.exec(text)?.[1] ?? /([A-Za-z0-9._]+)-\d[^/\\]*\.whl/.exec(text)?.[1];
  if (named === undefined || !isDistributionName(named)) return [];
  const kind = editable ? 'editable' : kindOf(text);
  return [{ name: named, version: null, range: null, hashes: [], file, line: number, kind, marker: null }];
}

function kindOf(text: string): Pin['kind'] {
  if (VCS.test(text)) return 'vcs';
  if (/^file:/i.test(text) || !SCHEME.test(text)) return 'path';
  return 'url';
}
