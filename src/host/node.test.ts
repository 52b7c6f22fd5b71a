import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import type { KitPackage } from '../testing/drill-kit.ts';
import { createFileProbe } from './files.ts';
import { createNodeProbe } from './node.ts';
import { parseNpmrc } from './npm-project.ts';
import { createRun } from './run.ts';

const run = createRun({ home: '/root' });
const node = createNodeProbe({ run, files: createFileProbe() });
const PADDER: KitPackage = { name: 'padder', version: '1.0.0', files: { 'index.js': 'module.exports = 1\n' } };

let world: DrillWorld;
beforeEach(() => {
  world = createDrillKit({ run });
});
afterEach(() => world.close());

const project = () => node.project(world.service());

describe('a Node project', () => {
  it('is its manifest, its lock and its registry', async () => {
    await world.kit.npm([PADDER, { ...PADDER, name: 'built', scripts: { install: 'touch x' } }]);
    const found = await project();
    expect(found?.declared).toEqual({ padder: '1.0.0', built: '1.0.0' });
    expect(found?.registry).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(found?.suspicious).toEqual([]);
    expect(found?.otherManagers).toEqual([]);
    expect(found?.lock?.matches).toBe(true);
    expect(found?.lock?.packages['node_modules/padder']).toMatchObject({ version: '1.0.0', foreign: false });
    expect(found?.lock?.packages['node_modules/built']?.hasInstallScript).toBe(true);
  });

  it('is none without a manifest, and has no lock when that is broken or old', async () => {
    expect(await project()).toBeNull();
    await world.kit.write('package.json', '{"dependencies":{"padder":"1"}}');
    expect((await project())?.lock).toBeNull();
    await world.kit.write('package-lock.json', '{"lockfileVersion":1,"dependencies":{}}');
    expect((await project())?.lock).toBeNull();
    await world.kit.write('package-lock.json', '{');
    expect((await project())?.lock).toBeNull();
  });

  it('knows what does not come from the registry', async () => {
    const sha = { integrity: 'sha512-x' };
    const packages = {
      '': { dependencies: { a: '1' } },
      'node_modules/link': { resolved: '../x', link: true },
      'node_modules/git': { version: '1', resolved: 'git+ssh://git@github.com/a/b.git#0' },
      'node_modules/file': { version: '1', resolved: 'file:x.tgz', ...sha },
      'node_modules/other': { version: '1', resolved: 'https://evil.invalid/a.tgz', ...sha },
      'node_modules/alias': { name: 'b', version: '1', resolved: 'https://registry.npmjs.org/b/-/b-1.tgz', ...sha },
      'node_modules/bare': { version: '1', resolved: 'https://registry.npmjs.org/b/-/b-1.tgz' },
      'node_modules/fine': { version: '1', resolved: 'https://registry.npmjs.org/b/-/b-1.tgz', ...sha },
      'node_modules/short': { version: '1', ...sha },
      'node_modules/fine/node_modules/in': { version: '1', inBundle: true },
    };
    await world.kit.write('package.json', '{"dependencies":{"a":"2"}}');
    await world.kit.write('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages }));
    const lock = (await project())?.lock;
    const foreign = Object.entries(lock?.packages ?? {}).flatMap(([path, p]) => (p.foreign ? [path.slice(13)] : []));
    expect(foreign).toEqual(['link', 'git', 'file', 'other', 'alias', 'bare']);
    expect(lock?.matches).toBe(false);
  });

  it('names settings that run programs or redirect, and other managers', async () => {
    await world.kit.write('package.json', '{"packageManager":"pnpm@9.0.0","workspaces":["a"]}');
    await world.kit.write('yarn.lock', '');
    await world.kit.write(
      '.npmrc',
      'registry=https://r.invalid/\n//r.invalid/:_authToken=abc\n//evil.invalid/:_authToken=abc\nscript-shell=./x\n' +
        '# git=no\ngit = ./evil\n@acme:registry=https://e.invalid/\nfund=false\nignore-scripts=false\nnode-options="--require x"\n',
    );
    const found = await project();
    expect(found?.suspicious).toEqual([
      '//evil.invalid/:_authToken',
      'script-shell',
      'git',
      '@acme:registry',
      'ignore-scripts',
      'node-options',
    ]);
    expect(found?.otherManagers).toEqual(['yarn', 'pnpm', 'workspaces']);
    world.kit.service({ npmRegistry: 'https://configured.invalid' });
    expect((await project())?.registry).toBe('https://configured.invalid/');
    expect((await project())?.suspicious).toContain('registry');
  });

  it('reads an .npmrc as npm does', () => {
    expect([...parseNpmrc(' a = "b" \n;c=d\n[e]\nf\nomit[]=dev\n')]).toEqual([
      ['a', 'b'],
      ['f', 'true'],
      ['omit', 'dev'],
    ]);
  });
});

describe('finding a module', () => {
  it('follows the rules of require and of import, and runs nothing', async () => {
    const ran = join(world.kit.directory, 'ran');
    const code = `require('node:fs').writeFileSync(${JSON.stringify(ran)}, '')\n`;
    await world.kit.write('index.js', code);
    await world.kit.write('node_modules/padder/index.js', code);
    await world.kit.write(
      'node_modules/modern/package.json',
      '{"exports":{".":{"import":"./x.mjs"},"./sub":"./s.mjs"}}',
    );
    await world.kit.write('node_modules/modern/x.mjs', '');
    const from = join(world.kit.directory, 'index.js');
    expect(await node.resolves(from, 'padder')).toEqual({ ok: true, error: '' });
    expect((await node.resolves(world.kit.directory, 'padder')).ok).toBe(true);
    expect((await node.resolves(from, 'modern')).ok).toBe(true);
    expect((await node.resolves(from, 'modern/sub')).ok).toBe(false);
    expect(await node.resolves(from, 'express')).toMatchObject({ ok: false, error: "Cannot find module 'express'" });
    for (const text of ['../x', './index.js', '/etc/passwd', 'a b', '--eval', 'x\n']) {
      expect((await node.resolves(from, text)).ok).toBe('unknown');
    }
    expect((await createFileProbe().status(ran)).kind).toBe('absent');
  });

  it('finds who imports a package, in files of the project only', async () => {
    await world.kit.write('src/index.mjs', "import { x } from 'padder/deep';\n");
    await world.kit.write('other.js', "// require('padder')\nrequire('padder2')\n");
    await world.kit.write('node_modules/a/index.js', "require('padder')\n");
    expect(await node.importers(world.kit.directory, 'padder')).toEqual([join(world.kit.directory, 'src/index.mjs')]);
    expect(await node.importsOf(join(world.kit.directory, 'other.js'))).toEqual(['padder2']);
    expect(node.isBuiltin('fs/promises')).toBe(true);
    expect(node.isBuiltin('node:anything')).toBe(true);
    expect(node.isBuiltin('express')).toBe(false);
  });
});
