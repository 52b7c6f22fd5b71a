// Tests that kill a process need a process: this compiles one source file and what it imports into a
// scratch folder, without type checks, within a second and without touching dist/.

import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const SOURCES = fileURLToPath(new URL('..', import.meta.url));

export interface Compiled {
  /** Path of the compiled file for a source below src/, e.g. `hands/main.ts`. */
  path(source: string): string;
  /** Writes a program of the test's own beside the compiled sources; imports look like `./store/index.js`. */
  program(name: string, text: string): Promise<string>;
  remove(): Promise<void>;
}

/**
 * Compiles these sources (relative to src/) with everything they import.
 *
 * @example const compiled = await compile(['store/index.ts']);
 */
export async function compile(entries: readonly string[]): Promise<Compiled> {
  const root = await mkdtemp(join(tmpdir(), 'selfheal-compiled-'));
  const remove = () => rm(root, { recursive: true, force: true });
  const seen = new Set<string>();
  try {
    for (const entry of entries) await emit(resolve(SOURCES, entry), root, seen);
  } catch (error) {
    await remove();
    throw error;
  }
  await writeFile(join(root, 'package.json'), '{"type":"module"}');
  await symlink(resolve(SOURCES, '../node_modules'), join(root, 'node_modules'));
  return {
    path: (source) => join(root, outputOf(source)),
    program: async (name, text) => {
      await writeFile(join(root, name), text);
      return join(root, name);
    },
    remove,
  };
}

const outputOf = (source: string) => source.replace(/\.ts$/, '.js');

async function emit(source: string, root: string, seen: Set<string>): Promise<void> {
  if (seen.has(source)) return;
  seen.add(source);
  const text = await readFile(source, 'utf8');
  const { outputText } = ts.transpileModule(text, {
    fileName: source,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  const target = join(root, outputOf(relative(SOURCES, source)));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, outputText);
  // Asked of the output: imports of types are gone from it.
  for (const { fileName } of ts.preProcessFile(outputText).importedFiles) {
    if (fileName.startsWith('.')) await emit(resolve(dirname(source), fileName.replace(/\.js$/, '.ts')), root, seen);
  }
}
