// The gate before anything of a repository is believed: key by key, address by address, path by path. What stands beside
// an allowed word is as strange as any other.

import { describe, expect, it } from 'vitest';
import { addressShown, isPlainAddress, riskyChanges, suspiciousKeys } from './git-suspicion.ts';

const suspicious = (key: string, value = 'x') => suspiciousKeys([{ key, value, origin: 'file:.git/config' }]);

describe('a key of a configuration', () => {
  const words = (section: string, names: string) => names.split(' ').map((name) => `${section}.${name}`);
  const ordinary = [
    ...words('core', 'repositoryformatversion filemode bare logallrefupdates ignorecase precomposeunicode symlinks'),
    ...words('core', 'autocrlf eol safecrlf quotepath abbrev compression sharedrepository longpaths commentchar'),
    ...words('core', 'whitespace untrackedcache splitindex preloadindex checkstat trustctime worktree'),
    ...words('extensions', 'objectformat worktreeconfig'),
    ...words('remote.origin', 'fetch prune tagopt pushurl mirror gh-resolved'),
    ...words('remote.a.b', 'fetch'),
    ...words('branch.main', 'remote merge rebase description pushremote vscode-merge-base gk-merge-base'),
    ...words('branch.a.b', 'merge'),
    ...words('user', 'name email signingkey useconfigonly'),
    ...'init color column advice gui log status push fetch gc pack index feature rerere help tag rebase merge pull checkout commit i18n transfer receive lfs'
      .split(' ')
      .flatMap((section) => [`${section}.some`, `${section}.some.thing9`]),
    ...['pull.ff', 'merge.ff'],
  ];
  it.each(ordinary)('%s is ordinary', (key) => expect(suspicious(key)).toEqual([]));

  const strange = [
    ...[
      'core.hookspath',
      'core.bare2',
      'xcore.bare',
      'xmerge.ff',
      'core.',
      'corexbare',
      'extensions.x',
      'extensions.partialclone',
    ],
    ...['xextensions.objectformat', 'extensions.objectformat2', 'remote.fetch', 'remote..fetch', 'xremote.o.fetch'],
    ...['remote.o.fetch2', 'remote.o.vcs', 'remotexo.fetch', 'remote.oxfetch', 'branch.remote', 'branch..merge'],
    ...['branch.main.merge2', 'xbranch.main.merge', 'branch.main.gk-', 'branchxmain.merge', 'branch.mainxmerge'],
    ...['user.name2', 'xuser.name', 'userxname', 'user.helper', 'xgc.auto', 'gcxauto', 'gc.', 'gc.AUTO', 'gc.a-b'],
    ...['gc.recentobjectshook', 'log.x y', 'merge.union.driver', 'rebase.cmd', 'status.xcommand', 'help.program'],
    ...['push.helper', 'tag.verify', 'merge.verifysignatures', 'alias.x', 'pullxff', 'http.proxy', 'constructor'],
  ].filter((key) => key !== 'gc.recentobjectshook');
  it.each(strange)('%s deserves a look', (key) => expect(suspicious(key)).toEqual([key]));

  it('that is an address is judged by where it leads', () => {
    expect(suspicious('remote.origin.url', 'https://github.com/x/y.git')).toEqual([]);
    expect(suspicious('remote.a.b.url', '/srv/x.git')).toEqual([]);
    expect(suspicious('remote.origin.url', 'ext::sh')).toEqual(['remote.origin.url']);
    for (const key of ['remote.url', 'remote.o.url2', 'xremote.o.url', 'remotexo.url', 'remote.oxurl'])
      expect(suspicious(key, 'https://github.com/x/y.git')).toEqual([key]);
  });

  it('is named once, in the order of the alphabet', () => {
    const settings = ['z.b', 'a.b', 'z.b'].map((key) => ({ key, value: 'x', origin: 'o' }));
    expect(suspiciousKeys(settings)).toEqual(['a.b', 'z.b']);
    expect(suspiciousKeys([])).toEqual([]);
  });
});

describe('an address', () => {
  const plain = [
    ...['https://h/x', 'ssh://h/x', 'file:///x', 'ssh://me@h/x', 'ssh://me@h:22/x', '/x', './x', '../x', 'a@h:x'],
    ...['a.b-c_d@h.i-j_k:x/y', 'a@h:/x', 'https://a-b@h-i/x'],
  ];
  it.each(plain)('%s is plain', (url) => expect(isPlainAddress(url)).toBe(true));

  const not = [
    ...[
      'https://h',
      'https:/h/x',
      'http://h/x',
      'git://h/x',
      'xhttps://h/x',
      'ftp://h/x',
      'ssh://-o/x',
      'https://-h/x',
    ],
    ...['ssh://@-o/x', 'ssh://me@-o/x', '.../x', 'x', '..x', 'a.b', '-a@h:x', 'a@-h:x', 'a@h', '@h:x', 'a@:x', 'a@h:'],
    ...[
      'a@h://x',
      'a@h:x:y',
      'a b@h:x',
      'a@h i:x',
      'x/a@h:x',
      'a::b',
      '/a::b',
      '/a b',
      '/a\tb',
      '/a\x7fb',
      '/a\0b',
      '',
    ],
    ...['a@h:x\n', ' /a'],
  ];
  it.each(not)('%j is not', (url) => expect(isPlainAddress(url)).toBe(false));

  it('is shown without its password', () => {
    expect(addressShown('https://bob:pw@h/x')).toBe('https://h/x');
    expect(addressShown('git+ssh://bob@h/x')).toBe('git+ssh://h/x');
    expect(addressShown('https://h/x@y')).toBe('https://h/x@y');
    expect(addressShown('see https://bob:pw@h/x')).toBe('see https://bob:pw@h/x');
    expect(addressShown('https://h/https://bob@i/')).toBe('https://h/https://bob@i/');
  });
});

describe('a change that comes in', () => {
  const change = { oldMode: '100644', newMode: '100644', oldId: 'a', newId: 'b', status: 'M', name: 'x.py' };
  const reason = (more: Partial<typeof change>) => riskyChanges([{ ...change, ...more }])[0]?.reason ?? null;

  const named: readonly (readonly [string, string])[] = [
    ['changes how git itself treats files', '.gitattributes a/.gitattributes .gitmodules'],
    ['a hook of the repository', '.husky/x .githooks/x hooks/x'],
    [
      'build automation',
      '.github/workflows/x .circleci/config.yml .gitlab-ci.yml .ci/run Jenkinsfile azure-pipelines.yml',
    ],
    [
      'dependencies or scripts of the project',
      'package.json a/package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb',
    ],
    [
      'dependencies or build scripts of the project',
      'requirements.txt a/requirements.txt requirements-dev.txt requirements.in constraints.txt constraints-1.txt pyproject.toml setup.py setup.cfg Pipfile Pipfile.lock poetry.lock uv.lock',
    ],
    ['runs whenever Python or the tests start', 'sitecustomize.py usercustomize.py a/conftest.py x.pth a/.pth'],
    [
      'configures tools that run programs',
      '.npmrc a/.npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs bunfig.toml pip.conf .envrc .tool-versions mise.toml',
    ],
    [
      'says how the project is built or run',
      'Dockerfile a/Dockerfile Dockerfile.dev docker-compose.yml docker-compose.dev.yaml compose.yml compose.yaml Makefile GNUmakefile justfile Procfile',
    ],
    ['a unit of the service manager', 'x.service a/x.timer x.socket x.path'],
    ['an environment file', '.env a/.env .env.local .env.examples .env.samples .env.templates .env.production'],
    ['changes the schema of a database', 'migrations/1.sql migration/1.sql a/migrations/1.sql alembic/x.py'],
  ];
  it.each(named.flatMap(([why, paths]) => paths.split(' ').map((path) => [path, why] as const)))(
    'of %s: %s',
    (name, why) => expect(reason({ name })).toBe(why),
  );

  const free =
    'a.gitattributes .gitattributes2 x/.husky/x .husky x/hooks/x hooks xhooks/x x/.github/workflows/x x/Jenkinsfile xpackage.json package.json2 ' +
    'packagexjson package-lockxjson yarnxlock bunxlock requirements/x.txt xrequirements.txt requirements.txtx requirementsxtxt constraints.in xconstraints.txt pyprojectxtoml ' +
    'setup.pyc setupxpy Pipfile.locks xPipfile xsitecustomize.py sitecustomize.pyc sitecustomizexpy conftest.pyi xconftest.py x.pthx xpth x.npmrc .npmrcx xnpmrc pipxconf xpip.conf .envrcx ' +
    'xDockerfile xdocker-compose.yml compose.yaml2 xcompose.yml composexyml Makefile.am xMakefile a.services xservice x.servicex xenv x.env .environment .env.example .env.sample .env.template ' +
    'a/.env.example migrations a/migrations xmigrations/1.sql migrationsx/1.sql README.md src/main.py a/b/c.js .ci .circlec .gitlab-ci.yaml azure-pipelines.yaml';
  it.each(free.split(' '))('of %s needs no look', (name) => expect(reason({ name })).toBeNull());

  it('is told by its kind first', () => {
    const name = 'package.json';
    expect(reason({ name, newMode: '120000' })).toBe('a symbolic link');
    expect(reason({ name, newMode: '160000' })).toBe('a repository inside the repository');
    expect(reason({ name, oldMode: '160000', newMode: '000000', status: 'D' })).toBe(
      'a repository inside the repository',
    );
    expect(reason({ name, status: 'T' })).toBe('changes its kind');
    expect(reason({ name, newMode: '100755' })).toBe('becomes executable');
    expect(reason({ name, oldMode: '100755' })).toBe('its mode changes');
    expect(reason({ status: 'A', oldMode: '000000', newMode: '100755' })).toBeNull();
    expect(reason({ status: 'D', newMode: '000000' })).toBeNull();
    for (const bad of ['a\0b', 'a\x1fb', 'a\nb', 'a\x7fb'])
      expect(reason({ name: bad })).toBe('a name that cannot be shown');
  });

  it('is named as people can read it, and those that need no look are left out', () => {
    const risky = riskyChanges([change, { ...change, name: 'package.json' }, { ...change, name: '\xc3\xa4/setup.py' }]);
    expect(risky.map(({ path }) => path)).toEqual(['package.json', 'ä/setup.py']);
  });
});
