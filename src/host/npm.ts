// The one thing we ask of npm: install exactly what a lock file pins, in a folder of ours, running
// no script, reading no settings but ours, from one registry.

import { realpathSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { accountOf } from './accounts.ts';
import type { Run, RunResult } from './contract.ts';
import { withoutCredentials } from './package-index.ts';
import { parseNpmrc } from './npm-project.ts';
import { findProgram, SYSTEM_PATH } from './programs.ts';

const INSTALL_MS = 300_000;

/**
 * npm's own program file: beside the Node that runs us, else on the fixed search path. It is run with that Node, never
 * through a launcher that would look for one.
 */
export function findNpmCli(node: string): string | null {
  const beside = [join(dirname(node), 'npm'), join(dirname(node), '../lib/node_modules/npm/bin/npm-cli.js')];
  for (const candidate of [...beside, findProgram('npm', SYSTEM_PATH)]) {
    const file = candidate === null ? null : realOf(candidate);
    if (file !== null && basename(file) === 'npm-cli.js') return file;
  }
  return null;
}

function realOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

export interface NpmInstallRequest {
  readonly node: string;
  /** Holds package.json and package-lock.json, and nothing else that npm would read. */
  readonly folder: string;
  /** Private folder for our two settings files and, when `freshCache`, the cache. */
  readonly own: string;
  readonly registry: string;
  /** Text of the project's .npmrc: only a token for this very registry is taken from it. */
  readonly npmrc: string;
  readonly freshCache: boolean;
  readonly omitDev: boolean;
  readonly owner: string;
  readonly signal?: AbortSignal;
}

/** Null when it went well, else why not. */
export async function installLocked(run: Run, request: NpmInstallRequest): Promise<string | null> {
  const cli = findNpmCli(request.node);
  if (cli === null) return 'npm was not found beside Node or on the system';
  // npm refuses one file for both.
  const [user, global] = [join(request.own, 'user.npmrc'), join(request.own, 'global.npmrc')];
  await writeFile(user, tokenLines(request.npmrc, request.registry), { mode: 0o644 });
  await writeFile(global, '', { mode: 0o644 });
  const argv = [
    ...[request.node, cli, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
    ...['--registry', request.registry, '--userconfig', user, '--globalconfig', global],
    ...(request.omitDev ? ['--omit=dev'] : []),
    ...(request.freshCache || !(await hasHome(request.owner)) ? ['--cache', join(request.own, 'cache')] : []),
  ];
  const result = await run(argv, {
    cwd: request.folder,
    asOwnerOf: request.owner,
    timeoutMs: INSTALL_MS,
    env: ENVIRONMENT,
    ...(request.signal ? { signal: request.signal } : {}),
  });
  return result.code === 0 ? null : whyNot(result);
}

/** A service's user often has no home folder of its own, and npm no place for its cache then. */
async function hasHome(owner: string): Promise<boolean> {
  const account = await accountOf(owner);
  if (account === null) return true;
  const home = await stat(account.home).catch(() => null);
  return home?.isDirectory() === true && home.uid === account.uid;
}

/** By variable, because an npm that does not know one of them only warns. */
const ENVIRONMENT = {
  CI: '1',
  npm_config_allow_git: 'none',
  npm_config_allow_remote: 'none',
  npm_config_allow_file: 'none',
  npm_config_allow_directory: 'none',
  npm_config_update_notifier: 'false',
  npm_config_fetch_retries: '1',
  npm_config_fetch_retry_mintimeout: '500',
  npm_config_fetch_retry_maxtimeout: '2000',
  npm_config_fetch_timeout: '30000',
  npm_config_loglevel: 'error',
} as const;

/** The project's own token for the registry that the plan names, and nothing else of its settings. */
function tokenLines(npmrc: string, registry: string): string {
  const place = registry.replace(/^https?:/, '');
  const lines = [...parseNpmrc(npmrc)].filter(
    ([key, value]) =>
      /^\/\/[^:\s]+(?::\d+)?[^:\s]*:(?:_authToken|_auth|username|_password)$/.test(key) &&
      place.startsWith(key.replace(/:[^:]*$/, '')) &&
      !value.includes('${'),
  );
  return lines.map(([key, value]) => `${key}=${value}\n`).join('');
}

function whyNot(result: RunResult): string {
  if (result.timedOut) return 'npm took too long';
  if (result.failure !== null) return result.failure;
  const text = `${result.stderr}\n${result.stdout}`;
  const code = /^npm (?:error|ERR!) code (\S+)/m.exec(text)?.[1];
  const said = [...text.matchAll(/^npm (?:error|ERR!) (?!code )(\S.*)$/gm)].map((m) => m[1]).slice(0, 2);
  const message = withoutCredentials(said.join(' ')).slice(0, 300);
  return `npm: ${[code, message].filter(Boolean).join(' ') || `ended with ${result.code}`}`;
}
