// Python and Node projects for drills, with package servers of their own on the loopback.

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DrillKit, KitPackage, KitWheel } from './drill-kit.ts';
import { type NpmRegistry, serveNpmRegistry } from './npm-registry.ts';
import { python } from './scratch.ts';
import { makeWheel, type PackageIndex, servePackageIndex, wheelFiles } from './wheels.ts';

/** What the parts of the kit build in. */
export type KitPlace = Pick<DrillKit, 'directory' | 'sh' | 'write'>;

/** A venv at `.venv` (without pip: 0.3 s instead of 5) whose `pip.conf` names a local index of these wheels. */
export async function makeVenv(place: KitPlace, wheels: readonly KitWheel[]): Promise<PackageIndex> {
  const { directory, sh, write } = place;
  const index = await servePackageIndex(wheels.map(makeWheel));
  if (!existsSync(join(directory, '.venv'))) await sh([python, '-m', 'venv', '--without-pip', '.venv']);
  await write('.venv/pip.conf', `[global]\nindex-url = ${index.indexUrl}\n`);
  const lib = join(directory, '.venv', 'lib');
  const site = join(lib, (await readdir(lib))[0] ?? '', 'site-packages');
  for (const wheel of wheels.filter((w) => w.installed)) {
    for (const [path, text] of Object.entries(wheelFiles(wheel))) await write(join(site, path), text);
  }
  return index;
}

/** `.npmrc`, `package.json` and `package-lock.json` of a project that pins these packages. */
export async function makeNpmProject(place: KitPlace, packages: readonly KitPackage[]): Promise<NpmRegistry> {
  const { directory, write } = place;
  const registry = await serveNpmRegistry(packages);
  const manifest = join(directory, 'package.json');
  if (!existsSync(manifest)) {
    const dependencies = ownDependencies(packages);
    await write('package.json', `${JSON.stringify({ name: 'drill', version: '1.0.0', dependencies }, null, 2)}\n`);
  }
  const declared = JSON.parse(await readFile(manifest, 'utf8')) as { readonly dependencies?: Record<string, string> };
  await write('.npmrc', `registry=${registry.registryUrl}\n`);
  await write('package-lock.json', registry.lockFile('drill', declared.dependencies ?? {}));
  return registry;
}

function ownDependencies(packages: readonly KitPackage[]): Readonly<Record<string, string>> {
  const needed = new Set(packages.flatMap((p) => Object.keys(p.dependencies ?? {})));
  return Object.fromEntries(packages.filter((p) => !needed.has(p.name)).map((p) => [p.name, p.version]));
}
