import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { GIT_ENVIRONMENT } from '../testing/kit-git.ts';
import { systemClock } from './clock.ts';
import type { GitProbe, GitRepository, RunResult } from './contract.ts';
import { createGitProbe } from './git.ts';
import { addressShown, isPlainAddress, riskyChanges, suspiciousKeys } from './git-suspicion.ts';
import { fetchProblem } from './git-upstream.ts';
import { createRun } from './run.ts';
import { describeTree } from './tree.ts';

const run = createRun({ home: '/nonexistent' });
let world: DrillWorld;
let probe: GitProbe;
let directory: string;

beforeEach(() => {
  world = createDrillKit({ run });
  directory = world.kit.directory;
  mkdirSync(join(world.root, 'scratch'));
  chmodSync(world.root, 0o755);
  probe = createGitProbe({
    run,
    clock: systemClock,
    stateDirectory: join(world.root, 'state'),
    scratchDirectory: join(world.root, 'scratch'),
  });
});
afterEach(() => world.close());

const git = (...args: string[]): string =>
  execFileSync('git', args, {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, ...GIT_ENVIRONMENT },
    stdio: 'pipe',
  }).trim();
const at = (name: string): string => join(directory, name);
const write = (name: string, text: string): void => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
};
const look = async (): Promise<GitRepository> => {
  const repository = await probe.repository(directory);
  if (!repository) throw new Error('no repository');
  return repository;
};

describe('a repository', () => {
  it('is described without being touched', async () => {
    await world.kit.repository({ 'a.py': 'a\n', 'b.py': 'b\n', 'c.py': 'c\n' });
    write('a.py', 'edited\n');
    write('b.py', 'staged\n');
    git('add', 'b.py');
    write('new file.txt', 'new\n');
    utimesSync(at('c.py'), 1, 1); // stale in the index: a plain status would write it
    const before = await describeTree(directory);
    expect(await look()).toMatchObject({
      directory,
      gitDirectory: at('.git'),
      head: git('rev-parse', 'HEAD'),
      branch: 'main',
      upstream: { remote: 'origin', branch: 'main' },
      operation: null,
      inUse: false,
      modified: ['a.py'],
      staged: ['b.py'],
      untracked: ['new file.txt'],
      unmerged: [],
      suspicious: [],
      indexLock: null,
      trouble: null,
    });
    expect(await describeTree(directory)).toEqual(before);
  });

  it('is found from a folder inside it, and not where there is none', async () => {
    await world.kit.repository({ 'deep/er/a.py': 'a\n' });
    expect((await probe.repository(at('deep/er')))?.directory).toBe(directory);
    expect(await probe.repository(world.root)).toBeNull();
    expect(await probe.repository(join(world.root, 'nowhere'))).toBeNull();
  });

  it('knows what is unfinished in it', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    git('checkout', '-q', '-b', 'topic');
    write('a.py', 'topic\n');
    git('commit', '-qam', 'topic');
    git('checkout', '-q', 'main');
    write('a.py', 'main\n');
    git('commit', '-qam', 'main');
    for (const [args, operation] of [
      [['merge', 'topic'], 'merge'],
      [['rebase', 'topic'], 'rebase'],
      [['cherry-pick', 'topic'], 'cherry-pick'],
    ] as const) {
      expect(() => git(...args)).toThrow();
      expect(await look()).toMatchObject({ operation, unmerged: ['a.py'] });
      git(args[0], '--abort');
    }
    git('bisect', 'start');
    expect((await look()).operation).toBe('bisect');
  });

  it('is in use while a person resolves a conflict in it', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    await world.kit.upstream({ 'a.py': 'theirs\n' }, 'theirs');
    write('a.py', 'ours\n');
    git('commit', '-qam', 'ours');
    expect(() => git('pull', '--no-rebase', '-q')).toThrow();
    expect((await look()).inUse).toBe(false);
    const began = statSync(at('.git/MERGE_HEAD')).mtimeMs;
    utimesSync(at('.git/MERGE_HEAD'), (began - 60_000) / 1000, (began - 60_000) / 1000);
    expect((await look()).inUse).toBe(true);
  });

  it('is in use while somebody else’s git works in it', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    // git waits for input that never comes.
    await world.kit.start(['sh', '-c', 'sleep 1000 | git cat-file --batch-check & echo ready; wait'], {
      ready: 'ready',
    });
    let inUse = false;
    for (let i = 0; i < 100 && !inUse; i++) inUse = (await look()).inUse;
    expect(inUse).toBe(true);
  });

  it('tells who holds its index lock, and for how long', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    write('.git/index.lock', '');
    utimesSync(at('.git/index.lock'), Date.now() / 1000 - 100, Date.now() / 1000 - 100);
    const { indexLock } = await look();
    expect(indexLock).toMatchObject({ path: at('.git/index.lock'), holder: null });
    expect(indexLock?.ageMs).toBeGreaterThan(99_000);
    const hold = `require('node:fs').openSync(${JSON.stringify(at('.git/index.lock'))}); console.log('held'); setInterval(() => {}, 1000)`;
    const holder = await world.kit.start([process.execPath, '-e', hold], { ready: 'held' });
    expect((await look()).indexLock?.holder?.pid).toBe(holder.pid);
  });

  it('says why git cannot work in it', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    write('.git/index', 'this is no index, and long enough to be read as one');
    expect((await look()).trouble).toMatch(/index/);
  });

  it.runIf(process.getuid?.() === 0)('of another user than the folder is not worked in', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    await world.kit.sh(['chown', '-R', '65534:65534', at('.git')]);
    expect((await look()).trouble).toMatch(/another user/);
    mkdirSync(at('sub'));
    expect(await probe.repository(at('sub'))).toBeNull();
  });
});

describe('what upstream has', () => {
  it('is found out without touching the repository', async () => {
    await world.kit.repository({ 'main.py': 'old\n', 'gone.py': 'x\n' });
    await world.kit.upstream({ 'main.py': 'new\n', 'package.json': '{}\n' }, 'news');
    const before = await describeTree(directory);
    const repository = await look();
    const { incoming } = await probe.incoming(repository);
    expect(incoming).toMatchObject({ commits: 1, fastForward: true, subjects: ['news'] });
    expect(incoming?.changed).toEqual([
      { path: 'main.py', status: 'M', mode: '100644' },
      { path: 'package.json', status: 'A', mode: '100644' },
    ]);
    expect(incoming?.risky.map((one) => one.path)).toEqual(['package.json']);
    expect(await probe.textAt(repository, incoming?.commit ?? '', 'main.py')).toBe('new\n');
    expect(await probe.textAt(repository, repository.head ?? '', 'main.py')).toBe('old\n');
    expect(await probe.textAt(repository, 'main', 'main.py')).toBeNull();
    expect(await probe.textAt(repository, repository.head ?? '', './main.py')).toBeNull();
    expect(await probe.isAncestor(repository, repository.head ?? '', incoming?.commit ?? '')).toBe(true);
    expect(await probe.isAncestor(repository, incoming?.commit ?? '', repository.head ?? '')).toBe(false);
    expect(await probe.isAncestor(repository, '--help', repository.head ?? '')).toBeNull();
    expect(await describeTree(directory)).toEqual(before);
  });

  it('is nothing, apart, or unreachable', async () => {
    await world.kit.repository({ 'main.py': 'old\n' });
    expect((await probe.incoming(await look())).incoming?.commits).toBe(0);
    await world.kit.upstream({ 'main.py': 'theirs\n' }, 'theirs');
    write('other.py', 'ours\n');
    git('add', '-A');
    git('commit', '-qm', 'ours');
    expect((await probe.incoming(await look())).incoming).toMatchObject({ commits: 1, fastForward: false });
    git('config', 'remote.origin.url', '/nonexistent/upstream.git');
    expect((await probe.incoming(await look())).trouble).toBe('gone');
    git('config', 'remote.origin.url', 'https://127.0.0.1:9/x.git');
    expect((await probe.incoming(await look())).trouble).toBe('unreachable');
    git('config', 'remote.origin.url', 'http://127.0.0.1:9/x.git');
    expect((await probe.incoming(await look())).trouble).toBe('refused-address');
    git('branch', '--unset-upstream');
    expect((await probe.incoming(await look())).trouble).toBe('no-upstream');
    const empty = { ...(await look()), head: null };
    expect(await probe.incoming(empty)).toMatchObject({
      trouble: 'no-upstream',
      reason: 'the repository has no commit yet',
    });
  });

  it('lists what would run by itself, and what would be overwritten here', async () => {
    await world.kit.repository({ '.gitignore': '.env\n', 'a.sh': 'x\n' });
    write('.env', 'TOKEN=real\n');
    await world.kit.upstream(
      {
        '.gitignore': '\n',
        '.env': 'TOKEN=x\n',
        '.husky/post-merge': 'x\n',
        '.gitattributes': 'x\n',
        'data/x.txt': 'fine\n',
        'deploy/agent.service': 'x\n',
      },
      'trouble',
    );
    const paths = (await probe.incoming(await look())).incoming?.risky.map((one) => one.path);
    expect([...new Set(paths)].sort()).toEqual(['.env', '.gitattributes', '.husky/post-merge', 'deploy/agent.service']);
  });

  it('is read from a shallow clone and from a linked work tree, too', async () => {
    await world.kit.repository({ 'main.py': 'one\n' });
    await world.kit.upstream({ 'main.py': 'two\n' }, 'two');
    const shallow = join(world.root, 'shallow');
    execFileSync('git', ['clone', '-q', '--depth=1', `file://${join(world.root, 'upstream.git')}`, shallow]);
    await world.kit.upstream({ 'main.py': 'three\n' }, 'three');
    directory = shallow;
    expect((await probe.incoming(await look())).incoming).toMatchObject({ commits: 1, fastForward: true });
    directory = world.kit.directory;
    git('checkout', '-q', '--detach');
    git('worktree', 'add', '-q', join(world.root, 'linked'), 'main');
    directory = join(world.root, 'linked');
    const linked = await look();
    expect(linked.suspicious).toEqual(['its git directory lies elsewhere']);
    expect((await probe.incoming(linked)).incoming).toMatchObject({ commits: 2, fastForward: true });
  });
});

describe('a commit on trial', () => {
  const trial = async (files: Record<string, string>, more: { argv?: readonly string[]; symptom?: string } = {}) => {
    await world.kit.repository({ 'main.py': 'print("old")\n', 'web.js': 'x\n' });
    await world.kit.upstream(files, 'news');
    const repository = await look();
    const { incoming } = await probe.incoming(repository);
    return probe.tryCommit(repository, incoming?.commit ?? '', {
      files: Object.keys(files),
      service: { ...world.service(), directory },
      argv: more.argv ?? null,
      symptom: more.symptom ?? null,
    });
  };

  it.each([
    ['main.py', 'print("new")\n', true],
    ['main.py', 'print("new"\n', false],
    ['web.js', 'console.log(1)\n', true],
    ['web.js', 'console.log(1\n', false],
    ['config.json', '{"a": 1}\n', true],
    ['config.json', '{"a": 1\n', false],
  ])('is compiled: %s %j', async (name, text, passed) => {
    expect((await trial({ [name]: text })).passed).toBe(passed);
    expect(readdirSync(join(world.root, 'scratch'))).toEqual([]);
  });

  it('never runs while it is only compiled', async () => {
    const canary = join(world.root, 'canary');
    const result = await trial({
      'main.py': `open(${JSON.stringify(canary)}, "w")\n`,
      'sitecustomize.py': `open(${JSON.stringify(canary)}, "w")\n`,
      'sys.py': `open(${JSON.stringify(canary)}, "w")\n`,
      'web.js': `require('fs').writeFileSync(${JSON.stringify(canary)}, '')\n`,
    });
    expect(result.passed).toBe(true);
    expect(existsSync(canary)).toBe(false);
  });

  it('runs the owner’s command in a scratch tree when it may', async () => {
    const where = 'import os; open("here", "w"); print(os.getcwd())\n';
    expect((await trial({ 'main.py': where }, { argv: ['python3', 'main.py'] })).passed).toBe(true);
    expect(existsSync(at('here'))).toBe(false);
  });

  it.each([
    ['the same failure', 'None.post()\n', false],
    ['a want of the scratch tree', 'open(".env")\n', 'unknown'],
  ] as const)('tells %s', async (_, text, passed) => {
    const result = await trial({ 'main.py': text }, { argv: ['python3', 'main.py'], symptom: 'AttributeError' });
    expect(result.passed).toBe(passed);
  });

  it('lays links out as plain files', async () => {
    await world.kit.repository({ 'a.py': 'a\n' });
    symlinkSync('/etc/passwd', at('link'));
    git('add', '-A');
    git('commit', '-qm', 'link');
    const repository = await look();
    const text = await probe.withWorktree(repository, repository.head ?? '', async (tree) =>
      readFileSync(join(tree, 'link'), 'utf8'),
    );
    expect(text).toBe('/etc/passwd');
  });

  it('merges one file in memory', async () => {
    const lines = (first: string, last: string): string => `${first}\nb\nc\nd\ne\n${last}\n`;
    await world.kit.repository({ 'main.py': lines('a', 'z') });
    await world.kit.upstream({ 'main.py': lines('theirs', 'z') }, 'news');
    const repository = await look();
    const commit = (await probe.incoming(repository)).incoming?.commit ?? '';
    write('main.py', lines('a', 'ours'));
    expect(await probe.mergedText(repository, commit, 'main.py')).toMatchObject({
      clean: true,
      text: lines('theirs', 'ours'),
    });
    write('main.py', lines('ours', 'z'));
    expect(await probe.mergedText(repository, commit, 'main.py')).toMatchObject({ clean: false });
    write('main.py', 'a\0b');
    expect(await probe.mergedText(repository, commit, 'main.py')).toBeNull();
  });
});

describe('what deserves a look', () => {
  const keys = (text: string): readonly string[] => {
    const settings = text.split('\n').map((line) => {
      const [key = '', value = ''] = line.split('=');
      return { key, value, origin: 'file:.git/config' };
    });
    return suspiciousKeys(settings);
  };

  it('is nothing in an ordinary clone', () => {
    const ordinary = [
      'core.repositoryformatversion=0',
      'core.filemode=true',
      'core.bare=false',
      'core.logallrefupdates=true',
      'remote.origin.url=https://github.com/x/y.git',
      'remote.origin.fetch=+refs/heads/*:refs/remotes/origin/*',
      'branch.main.remote=origin',
      'branch.main.merge=refs/heads/main',
      'user.name=A',
      'pull.ff=only',
      'pull.rebase=false',
    ];
    expect(keys(ordinary.join('\n'))).toEqual([]);
  });

  it.each([
    'core.hookspath',
    'core.fsmonitor',
    'core.sshcommand',
    'core.editor',
    'core.pager',
    'core.attributesfile',
    'core.gitproxy',
    'core.alternaterefscommand',
    'filter.lfs.smudge',
    'merge.union.driver',
    'diff.external',
    'diff.pdf.textconv',
    'diff.x.command',
    'remote.origin.uploadpack',
    'remote.origin.proxy',
    'remote.origin.promisor',
    'url.https://evil/.insteadof',
    'http.proxy',
    'http.sslverify',
    'credential.helper',
    'include.path',
    'includeif.gitdir:/.path',
    'alias.status',
    'gpg.program',
    'commit.gpgsign',
    'submodule.x.update',
    'protocol.ext.allow',
    'uploadpack.packobjectshook',
    'interactive.difffilter',
    'pager.status',
    'trailer.x.command',
    'core.askpass',
    'safe.directory',
  ])('is %s in a configuration', (key) => {
    expect(keys(`${key}=x`)).toEqual(key === 'commit.gpgsign' ? [] : [key]);
  });

  it.each([
    ['https://github.com/x/y.git', true],
    ['ssh://git@host:22/x/y.git', true],
    ['git@github.com:x/y.git', true],
    ['/srv/git/x.git', true],
    ['../x.git', true],
    ['file:///srv/x.git', true],
    ['http://host/x.git', false],
    ['git://host/x.git', false],
    ['ext::sh -c "touch x"', false],
    ['fd::3', false],
    ['-oProxyCommand=x', false],
    ['ssh://-oProxyCommand=x/y', false],
    ['ssh://git@-oProxyCommand=x/y', false],
    ['git@-oProxyCommand:x', false],
    ['host:path', false],
    ['https://host/x\ny', false],
  ])('address %j is plain: %s', (url, plain) => {
    expect(isPlainAddress(url)).toBe(plain);
  });

  it('addresses are shown without their passwords', () => {
    expect(addressShown('https://bob:hunter2@host/x.git')).toBe('https://host/x.git');
  });

  it('links, kinds and modes that come in are named', () => {
    const change = { oldMode: '100644', newMode: '100644', oldId: 'a', newId: 'b', status: 'M', name: 'x.py' };
    const reasons = (more: Partial<typeof change>): readonly string[] =>
      riskyChanges([{ ...change, ...more }]).map((one) => one.reason);
    expect(reasons({})).toEqual([]);
    expect(reasons({ newMode: '120000', status: 'T' })).toEqual(['a symbolic link']);
    expect(reasons({ newMode: '160000', status: 'A' })).toEqual(['a repository inside the repository']);
    expect(reasons({ newMode: '100755' })).toEqual(['becomes executable']);
    expect(reasons({ name: 'a\nb' })).toEqual(['a name that cannot be shown']);
    expect(reasons({ name: 'requirements-dev.txt' })).toHaveLength(1);
    expect(reasons({ name: '.env.example' })).toEqual([]);
  });
});

describe('trouble with a remote', () => {
  const said = (stderr: string): string =>
    fetchProblem({
      code: 128,
      signal: null,
      stdout: '',
      stderr,
      timedOut: false,
      truncated: false,
      failure: null,
      tookMs: 1,
    } satisfies RunResult).trouble;

  it.each([
    ['@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @', 'host-key'],
    ['Host key verification failed.\nfatal: Could not read from remote repository.', 'host-key'],
    ['git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.', 'auth'],
    ["fatal: could not read Username for 'https://host': terminal prompts disabled", 'auth'],
    ["fatal: Authentication failed for 'https://host/x.git/'", 'auth'],
    ["fatal: unable to access 'https://host/': The requested URL returned error: 403", 'auth'],
    ["fatal: couldn't find remote ref refs/heads/main", 'gone'],
    ["fatal: '/x' does not appear to be a git repository", 'gone'],
    ['ssh: Could not resolve hostname host: Name or service not known', 'unreachable'],
    ["fatal: unable to access 'https://host/': Could not resolve host: host", 'unreachable'],
    ['error: object file .git/objects/ab/cd is empty', 'damaged'],
  ])('%j is told apart', (stderr, trouble) => {
    expect(said(stderr)).toBe(trouble);
  });
});
