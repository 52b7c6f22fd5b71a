// Looks at a service's Node project: what it declares and locks, what its files really import, and
// whether a module can be found from there. Runs nothing of the project.

import { builtinModules } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { FileProbe, NodeProbe, Run } from './contract.ts';
import { importedNames } from './js-imports.ts';
import { readNodeProject } from './npm-project.ts';

export interface NodeProbeDeps {
  readonly run: Run;
  readonly files: FileProbe;
  /** npm_config_registry of selfheal's own environment when it started. Default: none. */
  readonly npmRegistry?: string | null;
  /** Node executable that looks modules up. Default: the one that runs us. */
  readonly node?: string;
}

const RESOLVE_MS = 20_000;
const MOST_SOURCES = 2_000;
const MOST_IMPORTERS = 20;
const SOURCES = ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'jsx', 'tsx'].flatMap((e) => [`*.${e}`, `**/*.${e}`]);
const NOT_SOURCES = /(?:^|\/)(?:node_modules|\.git|\.venv|venv|coverage)\//;

/**
 * Makes the probe of Node projects.
 *
 * @example
 * const node = createNodeProbe({ run, files });
 * const { ok } = await node.resolves('/srv/agent/index.js', 'express');
 */
export function createNodeProbe({ run, files, npmRegistry = null, node = process.execPath }: NodeProbeDeps): NodeProbe {
  return {
    project: (service) =>
      readNodeProject(files, service.directory, { configured: service.npmRegistry, environment: npmRegistry }),
    resolves: (from, module) => resolveModule(run, { node, from, module }),
    async importsOf(file) {
      const text = await files.text(file);
      return text === null ? [] : importedNames(text);
    },
    importers: (directory, name) => findImporters(files, directory, name),
    isBuiltin: (module) => module.startsWith('node:') || builtinModules.includes(module),
  };
}

async function findImporters(files: FileProbe, directory: string, name: string): Promise<readonly string[]> {
  const found: string[] = [];
  const paths = (await files.glob(directory, SOURCES)).map((path) => resolve(directory, path));
  for (const path of paths.filter((p) => !NOT_SOURCES.test(p.slice(directory.length))).slice(0, MOST_SOURCES)) {
    const text = await files.text(path);
    if (text === null || !text.includes(name)) continue;
    if (importedNames(text).some((n) => n === name || n.startsWith(`${name}/`))) found.push(path);
    if (found.length === MOST_IMPORTERS) break;
  }
  return found;
}

/** Asks Node's own algorithm, for `require` and `import` alike; reads package files, runs none. */
const RESOLVE = `
const { createRequire } = require('node:module');
try {
  console.log(data.mark + JSON.stringify({ path: createRequire(data.from).resolve(data.module) }));
} catch (error) {
  console.log(data.mark + JSON.stringify({ code: String(error.code), error: String(error.message).split('\\n')[0] }));
}
`;
const MARK = 'selfheal-answer ';

export interface ResolveRequest {
  readonly node: string;
  /** File, or folder, that the module is looked for from. */
  readonly from: string;
  readonly module: string;
  readonly signal?: AbortSignal;
}

/** Whether `module` can be found from a file. `unknown` when Node gave no answer. */
export async function resolveModule(
  run: Run,
  { node, from, module, signal }: ResolveRequest,
): Promise<{ readonly ok: boolean | 'unknown'; readonly error: string }> {
  if (!/^[@\w][\w./@-]*$/.test(module)) return { ok: 'unknown', error: 'not a package name' };
  const data = { mark: MARK, from: /\.[cm]?[jt]sx?$/.test(from) ? from : join(from, 'index.js'), module };
  const result = await run([node, '-C', 'import', '-'], {
    cwd: '/',
    timeoutMs: RESOLVE_MS,
    asOwnerOf: dirname(data.from),
    input: `const data = ${JSON.stringify(data)};${RESOLVE}`,
    ...(signal ? { signal } : {}),
  });
  const line = result.stdout.split('\n').find((text) => text.startsWith(MARK));
  if (line === undefined) return { ok: 'unknown', error: result.failure ?? 'Node gave no answer' };
  const answer = JSON.parse(line.slice(MARK.length)) as { path?: string; error?: string };
  return { ok: answer.path !== undefined, error: answer.error ?? '' };
}
