import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NpmInstallStep } from '../../core/plan.ts';
import { createDrillKit, type DrillWorld } from '../../testing/create-drill-kit.ts';
import type { KitPackage } from '../../testing/drill-kit.ts';
import { effectContext } from '../../testing/effect-context.ts';
import { systemClock } from '../clock.ts';
import { createFileProbe } from '../files.ts';
import { listingDifferences, listTree } from '../installed-tree.ts';
import { createNodeProbe } from '../node.ts';
import { createRun } from '../run.ts';
import { npmInstall } from './npm-install.ts';

const run = createRun({ home: '/root' });
const node = createNodeProbe({ run, files: createFileProbe() });
const PADDER: KitPackage = { name: 'padder', version: '1.0.0', files: { 'index.js': 'module.exports = 1\n' } };

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

async function planned(...packages: readonly KitPackage[]): Promise<NpmInstallStep> {
  await world.kit.npm(packages);
  const project = await node.project(world.service());
  return {
    kind: 'npm-install',
    title: 'install',
    undo: { kind: 'restore-snapshot' },
    directory: world.kit.directory,
    registry: project?.registry ?? '',
    lock: project?.lock?.sha256 ?? '',
  };
}

/** Only root can act as somebody else, and a Node in root's own folder is out of everybody else's reach. */
function othersMayRunNode(): boolean {
  if (process.getuid?.() !== 0) return false;
  return spawnSync(process.execPath, ['--version'], { uid: 65534, gid: 65534, cwd: '/' }).status === 0;
}

const context = (place = snapshots) => effectContext({ world, run, clock: systemClock, snapshots: place });
const found = async (module: string) => (await node.resolves(world.kit.directory, module)).ok;
const tree = () => listTree(world.kit.directory);
const path = (...parts: string[]) => join(world.kit.directory, ...parts);

describe('installing what the lock pins', () => {
  it('makes modules findable, runs no script, and undo leaves every byte as it was', async () => {
    const evil = {
      ...PADDER,
      name: 'evil',
      scripts: { install: `touch ${path('ran')}`, postinstall: `touch ${path('ran')}` },
    };
    const step = await planned(PADDER, evil);
    const before = await tree();
    const given = await context();
    const snapshot = await npmInstall.snapshot(step, given);
    expect(await npmInstall.probe(step, snapshot, given)).toBe('not-done');
    await npmInstall.apply(step, snapshot, given);
    expect(await npmInstall.probe(step, snapshot, given)).toBe('done');
    expect(await found('padder')).toBe(true);
    const names = [...(await tree()).keys()];
    expect(names).not.toContain('ran');
    expect(names.filter((name) => name.startsWith('.selfheal'))).toEqual([]);
    await npmInstall.undo(step, snapshot, given);
    await npmInstall.undo(step, snapshot, given);
    expect(await npmInstall.differences(step, snapshot, given)).toEqual([]);
    expect(listingDifferences(before, await tree())).toEqual([]);
  });

  it.each([tmpdir(), '/dev/shm'])('keeps the old folder whole and brings it back, snapshot in %s', async (place) => {
    const step = await planned(PADDER);
    await world.kit.write('node_modules/handmade/index.js', 'module.exports = 2\n', 0o640);
    await world.kit.sh(['ln', '-s', '../handmade/index.js', 'node_modules/handmade/link.js']);
    const before = await tree();
    const folder = await mkdtemp(join(place, 'selfheal-kept-'));
    const given = await context(folder);
    const snapshot = await npmInstall.snapshot(step, given);
    await npmInstall.apply(step, snapshot, given);
    expect(await found('handmade')).toBe(false);
    expect(await found('padder')).toBe(true);
    await npmInstall.undo(step, snapshot, given);
    expect(await npmInstall.differences(step, snapshot, given)).toEqual([]);
    expect(listingDifferences(before, await tree())).toEqual([]);
    expect((await stat(path('node_modules/handmade/index.js'))).mode & 0o777).toBe(0o640);
    await rm(folder, { recursive: true });
  });

  it('reads none of the settings that could run a program', async () => {
    const step = await planned(PADDER);
    const trap = path('trap.sh');
    await world.kit.write('trap.sh', `#!/bin/sh\ntouch ${path('ran')}\n`, 0o755);
    const lines = [
      `script-shell=${trap}`,
      `git=${trap}`,
      `node-options=--require ${path('trap.js')}`,
      'ignore-scripts=false',
    ];
    await world.kit.write('trap.js', `require('node:fs').writeFileSync(${JSON.stringify(path('ran'))}, '')\n`);
    await world.kit.write('.npmrc', `${await readFile(path('.npmrc'), 'utf8')}${lines.join('\n')}\n`);
    const given = await context();
    await npmInstall.apply(step, await npmInstall.snapshot(step, given), given);
    expect(await found('padder')).toBe(true);
    expect([...(await tree()).keys()]).not.toContain('ran');
  });

  it.runIf(othersMayRunNode())('acts as the owner of the project, and what it brings is theirs', async () => {
    const step = await planned(PADDER);
    await world.kit.sh(['chmod', '711', '..']);
    await world.kit.sh(['chown', '-R', '65534:65534', '.']);
    const given = await context();
    await npmInstall.apply(step, await npmInstall.snapshot(step, given), given);
    expect(await found('padder')).toBe(true);
    const owners = new Set([...(await tree()).values()].flatMap((text) => /\d+:\d+/.exec(text) ?? []));
    expect([...owners]).toEqual(['65534:65534']);
  });

  it('uses a cache of its own when the shared one is damaged', async () => {
    const step = { ...(await planned(PADDER)), freshCache: true };
    const given = await context();
    await npmInstall.apply(step, await npmInstall.snapshot(step, given), given);
    expect(await found('padder')).toBe(true);
    expect(world.downloads()).toHaveLength(1);
  });
});

describe('what is refused', () => {
  const fails = async (step: NpmInstallStep, reason: RegExp) => {
    const before = await tree();
    const given = await context();
    const attempt = npmInstall.snapshot(step, given).then((snapshot) => npmInstall.apply(step, snapshot, given));
    await expect(attempt).rejects.toThrow(reason);
    expect(listingDifferences(before, await tree())).toEqual([]);
  };

  it('a lock file that changed since the plan', async () => {
    const step = await planned(PADDER);
    await world.kit.write('package-lock.json', '{}');
    await fails(step, /changed since the plan/);
  });

  it('content that is not what the lock pins', async () => {
    const step = await planned(PADDER);
    const lock = await readFile(path('package-lock.json'), 'utf8');
    await world.kit.write('package-lock.json', lock.replace(/sha512-[^"]+/, `sha512-${'A'.repeat(86)}==`));
    const changed = await node.project(world.service());
    await fails({ ...step, lock: changed?.lock?.sha256 ?? '' }, /EINTEGRITY/);
  });

  it('a git dependency', async () => {
    const step = await planned(PADDER);
    const dependencies = { padder: 'git+https://127.0.0.1:9/x.git' };
    const packages = { '': { name: 'drill', version: '1.0.0', dependencies } };
    await world.kit.write('package.json', JSON.stringify({ name: 'drill', version: '1.0.0', dependencies }));
    const git = {
      version: '1.0.0',
      resolved: 'git+https://127.0.0.1:9/x.git#0123456789012345678901234567890123456789',
    };
    const text = JSON.stringify({ lockfileVersion: 3, packages: { ...packages, 'node_modules/padder': git } });
    await world.kit.write('package-lock.json', text);
    const changed = await node.project(world.service());
    await fails({ ...step, lock: changed?.lock?.sha256 ?? '' }, /npm: /);
  });

  it('a node_modules that leads elsewhere', async () => {
    const step = await planned(PADDER);
    await world.kit.sh(['mkdir', '../elsewhere']);
    await symlink('../elsewhere', path('node_modules'));
    await fails(step, /not a folder of its own/);
  });

  it('a registry that is no http address', async () => {
    await fails({ ...(await planned(PADDER)), registry: 'file:///tmp/' }, /not an http address/);
  });
});
