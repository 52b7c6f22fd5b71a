// The layer table of docs/architecture.md, enforced: reads every import of src/ and compares.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const SOURCES = fileURLToPath(new URL('../src', import.meta.url));

interface Import {
  readonly from: string;
  /** Path below src/, `node:…`, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
  /** `import()`: loaded only when it is called. */
  readonly lazy: boolean;
}

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !/\.(?:test|long\.test)\.ts$/.test(path))
  .sort();
const trees = new Map(files.map((path) => [path, parse(path)]));
const imports = files.flatMap(importsOf);

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(join(SOURCES, path), 'utf8'), ts.ScriptTarget.ES2023, true);
}

function importsOf(from: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean, lazy: boolean): void => {
    if (specifier && ts.isStringLiteral(specifier))
      found.push({ from, to: target(from, specifier.text), typeOnly, lazy });
  };
  visit(tree(from), (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause), false);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly, false);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false, true);
  });
  return found;
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false;
  if (clause.isTypeOnly) return true;
  const names = clause.namedBindings;
  return !clause.name && !!names && ts.isNamedImports(names) && names.elements.every((element) => element.isTypeOnly);
}

function target(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return relative(SOURCES, resolve(SOURCES, dirname(from), specifier));
}

function tree(path: string): ts.SourceFile {
  const found = trees.get(path);
  if (!found) throw new Error(`no such file: ${path}`);
  return found;
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => visit(child, look));
}

/** The folder directly below src/, or the file itself where it stands there. */
const areaOf = (path: string): string => path.split('/')[0] as string;
const isOwn = (path: string): boolean => !path.startsWith('node:') && trees.has(path);
const isContract = (path: string): boolean => /(?:^|\/)contract\.ts$/.test(path);

/** Who may import whom: areas below src/, besides the area itself. `types` may be imported as types only. */
const TABLE: Readonly<Record<string, { readonly values: readonly string[]; readonly types?: readonly string[] }>> = {
  core: { values: [] },
  config: { values: ['core'], types: ['host'] },
  telemetry: { values: ['core'] },
  host: { values: ['core', 'config'], types: ['store', 'sources'] },
  store: { values: ['core'] },
  sources: { values: ['core'], types: ['config', 'host', 'store'] },
  rules: { values: ['core'] },
  fixes: { values: ['core'], types: ['host', 'store', 'testing'] },
  notifiers: { values: ['core', 'config'], types: ['store'] },
  engine: {
    values: ['core', 'config', 'store', 'rules', 'fixes'],
    types: ['host', 'sources', 'notifiers', 'answers.ts', 'hands', 'telemetry', 'operations.ts'],
  },
  hands: { values: ['core', 'host', 'store'], types: ['config'] },
  'answers.ts': { values: [], types: ['core', 'store', 'engine'] },
  asking: { values: ['core', 'engine', 'store'], types: ['answers.ts', 'config', 'host', 'operations.ts', 'fixes'] },
  'operations.ts': { values: ['core', 'asking'], types: ['answers.ts', 'engine', 'store'] },
  chat: {
    values: ['core', 'config', 'telemetry', 'notifiers'],
    types: ['operations.ts', 'answers.ts', 'store'],
  },
  gateway: { values: ['core', 'config', 'telemetry'], types: ['answers.ts', 'operations.ts'] },
  cli: { values: ['core', 'config', 'telemetry', 'chat'], types: ['operations.ts', 'answers.ts', 'store'] },
};

it('reads the real sources', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(imports.filter(({ to }) => isOwn(to)).length).toBeGreaterThan(500);
  const knot = (from: string, to: string): Import => ({ from, to, typeOnly: false, lazy: false });
  expect(cycles([knot('app.ts', 'scan.ts'), knot('scan.ts', 'app.ts')])).toEqual([['app.ts', 'scan.ts', 'app.ts']]);
});

describe('the layers', () => {
  it('are kept by every import', () => {
    const broken = imports
      .filter(({ from, to }) => isOwn(to) && areaOf(from) in TABLE && areaOf(from) !== areaOf(to))
      .filter(({ from, to, typeOnly }) => {
        const { values, types = [] } = TABLE[areaOf(from)] ?? { values: [] };
        if (values.includes(areaOf(to))) return false;
        return !(types.includes(areaOf(to)) && (typeOnly || isContract(to)));
      });
    expect(broken.map(({ from, to, typeOnly }) => `${from} imports ${typeOnly ? 'types of ' : ''}${to}`)).toEqual([]);
  });

  it('name every folder: a new one needs a row here and a sentence in docs/architecture.md', () => {
    const composition = ['demo', 'testing', ...files.filter((path) => !path.includes('/'))];
    const page = readFileSync(join(SOURCES, '../docs/architecture.md'), 'utf8');
    const areas = [...new Set(files.map(areaOf))];
    expect(areas.filter((area) => !(area in TABLE) && !composition.includes(area))).toEqual([]);
    expect(areas.filter((area) => !area.endsWith('.ts') && !page.includes(`\`${area}/\``))).toEqual([]);
  });

  it('have no import cycle, not even of types', () => {
    expect(cycles(imports.filter(({ to, lazy }) => isOwn(to) && !lazy))).toEqual([]);
  });

  it('let core import nothing, not even Node', () => {
    expect(imports.filter(({ from, to }) => areaOf(from) === 'core' && areaOf(to) !== 'core')).toEqual([]);
  });

  it('let a rule do no input or output', () => {
    expect(imports.filter(({ from, to }) => areaOf(from) === 'rules' && !isOwn(to))).toEqual([]);
  });

  it('let a fix see the machine only through its probe', () => {
    const bad = /^(?:node:)?(?:child_process|fs|fs\/promises|net|http|https|dgram|worker_threads|os|cluster)$/;
    expect(imports.filter(({ from, to }) => areaOf(from) === 'fixes' && bad.test(to))).toEqual([]);
    const isFix = (path: string): boolean => areaOf(path) === 'fixes';
    expect(calls(/^(?:fetch|WebSocket|eval|Function|require)$/, isFix)).toEqual([]);
    expect(members('process', /^(?:env|kill|exit|cwd|binding|dlopen|getBuiltinModule)$/, isFix)).toEqual([]);
  });

  it('let only host start programs', () => {
    const allowed = /^(?:host|testing)\//;
    const starts = imports.filter(({ to, from }) => /^(?:node:)?child_process$/.test(to) && !allowed.test(from));
    expect(starts.map(({ from }) => from)).toEqual([]);
  });
});

describe('the catalogues', () => {
  it.each(['rules', 'fixes', 'host/effects', 'host/checks', 'gateway/dialects'])(
    '%s/index.ts lists every file of the folder',
    (folder) => {
      const entries = files.filter((path) => dirname(path) === folder && !/\/(?:index|contract)\.ts$/.test(path));
      const listed = imports.filter(({ from }) => from === `${folder}/index.ts`).map(({ to }) => to);
      expect(entries.filter((path) => !listed.includes(path))).toEqual([]);
    },
  );

  it.each(['rules', 'fixes', 'gateway/dialects'])('no file of %s imports a sibling', (folder) => {
    const siblings = imports.filter(
      ({ from, to }) =>
        dirname(from) === folder &&
        dirname(to) === folder &&
        !/\/(?:index|contract)\.ts$/.test(from) &&
        !isContract(to),
    );
    expect(siblings.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });
});

describe('what is given, not taken', () => {
  it('the environment: only the composition reads it', () => {
    const allowed = /^(?:program|cli|library|monitor)\.ts$|^testing\/|^hands\/main\.ts$/;
    expect(members('process', /^env$/, (path) => !allowed.test(path))).toEqual([]);
  });

  it('the clock: only the real clock reads it, the library, and a detector that was given none', () => {
    const allowed = /^(?:host\/clock|library|engine\/detector)\.ts$|^(?:testing|demo)\//;
    expect(members('Date', /^now$/, (path) => !allowed.test(path))).toEqual([]);
  });
});

function members(object: string, name: RegExp, where: (path: string) => boolean): string[] {
  return places(
    where,
    (node) => ts.isPropertyAccessExpression(node) && node.expression.getText() === object && name.test(node.name.text),
  );
}

function calls(name: RegExp, where: (path: string) => boolean): string[] {
  return places(
    where,
    (node) => (ts.isCallExpression(node) || ts.isNewExpression(node)) && name.test(node.expression.getText()),
  );
}

function places(where: (path: string) => boolean, wanted: (node: ts.Node) => boolean): string[] {
  return files.filter(where).flatMap((path) => {
    const found: string[] = [];
    visit(tree(path), (node) => {
      if (wanted(node)) found.push(`${path}:${tree(path).getLineAndCharacterOfPosition(node.getStart()).line + 1}`);
    });
    return found;
  });
}

/** One path through each knot of files that import each other. */
function cycles(edges: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const seen = trail.indexOf(path);
    if (seen >= 0) {
      found.push([...trail.slice(seen), path]);
      return;
    }
    if (done.has(path)) return;
    for (const to of next.get(path) ?? []) walk(to, [...trail, path]);
    done.add(path);
  };
  for (const path of files) walk(path, []);
  return found;
}
