// The launcher and its set-up, for real: a tiny checkout with the real scripts, a real npm and a counting build.

import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('..', import.meta.url));
let folder = '';
let checkout = '';

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(argv: readonly string[], options: { cwd?: string; path?: string } = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      cwd: options.cwd ?? folder,
      env: { ...process.env, PATH: options.path ?? process.env['PATH'], npm_config_offline: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const builds = async (): Promise<number> => (await readFile(join(checkout, 'builds'), 'utf8')).length;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfheal-launcher-'));
  checkout = join(folder, 'check out');
  await mkdir(join(checkout, 'scripts'), { recursive: true });
  await mkdir(join(checkout, 'src'));
  for (const path of ['selfheal', 'scripts/setup.sh'])
    await cp(join(repository, path), join(checkout, path), { preserveTimestamps: true });
  const pkg = { name: 'selfheal', version: '1.0.0', type: 'module' };
  await writeFile(join(checkout, 'package.json'), JSON.stringify(pkg));
  await writeFile(
    join(checkout, 'package-lock.json'),
    JSON.stringify({ ...pkg, lockfileVersion: 3, packages: { '': pkg } }),
  );
  await writeFile(join(checkout, 'src/a.ts'), '');
  await writeFile(join(checkout, 'tsconfig.json'), '{}');
  await writeFile(join(checkout, 'tsconfig.build.json'), '{}');
  await writeFile(
    join(checkout, 'scripts/build.mjs'),
    `import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
if (existsSync('broken')) { console.error('error TS1005: broken'); process.exit(1); }
await new Promise((resolve) => setTimeout(resolve, 300));
appendFileSync('builds', 'x');
mkdirSync('dist', { recursive: true });
writeFileSync('dist/.stamp', '');
writeFileSync('dist/cli.js', 'console.log(JSON.stringify(process.argv.slice(2)))');`,
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('sets itself up on first use, says so on stderr only, and hands its arguments over unchanged', async () => {
  const first = await run([join(checkout, 'selfheal'), 'a b', '--json', '']);
  expect(first).toMatchObject({ code: 0, stdout: '["a b","--json",""]\n' });
  expect(first.stderr).toMatch(/^selfheal: first use: installing and building/);
  expect(first.stderr.trim().split('\n')).toHaveLength(1);
  const second = await run([join(checkout, 'selfheal')]);
  expect(second).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  expect(await builds()).toBe(1);
});

it('works from any folder and through relative and absolute links', async () => {
  await mkdir(join(folder, 'bin'));
  await symlink('../check out/selfheal', join(folder, 'bin/relative'));
  await symlink(join(folder, 'bin/relative'), join(folder, 'bin/absolute'));
  expect(await run([join(folder, 'bin/absolute'), 'x'], { cwd: '/' })).toMatchObject({ code: 0, stdout: '["x"]\n' });
  expect(await run(['./selfheal', 'y'], { cwd: checkout })).toMatchObject({ code: 0, stdout: '["y"]\n' });
  expect(await run(['sh', 'selfheal', 'z'], { cwd: checkout })).toMatchObject({ code: 0, stdout: '["z"]\n' });
});

it('builds once when two first uses come together', async () => {
  const both = await Promise.all([1, 2, 3].map((n) => run([join(checkout, 'selfheal'), String(n)])));
  expect(both.map(({ code, stdout }) => [code, stdout])).toEqual([1, 2, 3].map((n) => [0, `["${n}"]\n`]));
  expect(await builds()).toBe(1);
});

it('does not wait for a holder of the lock that is dead', async () => {
  const gone = spawn('true');
  await new Promise((resolve) => gone.on('close', resolve));
  await mkdir(join(checkout, '.cache/setup.lock'), { recursive: true });
  await writeFile(join(checkout, '.cache/setup.lock/pid'), String(gone.pid));
  expect(await run([join(checkout, 'selfheal')])).toMatchObject({ code: 0, stdout: '[]\n' });
});

it('builds again when the sources are newer', async () => {
  await run([join(checkout, 'selfheal')]);
  const soon = new Date(Date.now() + 5000);
  await utimes(join(checkout, 'src/a.ts'), soon, soon);
  const again = await run([join(checkout, 'selfheal')]);
  expect(again.stderr).toBe('selfheal: the sources have changed: building ...\n');
  expect(await builds()).toBe(2);
});

it('says what failed, and does not run', async () => {
  await writeFile(join(checkout, 'broken'), '');
  const failed = await run([join(checkout, 'selfheal')]);
  expect(failed).toMatchObject({ code: 2, stdout: '' });
  expect(failed.stderr).toMatch(/error TS1005: broken\nselfheal: set-up failed at: node scripts\/build.mjs/);
});

it('names the version it needs when Node is too old, and Node itself when there is none', async () => {
  const bin = join(folder, 'old');
  await mkdir(bin);
  await writeFile(join(bin, 'node'), '#!/bin/sh\n[ "$1" = --version ] && echo v18.0.0 && exit 0\nexit 1\n');
  await chmod(join(bin, 'node'), 0o755);
  const old = await run([join(checkout, 'selfheal')], { path: `${bin}:/usr/bin:/bin` });
  expect(old).toMatchObject({ code: 2, stdout: '' });
  expect(old.stderr).toMatch(/Node\.js 20\.19 or newer is needed; this is v18\.0\.0/);
  const tools = join(folder, 'tools');
  await mkdir(tools);
  for (const tool of ['readlink', 'find', 'sh']) {
    const { stdout } = await run(['sh', '-c', `command -v ${tool}`]);
    await symlink(stdout.trim(), join(tools, tool));
  }
  const none = await run([join(tools, 'sh'), join(checkout, 'selfheal')], { path: tools });
  expect(none.code).toBe(2);
  expect(none.stderr).toMatch(/Node\.js 20\.19 or newer is needed and `node` was not found/);
});
