// A git that is killed with locks in its hands: those of HEAD and of the branch keep the owner's own git from working as
// much as that of the index does.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { GitAbortStep, GitReturnStep } from '../core/plan.ts';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { benchFor } from '../testing/effect-bench.ts';
import { GIT_ENVIRONMENT } from '../testing/kit-git.ts';
import { canTrace } from '../testing/system-calls.ts';
import type { Run } from './contract.ts';
import { gitAbort } from './effects/git-abort.ts';
import { gitReturn } from './effects/git-return.ts';
import { createRun } from './run.ts';

const run = createRun({ home: '/nonexistent' });
const undo = { kind: 'restore-snapshot' } as const;
let world: DrillWorld;
let directory: string;

beforeEach(async () => {
  world = createDrillKit({ run });
  directory = world.kit.directory;
  await world.kit.repository({ 'main.py': 'a\n' });
});
afterEach(() => world.close());

const at = (name: string): string => join(directory, name);
const git = (...args: string[]): string => {
  const env = { ...process.env, ...GIT_ENVIRONMENT };
  return execFileSync('git', args, { cwd: directory, encoding: 'utf8', env, stdio: 'pipe' }).trim();
};
const locks = (): readonly string[] =>
  readdirSync(at('.git'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.lock'));

/** Runs everything, but the git of this verb dies where it would have removed this lock, or given it its name. */
const dyingAt =
  (lock: string, verb: string): Run =>
  (argv, options) => {
    const death = ['-P', at(`.git/${lock}`), '-e', 'inject=unlink,rename:signal=KILL:when=1'];
    const traced = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=unlink,rename', ...death, '--', ...argv];
    return run(argv.includes(verb) ? traced : argv, options);
  };

async function stuckMerge(): Promise<GitAbortStep> {
  await world.kit.upstream({ 'main.py': 'theirs\n' }, 'theirs');
  writeFileSync(at('main.py'), 'ours\n');
  git('commit', '-qam', 'ours');
  await world.kit.sh(['git', 'pull', '--no-rebase', 'origin', 'main'], { mayFail: true });
  return { kind: 'git-abort', title: 'test', undo, directory, operation: 'merge', head: git('rev-parse', 'HEAD') };
}

it.skipIf(!canTrace()).each(['ORIG_HEAD.lock', 'HEAD.lock', 'refs/heads/main.lock'])(
  'takes back the end of a merge whose git died with %s in its hands, and the owner can go on',
  async (lock) => {
    const step = await stuckMerge();
    const bench = benchFor(gitAbort, step, { run: dyingAt(lock, '--abort'), state: join(world.root, 'state') });
    await bench.snapshot();
    await expect(bench.apply()).rejects.toMatchObject({ code: 'failed' });
    expect(locks()).toContain(lock);
    expect(await bench.probe()).toBe('unclear');
    await bench.undo();
    expect(locks()).toEqual([]);
    expect(await bench.differences()).toEqual([]);
    expect(existsSync(at('.git/MERGE_HEAD'))).toBe(true);
    git('merge', '--abort');
    expect(readFileSync(at('main.py'), 'utf8')).toBe('ours\n');
  },
);

it.skipIf(!canTrace())('does not take a move for done whose git died with HEAD in its hands', async () => {
  const to = git('rev-parse', 'HEAD');
  writeFileSync(at('main.py'), 'broken\n');
  git('commit', '-qam', 'broken');
  const from = git('rev-parse', 'HEAD');
  const step: GitReturnStep = { kind: 'git-return', title: 'test', undo, directory, branch: 'main', from, to };
  const bench = benchFor(gitReturn, step, { run: dyingAt('HEAD.lock', 'reset'), state: join(world.root, 'state') });
  await bench.snapshot();
  await expect(bench.apply()).rejects.toMatchObject({ code: 'failed' });
  expect(git('rev-parse', 'HEAD')).toBe(to);
  expect(await bench.probe()).toBe('unclear');
  await bench.undo();
  expect(await bench.differences()).toEqual([]);
  expect([locks(), git('rev-parse', 'HEAD'), readFileSync(at('main.py'), 'utf8')]).toEqual([[], from, 'broken\n']);
});

it.each(['HEAD.lock', 'refs/heads/main.lock'])('begins nothing while somebody holds %s', async (lock) => {
  const step = await stuckMerge();
  writeFileSync(at(`.git/${lock}`), '');
  const bench = benchFor(gitAbort, step, { run, state: join(world.root, 'state') });
  await expect(bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
  expect(locks()).toEqual([lock]);
});
