// Builds dist/ from src/, then writes what is generated from the built code: the JSON Schema, the
// configuration page and the list of fixes. The old dist/ stays until the new one is whole: a running selfheal may still load from it.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');
const dist = join(root, 'dist');
// As deep as dist/ itself: source maps name the sources relative to where they stand.
const fresh = join(root, `.dist-${process.pid}`);

try {
  await build();
  await generate();
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

async function build() {
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
  await bundle();
  chmodSync(join(fresh, 'cli.js'), 0o755);
  const old = join(root, '.cache', `dist-old-${process.pid}`);
  mkdirSync(dirname(old), { recursive: true });
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
}

/**
 * The three programs (`selfheal`, *hands* and the gateway) are joined from some 700 files (most of them of our dependencies) into a few:
 * Node needs a millisecond for each file it loads. The library stays as it was compiled.
 */
async function bundle() {
  const rolldown = await import('rolldown').catch(() => null);
  if (rolldown === null) return console.error('rolldown is not installed: selfheal works, but starts slower');
  const build = await rolldown.rolldown({
    input: {
      cli: join(fresh, 'cli.js'),
      'hands/main': join(fresh, 'hands/main.js'),
      'gateway-main': join(fresh, 'gateway-main.js'),
    },
    platform: 'node',
    // Found again by name at run time, for its binary is beside it.
    external: ['@photostructure/sqlite'],
    resolve: { mainFields: ['module', 'main'] },
    plugins: [{ name: 'places', transform: moved }],
    onLog: (level, log, handle) => (log.code === 'EVAL' || level === 'info' ? undefined : handle(level, log)),
  });
  await build.write({
    dir: fresh,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'part-[name]-[hash].js',
  });
  await build.close();
}

/** Parts stand in dist/ itself: what a file names relative to its own folder must be named from there. */
function moved(code, id) {
  if (!id.endsWith('hands/client.js')) return null;
  const changed = code.replace("'./main.js'", "'./hands/main.js'");
  if (changed === code) throw new Error('hands/client.js names its program in another way now');
  return { code: changed, map: null };
}

async function generate() {
  const { configurationPage, configurationSchema } = await import(
    pathToFileURL(join(dist, 'config/reference.js')).href
  );
  writeIfNew('schema/selfheal.schema.json', `${JSON.stringify(configurationSchema(), null, 2)}\n`);
  writeIfNew('docs/configuration.md', configurationPage());
  const { fixesPage } = await import(pathToFileURL(join(dist, 'fixes-page.js')).href);
  writeIfNew('docs/fixes.md', fixesPage());
}

/** An unchanged file keeps its date, and a checkout that is not ours to write stays as it is. */
function writeIfNew(path, text) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  if (!quiet) console.log(`wrote ${path}`);
}
