// Builds dist/ from src/, then writes what is generated from the built code: the JSON Schema and the
// configuration page. The old dist/ stays until the new one is whole: a running selfheal may still load from it.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');
const dist = join(root, 'dist');
const fresh = join(root, '.cache', `dist-${process.pid}`);

try {
  build();
  await generate();
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function build() {
  mkdirSync(fresh, { recursive: true });
  // Older than everything that is edited while we build: such a change must lead to another build.
  writeFileSync(join(fresh, '.stamp'), '');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status !== 0) {
    console.error('the build failed');
    process.exitCode = 1;
    rmSync(fresh, { recursive: true, force: true });
    process.exit(1);
  }
  chmodSync(join(fresh, 'cli.js'), 0o755);
  const old = join(root, '.cache', `dist-old-${process.pid}`);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
}

async function generate() {
  const { configurationPage, configurationSchema } = await import(
    pathToFileURL(join(dist, 'config/reference.js')).href
  );
  writeIfNew('schema/selfheal.schema.json', `${JSON.stringify(configurationSchema(), null, 2)}\n`);
  writeIfNew('docs/configuration.md', configurationPage());
}

/** An unchanged file keeps its date, and a checkout that is not ours to write stays as it is. */
function writeIfNew(path, text) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  if (!quiet) console.log(`wrote ${path}`);
}
