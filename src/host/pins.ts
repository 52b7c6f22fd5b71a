// Collects what a Python project pins, from lock files and manifests, and chooses the one
// requirement that speaks for a module. Files outside the project count for nothing.

import { satisfies } from '@renovatebot/pep440';
import { parse as parseToml } from 'smol-toml';
import { dirname, join, relative, resolve } from 'node:path';
import type { FileProbe, Pin, PinChoice } from './contract.ts';
import {
  exactVersion,
  isDistributionName,
  normalizeName,
  parseRequirement,
  parseRequirements,
  type RequirementPin,
} from './requirements.ts';

export interface ProjectPins {
  readonly pins: readonly RequirementPin[];
  /** `requirements.txt: https://…`: places besides the index that project files name. */
  readonly indexes: readonly string[];
}

const LOCKS = ['poetry.lock', 'uv.lock', 'pylock.toml', 'Pipfile.lock'] as const;
const MOST_FILES = 40;
const MAX_BYTES = 16 * 1024 * 1024;

/** Everything the project's own files pin. Unreadable or broken files pin nothing. */
export async function collectPins(files: FileProbe, directory: string): Promise<ProjectPins> {
  const collected: Collected = { pins: [], indexes: [], constraints: new Map(), seen: new Set() };
  const names = await files.list(directory);
  for (const name of names.filter(isRequirementsFile)) await readRequirements(files, directory, name, collected);
  for (const name of await files.glob(directory, ['requirements/*.txt'])) {
    await readRequirements(files, directory, relative(directory, resolve(directory, name)), collected);
  }
  for (const name of ['pyproject.toml', ...LOCKS]) {
    if (!names.includes(name)) continue;
    const text = await files.text(join(directory, name), MAX_BYTES);
    if (text !== null) readProjectFile(name, text, collected);
  }
  return { pins: collected.pins.map((pin) => constrained(pin, collected.constraints)), indexes: collected.indexes };
}

interface Collected {
  readonly pins: RequirementPin[];
  readonly indexes: string[];
  /** Exact versions that constraint files ask for, by normalized name. */
  readonly constraints: Map<string, string>;
  readonly seen: Set<string>;
}

function isRequirementsFile(name: string): boolean {
  return /^(?:[\w.-]*[-_.])?requirements(?:[-_.][\w.-]*)?\.(?:txt|in)$/.test(name);
}

/** One requirements file and what it includes. `name` is relative to the project. */
async function readRequirements(files: FileProbe, root: string, name: string, into: Collected): Promise<void> {
  const path = await files.inside(root, join(root, name));
  if (path === null || into.seen.has(path) || into.seen.size >= MOST_FILES) return;
  into.seen.add(path);
  const text = await files.text(path, MAX_BYTES);
  if (text === null) return;
  const parsed = parseRequirements(text, name);
  into.pins.push(...parsed.pins);
  into.indexes.push(...parsed.indexes.map((index) => `${name}: ${index}`));
  for (const included of parsed.includes) await readRequirements(files, root, join(dirname(name), included), into);
  for (const other of parsed.constraints) await readConstraints(files, root, join(dirname(name), other), into);
}

async function readConstraints(files: FileProbe, root: string, name: string, into: Collected): Promise<void> {
  const path = await files.inside(root, join(root, name));
  const text = path === null ? null : await files.text(path, MAX_BYTES);
  for (const pin of text === null ? [] : parseRequirements(text, name).pins) {
    if (pin.version !== null && pin.kind === 'registry') into.constraints.set(normalizeName(pin.name), pin.version);
  }
}

/** A constraint file narrows what something else requires; by itself it requires nothing. */
function constrained(pin: RequirementPin, constraints: ReadonlyMap<string, string>): RequirementPin {
  const version = constraints.get(normalizeName(pin.name));
  if (version === undefined || pin.version !== null || pin.kind !== 'registry') return pin;
  return pin.range === null || pin.range === '' || satisfies(version, pin.range, { prereleases: true })
    ? { ...pin, version, range: null }
    : pin;
}

function readProjectFile(name: string, text: string, into: Collected): void {
  let data: unknown;
  try {
    data = name === 'Pipfile.lock' ? JSON.parse(text) : parseToml(text);
  } catch {
    return;
  }
  if (name === 'pyproject.toml') into.pins.push(...manifestPins(data, text));
  else if (name === 'Pipfile.lock') into.pins.push(...pipfilePins(data, text));
  else into.pins.push(...lockPins(data, text, name));
}

type Table = Readonly<Record<string, unknown>>;

function table(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((node, key) => table(node)[key], value);
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [];
}

// ---------------------------------------------------------------- pyproject.toml

function manifestPins(data: unknown, text: string): readonly RequirementPin[] {
  const lists = [
    at(data, 'project', 'dependencies'),
    ...Object.values(table(at(data, 'project', 'optional-dependencies'))),
    ...Object.values(table(at(data, 'dependency-groups'))),
  ];
  const sources = table(at(data, 'tool', 'uv', 'sources'));
  const standard = lists.flatMap(strings).flatMap((line) => {
    const parsed = parseRequirement(line);
    if (parsed === null) return [];
    const kind = parsed.kind === 'registry' ? sourceKind(lookUp(sources, parsed.name)) : parsed.kind;
    return [{ ...parsed, kind, hashes: [], file: 'pyproject.toml', line: lineOf(text, line) }];
  });
  const poetry = [
    at(data, 'tool', 'poetry', 'dependencies'),
    ...Object.values(table(at(data, 'tool', 'poetry', 'group'))).map((group) => at(group, 'dependencies')),
  ];
  return [...standard, ...poetry.flatMap((group) => poetryPins(table(group), text))];
}

function lookUp(sources: Table, name: string): unknown {
  return Object.entries(sources).find(([key]) => normalizeName(key) === normalizeName(name))?.[1];
}

/** Where uv, poetry or pipenv fetch one dependency from. */
function sourceKind(source: unknown): Pin['kind'] {
  const keys = Array.isArray(source) ? source.flatMap((s) => Object.keys(table(s))) : Object.keys(table(source));
  if (keys.includes('git')) return 'vcs';
  if (keys.includes('editable')) return 'editable';
  if (keys.some((key) => ['path', 'workspace', 'directory', 'virtual', 'file'].includes(key))) return 'path';
  return keys.some((key) => ['url', 'index'].includes(key)) ? 'url' : 'registry';
}

function poetryPins(group: Table, text: string): readonly RequirementPin[] {
  return Object.entries(group).flatMap(([name, value]) => {
    if (name === 'python' || !isDistributionName(name)) return [];
    const written = typeof value === 'string' ? value : at(value, 'version');
    const range = typeof written === 'string' ? poetryRange(written) : null;
    const version = range === null ? null : exactVersion(range);
    const kind = typeof value === 'string' ? 'registry' : sourceKind(value);
    if (kind === 'registry' && range === null) return [];
    const line = lineOf(text, name);
    return [
      {
        name,
        version,
        range: version === null ? range : null,
        hashes: [],
        file: 'pyproject.toml',
        line,
        kind,
        marker: null,
      },
    ];
  });
}

/**
 * Poetry's own constraint syntax as a PEP 440 range; null where it has none (`||`).
 *
 * @example
 * poetryRange('^1.2'); // '>=1.2,<2'
 */
export function poetryRange(written: string): string | null {
  const parts = written.split(',').map((part) => poetryClause(part.trim()));
  return parts.includes(null) ? null : parts.filter((part) => part !== '').join(',');
}

function poetryClause(clause: string): string | null {
  if (clause === '*') return '';
  const caret = /^\^\s*(\d+(?:\.\d+)*)$/.exec(clause);
  if (caret) return `>=${caret[1]},<${afterCaret((caret[1] ?? '').split('.').map(Number))}`;
  const tilde = /^~\s*(\d+(?:\.\d+)*)$/.exec(clause);
  if (tilde) {
    const [major = 0, minor] = (tilde[1] ?? '').split('.').map(Number);
    return `>=${tilde[1]},<${minor === undefined ? major + 1 : `${major}.${minor + 1}`}`;
  }
  const parsed = parseRequirement(`x${/^[\d]/.test(clause) ? `==${clause}` : clause}`);
  return parsed === null ? null : (parsed.range ?? `==${parsed.version}`);
}

/** `^0.2.3` allows no change left of the first number that is not zero. */
function afterCaret(numbers: readonly number[]): string {
  const first = numbers.findIndex((n) => n > 0);
  const index = first < 0 ? numbers.length - 1 : first;
  return numbers
    .slice(0, index + 1)
    .map((n, i) => (i === index ? n + 1 : n))
    .join('.');
}

// ---------------------------------------------------------------- lock files

/** poetry.lock, uv.lock and pylock.toml: a list of packages with a version, files and a source. */
function lockPins(data: unknown, text: string, file: string): readonly RequirementPin[] {
  const listed = at(data, 'package') ?? at(data, 'packages');
  const packages = Array.isArray(listed) ? listed.map(table) : [];
  return packages.flatMap((entry) => {
    const { name, version } = entry;
    if (typeof name !== 'string' || typeof version !== 'string' || !isDistributionName(name)) return [];
    if (exactVersion(`==${version}`) === null) return [];
    const kind = lockKind(entry);
    return [
      {
        name,
        version,
        range: null,
        hashes: hashesOf(entry),
        file,
        line: lineOf(text, `name = "${name}"`),
        kind,
        marker: null,
      },
    ];
  });
}

function lockKind(entry: Table): Pin['kind'] {
  const source = table(entry['source']);
  const type = source['type'];
  if (type === 'git' || entry['vcs'] !== undefined) return 'vcs';
  if (type === 'directory' || type === 'file' || entry['directory'] !== undefined) return 'path';
  if (type === 'url' || entry['archive'] !== undefined) return 'url';
  return type === 'legacy' || 'registry' in source ? 'registry' : sourceKind(source);
}

/** Hashes as poetry (`files[].hash`), uv (`wheels[].hash`) and PEP 751 (`wheels[].hashes.sha256`) write them. */
function hashesOf(entry: Table): readonly string[] {
  const lists = [entry['files'], entry['wheels'], entry['sdist'] === undefined ? [] : [entry['sdist']]];
  return lists
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .flatMap((file) => {
      const direct = at(file, 'hash');
      const inner = at(file, 'hashes', 'sha256');
      if (typeof direct === 'string' && direct.startsWith('sha256:')) return [direct.toLowerCase()];
      return typeof inner === 'string' ? [`sha256:${inner.toLowerCase()}`] : [];
    });
}

function pipfilePins(data: unknown, text: string): readonly RequirementPin[] {
  const entries = ['default', 'develop'].flatMap((group) => Object.entries(table(at(data, group))));
  return entries.flatMap(([name, value]) => {
    if (!isDistributionName(name)) return [];
    const written = at(value, 'version');
    const version = typeof written === 'string' ? exactVersion(written) : null;
    const located = ['git', 'path', 'file', 'editable', 'url'].filter((key) => key in table(value));
    const kind = located.length === 0 ? 'registry' : sourceKind(Object.fromEntries(located.map((key) => [key, true])));
    if (kind === 'registry' && version === null) return [];
    const hashes = strings(at(value, 'hashes')).filter((hash) => hash.startsWith('sha256:'));
    return [
      { name, version, range: null, hashes, file: 'Pipfile.lock', line: lineOf(text, `"${name}"`), kind, marker: null },
    ];
  });
}

/** Where a person finds it. Line 1 when the text spells it in another way. */
function lineOf(text: string, needle: string): number {
  const index = text.indexOf(needle);
  return index < 0 ? 1 : text.slice(0, index).split('\n').length;
}

// ---------------------------------------------------------------- the choice

/** A choice that the project's own files alone can give. */
export type ProjectChoice = Exclude<PinChoice, { readonly kind: 'required' }>;

/**
 * The one plain requirement that names a candidate. Lock files beat manifests, exact versions beat
 * ranges, and a project that contradicts itself is never interpreted.
 */
export function choosePin(pins: readonly Pin[], candidates: readonly string[]): ProjectChoice {
  const wanted = new Set(candidates.map(normalizeName));
  const named = pins.filter((pin) => wanted.has(normalizeName(pin.name)));
  const [first] = named;
  if (first === undefined) return { kind: 'none', nearMisses: nearMisses(pins, [...wanted]) };
  const names = [...new Set(named.map((pin) => normalizeName(pin.name)))];
  if (names.length > 1) return unclear(`the project requires ${names.join(' and ')}, and either could provide it`);
  const located = named.find((pin) => pin.kind !== 'registry');
  if (located) return unclear(`${located.file}:${located.line} takes ${located.name} from ${SOURCE[located.kind]}`);
  return chooseVersion(named, first);
}

const SOURCE = {
  url: 'an address of its own',
  vcs: 'a repository',
  path: 'a folder or file',
  editable: 'an editable folder',
  registry: 'the index',
} as const satisfies Record<Pin['kind'], string>;

function unclear(reason: string): ProjectChoice {
  return { kind: 'unclear', reason };
}

function chooseVersion(named: readonly Pin[], first: Pin): ProjectChoice {
  const locked = named.filter((pin) => pin.version !== null && (LOCKS as readonly string[]).includes(pin.file));
  const exact = locked.length > 0 ? locked : named.filter((pin) => pin.version !== null);
  const [pin] = exact;
  const ranges = named.flatMap((p) => (p.range ? [p.range] : []));
  if (pin === undefined) return { kind: 'pinned', pin: first, constraint: [...new Set(ranges)].join(','), hashes: [] };
  const other = exact.find((p) => !satisfies(p.version ?? '', `==${pin.version}`, { prereleases: true }));
  if (other)
    return unclear(`${pin.file} pins ${pin.name} ${pin.version}, ${other.file}:${other.line} pins ${other.version}`);
  const broken = ranges.find((range) => !satisfies(pin.version ?? '', range, { prereleases: true }));
  if (broken) return unclear(`${pin.file} pins ${pin.name} ${pin.version}, which the project's own ${broken} excludes`);
  const hashes = [...new Set(exact.flatMap((p) => p.hashes))];
  return { kind: 'pinned', pin, constraint: `==${pin.version}`, hashes };
}

const NEAR = 2;

/** Names of the project that differ by a typing error, or contain one another. */
export function nearMisses(pins: readonly Pin[], wanted: readonly string[]): readonly string[] {
  const names = [...new Set(pins.map((pin) => normalizeName(pin.name)))];
  return names
    .filter((name) => wanted.some((w) => name.includes(w) || w.includes(name) || distance(name, w) <= NEAR))
    .slice(0, 5);
}

/** Levenshtein distance, given up early for names of very different length. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > NEAR) return NEAR + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? NEAR + 1;
}
