// What a configuration names that is not there: told at its place, with what to do.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadConfig } from './load.ts';
import { warningsOf } from './warnings.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfheal-warnings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function warned(embedded: string): Promise<(string | number | null)[][]> {
  await writeFile(join(folder, 'selfheal.yaml'), `gateway:\n  listen: ":1"\n  embedded: ${embedded}\n`);
  const config = await loadConfig({ cwd: folder, environment: {} });
  return (await warningsOf(config, {})).map(({ line, key, message }) => [line, key, message]);
}

const install = 'npm install --ignore-scripts @fugood/llama.node';

it('a model of its own needs its file and its runtime, and both are told', async () => {
  expect(await warned('{model: m.gguf, runtime: r}')).toEqual([
    [
      3,
      'gateway.embedded.model',
      `gateway.embedded.model: there is no file ${folder}/m.gguf that can be read; name a model in GGUF`,
    ],
    [
      3,
      'gateway.embedded.runtime',
      `gateway.embedded.runtime: the package @fugood/llama.node is not installed in ${folder}/r; \`${install}\` in ${folder}/r`,
    ],
  ]);
});

it('a file that is no model is told, and a runtime that is there is found without being loaded', async () => {
  const runtime = join(folder, 'r/node_modules/@fugood/llama.node');
  await mkdir(runtime, { recursive: true });
  await writeFile(join(runtime, 'index.js'), 'process.abort();');
  await writeFile(join(folder, 'm.gguf'), 'a web page');
  const model = `gateway.embedded.model: ${folder}/m.gguf is no model in GGUF; name a model in GGUF`;
  expect(await warned('{model: m.gguf, runtime: r}')).toEqual([[3, 'gateway.embedded.model', model]]);
  await writeFile(join(folder, 'm.gguf'), 'GGUF and so on');
  expect(await warned('{model: m.gguf, runtime: r}')).toEqual([]);
});

it('a runtime that is not beside selfheal is told at the block when no folder is named', async () => {
  await writeFile(join(folder, 'm.gguf'), 'GGUF');
  expect((await warned('{model: m.gguf}')).map(([line, key]) => [line, key])).toEqual([
    [3, 'gateway.embedded.runtime'],
  ]);
});
