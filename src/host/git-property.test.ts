// Whatever state a work tree is in, saving it and ending the operation in it loses no byte, and taking that back brings
// everything as it was. States are drawn at random; the judge compares bytes and asks git nothing but objects.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { GitAbortStep, GitRescueStep } from '../core/plan.ts';
import { benchFor } from '../testing/effect-bench.ts';
import { GIT_ENVIRONMENT } from '../testing/kit-git.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { EffectError } from './contract.ts';
import { gitAbort } from './effects/git-abort.ts';
import { gitRescue } from './effects/git-rescue.ts';
import { createRun } from './run.ts';
import { describeTree } from './tree.ts';

const run = createRun({ home: '/nonexistent' });
const step = { title: 'test', undo: { kind: 'restore-snapshot' } } as const;

/** Files of the first commit. The first two are changed on both sides, so that the operation stops. */
const FILES = [
  'both.py',
  'dir/both2.py',
  'theirs.py',
  'ours.py',
  'quiet.py',
  'dir/quiet 2.py',
  '-dash',
  'crlf.txt',
  'run.sh',
  'gone.py',
];
const EDITABLE = FILES.filter((name) => !name.includes('both'));
const EXTRA = ['new.txt', 'dir/new\nline', 'ignored.log', 'nested/deep/x', 'closed.txt'];

type Edit = {
  readonly name: string;
  readonly how: 'edit' | 'stage' | 'stage-edit' | 'delete' | 'mode' | 'link' | 'empty';
};
const edits = fc.array(
  fc.record<Edit>({
    name: fc.constantFrom(...EDITABLE),
    how: fc.constantFrom('edit', 'stage', 'stage-edit', 'delete', 'mode', 'link', 'empty'),
  }),
  { maxLength: 5 },
);
const extras = fc.uniqueArray(fc.record({ name: fc.constantFrom(...EXTRA), bytes: fc.uint8Array({ maxLength: 20 }) }), {
  selector: (extra) => extra.name,
  maxLength: 4,
});
const half = fc.constantFrom('untouched', 'half resolved', 'resolved', 'deleted');
const operation = fc.constantFrom('merge', 'rebase', 'cherry-pick');

it('no state of a work tree loses a byte', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(operation, edits, extras, half, async (kind, changes, news, conflict) => {
      const scratch = createScratch();
      try {
        await rehearse(scratch, kind, { changes, news, conflict });
      } finally {
        await scratch.close();
      }
    }),
    { numRuns: Number(process.env['GIT_PROPERTY_RUNS'] ?? 12) },
  );
});

interface State {
  readonly changes: readonly Edit[];
  readonly news: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly conflict: string;
}

async function rehearse(scratch: Scratch, kind: 'merge' | 'rebase' | 'cherry-pick', state: State): Promise<void> {
  const directory = scratch.path('project');
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, ...GIT_ENVIRONMENT },
      stdio: 'pipe',
    });
  stop(directory, git, kind);
  disturb(directory, git, state);
  const options = { run, state: scratch.path('state') };
  const before = await whole(directory, git);
  const texts = await contents(directory);

  const wish: GitRescueStep = { ...step, kind: 'git-rescue', directory, ref: 'refs/selfheal/{plan}' };
  const rescue = benchFor(gitRescue, wish, { ...options, step: 0 });
  await rescue.snapshot();
  await rescue.apply();
  expect(await whole(directory, git)).toEqual(before);

  const head = git('rev-parse', 'HEAD').trim();
  const end: GitAbortStep = { ...step, kind: 'git-abort', directory, operation: kind, head };
  const abort = benchFor(gitAbort, end, { ...options, step: 1 });
  await abort.snapshot();
  expect(await whole(directory, git)).toEqual(before);
  const done = await abort.apply().then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof EffectError)) throw error;
      return false;
    },
  );
  if (done) {
    expect(existsSync(join(directory, '.git/MERGE_HEAD'))).toBe(false);
    const now = await contents(directory);
    for (const [name, text] of texts) if (now.get(name) !== text) expect(isSaved(directory, name, text)).toBe(true);
    for (const { name } of state.news) expect(now.get(latin(name))).toBe(texts.get(latin(name)));
  }
  await abort.undo();
  expect(await abort.differences()).toEqual([]);
  expect(await whole(directory, git)).toEqual(before);
}

type Git = (...args: string[]) => string;
const latin = (name: string): string => Buffer.from(name).toString('latin1');

/** A repository that stopped at a conflict. */
function stop(directory: string, git: Git, kind: string): void {
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  };
  mkdirSync(directory);
  git('init', '-q', '-b', 'main');
  for (const name of FILES) put(name, name === 'crlf.txt' ? 'one\r\ntwo\r\n' : `${name}\n1\n2\n3\n4\n5\n`);
  put('.gitignore', '*.log\n');
  git('add', '-A');
  git('commit', '-qm', 'first');
  git('checkout', '-q', '-b', 'other');
  for (const name of ['both.py', 'dir/both2.py', 'theirs.py']) put(name, `${name}\ntheirs\n2\n3\n4\n5\n`);
  git('rm', '-q', 'gone.py');
  put('added by them.py', 'added\n');
  git('add', '-A');
  git('commit', '-qm', 'theirs');
  git('checkout', '-q', 'main');
  for (const name of ['both.py', 'dir/both2.py', 'ours.py']) put(name, `${name}\nours\n2\n3\n4\n5\n`);
  git('commit', '-qam', 'ours');
  expect(() => git(kind, 'other')).toThrow();
}

/** Edits beside and in the stuck operation, as people and services make them. */
function disturb(directory: string, git: Git, { changes, news, conflict }: State): void {
  const at = (name: string): string => join(directory, name);
  for (const { name, how } of changes) {
    if (!existsSync(at(name)) && how !== 'edit') continue;
    if (how === 'edit' || how === 'stage' || how === 'stage-edit') writeAnew(at(name), `${how} of ${name}\r\n\n`);
    if (how === 'empty') writeAnew(at(name), '');
    if (how === 'mode') chmodSync(at(name), 0o755);
    if (how === 'delete') rmSync(at(name));
    if (how === 'link') {
      rmSync(at(name));
      symlinkSync('../nowhere', at(name));
    }
    if (how.startsWith('stage')) git('add', '--', name);
    if (how === 'stage-edit') writeAnew(at(name), `later edit of ${name}\n`);
  }
  for (const { name, bytes } of news) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), bytes);
    if (name === 'closed.txt') chmodSync(at(name), 0o600);
  }
  if (conflict === 'half resolved') writeFileSync(at('both.py'), 'resolved by hand\n');
  if (conflict === 'deleted') unlinkSync(at('both.py'));
  if (conflict === 'resolved') {
    writeFileSync(at('both.py'), 'resolved by hand\n');
    git('add', 'both.py');
  }
}

/** Over whatever stands there: an earlier edit may have made it a link. */
function writeAnew(path: string, text: string): void {
  rmSync(path, { force: true });
  writeFileSync(path, text);
}

async function whole(directory: string, git: Git): Promise<Record<string, string>> {
  const skip = (path: string): boolean => /^\.git\/(?!index$|HEAD$|[A-Z_]+$|rebase-|sequencer)/.test(path);
  const refs = git('for-each-ref', '--format=%(refname) %(objectname)').split('\n');
  return {
    ...Object.fromEntries((await describeTree(directory, { skip })) ?? []),
    refs: refs.filter((line) => !line.startsWith('refs/selfheal/')).join('\n'),
    left: readdirSync(join(directory, '.git'))
      .filter((name) => /selfheal|lock/.test(name))
      .join(' '),
  };
}

async function contents(directory: string): Promise<ReadonlyMap<string, string>> {
  const tree = (await describeTree(directory, { skip: (path) => path === '.git' })) ?? new Map<string, string>();
  return new Map([...tree].filter(([, text]) => !text.startsWith('folder')));
}

/** True when the rescue holds this very content under this name. */
function isSaved(directory: string, name: string, text: string): boolean {
  const path = Buffer.from(name, 'latin1').toString('utf8');
  const shown = spawnSync('git', ['cat-file', 'blob', `refs/selfheal/1-1:${path}`], { cwd: directory });
  if (shown.status !== 0) return false;
  const sha256 = execFileSync('sha256sum', { input: shown.stdout, encoding: 'utf8' }).slice(0, 64);
  return text.startsWith('link') ? text === `link ${shown.stdout.toString('latin1')}` : text.endsWith(sha256);
}
