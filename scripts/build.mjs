// Builds dist/ from src/, then writes what is generated from the built code: the JSON Schema and the
// configuration page. `--quiet` for the launcher.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');

rmSync(join(root, 'dist'), { recursive: true, force: true });
const compiled = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  {
    cwd: root,
    stdio: quiet ? ['ignore', 'pipe', 'inherit'] : 'inherit',
    encoding: 'utf8',
  },
);
if (compiled.status !== 0) {
  process.stderr.write(compiled.stdout ?? '');
  process.stderr.write('selfheal: the build failed\n');
  process.exit(1);
}
chmodSync(join(root, 'dist/cli.js'), 0o755);

const { configurationPage, configurationSchema } = await import(join(root, 'dist/config/reference.js'));
writeIfNew('schema/selfheal.schema.json', `${JSON.stringify(configurationSchema(), null, 2)}\n`);
writeIfNew('docs/configuration.md', configurationPage());

/** An unchanged file keeps its time, so that nothing is rebuilt because of it; a read-only checkout keeps its files. */
function writeIfNew(path, text) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  if (!quiet) console.log(`wrote ${path}`);
}
