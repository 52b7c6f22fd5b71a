// What the service's own folder says, looked up once at start: its configuration files and the
// package indexes it uses. A later change there does not change what we pinned.

import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import picomatch from 'picomatch';

const CONFIG_FILE = /^(?:\.env|[^.].*\.(?:json|ya?ml|toml))$/;
/** Written by package managers, samples for people, our own: never the service's running configuration. */
const NO_CONFIG =
  /^(?:selfheal\.ya?ml|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|tsconfig.*\.json)$|(?:example|sample|template)/i;
const MAX_CONFIG_FILES = 100;

/** Default good-copy candidates: `.env`, and JSON, YAML and TOML files at the top of the folder. Absolute, sorted. */
export async function findConfigFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((e) => e.isFile() && CONFIG_FILE.test(e.name) && !NO_CONFIG.test(e.name));
  const found = new Set(['.env', ...names.map((e) => e.name)]);
  return [...found]
    .sort()
    .slice(0, MAX_CONFIG_FILES)
    .map((name) => join(directory, name));
}

/** The owner's own list: plain paths stay (a file may be missing just now), patterns are looked up. Absolute. */
export async function expandConfigFiles(directory: string, patterns: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const pattern of patterns)
    if (picomatch.scan(pattern).isGlob)
      for (const path of await filesMatching(join(directory, pattern))) found.add(path);
    else found.add(join(directory, pattern));
  return [...found].slice(0, MAX_CONFIG_FILES);
}

/** Regular files behind an absolute pattern, sorted. Links are not followed. */
export async function filesMatching(pattern: string): Promise<string[]> {
  const { base, glob } = picomatch.scan(pattern);
  if (glob === '') return [pattern];
  const matches = picomatch(glob, { dot: true });
  const recursive = glob.includes('/') || glob.includes('**');
  const entries = await readdir(base, { recursive, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => matches(path.slice(base.length).replace(/^\//, '')))
    .sort();
}

export interface PackageIndexes {
  readonly pip: string | null;
  readonly npm: string | null;
}

/**
 * Package indexes as the service's venv and `.npmrc` name them, then the user's own files, then our environment.
 * Null: nobody says anything, so the public one applies.
 */
export async function findPackageIndexes(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<PackageIndexes> {
  const home = environment['HOME'] ?? homedir();
  const pipFiles = ['.venv', 'venv', 'env'].map((venv) => join(directory, venv, 'pip.conf'));
  const pip =
    (await firstMatch(pipFiles, PIP_INDEX)) ??
    plain(environment['PIP_INDEX_URL']) ??
    (await firstMatch([join(home, '.config/pip/pip.conf'), join(home, '.pip/pip.conf'), '/etc/pip.conf'], PIP_INDEX));
  const npm =
    (await firstMatch([join(directory, '.npmrc')], NPM_REGISTRY)) ??
    plain(environment['npm_config_registry'] ?? environment['NPM_CONFIG_REGISTRY']) ??
    (await firstMatch([join(home, '.npmrc')], NPM_REGISTRY));
  return { pip, npm };
}

const PIP_INDEX = /^\s*index[-_]url\s*[=:]\s*(https?:\/\/\S+)\s*$/m;
const NPM_REGISTRY = /^\s*registry\s*=\s*["']?(https?:\/\/[^\s"']+)["']?\s*$/m;

async function firstMatch(files: readonly string[], pattern: RegExp): Promise<string | null> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const found = pattern.exec(text)?.[1];
    if (found) return plain(found);
  }
  return null;
}

/** Without the slash at its end, so that two ways to write it are equal. */
function plain(url: string | undefined): string | null {
  return url ? url.replace(/\/+$/, '') : null;
}
