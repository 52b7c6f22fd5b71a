// Turns what the schema says against a file into problems a person can act on: where it stands,
// what is wrong, and the nearest thing that would be right.

import * as z from 'zod';
import type { ConfigProblem } from './contract.ts';
import { nearest } from './nearest.ts';
import { fileSchema } from './schema.ts';
import type { Path, Place, YamlFile } from './yaml.ts';

type Issue = z.core.$ZodIssue;

/** The part of a JSON Schema that the hints need. */
interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | false;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
}

/** One problem for each thing that is wrong, in the order of the file. `schema` is what the file was checked against. */
export function describeIssues(
  issues: readonly Issue[],
  file: string | null,
  yaml: YamlFile,
  schema: z.ZodType = fileSchema,
): ConfigProblem[] {
  return issues
    .flatMap((issue) => describe(issue, [], yaml.data, schema))
    .map(({ path, at, message }) => ({
      ...placed(file, yaml.locate(path, at)),
      key: dotted(path),
      message,
    }))
    .sort(byPlace);
}

/** First things first: people mend a file from top to bottom. */
export function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** The start of every problem: file and place. */
export function placed(file: string | null, place: Place | null): Pick<ConfigProblem, 'file' | 'line' | 'column'> {
  return { file, line: place?.line ?? null, column: place?.column ?? null };
}

export const dotted = (path: Path): string => path.map(String).join('.');

interface Finding {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly message: string;
}

function describe(issue: Issue, base: Path, data: unknown, schema: z.ZodType): Finding[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  const finding = (message: string, at: 'key' | 'value' = 'value'): Finding[] => [{ path, at, message }];
  const name = dotted(path) || 'the file';
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], at: 'key', message: unknownKey(key, path, schema) }));
    case 'invalid_key':
      return finding(`${name}: ${issue.issues[0]?.message ?? 'not a key that may stand here'}`, 'key');
    case 'invalid_value':
      return finding(`${name}: ${notOneOf(valueAt(data, path), issue.values.map(String))}`);
    case 'invalid_type':
      return finding(`${name}: ${wrongType(issue, valueAt(data, path))}`);
    case 'invalid_union':
      return union(issue, path, data, schema) ?? finding(`${name}: ${unfit(issue, valueAt(data, path))}`);
    case 'too_small':
    case 'too_big':
      return finding(`${name}: ${outOfBounds(issue)}`);
    default:
      return finding(`${name}: ${isOurs(issue) ? issue.message : `cannot be ${kindOf(valueAt(data, path))}`}`);
  }
}

/** When one branch got further than the outermost value, its complaint is the useful one. */
function union(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  data: unknown,
  schema: z.ZodType,
): Finding[] | null {
  const deepest = issue.errors.find((branch) =>
    branch.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys' || inner.code === 'custom'),
  );
  return deepest ? deepest.flatMap((inner) => describe(inner, path, data, schema)) : null;
}

/** The library's own words speak of its types: nobody is shown them. */
const isOurs = ({ message }: Issue): boolean => !/^(?:Invalid|Too (?:small|big)|Unrecognized)\b/.test(message);

function unfit(issue: Issue, value: unknown): string {
  return isOurs(issue) ? `${issue.message}, found ${kindOf(value)}` : `cannot be ${kindOf(value)}`;
}

function outOfBounds(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>): string {
  if (isOurs(issue)) return issue.message;
  const [bound, word] = issue.code === 'too_small' ? [issue.minimum, 'at least'] : [issue.maximum, 'at most'];
  if (issue.origin === 'array') return `must hold ${word} ${bound} ${Number(bound) === 1 ? 'entry' : 'entries'}`;
  return issue.origin === 'string' ? `must have ${word} ${bound} characters` : `must be ${word} ${bound}`;
}

function wrongType(issue: Extract<Issue, { code: 'invalid_type' }>, value: unknown): string {
  if (value === undefined) return 'is required';
  if (isOurs(issue)) return `${issue.message}, found ${kindOf(value)}`;
  const expected = EXPECTED[issue.expected as keyof typeof EXPECTED] ?? issue.expected;
  return `expected ${expected}, found ${kindOf(value)}`;
}

const EXPECTED = {
  object: 'a block of keys',
  record: 'a block of keys',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
};

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value !== null && typeof value === 'object') return 'a block of keys';
  const shown = JSON.stringify(value);
  return `${typeof value === 'string' ? 'the text ' : ''}${shown.length > 60 ? `${shown.slice(0, 57)}…"` : shown}`;
}

function notOneOf(value: unknown, allowed: readonly string[]): string {
  const near = typeof value === 'string' ? nearest(value, allowed) : null;
  const hint = near === null ? '' : `; did you mean ${near}?`;
  return `${kindOf(value)} is not one of ${allowed.join(', ')}${hint}`;
}

function unknownKey(key: string, path: Path, schema: z.ZodType): string {
  const known = knownKeys(path, schema);
  const owner = path.length === 0 ? '' : ` in ${dotted(path)}`;
  const shown = JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key);
  const near = nearest(key, known);
  const elsewhere = placesOf(key, shape(schema));
  if (elsewhere.length > 0 && !(near !== null && near.toLowerCase() === key.toLowerCase()))
    return `unknown key ${shown}${owner}; it belongs to ${elsewhere[0]}`;
  if (near !== null) return `unknown key ${shown}${owner}; did you mean ${near}?`;
  return `unknown key ${shown}${owner}; known keys: ${known.join(', ')}`;
}

const shapes = new Map<z.ZodType, Shape>();
/** Only a wrong file pays for building it. */
function shape(schema: z.ZodType): Shape {
  const known = shapes.get(schema) ?? (z.toJSONSchema(schema, { io: 'input' }) as Shape);
  shapes.set(schema, known);
  return known;
}

/** Keys that may stand at this path. */
export function knownKeys(path: Path, schema: z.ZodType = fileSchema): string[] {
  let candidates: Shape[] = [shape(schema)];
  for (const step of path) candidates = candidates.flatMap(branches).flatMap((each) => child(each, step));
  return candidates.flatMap(branches).flatMap((each) => Object.keys(each.properties ?? {}));
}

const branches = (node: Shape): Shape[] => [node, ...(node.anyOf ?? []).flatMap(branches)];

function child(node: Shape, step: string | number): Shape[] {
  const found = typeof step === 'number' ? node.items : ownProperty(node, step);
  return found ? [found] : [];
}

function ownProperty(node: Shape, step: string): Shape | undefined {
  if (node.properties && Object.hasOwn(node.properties, step)) return node.properties[step];
  return node.additionalProperties || undefined;
}

/** Dotted blocks in which a key of exactly this name is known. */
function placesOf(key: string, node: Shape, path: readonly string[] = []): string[] {
  const own = path.length > 0 && node.properties && Object.hasOwn(node.properties, key) ? [path.join('.')] : [];
  const named = Object.entries(node.properties ?? {}).flatMap(([name, inner]) => placesOf(key, inner, [...path, name]));
  const free = node.additionalProperties ? placesOf(key, node.additionalProperties, [...path, 'NAME']) : [];
  return [...own, ...named, ...free];
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
