// A minimal npm registry on the loopback, and the lock file of a project that pins what it serves.

import { createHash } from 'node:crypto';
import { tarGz } from './archives.ts';
import type { KitPackage } from './drill-kit.ts';
import { serve, type LocalServer } from './local-server.ts';

export interface NpmRegistry extends LocalServer {
  /** With a slash at the end, as npm writes it. */
  readonly registryUrl: string;
  /** Text of a package-lock.json that pins all packages; those named in `dependencies` are the project's own. */
  lockFile(project: string, dependencies: Readonly<Record<string, string>>): string;
  /** Tarballs fetched so far, by path. */
  downloads(): readonly string[];
}

interface Built extends KitPackage {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly data: Buffer;
  readonly integrity: string;
  readonly path: string;
}

/** Serves packages on 127.0.0.1 until closed. */
export async function serveNpmRegistry(packages: readonly KitPackage[]): Promise<NpmRegistry> {
  const built = packages.map(build);
  const fetched: string[] = [];
  const server = await serve((path) => {
    const tarball = built.find((p) => p.path === path);
    if (tarball) {
      fetched.push(path);
      return { body: tarball.data, type: 'application/octet-stream' };
    }
    const versions = built.filter((p) => path === `/${p.name}`);
    return versions.length === 0 ? null : { body: packument(versions, server.url), type: 'application/json' };
  });
  return {
    ...server,
    registryUrl: `${server.url}/`,
    lockFile: (project, dependencies) => lockFile(project, dependencies, built, server.url),
    downloads: () => fetched,
  };
}

function build(spec: KitPackage): Built {
  const manifest = {
    name: spec.name,
    version: spec.version,
    main: 'index.js',
    ...(spec.scripts ? { scripts: spec.scripts } : {}),
    ...(spec.dependencies ? { dependencies: spec.dependencies } : {}),
  };
  const files = Object.entries(spec.files).map(([path, text]) => [`package/${path}`, text] as const);
  const data = tarGz({ 'package/package.json': JSON.stringify(manifest), ...Object.fromEntries(files) });
  const integrity = `sha512-${createHash('sha512').update(data).digest('base64')}`;
  const path = `/${spec.name}/-/${spec.name.split('/').at(-1)}-${spec.version}.tgz`;
  return { ...spec, manifest, data, integrity, path };
}

function packument(versions: readonly Built[], url: string): string {
  const entries = versions.map((v) => [
    v.version,
    {
      ...v.manifest,
      ...(v.scripts ? { hasInstallScript: true } : {}),
      dist: { tarball: `${url}${v.path}`, integrity: v.integrity },
    },
  ]);
  return JSON.stringify({
    name: versions[0]?.name,
    'dist-tags': { latest: versions.at(-1)?.version },
    versions: Object.fromEntries(entries),
  });
}

function lockFile(
  project: string,
  dependencies: Readonly<Record<string, string>>,
  built: readonly Built[],
  url: string,
): string {
  const entries = built.map((p) => [
    `node_modules/${p.name}`,
    {
      version: p.version,
      resolved: `${url}${p.path}`,
      integrity: p.integrity,
      ...(p.scripts ? { hasInstallScript: true } : {}),
      ...(p.dependencies ? { dependencies: p.dependencies } : {}),
    },
  ]);
  const root = { name: project, version: '1.0.0', dependencies };
  return `${JSON.stringify(
    {
      name: project,
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': root, ...Object.fromEntries(entries) },
    },
    null,
    2,
  )}\n`;
}
