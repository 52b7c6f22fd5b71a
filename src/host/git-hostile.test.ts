// Repositories that try to run programs of theirs while we look at them or work on them. The proof is a canary: each
// trap writes a file of its own, and none may ever appear. A plain git on the same repository shows that the traps are live.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitAbortStep, GitFastForwardStep, GitRescueStep, GitReturnStep } from '../core/plan.ts';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { benchFor, type EffectBench } from '../testing/effect-bench.ts';
import { GIT_ENVIRONMENT } from '../testing/kit-git.ts';
import { systemClock } from './clock.ts';
import type { GitProbe } from './contract.ts';
import { gitAbort } from './effects/git-abort.ts';
import { gitFastForward } from './effects/git-fast-forward.ts';
import { gitRescue } from './effects/git-rescue.ts';
import { gitReturn } from './effects/git-return.ts';
import { createGitProbe } from './git.ts';
import { createRun } from './run.ts';

const run = createRun({ home: '/nonexistent' });
let world: DrillWorld;
let directory: string;
let canaries: string;
let probe: GitProbe;

beforeEach(() => {
  world = createDrillKit({ run });
  directory = world.kit.directory;
  canaries = join(world.root, 'canaries');
  mkdirSync(canaries);
  mkdirSync(join(world.root, 'scratch'));
  const stateDirectory = join(world.root, 'state');
  probe = createGitProbe({ run, clock: systemClock, stateDirectory, scratchDirectory: join(world.root, 'scratch') });
});
afterEach(() => world.close());

const environment = { ...process.env, ...GIT_ENVIRONMENT };
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: directory, encoding: 'utf8', env: environment, stdio: 'pipe' }).trim();
const at = (name: string): string => join(directory, name);
const write = (name: string, text: string, mode = 0o644): void => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
};
const sprung = (): readonly string[] => readdirSync(canaries).sort();
/** A command line that leaves a canary, and then behaves like a filter or a driver. */
const trap = (name: string): string => `touch ${join(canaries, name)}; cat; true #`;

const HOOKS = [
  ...['applypatch-msg', 'pre-applypatch', 'post-applypatch', 'pre-commit', 'pre-merge-commit', 'prepare-commit-msg'],
  ...[
    'commit-msg',
    'post-commit',
    'pre-rebase',
    'post-checkout',
    'post-merge',
    'pre-push',
    'pre-auto-gc',
    'post-rewrite',
  ],
  ...['reference-transaction', 'post-index-change', 'fsmonitor-watchman', 'update', 'pre-receive', 'post-update'],
];

/** Every way of a configuration to name a program, set to leave a canary. */
function armConfiguration(): void {
  const settings: readonly (readonly [string, string])[] = [
    ...['core.fsmonitor', 'core.editor', 'core.pager', 'core.sshCommand', 'core.gitProxy', 'core.askPass'].map(
      (key) => [key, trap(key)] as const,
    ),
    ...['diff.external', 'gpg.program', 'credential.helper', 'core.alternateRefsCommand', 'sequence.editor'].map(
      (key) => [key, trap(key)] as const,
    ),
    ...['alias.status', 'alias.merge', 'alias.config', 'alias.rev-parse'].map((key) => [key, `!${trap(key)}`] as const),
    ...['filter.evil.clean', 'filter.evil.smudge', 'filter.evil.process', 'filter.a=b.clean'].map(
      (key) => [key, trap(key)] as const,
    ),
    ...['diff.evil.command', 'diff.evil.textconv', 'merge.evil.driver', 'trailer.x.command'].map(
      (key) => [key, trap(key)] as const,
    ),
    ...['remote.origin.uploadpack', 'pager.status', 'pager.log', 'interactive.diffFilter'].map(
      (key) => [key, trap(key)] as const,
    ),
    ['filter.evil.required', 'true'],
    ['commit.gpgSign', 'true'],
    ['core.hooksPath', at('tracked-hooks')],
    ['protocol.ext.allow', 'always'],
    ['maintenance.auto', 'true'],
    ['gc.auto', '1'],
    ['rebase.autoStash', 'true'],
    ['merge.autoStash', 'true'],
    ['submodule.recurse', 'true'],
    ['status.submoduleSummary', 'true'],
    ['include.path', at('included')],
  ];
  write('included', `[core]\n\tfsmonitor = ${JSON.stringify(trap('included'))}\n`);
  for (const [key, value] of settings) git('config', key, value);
}

function armHooks(): void {
  for (const folder of ['.git/hooks', 'tracked-hooks'])
    for (const hook of HOOKS)
      write(`${folder}/${hook}`, `#!/bin/sh\ntouch ${join(canaries, `hook-${hook}`)}\nexit 0\n`, 0o755);
}

/** A repository with a stuck merge, upstream news, edits of all kinds, and every trap we know. */
async function armedWorld(): Promise<void> {
  await world.kit.repository({
    '.gitattributes': '*.evil filter=evil diff=evil merge=evil\nmain.py diff=evil merge=evil\nodd filter=a=b\n',
    'main.py': 'a\nb\nc\n',
    'data.evil': 'x\n',
    odd: 'x\n',
    'notes.md': 'n\n',
    'plain.py': 'p\n',
  });
  await world.kit.upstream({ 'plain.py': 'theirs\n', 'new.py': 'new\n' }, 'news');
  plantBareRepository();
  write('notes.md', 'edited\n');
  write('data.evil', 'edited\n');
  write('odd', 'edited\n');
  write('draft.txt', 'draft\n');
  armHooks();
  armConfiguration();
}

/** A folder that git would take for a repository when it comes by, with a monitor of its own. */
function plantBareRepository(): void {
  const bare = at('vendor/embedded');
  mkdirSync(bare, { recursive: true });
  spawnSync('git', ['init', '-q', '--bare', bare], { env: environment });
  writeFileSync(join(bare, 'x'), 'x');
  spawnSync('git', ['--git-dir=.', '--work-tree=.', 'add', 'x'], { cwd: bare, env: environment });
  writeFileSync(
    join(bare, 'config'),
    `[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ${bare}\n\tfsmonitor = ${JSON.stringify(trap('embedded'))}\n`,
  );
}

async function there(bench: EffectBench): Promise<void> {
  await bench.snapshot();
  await bench.probe();
  await bench.apply();
  await bench.probe();
}

async function andBack(bench: EffectBench): Promise<void> {
  await bench.undo();
  expect(await bench.differences()).toEqual([]);
}

const state = (): string => join(world.root, 'snapshots');
const step = { title: 'test', undo: { kind: 'restore-snapshot' } } as const;

describe('a repository full of traps', () => {
  it('has live traps, as a plain git shows', async () => {
    await armedWorld();
    spawnSync('git', ['status'], { cwd: directory, env: environment });
    spawnSync('git', ['diff'], { cwd: directory, env: environment });
    spawnSync('git', ['-c', 'core.fsmonitor=false', 'add', '-A'], { cwd: directory, env: environment });
    spawnSync('git', ['status'], { cwd: at('vendor/embedded'), env: environment });
    expect(sprung()).toEqual(expect.arrayContaining(['filter.evil.process', 'included', 'embedded']));
  });

  it('runs none of them while it is looked at', async () => {
    await armedWorld();
    const repository = await probe.repository(directory);
    expect(repository?.suspicious).toEqual(
      expect.arrayContaining(['core.fsmonitor', 'filter.evil.clean', 'include.path', 'alias.status']),
    );
    if (!repository) throw new Error('no repository');
    expect(repository.modified).toEqual(expect.arrayContaining(['notes.md', 'data.evil', 'odd']));
    const { incoming } = await probe.incoming(repository);
    expect(incoming?.commits).toBe(1);
    const commit = incoming?.commit ?? '';
    await probe.textAt(repository, commit, 'main.py');
    await probe.isAncestor(repository, repository.head ?? '', commit);
    await probe.changedBetween(repository, repository.head ?? '', commit);
    write('plain.py', 'ours\np\n');
    await probe.mergedText(repository, commit, 'plain.py');
    await probe.tryCommit(repository, commit, {
      files: ['main.py'],
      service: world.service(),
      argv: null,
      symptom: null,
    });
    await probe.withWorktree(repository, commit, async () => {});
    await probe.repository(at('vendor/embedded'));
    expect(sprung()).toEqual([]);
  });

  it('runs none of them while it is rescued, moved forward, moved back, and all of it taken back', async () => {
    await armedWorld();
    const repository = await probe.repository(directory);
    const to = (await probe.incoming(repository ?? (undefined as never))).incoming?.commit ?? '';
    const from = repository?.head ?? '';
    const rescue: GitRescueStep = { ...step, kind: 'git-rescue', directory, ref: 'refs/selfheal/{plan}' };
    const forward: GitFastForwardStep = { ...step, kind: 'git-fast-forward', directory, branch: 'main', from, to };
    const back: GitReturnStep = { ...step, kind: 'git-return', directory, branch: 'main', from: to, to: from };
    const first = benchFor(gitRescue, rescue, { run, state: state(), step: 0 });
    const second = benchFor(gitFastForward, forward, { run, state: state(), step: 1 });
    const third = benchFor(gitReturn, back, { run, state: state(), step: 2 });
    for (const bench of [first, second, third]) await there(bench);
    for (const bench of [third, second, first]) await andBack(bench);
    expect(sprung()).toEqual([]);
    expect([readFileSync(at('notes.md'), 'utf8'), readFileSync(at('data.evil'), 'utf8')]).toEqual([
      'edited\n',
      'edited\n',
    ]);
  });

  it.each(['merge', 'rebase', 'cherry-pick', 'revert'] as const)(
    'runs none of them while a %s is ended and begun again',
    async (operation) => {
      await world.kit.repository({
        '.gitattributes': '*.evil filter=evil merge=evil\n',
        'main.py': '1\n',
        'x.evil': 'x\n',
      });
      write('main.py', '2\n');
      git('commit', '-qam', 'two');
      write('main.py', '3\n');
      git('commit', '-qam', 'three');
      git('checkout', '-q', '-b', 'topic', 'HEAD~2');
      write('main.py', 'topic\n');
      git('commit', '-qam', 'topic');
      const args = {
        merge: ['merge', 'main'],
        rebase: ['rebase', 'main'],
        'cherry-pick': ['cherry-pick', 'main'],
        revert: ['revert', '--no-edit', 'main'],
      };
      expect(() => git(...args[operation])).toThrow();
      write('x.evil', 'edited\n');
      armHooks();
      armConfiguration();
      const { head } = (await probe.repository(directory)) ?? {};
      const wish: GitAbortStep = { ...step, kind: 'git-abort', directory, operation, head: head ?? '' };
      const bench = benchFor(gitAbort, wish, { run, state: state() });
      await there(bench);
      await andBack(bench);
      expect(sprung()).toEqual([]);
      expect(readFileSync(at('x.evil'), 'utf8')).toBe('edited\n');
    },
  );

  it('does not hear what our own environment says to git', async () => {
    await world.kit.repository({ 'main.py': 'a\n' });
    write('main.py', 'edited\n');
    const traps: Record<string, string> = {
      GIT_EXTERNAL_DIFF: trap('GIT_EXTERNAL_DIFF'),
      GIT_PAGER: trap('GIT_PAGER'),
      GIT_EDITOR: trap('GIT_EDITOR'),
      GIT_SSH_COMMAND: trap('GIT_SSH_COMMAND'),
      GIT_ASKPASS: trap('GIT_ASKPASS'),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.fsmonitor',
      GIT_CONFIG_VALUE_0: trap('GIT_CONFIG_COUNT'),
      GIT_DIR: '/nonexistent',
      GIT_WORK_TREE: '/nonexistent',
      GIT_INDEX_FILE: '/nonexistent',
      GIT_OBJECT_DIRECTORY: '/nonexistent',
    };
    const before = { ...process.env };
    Object.assign(process.env, traps);
    try {
      expect((await probe.repository(directory))?.modified).toEqual(['main.py']);
    } finally {
      for (const name of Object.keys(traps)) delete process.env[name];
      Object.assign(process.env, before);
    }
    expect(sprung()).toEqual([]);
  });

  it('does not fetch through an address that names a program', async () => {
    await world.kit.repository({ 'main.py': 'a\n' });
    git('config', 'protocol.allow', 'always');
    for (const url of [
      `ext::sh -c "touch ${join(canaries, 'ext')}" %S`,
      `-u touch ${join(canaries, 'option')}`,
      'fd::3',
      'nonsense::x',
    ]) {
      git('config', 'remote.origin.url', url);
      const repository = await probe.repository(directory);
      if (!repository) throw new Error('no repository');
      expect(repository.suspicious).toEqual(['protocol.allow', 'remote.origin.url']);
      expect(repository.upstream?.url).toBe('refused');
      expect((await probe.incoming(repository)).trouble).toBe('refused-address');
    }
    git('config', 'remote.origin.url', 'https://127.0.0.1:9/x.git');
    git('config', `url.ext::sh -c touch% ${join(canaries, 'instead')} %S .insteadOf`, 'https://127.0.0.1:9/');
    const repository = await probe.repository(directory);
    if (!repository) throw new Error('no repository');
    expect((await probe.incoming(repository)).incoming).toBeNull();
    expect(sprung()).toEqual([]);
  });

  it('cannot make upstream’s own hooks and filters run when its commits come in', async () => {
    await world.kit.repository({ 'main.py': 'a\n' });
    git('config', 'core.hooksPath', '.husky');
    git('config', 'filter.evil.smudge', trap('smudge'));
    await world.kit.upstream(
      { '.husky/post-merge': `#!/bin/sh\ntouch ${join(canaries, 'husky')}\n`, 'main.py': 'b\n' },
      'hook',
    );
    const clone = join(world.root, 'clone');
    execFileSync('git', ['clone', '-q', join(world.root, 'upstream.git'), clone], { env: environment });
    chmodSync(join(clone, '.husky/post-merge'), 0o755);
    execFileSync('git', ['commit', '-qam', 'mode'], { cwd: clone, env: environment });
    execFileSync('git', ['push', '-q'], { cwd: clone, env: environment });
    const repository = await probe.repository(directory);
    if (!repository) throw new Error('no repository');
    const to = (await probe.incoming(repository)).incoming?.commit ?? '';
    const forward: GitFastForwardStep = {
      ...step,
      kind: 'git-fast-forward',
      directory,
      branch: 'main',
      from: repository.head ?? '',
      to,
    };
    await there(benchFor(gitFastForward, forward, { run, state: state() }));
    expect(existsSync(at('.husky/post-merge'))).toBe(true);
    expect(sprung()).toEqual([]);
  });
});
