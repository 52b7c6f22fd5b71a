import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PipInstallStep } from '../../core/plan.ts';
import { createDrillKit, type DrillWorld } from '../../testing/create-drill-kit.ts';
import type { KitWheel } from '../../testing/drill-kit.ts';
import { effectContext } from '../../testing/effect-context.ts';
import { makeWheel } from '../../testing/wheels.ts';
import { pythonImport } from '../checks/python-import.ts';
import { systemClock } from '../clock.ts';
import type { CheckContext, EffectContext, PythonEnvironment } from '../contract.ts';
import { createFileProbe } from '../files.ts';
import { listingDifferences, listTree } from '../installed-tree.ts';
import { createPythonProbe } from '../python.ts';
import { createRun } from '../run.ts';
import { pipInstall } from './pip-install.ts';

const run = createRun({ home: '/root' });
const python = createPythonProbe({ run, files: createFileProbe(), pipConfFiles: [] });
const WORDTRIM: KitWheel = {
  name: 'wordtrim',
  version: '1.2.0',
  files: { 'wordtrim/__init__.py': 'x = 1\ndef main(): print("hello")\n', 'wordtrim/deep/__init__.py': '' },
  scripts: { trimmer: 'wordtrim:main' },
};

let world: DrillWorld;
let snapshots: string;

beforeEach(async () => {
  world = createDrillKit({ run });
  snapshots = await mkdtemp(join(tmpdir(), 'selfheal-snapshots-'));
});
afterEach(async () => {
  await world.close();
  await rm(snapshots, { recursive: true });
});

async function venv(...wheels: readonly KitWheel[]): Promise<PythonEnvironment> {
  await world.kit.venv(wheels);
  const found = await python.environment(world.service());
  if (found === null) throw new Error('the venv was not found');
  return found;
}

type Package = PipInstallStep['packages'][number];

function step(environment: PythonEnvironment, ...packages: readonly (Partial<Package> & { wheel: KitWheel })[]) {
  return {
    kind: 'pip-install',
    title: 'install',
    undo: { kind: 'restore-snapshot' },
    interpreter: environment.interpreter,
    directory: world.kit.directory,
    index: environment.index ?? '',
    packages: packages.map(({ wheel, ...rest }) => ({
      name: wheel.name,
      version: wheel.version,
      hashes: [`sha256:${makeWheel(wheel).sha256}`],
      ...rest,
    })),
  } satisfies PipInstallStep;
}

const contextOf = (options: { step?: number; snapshots?: string } = {}): Promise<EffectContext> =>
  effectContext({ world, run, clock: systemClock, snapshots, ...options });

/** Tree of the venv, everything but caches. */
const tree = (environment: PythonEnvironment) => listTree(environment.venv);

async function imports(environment: PythonEnvironment, module: string) {
  const check = {
    kind: 'python-import',
    title: '',
    proves: 'operation',
    failsBefore: true,
    interpreter: environment.interpreter,
    module,
    directory: world.kit.directory,
  } as const;
  // The check uses nothing of its context but these two.
  const context = { run, signal: new AbortController().signal } as unknown as CheckContext;
  return (await pythonImport.run(check, context)).passed;
}

describe('installing into a venv', () => {
  it('makes the import work, and undo leaves every byte as it was', async () => {
    const environment = await venv(WORDTRIM, { ...WORDTRIM, version: '2.0.0' });
    const before = await tree(environment);
    const plan = step(environment, { wheel: WORDTRIM, provides: 'wordtrim' });
    const context = await contextOf();
    expect(await imports(environment, 'wordtrim')).toBe(false);

    const snapshot = await pipInstall.snapshot(plan, context);
    expect(await pipInstall.probe(plan, snapshot, context)).toBe('not-done');
    const evidence = await pipInstall.apply(plan, snapshot, context);
    expect(evidence).toContain('wordtrim 1.2.0');
    expect(await pipInstall.probe(plan, snapshot, context)).toBe('done');
    expect(await imports(environment, 'wordtrim.deep')).toBe(true);
    const hello = await run([join(environment.venv, 'bin/trimmer')], { cwd: '/', timeoutMs: 10_000 });
    expect(hello.stdout).toBe('hello\n');
    expect([...(await tree(environment)).keys()].filter((path) => path.startsWith('.selfheal'))).toEqual([]);
    expect(world.downloads()).toEqual(['wordtrim-1.2.0-py3-none-any.whl']);
    const [installed] = (await python.distributions(environment)).filter((d) => d.name === 'wordtrim');
    expect(installed).toMatchObject({ version: '1.2.0' });
    const record = await readFile(join(environment.sitePackages, 'wordtrim-1.2.0.dist-info/RECORD'), 'utf8');
    expect(record).toContain('../../../bin/trimmer,');

    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
    expect(listingDifferences(before, await tree(environment))).toEqual([]);
    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
    expect(await imports(environment, 'wordtrim')).toBe(false);
  });

  it('merges into a namespace that is there, and takes out only its own part', async () => {
    const part = (name: string, installed: boolean): KitWheel => ({
      name: `acme-${name}`,
      version: '1',
      files: { [`acme/${name}/__init__.py`]: '' },
      installed,
    });
    const environment = await venv(part('one', true), part('two', false));
    const plan = step(environment, { wheel: part('two', false), provides: 'acme.two' });
    const context = await contextOf();
    const snapshot = await pipInstall.snapshot(plan, context);
    await pipInstall.apply(plan, snapshot, context);
    expect(await imports(environment, 'acme.two')).toBe(true);
    expect(await imports(environment, 'acme.one')).toBe(true);
    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
    expect(await imports(environment, 'acme.one')).toBe(true);
  });

  it.each(['/dev/shm', tmpdir()])('replaces another version and brings it back, snapshot in %s', async (place) => {
    const old: KitWheel = {
      ...WORDTRIM,
      version: '1.0.0',
      files: { 'wordtrim/__init__.py': 'y = 1\n', 'wordtrim/old.py': '' },
    };
    const environment = await venv({ ...old, installed: true }, WORDTRIM);
    const secret = join(environment.sitePackages, 'wordtrim/old.py');
    await chmod(secret, 0o640);
    const plan = step(environment, { wheel: WORDTRIM, provides: 'wordtrim', replaces: '1.0.0' });
    const folder = await mkdtemp(join(place, 'selfheal-kept-'));
    const context = await contextOf({ snapshots: folder });
    const snapshot = await pipInstall.snapshot(plan, context);
    await pipInstall.apply(plan, snapshot, context);
    expect(await imports(environment, 'wordtrim.deep')).toBe(true);
    expect(await imports(environment, 'wordtrim.old')).toBe(false);
    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
    expect((await stat(secret)).mode & 0o777).toBe(0o640);
    expect(await imports(environment, 'wordtrim.old')).toBe(true);
    await rm(folder, { recursive: true });
  });

  it('goes on from a stop in the middle, and can be undone from there', async () => {
    const old: KitWheel = { ...WORDTRIM, version: '1.0.0', files: { 'wordtrim/__init__.py': 'y = 1\n' } };
    const environment = await venv({ ...old, installed: true }, WORDTRIM);
    const plan = step(environment, { wheel: WORDTRIM, replaces: '1.0.0' });
    for (const goOn of [false, true]) {
      const context = await contextOf({ step: goOn ? 1 : 0 });
      const snapshot = await pipInstall.snapshot(plan, context);
      await expect(pipInstall.apply(plan, snapshot, { ...context, signal: stoppingAfter(3) })).rejects.toThrow(
        /stopped/,
      );
      expect(await pipInstall.probe(plan, snapshot, context)).toBe('not-done');
      if (goOn) {
        await pipInstall.apply(plan, snapshot, context);
        expect(await imports(environment, 'wordtrim.deep')).toBe(true);
      }
      await pipInstall.undo(plan, snapshot, context);
      expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
    }
  });

  it('clears what a kill in the middle of fetching has left', async () => {
    const environment = await venv(WORDTRIM);
    const plan = step(environment, { wheel: WORDTRIM });
    const context = await contextOf();
    const snapshot = await pipInstall.snapshot(plan, context);
    await world.kit.write(`.venv/.selfheal-drill-1-0/wheels/half.whl`, 'half');
    expect(await pipInstall.probe(plan, snapshot, context)).toBe('not-done');
    expect(await pipInstall.differences(plan, snapshot, context)).not.toEqual([]);
    await pipInstall.apply(plan, snapshot, context);
    expect(await pipInstall.probe(plan, snapshot, context)).toBe('done');
    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)('acts as the owner of the venv, and what it brings is theirs', async () => {
    const environment = await venv({ ...WORDTRIM, version: '1.0.0', installed: true }, WORDTRIM);
    await world.kit.sh(['chmod', '711', '..']);
    await world.kit.sh(['chown', '-R', '65534:65534', '.']);
    const plan = step(environment, { wheel: WORDTRIM, replaces: '1.0.0', provides: 'wordtrim' });
    for (const place of [snapshots, await mkdtemp('/dev/shm/selfheal-kept-')]) {
      const context = await contextOf({ snapshots: place });
      const snapshot = await pipInstall.snapshot(plan, context);
      await pipInstall.apply(plan, snapshot, context);
      expect(await imports(environment, 'wordtrim.deep')).toBe(true);
      const owners = new Set([...(await tree(environment)).values()].flatMap((text) => /\d+:\d+/.exec(text) ?? []));
      expect([...owners]).toEqual(['65534:65534']);
      await pipInstall.undo(plan, snapshot, context);
      expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
      if (place !== snapshots) await rm(place, { recursive: true });
    }
  });

  it('leaves alone what somebody else put in the place of ours', async () => {
    const environment = await venv(WORDTRIM);
    const plan = step(environment, { wheel: WORDTRIM });
    const context = await contextOf();
    const snapshot = await pipInstall.snapshot(plan, context);
    await pipInstall.apply(plan, snapshot, context);
    const trimmer = join(environment.venv, 'bin/trimmer');
    await rm(trimmer);
    await writeFile(trimmer, 'theirs');
    await pipInstall.undo(plan, snapshot, context);
    expect(await readFile(trimmer, 'utf8')).toBe('theirs');
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual(['bin/trimmer is new']);
  });
});

/** Aborts at the look before move number `moves`, as a kill there would. Fetching and unpacking go through. */
function stoppingAfter(moves: number): AbortSignal {
  let looks = 0;
  const never = new AbortController().signal;
  return new Proxy(never, {
    get(signal, key) {
      if (key === 'aborted') return new Error().stack?.includes('stopIfAborted') ? looks++ >= moves : false;
      const value: unknown = Reflect.get(signal, key, signal);
      return typeof value === 'function' ? value.bind(signal) : value;
    },
  });
}

describe('what is refused', () => {
  it.each<[string, (s: PipInstallStep) => unknown, RegExp]>([
    [
      'an option as a name',
      (s) => ({ ...s, packages: [{ ...s.packages[0], name: '--index-url=x' }] }),
      /not one that an index/,
    ],
    [
      'an address as a name',
      (s) => ({ ...s, packages: [{ ...s.packages[0], name: 'a @ http://x' }] }),
      /not one that an index/,
    ],
    ['a path as a name', (s) => ({ ...s, packages: [{ ...s.packages[0], name: '../x' }] }), /not one that an index/],
    ['a range as a version', (s) => ({ ...s, packages: [{ ...s.packages[0], version: '>=1' }] }), /no exact version/],
    ['no hash', (s) => ({ ...s, packages: [{ ...s.packages[0], hashes: [] }] }), /no sha256/],
    ['a file as an index', (s) => ({ ...s, index: 'file:///tmp' }), /not an http address/],
    ['an option as an index', (s) => ({ ...s, index: '--extra-index-url=http://x' }), /not an http address/],
    ['the system Python', (s) => ({ ...s, interpreter: '/usr/bin/python3' }), /not a folder of its own inside/],
    ['a venv of another project', (s) => ({ ...s, directory: '/usr' }), /not a folder of its own inside/],
  ])('%s', async (_, change, reason) => {
    const environment = await venv(WORDTRIM);
    const before = await tree(environment);
    const plan = change(step(environment, { wheel: WORDTRIM })) as PipInstallStep;
    await expect(pipInstall.snapshot(plan, await contextOf())).rejects.toThrow(reason);
    expect(listingDifferences(before, await tree(environment))).toEqual([]);
  });

  it.each<[string, KitWheel[], (e: PythonEnvironment) => PipInstallStep | Promise<PipInstallStep>, RegExp]>([
    [
      'other content than the plan saw',
      [WORDTRIM],
      (e) => step(e, { wheel: WORDTRIM, hashes: [`sha256:${'0'.repeat(64)}`] }),
      /serves other files/,
    ],
    [
      'a dependency that the plan does not hold',
      [
        { ...WORDTRIM, requires: ['textbase'] },
        { name: 'textbase', version: '1', files: { 'textbase.py': '' } },
      ],
      (e) => step(e, { wheel: { ...WORDTRIM, requires: ['textbase'] } }),
      /does not hold what it needs: textbase/,
    ],
    [
      'a wheel that does not provide the module',
      [WORDTRIM],
      (e) => step(e, { wheel: WORDTRIM, provides: 'yaml' }),
      /does not provide yaml/,
    ],
    [
      'a .pth file that nobody was shown',
      [{ ...WORDTRIM, files: { 'wordtrim.py': '', 'run.pth': 'import os\n' } }],
      (e) => step(e, { wheel: { ...WORDTRIM, files: { 'wordtrim.py': '', 'run.pth': 'import os\n' } } }),
      /run\.pth runs at every start of Python, which the plan did not show/,
    ],
    [
      'an installed version that the plan did not see',
      [WORDTRIM, { ...WORDTRIM, version: '1.0.0', installed: true }],
      (e) => step(e, { wheel: WORDTRIM }),
      /1\.0\.0 is installed, the plan saw none/,
    ],
    [
      'a command that is there already',
      [WORDTRIM],
      async (e) => {
        await writeFile(join(e.venv, 'bin/trimmer'), '#!/bin/sh\n');
        return step(e, { wheel: WORDTRIM });
      },
      /would overwrite or hide bin\/trimmer/,
    ],
  ])('%s, leaving nothing behind', async (_, wheels, make, reason) => {
    const environment = await venv(...wheels);
    const plan = await make(environment);
    const before = await tree(environment);
    const context = await contextOf();
    const snapshot = await pipInstall.snapshot(plan, context);
    await expect(pipInstall.apply(plan, snapshot, context)).rejects.toThrow(reason);
    expect(listingDifferences(before, await tree(environment))).toEqual([]);
    expect(await pipInstall.probe(plan, snapshot, context)).toBe('not-done');
    await pipInstall.undo(plan, snapshot, context);
    expect(await pipInstall.differences(plan, snapshot, context)).toEqual([]);
  });

  it('a venv that became a link since the plan', async () => {
    const environment = await venv(WORDTRIM);
    const plan = step(environment, { wheel: WORDTRIM });
    await world.kit.sh(['mv', '.venv', '../moved']);
    await symlink('../moved', environment.venv);
    await expect(pipInstall.snapshot(plan, await contextOf())).rejects.toThrow(/not a folder of its own/);
  });
});
