// YAML text in, plain data out, with the place of every key kept: an error must be able to
// say line and column. Never throws, whatever the text is.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';

export interface Place {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

export interface Complaint {
  readonly path: Path;
  readonly place: Place | null;
  readonly message: string;
}

export interface YamlFile {
  /** Plain data; empty when `complaints` has any. */
  readonly data: unknown;
  readonly complaints: readonly Complaint[];
  /** Where a value stands, or its key with `at: 'key'`; the nearest enclosing place when it is not there. */
  locate(path: Path, at?: 'key' | 'value'): Place | null;
}

/** References to the same anchor beyond this are an attack or a mistake. */
const MAX_ALIASES = 100;
/** A megabyte of configuration is not configuration. */
const MAX_BYTES = 1024 * 1024;

/** Parses one YAML document. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const none = { data: undefined, locate: () => null };
  const complain = (message: string, place: Place | null = null): YamlFile => ({
    ...none,
    complaints: [{ path: [], place, message }],
  });
  if (text.length > MAX_BYTES) return complain('the file is larger than 1 MiB');
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
    const complaints = [...syntaxErrors(document, place), ...cycles(document, place)];
    if (complaints.length > 0) return { ...none, complaints };
    const data: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return { data, complaints: [], locate: (path, at) => locate(document, path, at ?? 'value', place) };
  } catch (error) {
    return complain(error instanceof Error ? error.message : String(error));
  }
}

function syntaxErrors(document: Document.Parsed, place: (offset: number) => Place): Complaint[] {
  return document.errors.map((error) => ({ path: [], place: place(error.pos[0]), message: tidy(error.message) }));
}

/** The library's texts begin in upper case and some end with a place of their own. */
function tidy(message: string): string {
  const first = message.split('\n')[0] ?? message;
  return first.charAt(0).toLowerCase() + first.slice(1).replace(/ at line \d+, column \d+:?$/, '');
}

/** An anchor that contains itself has no end: refused before anybody walks it. */
function cycles(document: Document.Parsed, place: (offset: number) => Place): Complaint[] {
  const found: Complaint[] = [];
  visit(document, {
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document);
      if (target && (ancestors as readonly unknown[]).includes(target))
        found.push({
          path: [],
          place: alias.range ? place(alias.range[0]) : null,
          message: `the alias *${alias.source} contains itself`,
        });
    },
  });
  return found;
}

function locate(
  document: Document.Parsed,
  path: Path,
  at: 'key' | 'value',
  place: (offset: number) => Place,
): Place | null {
  let node: unknown = document.contents;
  let best: Node | null = isNode(node) ? node : null;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const key: unknown = isMap(node) ? keyNode(node, step) : null;
    const value: unknown = isMap(node) || isSeq(node) ? node.get(step, true) : null;
    if (isNode(key)) best = key;
    else if (isNode(value)) best = value;
    const last = index === path.length - 1;
    if (last && at === 'value' && isNode(value) && value.range && value.range[1] > value.range[0]) best = value;
    node = value;
  }
  return best?.range ? place(best.range[0]) : null;
}

function keyNode(map: YAMLMap, key: string | number): unknown {
  return map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key))?.key;
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value);
}
