import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import type { Pin } from './contract.ts';
import { createFileProbe } from './files.ts';
import { knownDistributions } from './import-names.ts';
import { parsePipConf, withCredentials, withoutCredentials } from './package-index.ts';
import { choosePin, collectPins, poetryRange } from './pins.ts';
import { isDistributionName } from './requirements.ts';
import { createRun } from './run.ts';

const files = createFileProbe();
const HEX = 'ab'.repeat(32);
const HASH = `sha256:${HEX}`;

let world: DrillWorld;
beforeEach(() => {
  world = createDrillKit({ run: createRun({ home: '/root' }) });
});
afterEach(() => world.close());

const collect = () => collectPins(files, world.kit.directory);
const pins = async () => (await collect()).pins.map((p) => [p.name, p.version, p.range, p.kind, p.file, p.line]);

describe('what a project pins', () => {
  it('reads requirements files and what they include, inside the project only', async () => {
    await world.kit.write('../outside.txt', 'evil==1\n');
    await world.kit.write('requirements.txt', '-r sub/base.txt\n-r ../outside.txt\n-c limits.txt\nopen>=1\na==1\n');
    await world.kit.write('sub/base.txt', 'b==2\n-r ../requirements.txt\n-r link.txt\n');
    await symlink(join(world.kit.directory, '../outside.txt'), join(world.kit.directory, 'sub/link.txt'));
    await world.kit.write('limits.txt', 'open==1.5\nunused==3\n');
    await world.kit.write('requirements/dev.txt', 'c==3\n');
    await world.kit.write('notes.txt', 'no==1\n');
    expect(await pins()).toEqual([
      ['open', '1.5', null, 'registry', 'requirements.txt', 4],
      ['a', '1', null, 'registry', 'requirements.txt', 5],
      ['b', '2', null, 'registry', 'sub/base.txt', 1],
      ['c', '3', null, 'registry', 'requirements/dev.txt', 1],
    ]);
  });

  it('names places besides the index', async () => {
    await world.kit.write('requirements.txt', '--extra-index-url https://e.invalid/simple\na==1\n');
    expect((await collect()).indexes).toEqual(['requirements.txt: https://e.invalid/simple']);
  });

  it('reads pyproject.toml of every kind', async () => {
    await world.kit.write(
      'pyproject.toml',
      `[project]
dependencies = ["a==1.0", "b>=2 ; python_version > '3.8'", "c @ git+https://x.invalid/c", "mine"]
[project.optional-dependencies]
extra = ["d[x]~=1.4"]
[dependency-groups]
dev = ["e==5", { include-group = "f" }]
[tool.uv.sources]
mine = { workspace = true }
[tool.poetry.dependencies]
python = "^3.11"
g = "^1.2"
h = { git = "https://x.invalid/h" }
i = { version = "1.0", source = "private" }
j = ">=1 || <3"
`,
    );
    expect(await pins()).toEqual([
      ['a', '1.0', null, 'registry', 'pyproject.toml', 2],
      ['b', null, '>=2', 'registry', 'pyproject.toml', 2],
      ['c', null, null, 'vcs', 'pyproject.toml', 2],
      ['mine', null, '', 'path', 'pyproject.toml', 2],
      ['d', null, '~=1.4', 'registry', 'pyproject.toml', 4],
      ['e', '5', null, 'registry', 'pyproject.toml', 6],
      ['g', null, '>=1.2,<2', 'registry', 'pyproject.toml', expect.any(Number)],
      ['h', null, null, 'vcs', 'pyproject.toml', expect.any(Number)],
      ['i', '1.0', null, 'registry', 'pyproject.toml', expect.any(Number)],
    ]);
  });

  it.each([
    [
      'poetry.lock',
      `[[package]]\nname = "a"\nversion = "1.0"\nfiles = [{file = "a.whl", hash = "${HASH}"}]\n
[[package]]\nname = "b"\nversion = "2"\nfiles = []\n[package.source]\ntype = "git"\nurl = "x"\n`,
    ],
    [
      'uv.lock',
      `version = 1\n[[package]]\nname = "a"\nversion = "1.0"\nsource = { registry = "https://pypi.org/simple" }\nwheels = [{ url = "u", hash = "${HASH}" }]\n
[[package]]\nname = "b"\nversion = "2"\nsource = { git = "x" }\n[[package]]\nname = "root"\nsource = { virtual = "." }\n`,
    ],
    [
      'pylock.toml',
      `lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1.0"\nwheels = [{ name = "w", hashes = { sha256 = "${HEX}" } }]\n
[[packages]]\nname = "b"\nversion = "2"\nvcs = { type = "git", url = "x" }\n`,
    ],
    [
      'Pipfile.lock',
      JSON.stringify({ default: { a: { version: '==1.0', hashes: [HASH] }, b: { git: 'x', ref: '2' } }, develop: {} }),
    ],
  ])('reads %s', async (name, text) => {
    await world.kit.write(name, text);
    const found = (await collect()).pins.map((p) => [p.name, p.kind, p.hashes.length, p.version === null]);
    expect(found[0]).toEqual(['a', 'registry', 1, false]);
    expect(found[1]?.slice(0, 2)).toEqual(['b', 'vcs']);
    expect(found).toHaveLength(2);
  });

  it('pins nothing where a file is broken or a link', async () => {
    for (const name of ['pyproject.toml', 'poetry.lock', 'Pipfile.lock']) await world.kit.write(name, '{[');
    await world.kit.write('../elsewhere.txt', 'evil==1\n');
    await symlink('../elsewhere.txt', join(world.kit.directory, 'requirements.txt'));
    expect(await pins()).toEqual([]);
  });

  it('never throws, whatever a lock file says', async () => {
    const piece = fc.constantFrom(
      '[[package]]\n',
      'name = "a"\n',
      'name = 3\n',
      'version = "1"\n',
      'source = "x"\n',
      'files = 1\n',
      '[x]\n',
      'wheels = [1]\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        for (const name of ['poetry.lock', 'uv.lock', 'pyproject.toml']) await world.kit.write(name, pieces.join(''));
        for (const pin of (await collect()).pins) expect(isDistributionName(pin.name)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('poetry ranges', () => {
  it.each([
    ['^1.2', '>=1.2,<2'],
    ['^0.2.3', '>=0.2.3,<0.3'],
    ['^0.0.3', '>=0.0.3,<0.0.4'],
    ['^0', '>=0,<1'],
    ['~1.2.3', '>=1.2.3,<1.3'],
    ['~1', '>=1,<2'],
    ['1.2.3', '==1.2.3'],
    ['>=1,<2', '>=1,<2'],
    ['*', ''],
    ['1 || 2', null],
    ['$(id)', null],
  ])('%s is %s', (written, range) => {
    expect(poetryRange(written)).toBe(range);
  });
});

describe('the choice', () => {
  const pin = (name: string, over: Partial<Pin> = {}): Pin => ({
    name,
    version: null,
    range: null,
    hashes: [],
    file: 'requirements.txt',
    line: 1,
    kind: 'registry',
    ...over,
  });

  it.each<[string, Pin[], string[], object]>([
    [
      'an exact version',
      [pin('a', { version: '1.0', hashes: [HASH] })],
      ['A'],
      { constraint: '==1.0', hashes: [HASH] },
    ],
    ['names that are written differently', [pin('Foo_Bar', { version: '1' })], ['foo-bar'], { constraint: '==1' }],
    ['ranges together', [pin('a', { range: '>=1' }), pin('a', { range: '<2' })], ['a'], { constraint: '>=1,<2' }],
    ['a bare name', [pin('a', { range: '' })], ['a'], { constraint: '' }],
    [
      'the lock before the manifest',
      [pin('a', { range: '>=1', file: 'pyproject.toml' }), pin('a', { version: '1.5', file: 'uv.lock' })],
      ['a'],
      { constraint: '==1.5' },
    ],
    [
      'one version written twice',
      [pin('a', { version: '1.0' }), pin('a', { version: '1' })],
      ['a'],
      { constraint: '==1.0' },
    ],
  ])('takes %s', (_, given, candidates, expected) => {
    expect(choosePin(given, candidates)).toMatchObject({ kind: 'pinned', ...expected });
  });

  it.each<[string, Pin[], string[], RegExp]>([
    ['two that could provide it', [pin('a', { version: '1' }), pin('b', { version: '1' })], ['a', 'b'], /a and b/],
    ['a repository', [pin('a', { kind: 'vcs' })], ['a'], /takes a from a repository/],
    [
      'an editable folder beside a pin',
      [pin('a', { version: '1' }), pin('a', { kind: 'editable' })],
      ['a'],
      /editable/,
    ],
    [
      'two versions',
      [pin('a', { version: '1' }), pin('a', { version: '2', line: 7 })],
      ['a'],
      /requirements\.txt:7 pins 2/,
    ],
    [
      'a lock that its manifest excludes',
      [pin('a', { version: '1', file: 'uv.lock' }), pin('a', { range: '>=2' })],
      ['a'],
      />=2 excludes/,
    ],
  ])('is unclear about %s', (_, given, candidates, reason) => {
    expect(choosePin(given, candidates)).toMatchObject({ kind: 'unclear', reason: expect.stringMatching(reason) });
  });

  it('shows what looks alike when nothing fits', () => {
    const given = [pin('requests'), pin('reqeusts-x'), pin('numpy')];
    expect(choosePin(given, ['reqests'])).toEqual({ kind: 'none', nearMisses: ['requests'] });
  });
});

describe('small facts about packages', () => {
  it('knows modules whose distribution has another name, the most specific first', () => {
    expect(knownDistributions('yaml')).toEqual(['pyyaml']);
    expect(knownDistributions('google.cloud.storage.blob')).toEqual(['google-cloud-storage']);
    expect(knownDistributions('google')).toEqual([]);
    expect(knownDistributions('constructor')).toEqual([]);
  });

  it('reads pip.conf and keeps credentials to itself', () => {
    const conf = parsePipConf('# c\n[global]\nindex_url: https://u:p@a.invalid/s\n[install]\nfind-links = ./w\n  /x\n');
    expect(conf).toEqual({ index: 'https://u:p@a.invalid/s', others: ['./w', '/x'] });
    expect(withoutCredentials('https://u:p@a.invalid/s')).toBe('https://a.invalid/s');
    expect(withCredentials('https://a.invalid/s', [null, conf.index])).toBe('https://u:p@a.invalid/s');
    expect(withCredentials('https://b.invalid/s', [conf.index])).toBe('https://b.invalid/s');
  });
});
