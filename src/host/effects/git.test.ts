import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitAbortStep, GitFastForwardStep, GitRescueStep, GitReturnStep } from '../../core/plan.ts';
import { createDrillKit, type DrillWorld } from '../../testing/create-drill-kit.ts';
import { benchFor, type EffectBench } from '../../testing/effect-bench.ts';
import { GIT_ENVIRONMENT } from '../../testing/kit-git.ts';
import { createRun } from '../run.ts';
import { describeTree } from '../tree.ts';
import { gitAbort } from './git-abort.ts';
import { gitFastForward } from './git-fast-forward.ts';
import { gitRescue } from './git-rescue.ts';
import { gitReturn } from './git-return.ts';

const run = createRun({ home: '/nonexistent' });
const undo = { kind: 'restore-snapshot' } as const;
let world: DrillWorld;
let directory: string;
let state: string;

beforeEach(() => {
  world = createDrillKit({ run });
  directory = world.kit.directory;
  state = join(dirname(directory), 'state');
});
afterEach(() => world.close());

/** Straight, without our own precautions, as the owner of the repository: what a person would see. */
const git = async (...args: string[]): Promise<string> =>
  execFileSync('git', args, {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, ...GIT_ENVIRONMENT },
    stdio: 'pipe',
    ...ownerIfNotUs(),
  }).trim();
const ownerIfNotUs = (): { uid?: number; gid?: number } => {
  const { uid, gid } = statSync(directory);
  return uid === process.getuid?.() ? {} : { uid, gid };
};
const mayFail = (...args: string[]): Promise<string> => world.kit.sh(['git', ...args], { mayFail: true });
const at = (name: string): string => join(directory, name);
const text = (name: string): string => readFileSync(at(name), 'utf8');
const write = (name: string, content: string | Buffer): void => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
};

const title = 'test';
const rescue = (ref = 'refs/selfheal/{plan}', step = 0): EffectBench => {
  const wish: GitRescueStep = { kind: 'git-rescue', title, undo, directory, ref };
  return benchFor(gitRescue, wish, { run, state, step });
};
const abort = async (operation: GitAbortStep['operation'], step = 1): Promise<EffectBench> => {
  const wish: GitAbortStep = {
    kind: 'git-abort',
    title,
    undo,
    directory,
    operation,
    head: await git('rev-parse', 'HEAD'),
  };
  return benchFor(gitAbort, wish, { run, state, step });
};
const forward = async (to?: string, step = 1): Promise<EffectBench> => {
  const target = to ?? (await git('ls-remote', 'origin', 'refs/heads/main')).split('\t')[0];
  const from = await git('rev-parse', 'HEAD');
  const wish: GitFastForwardStep = {
    kind: 'git-fast-forward',
    title,
    undo,
    directory,
    branch: 'main',
    from,
    to: target as string,
  };
  return benchFor(gitFastForward, wish, { run, state, step });
};
const goBack = async (to: string, step = 1): Promise<EffectBench> => {
  const wish: GitReturnStep = {
    kind: 'git-return',
    title,
    undo,
    directory,
    branch: 'main',
    from: await git('rev-parse', 'HEAD'),
    to,
  };
  return benchFor(gitReturn, wish, { run, state, step });
};

/** Everything an undo must bring back: each file with mode and owner, the index to the byte, each ref but our own. */
async function whole(): Promise<Record<string, string>> {
  const skip = (path: string): boolean => /^\.git\/(?!index$|HEAD$|[A-Z_]+$|rebase-|sequencer)/.test(path);
  const refs = (await git('for-each-ref', '--format=%(refname) %(objectname)')).split('\n');
  return {
    ...Object.fromEntries((await describeTree(directory, { skip })) ?? []),
    refs: refs.filter((line) => !line.startsWith('refs/selfheal/')).join('\n'),
    selfheal: readdirSync(at('.git'))
      .filter((name) => /selfheal|lock/.test(name))
      .join(' '),
  };
}

async function thereAndBack(bench: EffectBench): Promise<void> {
  const before = await whole();
  await bench.snapshot();
  expect(await whole()).toEqual(before);
  expect(await bench.probe()).toBe('not-done');
  expect(await bench.differences()).toEqual([]);
  await bench.apply();
  expect(await bench.probe()).toBe('done');
  await bench.undo();
  expect(await bench.differences()).toEqual([]);
  expect(await whole()).toEqual(before);
  await bench.undo();
  expect(await whole()).toEqual(before);
}

/** A pull that ended in a conflict, with local work of all kinds beside it. */
async function stuckMerge(): Promise<void> {
  await world.kit.repository({
    'main.py': 'a\nb\nc\n',
    'other.py': 'one\n',
    'notes.md': 'n\n',
    '.gitignore': '.env\n',
  });
  await world.kit.upstream({ 'main.py': 'a\nTHEIRS\nc\n', 'other.py': 'two\n' }, 'theirs');
  write('main.py', 'a\nOURS\nc\n');
  await git('commit', '-qam', 'ours');
  write('notes.md', 'edited by the owner\r\nmixed line ends\n');
  write('draft.txt', 'never committed\n');
  write('.env', 'TOKEN=secret\n');
  await mayFail('pull', '--no-rebase', 'origin', 'main');
  expect(existsSync(at('.git/MERGE_HEAD'))).toBe(true);
}

describe('git-rescue', () => {
  it('saves index, edits, conflicts and untracked files byte for byte, and changes nothing', async () => {
    await stuckMerge();
    chmodSync(at('draft.txt'), 0o755);
    symlinkSync('../outside', at('link'));
    const before = await whole();
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await whole()).toEqual(before);
    const saved = async (name: string): Promise<string> => world.kit.sh(['git', 'show', `refs/selfheal/1-1:${name}`]);
    for (const name of ['main.py', 'notes.md', 'draft.txt', 'other.py']) expect(await saved(name)).toBe(text(name));
    expect(await git('ls-tree', 'refs/selfheal/1-1', 'link', 'draft.txt')).toMatch(/^100755.*\n120000/);
    expect(await saved('link')).toBe('../outside');
    expect(await git('ls-tree', '-r', '--name-only', 'refs/selfheal/1-1')).not.toContain('.env');
  });

  it('keeps what was only staged', async () => {
    await world.kit.repository({ 'a.txt': 'one\n' });
    write('a.txt', 'staged\n');
    await git('add', 'a.txt');
    write('a.txt', 'work\n');
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('show', 'refs/selfheal/1-1:a.txt')).toBe('work');
    expect(await git('show', 'refs/selfheal/1-1^2:a.txt')).toBe('staged');
  });

  it('is done once, and done again after a crash', async () => {
    await stuckMerge();
    const bench = rescue();
    await bench.snapshot();
    expect(await bench.probe()).toBe('not-done');
    mkdirSync(at('.git/selfheal-1-1-0.files'));
    write('.git/selfheal-1-1-0.files/3', 'half');
    write('.git/selfheal-1-1-0.index', 'half');
    expect(await bench.differences()).not.toEqual([]);
    await bench.apply();
    expect(await bench.probe()).toBe('done');
    const commit = await git('rev-parse', 'refs/selfheal/1-1');
    await bench.apply();
    expect(await git('rev-parse', 'refs/selfheal/1-1')).toBe(commit);
    expect(await bench.differences()).toEqual([]);
  });

  it('leaves the ref where it is when undone, because that is when it is needed', async () => {
    await stuckMerge();
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    await bench.undo();
    expect(await git('rev-parse', '--verify', 'refs/selfheal/1-1')).toMatch(/^[0-9a-f]{40}$/);
  });

  it('takes another name when this one is taken', async () => {
    await world.kit.repository({ 'a.txt': 'one\n' });
    await git('update-ref', 'refs/selfheal/1-1', 'HEAD');
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('for-each-ref', '--format=%(refname)', 'refs/selfheal/')).toBe(
      'refs/selfheal/1-1\nrefs/selfheal/1-1-2',
    );
    await expect(rescue('refs/heads/main').snapshot()).rejects.toMatchObject({ code: 'refused' });
    await expect(rescue('refs/selfheal/../heads/main').snapshot()).rejects.toMatchObject({ code: 'refused' });
  });

  it('keeps private files out of the objects, and their bytes in the snapshot folder', async () => {
    await world.kit.repository({ 'a.txt': 'one\n' });
    write('.env', 'TOKEN=hunter2hunter2\n');
    write('closed.json', 'closed');
    chmodSync(at('closed.json'), 0o600);
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('ls-tree', '-r', '--name-only', 'refs/selfheal/1-1')).toBe('a.txt');
    expect(await git('log', '-1', '--format=%B', 'refs/selfheal/1-1')).toContain('".env"');
    const copies = readdirSync(join(bench.context.snapshotDirectory, 'files')).map((name) =>
      readFileSync(join(bench.context.snapshotDirectory, 'files', name), 'utf8'),
    );
    expect(copies).toEqual(expect.arrayContaining(['TOKEN=hunter2hunter2\n', 'closed']));
  });

  it('does not take our own state for work of the owner', async () => {
    await world.kit.repository({ 'a.txt': 'one\n' });
    state = at('var/heal');
    write('var/heal/store.db', 'ours');
    chmodSync(state, 0o700);
    chmodSync(at('var/heal/store.db'), 0o644);
    write('var/owners.txt', 'theirs');
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('ls-tree', '-r', '--name-only', 'refs/selfheal/1-1')).toBe('a.txt\nvar/owners.txt');
  });

  it('saves edits that git was told not to see', async () => {
    await world.kit.repository({ 'a.txt': 'one\n' });
    await git('update-index', '--assume-unchanged', 'a.txt');
    write('a.txt', 'hidden edit\n');
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('show', 'refs/selfheal/1-1:a.txt')).toBe('hidden edit');
  });

  it('works in a repository without a commit', async () => {
    mkdirSync(directory);
    await git('init', '--quiet');
    write('first.txt', 'x');
    const bench = rescue();
    await bench.snapshot();
    await bench.apply();
    expect(await git('show', 'refs/selfheal/1-1:first.txt')).toBe('x');
  });
});

describe('git-abort', () => {
  it('ends a stuck merge and comes back to it, byte for byte', async () => {
    await stuckMerge();
    await thereAndBack(await abort('merge'));
  });

  it('leaves local edits, untracked and ignored files as they were', async () => {
    await stuckMerge();
    const kept = ['notes.md', 'draft.txt', '.env'].map((name) => [text(name), lstatSync(at(name)).ino]);
    const bench = await abort('merge');
    await bench.snapshot();
    await bench.apply();
    expect(['notes.md', 'draft.txt', '.env'].map((name) => [text(name), lstatSync(at(name)).ino])).toEqual(kept);
    expect(text('main.py')).toBe('a\nOURS\nc\n');
    expect(await git('status', '--porcelain', 'main.py', 'other.py')).toBe('');
  });

  it.each(['rebase', 'cherry-pick', 'revert'] as const)('ends a stuck %s and comes back to it', async (operation) => {
    await world.kit.repository({ 'main.py': '1\n', 'other.py': 'o\n' });
    for (const line of ['2', '3']) {
      write('main.py', `${line}\n`);
      await git('commit', '-qam', line);
    }
    if (operation === 'revert') await mayFail('revert', '--no-edit', 'HEAD~1');
    else {
      await git('checkout', '-q', '-b', 'topic', 'HEAD~1');
      write('main.py', 'topic\n');
      write('other.py', 'topic\n');
      await git('commit', '-qam', 'topic');
      await mayFail(operation, ...(operation === 'cherry-pick' ? ['--no-edit', 'main'] : ['main']));
    }
    write('draft.txt', 'untracked\n');
    const bench = await abort(operation);
    await thereAndBack(bench);
    await bench.apply();
    expect(await git('status', '--porcelain')).toBe('?? draft.txt');
  });

  it('refuses when the operation or HEAD is another one by now', async () => {
    await stuckMerge();
    await expect((await abort('rebase')).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    const bench = await abort('merge');
    await git('merge', '--abort');
    await expect(bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
  });

  it('refuses while somebody holds the index', async () => {
    await stuckMerge();
    write('.git/index.lock', '');
    await expect((await abort('merge')).snapshot()).rejects.toMatchObject({ code: 'precondition' });
  });

  it('takes back what a killed git has left half done', async () => {
    await stuckMerge();
    const before = await whole();
    const bench = await abort('merge');
    await bench.snapshot();
    write('main.py', 'half');
    unlinkSync(at('other.py'));
    unlinkSync(at('.git/MERGE_MSG'));
    write('.git/index.lock', 'half an index');
    expect(await bench.probe()).toBe('unclear');
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect(await whole()).toEqual(before);
  });

  it('does not put a branch back that somebody else has moved meanwhile', async () => {
    await stuckMerge();
    const bench = await abort('merge');
    await bench.snapshot();
    await bench.apply();
    write('main.py', 'a\nperson\nc\n');
    await git('commit', '-qam', 'a person went on');
    await expect(bench.undo()).rejects.toMatchObject({ code: 'refused' });
    expect(text('main.py')).toBe('a\nperson\nc\n');
  });
});

describe('git-fast-forward', () => {
  const start = async (): Promise<void> => {
    await world.kit.repository({
      'main.py': 'old\n',
      'lib/a.py': 'a\n',
      'notes.md': 'n\n',
      'gone.txt': 'x\n',
      '.gitignore': '.env\n',
    });
    await world.kit.upstream({ 'main.py': 'new\n', 'lib/deep/b.py': 'b\n' }, 'news');
  };

  it('takes in upstream and comes back from it, local edits elsewhere untouched', async () => {
    await start();
    write('notes.md', 'local edit\n');
    write('draft.txt', 'draft\n');
    write('.env', 'A=1\n');
    await thereAndBack(await forward());
    const bench = await forward();
    await bench.snapshot();
    await bench.apply();
    expect([text('main.py'), text('lib/deep/b.py'), text('notes.md'), text('draft.txt')]).toEqual([
      'new\n',
      'b\n',
      'local edit\n',
      'draft\n',
    ]);
    expect(await git('status', '--short', '--branch')).toBe('## main...origin/main\n M notes.md\n?? draft.txt');
    expect(await git('for-each-ref', 'refs/selfheal/')).toBe('');
    expect(await git('stash', 'list')).toBe('');
  });

  it('keeps a staged change elsewhere staged', async () => {
    await start();
    write('notes.md', 'staged\n');
    await git('add', 'notes.md');
    await thereAndBack(await forward());
  });

  it.each([
    ['an edited file', 'main.py', 'edited\n'],
    ['an untracked file', 'lib/deep/b.py', 'mine\n'],
    ['a file where a folder comes in', 'lib/deep', 'mine\n'],
  ])('refuses when %s is in the way', async (_, name, content) => {
    await start();
    write(name, content);
    const before = await whole();
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    expect(await whole()).toEqual(before);
    expect(await git('for-each-ref', 'refs/selfheal/')).toBe('');
  });

  it('never overwrites an ignored .env that upstream starts to track', async () => {
    await start();
    await world.kit.upstream({ '.gitignore': '\n', '.env': 'TOKEN=changeme\n' }, 'track .env');
    write('.env', 'TOKEN=real\n');
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    expect(text('.env')).toBe('TOKEN=real\n');
  });

  it('never writes through a link that stands where a folder should be', async () => {
    await start();
    rmSync(at('lib'), { recursive: true });
    mkdirSync(join(dirname(directory), 'outside'));
    symlinkSync(join(dirname(directory), 'outside'), at('lib'));
    await expect((await forward()).snapshot()).rejects.toMatchObject({
      code: expect.stringMatching(/precondition|refused/),
    });
    expect(readdirSync(join(dirname(directory), 'outside'))).toEqual([]);
  });

  it('refuses edits that git was told not to see', async () => {
    await start();
    await git('update-index', '--assume-unchanged', 'main.py');
    write('main.py', 'hidden edit\n');
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    expect(text('main.py')).toBe('hidden edit\n');
  });

  it('refuses a rewound upstream, another branch, another HEAD, an unknown commit', async () => {
    await start();
    const bench = await forward();
    await expect((await forward('1'.repeat(40))).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    await git('checkout', '-q', '-b', 'other');
    await expect(bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
    await git('checkout', '-q', 'main');
    write('notes.md', 'x\n');
    await git('commit', '-qam', 'own commit');
    await expect(bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'precondition' });
  });

  it('takes back what a killed git has left half done', async () => {
    await start();
    const before = await whole();
    const bench = await forward();
    await bench.snapshot();
    write('main.py', 'new\n');
    write('lib/deep/b.py', 'half');
    write('.git/index.lock', 'half an index');
    expect(await bench.probe()).toBe('unclear');
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect(await whole()).toEqual(before);
    const displaced = join(bench.context.snapshotDirectory, 'displaced');
    expect(readdirSync(displaced).map((name) => readFileSync(join(displaced, name), 'utf8'))).toContain('half');
  });

  it('brings back line ends that git would write differently', async () => {
    await world.kit.repository({
      '.gitattributes': '*.txt text eol=crlf\n',
      'a.txt': 'one\r\ntwo\r\n',
      'b.txt': 'b\r\n',
    });
    await git('config', 'core.checkStat', 'minimal');
    await world.kit.upstream({ 'a.txt': 'new\r\n' }, 'news');
    await thereAndBack(await forward());
    expect(text('a.txt')).toBe('one\r\ntwo\r\n');
    write('a.txt', 'one\ntwo\r\n');
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    expect(text('a.txt')).toBe('one\ntwo\r\n');
  });

  it('takes names of any bytes', async () => {
    const odd = ['-dash', 'new\nline', 'quo"te', 'sp ace', '$(touch x);', 'ünïcode'];
    const bytes = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe, 0x41])]);
    await world.kit.repository({ 'a.txt': 'a\n' });
    for (const name of odd) write(name, 'old\n');
    writeFileSync(bytes, 'bytes\n');
    await git('add', '-A');
    await git('commit', '-qm', 'odd');
    await git('push', '-q');
    await world.kit.upstream(Object.fromEntries(odd.map((name) => [name, 'new\n'])), 'news');
    writeFileSync(bytes, 'edited bytes\n');
    const save = rescue();
    await save.snapshot();
    await save.apply();
    expect(await git('ls-tree', 'refs/selfheal/1-1')).toContain('"\\377\\376A"');
    const bench = await forward();
    await thereAndBack(bench);
    await bench.apply();
    for (const name of odd) expect(text(name)).toBe('new\n');
    expect(readFileSync(bytes, 'utf8')).toBe('edited bytes\n');
  });

  it('brings modes and links along, and back', async () => {
    await start();
    const clone = join(dirname(directory), 'colleague');
    const there = { cwd: clone };
    await world.kit.sh(['git', 'clone', '-q', join(dirname(directory), 'upstream.git'), clone]);
    chmodSync(join(clone, 'main.py'), 0o755);
    rmSync(join(clone, 'gone.txt'));
    rmSync(join(clone, 'notes.md'));
    symlinkSync('main.py', join(clone, 'notes.md'));
    await world.kit.sh(['git', 'add', '-A'], there);
    await world.kit.sh(['git', 'commit', '-qm', 'kinds'], there);
    await world.kit.sh(['git', 'push', '-q'], there);
    await thereAndBack(await forward());
    const bench = await forward();
    await bench.snapshot();
    await bench.apply();
    expect(statSync(at('main.py')).mode & 0o100).toBe(0o100);
    expect(lstatSync(at('notes.md')).isSymbolicLink()).toBe(true);
    expect(existsSync(at('gone.txt'))).toBe(false);
  });

  it('refuses files that a filter driver would have to write', async () => {
    await world.kit.repository({ '.gitattributes': '*.bin filter=lfs\n', 'big.bin': 'pointer\n' });
    await world.kit.upstream({ 'big.bin': 'other pointer\n' }, 'news');
    await expect((await forward()).snapshot()).rejects.toMatchObject({ code: 'refused' });
  });

  it('works in a linked work tree', async () => {
    await start();
    const main = directory;
    directory = join(dirname(directory), 'linked');
    await world.kit.sh(['git', '-C', main, 'checkout', '-q', '--detach']);
    await world.kit.sh(['git', '-C', main, 'worktree', 'add', '-q', directory, 'main']);
    await world.kit.upstream({ 'main.py': 'newest\n' }, 'more');
    const to = (await world.kit.sh(['git', '-C', directory, 'ls-remote', 'origin', 'refs/heads/main'])).split('\t')[0];
    const from = (await world.kit.sh(['git', '-C', directory, 'rev-parse', 'HEAD'])).trim();
    const wish: GitFastForwardStep = {
      kind: 'git-fast-forward',
      title,
      undo,
      directory,
      branch: 'main',
      from,
      to: to as string,
    };
    const bench = benchFor(gitFastForward, wish, { run, state, step: 1 });
    await bench.snapshot();
    await bench.apply();
    expect(text('main.py')).toBe('newest\n');
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect(text('main.py')).toBe('old\n');
  });
});

describe('git-return', () => {
  it('goes back to an earlier commit and forward again, local edits elsewhere untouched', async () => {
    await world.kit.repository({ 'main.py': 'good\n', 'notes.md': 'n\n' });
    const good = await git('rev-parse', 'HEAD');
    write('main.py', 'broken\n');
    write('extra/new.py', 'new\n');
    await git('add', '-A');
    await git('commit', '-qm', 'deploy');
    write('notes.md', 'local edit\n');
    write('draft.txt', 'draft\n');
    await thereAndBack(await goBack(good));
    const bench = await goBack(good);
    await bench.snapshot();
    await bench.apply();
    expect([text('main.py'), text('notes.md'), existsSync(at('extra'))]).toEqual(['good\n', 'local edit\n', false]);
  });

  it('refuses a commit that is no ancestor, and edits that would be lost', async () => {
    await world.kit.repository({ 'main.py': 'good\n' });
    const good = await git('rev-parse', 'HEAD');
    write('main.py', 'broken\n');
    await git('commit', '-qam', 'deploy');
    write('main.py', 'edited\n');
    await expect((await goBack(good)).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    await git('checkout', '-q', '--orphan', 'lone');
    await git('commit', '-qm', 'lone');
    const lone = await git('rev-parse', 'HEAD');
    await git('checkout', '-q', '-f', 'main');
    await expect((await goBack(lone)).snapshot()).rejects.toMatchObject({ code: 'precondition' });
  });
});

describe('a repository of another user', () => {
  it.runIf(process.getuid?.() === 0)('is worked on as that user, and its files stay theirs', async () => {
    await world.kit.repository({ 'main.py': 'old\n' });
    await world.kit.upstream({ 'main.py': 'new\n', 'b.py': 'b\n' }, 'news');
    chmodSync(dirname(directory), 0o755);
    await world.kit.sh(['chown', '-R', '65534:65534', directory, join(dirname(directory), 'upstream.git')], {
      cwd: '/',
    });
    write('draft.txt', 'draft\n');
    await world.kit.sh(['chown', '65534:65534', at('draft.txt')], { cwd: '/' });
    for (const bench of [rescue(), await forward()]) {
      await bench.snapshot();
      await bench.apply();
    }
    const owners = [...((await describeTree(directory)) ?? new Map<string, string>()).values()].map(
      (line) => / (\d+:\d+)/.exec(line)?.[1],
    );
    expect(new Set(owners)).toEqual(new Set(['65534:65534']));
    const bench = await forward(await git('rev-parse', 'HEAD'));
    expect(text('main.py')).toBe('new\n');
    expect(bench.context.plan).toBe('1-1');
  });
});
