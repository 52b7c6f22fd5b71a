// A step on a repository whose process is killed at any moment, the git below it included: what the journal kept is enough
// to tell what happened, and to bring everything back as it was.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { GitFastForwardStep } from '../core/plan.ts';
import { type Compiled, compile } from '../testing/compiled.ts';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { benchFor } from '../testing/effect-bench.ts';
import { GIT_ENVIRONMENT } from '../testing/kit-git.ts';
import { gitFastForward } from './effects/git-fast-forward.ts';
import { createRun } from './run.ts';
import { describeTree } from './tree.ts';

const run = createRun({ home: '/nonexistent' });
const KILLS = Number(process.env['GIT_KILLS'] ?? 6);
/** Enough files for git to be busy with when the kill comes. */
const FILES = 400;
let compiled: Compiled;
let program: string;
let world: DrillWorld;

beforeAll(async () => {
  compiled = await compile(['host/effects/git-fast-forward.ts', 'host/run.ts', 'host/clock.ts']);
  program = await compiled.program(
    'apply.js',
    `import { gitFastForward } from './host/effects/git-fast-forward.js';
     import { createRun } from './host/run.js';
     import { systemClock } from './host/clock.js';
     const { step, snapshot, context } = JSON.parse(process.argv[2]);
     const run = createRun({ home: '/nonexistent' });
     console.log('ready');
     await gitFastForward.apply(step, snapshot, { ...context, run, clock: systemClock, signal: new AbortController().signal });
     console.log('done');`,
  );
});
afterAll(() => compiled.remove());
beforeEach(() => {
  world = createDrillKit({ run });
});
afterEach(() => world.close());

it('leaves a repository that can be brought back', { timeout: 240_000 }, async () => {
  const { directory } = world.kit;
  const many = (text: string): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: FILES }, (_, n) => [`src/${n % 20}/file-${n}.py`, `${text} ${n}\n`.repeat(50)]),
    );
  await world.kit.repository({ 'main.py': 'old\n' });
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, ...GIT_ENVIRONMENT },
      stdio: 'pipe',
    }).trim();
  for (const [name, text] of Object.entries(many('old'))) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  git('add', '-A');
  git('commit', '-qm', 'many');
  git('push', '-q');
  await world.kit.upstream({ ...many('new'), 'added/x.py': 'x\n' }, 'news');
  writeFileSync(join(directory, 'draft.txt'), 'draft\n');
  const [to = ''] = git('ls-remote', 'origin', 'refs/heads/main').split('\t');
  const step: GitFastForwardStep = {
    kind: 'git-fast-forward',
    title: 'test',
    undo: { kind: 'restore-snapshot' },
    directory,
    branch: 'main',
    from: git('rev-parse', 'HEAD'),
    to,
  };
  const whole = async () => {
    const skip = (path: string): boolean => /^\.git\/(?!index$|HEAD$|[A-Z_]+$)/.test(path);
    return { ...Object.fromEntries((await describeTree(directory, { skip })) ?? []), head: git('rev-parse', 'main') };
  };
  const before = await whole();
  const seen = new Set<string>();
  let full = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const bench = benchFor(gitFastForward, step, { run, state: join(world.root, 'state'), plan: `1-${kill}` });
    const snapshot = await bench.snapshot();
    const { plan, step: number, snapshotDirectory } = bench.context;
    const data = JSON.stringify({ step, snapshot, context: { plan, step: number, snapshotDirectory } });
    // The first goes through and says how long it takes; the others die somewhere on the way.
    full = Math.max(full, await applyAndKill(data, kill === 0 ? null : (full * kill) / KILLS));
    seen.add(await bench.probe());
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect(await whole()).toEqual(before);
    expect(readdirSync(join(directory, '.git')).filter((name) => name.endsWith('.lock'))).toEqual([]);
  }
  expect(seen.has('done')).toBe(true);
});

/** Milliseconds it ran. Killed like a process that the kernel has no memory for: without a word. */
async function applyAndKill(data: string, afterMs: number | null): Promise<number> {
  const child = spawn(process.execPath, [program, data], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const began = performance.now();
  const timer = afterMs === null ? null : setTimeout(() => child.kill('SIGKILL'), afterMs);
  await new Promise((resolve) => child.once('exit', resolve));
  if (timer) clearTimeout(timer);
  return performance.now() - began;
}
