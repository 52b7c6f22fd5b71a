// `${NAME}` and `${NAME:-fallback}` in texts of the configuration are replaced by variables of the
// environment. `$${` is a literal `${`. One pass: what a variable holds is never looked at again.

import type { Path } from './yaml.ts';

const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export interface MissingReference {
  readonly path: Path;
  /** Null when the text between the braces is no name at all. */
  readonly name: string | null;
  readonly text: string;
}

export interface Expanded {
  readonly data: unknown;
  readonly missing: readonly MissingReference[];
}

/** A copy of the data with references replaced, empty values left out, and the list of variables that are not set. */
export function expandReferences(data: unknown, environment: Readonly<Record<string, string | undefined>>): Expanded {
  const missing: MissingReference[] = [];
  const expand = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return expandText(value, path, environment, missing);
    if (Array.isArray(value)) return value.map((item, index) => expand(item, [...path, index]));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== null)
        .map(([key, item]) => [key, expand(item, [...path, key])]),
    );
  };
  return { data: expand(data, []), missing };
}

function expandText(
  text: string,
  path: Path,
  environment: Readonly<Record<string, string | undefined>>,
  missing: MissingReference[],
): string {
  if (!text.includes('${')) return text;
  return text.replace(REFERENCE, (whole, inside: string | undefined) => {
    if (inside === undefined) return '${';
    const [, name, fallback] = NAME.exec(inside) ?? [];
    const value = name === undefined ? undefined : Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && value !== '') return value;
    if (fallback !== undefined) return fallback;
    if (value === undefined) missing.push({ path, name: name ?? null, text: whole });
    return value ?? whole;
  });
}
