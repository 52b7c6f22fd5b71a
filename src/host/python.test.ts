import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import type { KitWheel } from '../testing/drill-kit.ts';
import type { PythonEnvironment, PythonProbe } from './contract.ts';
import { createFileProbe } from './files.ts';
import { createPythonProbe } from './python.ts';
import { createRun } from './run.ts';

const run = createRun({ home: '/root' });
const WORDTRIM: KitWheel = { name: 'wordtrim', version: '1.2.0', files: { 'wordtrim/__init__.py': 'x = 1\n' } };

let world: DrillWorld;
let python: PythonProbe;

beforeEach(() => {
  world = createDrillKit({ run });
  python = createPythonProbe({ run, files: createFileProbe(), pipConfFiles: [] });
});
afterEach(() => world.close());

async function venv(...wheels: readonly KitWheel[]): Promise<PythonEnvironment> {
  await world.kit.venv(wheels);
  const found = await python.environment(world.service());
  if (found === null) throw new Error('the venv was not found');
  return found;
}

describe('which Python a service has', () => {
  it('finds the venv of the project, its site-packages and its index', async () => {
    const found = await venv(WORDTRIM);
    expect(found.interpreter).toBe(join(world.kit.directory, '.venv/bin/python'));
    expect(found.sitePackages).toMatch(/\.venv\/lib\/python3\.\d+\/site-packages$/);
    expect(found.index).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/simple$/);
    expect(found.doubts).toEqual([]);
  });

  it('knows of none where the system Python would be the only one', async () => {
    await world.kit.write('main.py', 'import wordtrim\n');
    world.kit.service({ command: ['/usr/bin/python3', 'main.py'] });
    expect(await python.environment(world.service())).toBeNull();
  });

  it('does not follow a link to another project', async () => {
    const other = createDrillKit({ run });
    await other.kit.venv([]);
    await world.kit.write('main.py', '');
    await symlink(join(other.kit.directory, '.venv'), join(world.kit.directory, '.venv'));
    expect(await python.environment(world.service())).toBeNull();
    world.kit.service({ command: [join(other.kit.directory, '.venv/bin/python'), 'main.py'] });
    expect(await python.environment(world.service())).toBeNull();
    await other.close();
  });

  it('takes the venv that the command names, and doubts when nothing names one of two', async () => {
    await world.kit.venv([]);
    await world.kit.sh(['cp', '-r', '.venv', 'env']);
    await world.kit.sh(['sed', '-i', 's/\\.venv/env/', 'env/pyvenv.cfg']);
    expect((await python.environment(world.service()))?.doubts).toEqual(['the project also has env']);
    world.kit.service({ command: ['env/bin/python', 'main.py'] });
    const named = await python.environment(world.service());
    expect(named?.venv).toBe(join(world.kit.directory, 'env'));
    expect(named?.doubts).toEqual([]);
  });

  it('doubts a second index and one that changed since the start, and never shows credentials', async () => {
    await world.kit.venv([]);
    await world.kit.write('.venv/pip.conf', '[global]\nindex-url = https://me:secret@a.invalid/simple\n');
    const first = await python.environment(world.service());
    expect(first?.index).toBe('https://a.invalid/simple');
    await world.kit.write(
      '.venv/pip.conf',
      '[global]\nindex-url = https://b.invalid/simple\nextra-index-url =\n  https://u:p@c.invalid/s\n  https://d.invalid/s\n',
    );
    const { doubts = [] } = (await python.environment(world.service())) ?? {};
    expect(doubts.join('\n')).toMatch(/also names https:\/\/c\.invalid\/s/);
    expect(doubts.join('\n')).toMatch(/also names https:\/\/d\.invalid\/s/);
    expect(doubts.join('\n')).toMatch(/was https:\/\/a\.invalid\/simple when selfheal started/);
    world.kit.service({ pipIndex: 'https://e.invalid/simple' });
    expect(await python.environment(world.service())).toMatchObject({ index: 'https://e.invalid/simple', doubts: [] });
  });
});

describe('what can be imported', () => {
  it('imports for real, without writing bytecode', async () => {
    const found = await venv({ ...WORDTRIM, installed: true });
    expect(await python.imports(found, 'wordtrim', world.kit.directory)).toEqual({ ok: true, error: '' });
    const missing = await python.imports(found, 'textbase', world.kit.directory);
    expect(missing).toEqual({ ok: false, error: "ModuleNotFoundError: No module named 'textbase'" });
    const compiled = await createFileProbe().glob(found.venv, ['**/wordtrim/**/*.pyc']);
    expect(compiled).toEqual([]);
  });

  it('never runs a program of the project, or text that is no module name', async () => {
    const found = await venv();
    await world.kit.write('main.py', 'open("ran", "w")\n');
    expect(await python.imports(found, 'main', world.kit.directory)).toMatchObject({ ok: 'unknown' });
    for (const text of ['os;x', '../x', '--help', 'a b', 'wоrdtrim', 'x\n', 'x'.repeat(10_000)]) {
      expect((await python.imports(found, text, world.kit.directory)).ok).toBe('unknown');
    }
    expect((await createFileProbe().status(join(world.kit.directory, 'ran'))).kind).toBe('absent');
  });

  it('cannot be fooled by what a module prints, and survives one that ends the interpreter', async () => {
    const loud = { name: 'loud', version: '1', files: { 'loud.py': 'print("{}")\n' }, installed: true };
    const quits = { name: 'quits', version: '1', files: { 'quits.py': 'import os; os._exit(0)\n' }, installed: true };
    const found = await venv(loud, quits);
    expect((await python.imports(found, 'loud', world.kit.directory)).ok).toBe(true);
    expect((await python.imports(found, 'quits', world.kit.directory)).ok).toBe('unknown');
  });

  it('knows the standard library and the project by name', async () => {
    const found = await venv();
    expect(await python.isStandard(found, 'json')).toBe(true);
    expect(await python.isStandard(found, 'xml.dom')).toBe(true);
    expect(await python.isStandard(found, 'wordtrim')).toBe(false);
    await world.kit.write('helpers/core.py', '');
    await world.kit.write('tools.py', '');
    await world.kit.write('data/notes.txt', '');
    expect(await python.ownModule(world.kit.directory, 'helpers.core')).toMatch(/helpers$/);
    expect(await python.ownModule(world.kit.directory, 'tools')).toMatch(/tools\.py$/);
    expect(await python.ownModule(world.kit.directory, 'data')).toBeNull();
  });
});

describe('what a file imports', () => {
  it('reads imports, and neither comments nor strings', async () => {
    const found = await venv();
    await world.kit.write(
      'main.py',
      '# import evil\n"""import evil"""\nx = "import evil"\nimport os.path, wordtrim as w\nfrom google.cloud import storage\nfrom . import mine\n',
    );
    await world.kit.write('broken.py', 'import wordtrim\ndef (:\n');
    const names = await python.importsOf(found, join(world.kit.directory, 'main.py'));
    expect(names).toEqual(['google.cloud', 'google.cloud.storage', 'os.path', 'wordtrim']);
    expect(await python.importsOf(found, join(world.kit.directory, 'broken.py'))).toEqual([]);
    expect(await python.importers(found, world.kit.directory, 'wordtrim')).toEqual([
      join(world.kit.directory, 'main.py'),
    ]);
    expect(await python.importers(found, world.kit.directory, 'evil')).toEqual([]);
  });
});

describe('what an install would bring in', () => {
  const wanted = (constraint: string, hashes: readonly string[] = []) => [{ name: 'wordtrim', constraint, hashes }];

  it('is exactly the wanted version, fetched once', async () => {
    const found = await venv(WORDTRIM, { ...WORDTRIM, version: '2.0.0' });
    const resolution = await python.resolve(found, wanted('==1.2.0'), world.kit.directory);
    expect(resolution).toMatchObject({
      kind: 'wheels',
      wheels: [
        { name: 'wordtrim', version: '1.2.0', modules: ['wordtrim'], replaces: null, wanted: true, concerns: [] },
      ],
    });
    expect(world.downloads()).toEqual(['wordtrim-1.2.0-py3-none-any.whl']);
  });

  it('follows dependencies, prefers their pins, and says which are not pinned', async () => {
    await world.kit.write('requirements.txt', 'wordtrim==1.2.0\ntextbase==1.5\n');
    const text = (version: string): KitWheel => ({
      name: 'textbase',
      version,
      files: { 'textbase.py': '' },
      requires: ['deep'],
    });
    const deep: KitWheel = { name: 'deep', version: '3', files: { 'deep.py': '' } };
    const found = await venv(
      { ...WORDTRIM, requires: ['textbase>=1', "never; extra == 'x'"] },
      text('1.5'),
      text('2.5'),
      deep,
    );
    const resolution = await python.resolve(found, wanted('==1.2.0'), world.kit.directory);
    expect(
      resolution.kind === 'wheels' && resolution.wheels.map((w) => [w.name, w.version, w.wanted, w.pinned]),
    ).toEqual([
      ['deep', '3', false, false],
      ['textbase', '1.5', false, true],
      ['wordtrim', '1.2.0', true, true],
    ]);
  });

  it('says what a person should know about a wheel', async () => {
    const found = await venv({
      ...WORDTRIM,
      yanked: true,
      files: { ...WORDTRIM.files, 'start.pth': 'import os\n', 'sitecustomize.py': '', 'json/__init__.py': '' },
      scripts: { ls: 'wordtrim:x' },
    });
    const resolution = await python.resolve(found, wanted('==1.2.0'), world.kit.directory);
    expect(resolution.kind === 'wheels' && resolution.wheels[0]?.concerns).toEqual([
      'start.pth runs at every start of Python',
      "it brings a module named like the standard library's json",
      'sitecustomize runs at every start of Python',
      'its command ls is also one of the system',
      'its publisher withdrew this release',
    ]);
  });

  it('asks about a release of today, unless the project names it exactly', async () => {
    const found = await venv(
      { ...WORDTRIM, published: '2020-01-01T00:00:00Z' },
      { ...WORDTRIM, version: '1.3.0', published: new Date().toISOString() },
    );
    const concerns = async (constraint: string) => {
      const resolution = await python.resolve(found, wanted(constraint), world.kit.directory);
      return resolution.kind === 'wheels' ? resolution.wheels[0]?.concerns : resolution.reason;
    };
    expect(await concerns('>=1.2')).toEqual(['this release is only 0 hours old']);
    expect(await concerns('==1.3.0')).toEqual([]);
    expect(await concerns('<1.3')).toEqual([]);
  });

  it.each<[string, readonly KitWheel[], string, readonly string[], RegExp]>([
    ['no such version', [WORDTRIM], '==9', [], /no ready-made wheel of wordtrim==9/],
    [
      'another hash than the pinned one',
      [WORDTRIM],
      '==1.2.0',
      [`sha256:${'0'.repeat(64)}`],
      /other files .* pins by hash/,
    ],
    [
      'a file that is there already',
      [WORDTRIM, { name: 'other', version: '1', files: { 'wordtrim/__init__.py': '' }, installed: true }],
      '==1.2.0',
      [],
      /would overwrite or hide .*wordtrim\/__init__\.py/,
    ],
    [
      'a module that hides an installed one',
      [WORDTRIM, { name: 'other', version: '1', files: { 'wordtrim.py': '' }, installed: true }],
      '==1.2.0',
      [],
      /would overwrite or hide .*wordtrim\.py/,
    ],
    [
      'a version that an installed distribution cannot live with',
      [
        { name: 'user', version: '1', files: { 'user_of.py': '' }, requires: ['wordtrim<1.1'], installed: true },
        { ...WORDTRIM, version: '1.0.0', installed: true },
        WORDTRIM,
      ],
      '==1.2.0',
      [],
      /would break what is installed: user needs wordtrim/,
    ],
  ])('is impossible with %s', async (_, wheels, constraint, hashes, reason) => {
    const found = await venv(...wheels);
    const resolution = await python.resolve(found, wanted(constraint, hashes), world.kit.directory);
    expect(resolution).toMatchObject({ kind: 'impossible', reason: expect.stringMatching(reason) });
  });

  it('is to be tried later when the index does not answer, and names it without its password', async () => {
    await venv();
    const address = `127.0.0.1:${await world.kit.freePort()}/simple`;
    world.kit.service({ pipIndex: `http://user:hunter2@${address}` });
    const closed = await python.environment(world.service());
    const resolution = closed && (await python.resolve(closed, wanted('==1.2.0'), world.kit.directory));
    expect(resolution).toEqual({ kind: 'unreachable', reason: `the package index http://${address} does not answer` });
  });
});
