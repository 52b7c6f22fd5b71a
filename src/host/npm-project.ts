// Reads what a Node project says about its packages: manifest, lock file and npm settings. Nothing
// of it is trusted to choose an address or a program.

import { join } from 'node:path';
import type { FileProbe, NodeProject } from './contract.ts';
import { withoutCredentials } from './package-index.ts';
import { sha256Of } from './safe-files.ts';

export const PUBLIC_REGISTRY = 'https://registry.npmjs.org/';

const MAX_BYTES = 64 * 1024 * 1024;

/** Settings that neither start a program nor send npm elsewhere. Everything else makes a plan ask. */
const HARMLESS = new Set(
  `registry save-exact save-prefix engine-strict fund audit loglevel progress package-lock legacy-peer-deps
   strict-peer-deps always-auth omit-lockfile-registry-resolved update-notifier save lockfile-version color
   omit include fetch-retries fetch-timeout prefer-offline ignore-scripts audit-level tag-version-prefix`.split(/\s+/),
);

const OTHER_MANAGERS = {
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
} as const satisfies Readonly<Record<string, string>>;

export interface RegistryClues {
  /** `package_index` of the service. */
  readonly configured: string | null;
  /** npm_config_registry of selfheal's own environment when it started. */
  readonly environment: string | null;
}

/** The project in this folder; null without a readable package.json. */
export async function readNodeProject(
  files: FileProbe,
  directory: string,
  clues: RegistryClues,
): Promise<NodeProject | null> {
  const manifest = parseObject(await files.text(join(directory, 'package.json')));
  if (manifest === null) return null;
  const settings = parseNpmrc((await files.text(join(directory, '.npmrc'))) ?? '');
  const named = clues.configured ?? settings.get('registry') ?? clues.environment ?? PUBLIC_REGISTRY;
  const registry = withSlash(withoutCredentials(named));
  const lockText = await files.text(join(directory, 'package-lock.json'), MAX_BYTES);
  return {
    directory,
    declared: declaredOf(manifest),
    lock: lockText === null ? null : readLock(lockText, manifest, registry),
    registry,
    installed: await installedPackages(files, join(directory, 'node_modules')),
    suspicious: [...settings].flatMap(([key, value]) => (isHarmless(key, value, registry) ? [] : [key])),
    otherManagers: await otherManagers(files, directory, manifest),
  };
}

type Table = Readonly<Record<string, unknown>>;

function parseObject(text: string | null): Table | null {
  try {
    const value: unknown = text === null ? null : JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : null;
  } catch {
    return null;
  }
}

function tableOf(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};
}

const DEPENDENCIES = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

/** Names with the ranges that the manifest states, of all groups. */
function declaredOf(manifest: Table): Readonly<Record<string, string>> {
  const entries = DEPENDENCIES.toReversed().flatMap((group) => Object.entries(tableOf(manifest[group])));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

const MOST_INSTALLED = 3_000;

/** What stands at the top of node_modules. A folder without a readable manifest has no version. */
async function installedPackages(files: FileProbe, modules: string): Promise<Readonly<Record<string, string>>> {
  if ((await files.status(modules)).kind !== 'directory') return {};
  const names: string[] = [];
  for (const name of await files.list(modules)) {
    if (name.startsWith('@')) names.push(...(await files.list(join(modules, name))).map((inner) => `${name}/${inner}`));
    else if (!name.startsWith('.')) names.push(name);
  }
  const installed: Record<string, string> = {};
  for (const name of names.slice(0, MOST_INSTALLED)) {
    const version = parseObject(await files.text(join(modules, name, 'package.json')))?.['version'];
    installed[name] = typeof version === 'string' ? version : '';
  }
  return installed;
}

type Lock = NonNullable<NodeProject['lock']>;

/** Version 2 and 3 of npm's lock file; null for older ones and for what is none. */
function readLock(text: string, manifest: Table, registry: string): Lock | null {
  const lock = parseObject(text);
  if (lock === null || typeof lock['packages'] !== 'object') return null;
  const all = Object.entries(tableOf(lock['packages']));
  const root = tableOf(all.find(([path]) => path === '')?.[1]);
  const packages = all
    .filter(([path]) => path !== '')
    .map(([path, value]) => [path, entryOf(tableOf(value), registry)]);
  return {
    sha256: sha256Of(Buffer.from(text)),
    packages: Object.fromEntries(packages) as Lock['packages'],
    matches: DEPENDENCIES.every((group) => sameTable(tableOf(root[group]), tableOf(manifest[group]))),
  };
}

function entryOf(entry: Table, registry: string): Lock['packages'][string] {
  const text = (key: string): string | null => (typeof entry[key] === 'string' ? entry[key] : null);
  const [resolved, integrity] = [text('resolved'), text('integrity')];
  const bundled = entry['inBundle'] === true;
  return {
    version: text('version') ?? '',
    resolved,
    integrity,
    hasInstallScript: entry['hasInstallScript'] === true,
    foreign:
      entry['link'] === true ||
      entry['name'] !== undefined ||
      (resolved !== null && !isFromRegistry(resolved, registry)) ||
      (integrity === null && !bundled),
    optional: entry['optional'] === true || entry['devOptional'] === true,
    dev: entry['dev'] === true,
  };
}

/** npm itself sends requests for the public registry to the configured one. */
function isFromRegistry(resolved: string, registry: string): boolean {
  return resolved.startsWith(registry) || resolved.startsWith(PUBLIC_REGISTRY);
}

function sameTable(a: Table, b: Table): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

/** Keys and values of an .npmrc, as far as they are plain. */
export function parseNpmrc(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const found = /^\s*([^#;=\s[\]][^=]*?)(?:\[\])?\s*(?:=\s*(.*?))?\s*$/.exec(line);
    if (found?.[1] !== undefined) settings.set(found[1], (found[2] ?? 'true').replace(/^(["'])(.*)\1$/, '$2'));
  }
  return settings;
}

/** A token for the registry itself is no redirection; one for another address may be. */
function isHarmless(key: string, value: string, registry: string): boolean {
  if (/^\/\/.*:(?:_authToken|_auth|username|_password|email)$/.test(key)) {
    return registry.replace(/^https?:/, '').startsWith(key.replace(/:[^:]*$/, ''));
  }
  if (key === 'registry') return withSlash(withoutCredentials(value)) === registry;
  if (key === 'ignore-scripts') return value === 'true';
  return HARMLESS.has(key);
}

async function otherManagers(files: FileProbe, directory: string, manifest: Table): Promise<readonly string[]> {
  const names = await files.list(directory);
  const locks = Object.entries(OTHER_MANAGERS).filter(([file]) => names.includes(file));
  const stated = /^(pnpm|yarn|bun)@/.exec(String(manifest['packageManager'] ?? ''))?.[1];
  const workspaces = manifest['workspaces'] === undefined ? [] : ['workspaces'];
  return [
    ...new Set([...locks.map(([, manager]) => manager), ...(stated === undefined ? [] : [stated]), ...workspaces]),
  ];
}
