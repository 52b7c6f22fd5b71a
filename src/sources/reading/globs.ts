// Which files a set of patterns means, now. Walks only the directories that can hold a match, and
// names those directories: a change in one of them is a reason to look again.

import { type Dirent, lstatSync, readdirSync, statSync } from 'node:fs';
import picomatch from 'picomatch';
import { type BytePath, fromText, join, onDisk, shown } from './byte-path.ts';

export interface Matches {
  /** In the order of their names. Files named without wildcards are listed even if absent. */
  readonly files: ReadonlySet<BytePath>;
  readonly directories: ReadonlySet<BytePath>;
}

/** A pattern like `/` + `**` would otherwise walk the whole machine. */
const MAX_DIRECTORIES = 20_000;

type Segment =
  | { readonly kind: 'name'; readonly name: BytePath }
  | { readonly kind: 'wild'; readonly matches: (name: string) => boolean }
  | { readonly kind: 'deep' };

export class Globs {
  readonly #patterns: readonly (readonly Segment[])[];
  readonly #literal: ReadonlySet<BytePath>;
  readonly #ignored: (path: string) => boolean;

  /** Absolute patterns: `*`, `?`, `[a-z]`, `{a,b}`, `**` for any depth. */
  constructor(patterns: readonly string[], ignore: readonly string[]) {
    const expanded = patterns.flatMap(expandBraces);
    this.#patterns = expanded.map((pattern) => pattern.split('/').filter(Boolean).map(segment));
    this.#literal = new Set(expanded.filter((pattern) => !isWild(pattern)).map(fromText));
    this.#ignored = ignore.length ? picomatch([...ignore], { dot: true }) : () => false;
  }

  /** Named without wildcards: the owner expects it to be there. */
  isLiteral(path: BytePath): boolean {
    return this.#literal.has(path);
  }

  find(): Matches {
    const walk: Walk = { files: new Set(), directories: new Set() };
    for (const path of this.#literal) walk.files.add(path);
    for (const segments of this.#patterns) step('/', segments, walk);
    const files = [...walk.files].filter((path) => !this.#ignored(shown(path)));
    return { files: new Set(files.sort()), directories: walk.directories };
  }
}

interface Walk {
  readonly files: Set<BytePath>;
  readonly directories: Set<BytePath>;
}

function step(directory: BytePath, segments: readonly Segment[], walk: Walk): void {
  const [first, ...rest] = segments;
  if (!first || walk.directories.size > MAX_DIRECTORIES) return;
  if (first.kind === 'name') {
    const path = join(directory, first.name);
    if (rest.length > 0) return step(path, rest, walk);
    if (isDirectory(directory)) walk.directories.add(directory);
    if (lstatSync(onDisk(path), { throwIfNoEntry: false })) walk.files.add(path);
    return;
  }
  if (first.kind === 'deep') step(directory, rest, walk);
  if (isDirectory(directory)) walk.directories.add(directory);
  for (const entry of list(directory)) {
    const path = join(directory, entry.name);
    if (first.kind === 'deep') {
      // Links are not followed downwards: they may lead round in circles.
      if (entry.isDirectory() && !entry.name.startsWith('.')) step(path, segments, walk);
    } else if (first.matches(shown(entry.name))) {
      if (rest.length > 0) step(path, rest, walk);
      else if (!entry.isDirectory()) walk.files.add(path);
    }
  }
}

function isWild(pattern: string): boolean {
  return picomatch.scan(pattern).isGlob;
}

function segment(text: string): Segment {
  if (text === '**') return { kind: 'deep' };
  if (!isWild(text)) return { kind: 'name', name: fromText(text.replace(/\\(.)/g, '$1')) };
  return { kind: 'wild', matches: picomatch(text) };
}

/** `{a,b/c}` may stand across directories: one pattern for each choice. */
function expandBraces(pattern: string): string[] {
  const match = /\{([^{}]*,[^{}]*)\}/.exec(pattern);
  if (!match) return [pattern];
  const [all, choices = ''] = match;
  return choices
    .split(',')
    .flatMap((choice) =>
      expandBraces(pattern.slice(0, match.index) + choice + pattern.slice(match.index + all.length)),
    );
}

function list(directory: BytePath): Dirent[] {
  try {
    return readdirSync(onDisk(directory), { withFileTypes: true, encoding: 'latin1' });
  } catch {
    return [];
  }
}

function isDirectory(path: BytePath): boolean {
  try {
    return statSync(onDisk(path)).isDirectory();
  } catch {
    return false;
  }
}
