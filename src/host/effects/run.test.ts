import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { RunStep } from '../../core/plan.ts';
import { compile, type Compiled } from '../../testing/compiled.ts';
import { benchFor } from '../../testing/effect-bench.ts';
import { createScratch, runs, type Scratch, until } from '../../testing/scratch.ts';
import { createRun } from '../run.ts';
import { sha256Of } from '../safe-files.ts';
import { runCommand } from './run.ts';

let compiled: Compiled;
let scratch: Scratch;
let project: string;
const run = createRun({ home: '/nonexistent', ownerEnvironment: { PATH: process.env.PATH ?? '' } });

beforeAll(async () => void (compiled = await compile(['host/effects/run.ts', 'host/run.ts', 'host/clock.ts'])));
afterAll(() => compiled.remove());
beforeEach(() => {
  scratch = createScratch();
  project = scratch.path('project');
  mkdirSync(project);
});
afterEach(() => scratch.close());

const building = (script: string, changes: Partial<RunStep> = {}): RunStep => ({
  kind: 'run',
  title: 'build',
  argv: ['sh', '-c', script],
  cwd: project,
  timeoutMs: 60_000,
  idempotent: true,
  makes: join(project, 'dist'),
  undo: { kind: 'restore-snapshot' },
  ...changes,
});
const bench = (step: RunStep) => benchFor(runCommand, step, { run, state: scratch.path('state') });

it('puts what a command has made aside when it is taken back, with what others wrote into it', async () => {
  const step = bench(building('mkdir dist; echo 1 >dist/index.js'));
  await step.snapshot();
  await step.apply();
  writeFileSync(join(project, 'dist/upload.txt'), 'of a user');
  await step.undo();
  expect(await step.differences()).toEqual([]);
  const [aside = ''] = readdirSync(project);
  expect(aside).toMatch(/^dist\.selfheal-undone-/);
  expect(readFileSync(join(project, aside, 'upload.txt'), 'utf8')).toBe('of a user');
});

it('refuses a command whose files are not those that the plan saw, also when they change at the last moment', async () => {
  const path = join(project, 'package.json');
  writeFileSync(path, 'as planned');
  const requires = [{ path, sha256: sha256Of(Buffer.from('as planned')) }];
  const step = bench(building('touch ran', { requires }));
  await step.snapshot();
  writeFileSync(path, 'other');
  await expect(step.apply()).rejects.toMatchObject({ code: 'precondition' });
  await expect(bench(building('touch ran', { requires })).snapshot()).rejects.toMatchObject({ code: 'precondition' });
  expect(existsSync(join(project, 'ran'))).toBe(false);
});

it('refuses a command whose folder is there already', async () => {
  mkdirSync(join(project, 'dist'));
  await expect(bench(building('true')).snapshot()).rejects.toMatchObject({ code: 'precondition' });
});

it('ends a command that makes a folder, and all that it started, when the process that runs it is killed', async () => {
  const script = 'setsid sleep 600 & echo $! >grandchild; echo $$ >child; sleep 600';
  const child = await parentOf(building(script));
  expect(await until(() => existsSync(join(project, 'child')))).toBe(true);
  const survivors = () => pidsBelow(project);
  expect(survivors().length).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await once(child, 'close');
  // Where the kernel gives no namespace, the next process ends them before it looks at what they made.
  await bench(building(script)).probe();
  expect(await until(() => survivors().length === 0)).toBe(true);
});

/** A process of its own that carries the step out. */
async function parentOf(step: RunStep): Promise<ChildProcess> {
  const program = await compiled.program(
    'parent.js',
    `import { runCommand } from './host/effects/run.js';
import { createRun } from './host/run.js';
import { systemClock as clock } from './host/clock.js';
const context = { run: createRun({ home: '/' }), clock, snapshotDirectory: process.argv[3], plan: '1-1', signal: new AbortController().signal };
await runCommand.apply(JSON.parse(process.argv[2]), {}, context);
`,
  );
  const { context } = bench(step);
  return spawn(process.execPath, [program, JSON.stringify(step), context.snapshotDirectory], { stdio: 'ignore' });
}

/** Processes that work in this folder, seen from outside of any namespace. */
function pidsBelow(folder: string): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && runs(pid) && commandOf(pid).includes('sleep') && cwdIs(pid, folder));
}

const commandOf = (pid: number): string => read(`/proc/${pid}/cmdline`);
const cwdIs = (pid: number, folder: string): boolean => read(`/proc/${pid}/environ`).includes(`PWD=${folder}`);

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
