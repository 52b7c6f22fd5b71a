// The one way we run git. A repository is somebody else's program: its hooks, filters, monitors and remotes are
// switched off for every call, discovery never happens, and it runs as the owner of the repository.

import { lstat, readFile, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Run, RunResult } from './contract.ts';

/** A repository that was found by us, not by git. */
export interface GitPlace {
  /** Absent for a bare mirror of ours. */
  readonly workTree: string | null;
  readonly gitDirectory: string;
  /** Configuration keys that name programs, each to be overridden with nothing. */
  readonly drivers: readonly string[];
}

export interface GitOptions {
  readonly timeoutMs?: number;
  readonly outputCap?: number;
  readonly input?: string;
  readonly signal?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
}

export interface GitAnswer extends RunResult {
  /** Ended with 0, in time, with its whole output kept. */
  readonly ok: boolean;
}

const TIMEOUT_MS = 30_000;
/** Lists of files of a large repository. More than this is cut, and a cut answer is not `ok`. */
const OUTPUT_CAP = 32 * 1024 * 1024;

/** Marks our own git processes: those that only read must not be taken for somebody at work. */
export const GIT_MARK = 'SELFHEAL_GIT';
export const READS = 'reads';
export const CHANGES = 'changes';

const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.sshCommand=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes',
  'core.gitProxy=',
  'core.askPass=',
  'core.editor=false',
  'core.pager=cat',
  'core.attributesFile=/dev/null',
  'core.untrackedCache=false',
  'core.alternateRefsCommand=true',
  'core.quotePath=true',
  'credential.helper=',
  'diff.external=',
  'diff.submodule=short',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'fetch.fsckObjects=true',
  'fetch.writeCommitGraph=false',
  'safe.bareRepository=explicit',
  'commit.gpgSign=false',
  'tag.gpgSign=false',
  'log.showSignature=false',
  'merge.verifySignatures=false',
  'merge.autoStash=false',
  'rebase.autoStash=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'advice.detachedHead=false',
];

/** Nothing of the machine's or the user's own configuration counts: it may name programs too. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: '',
  GIT_SSH_VARIANT: 'ssh',
  GIT_ALLOW_PROTOCOL: 'file:https:ssh',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_MERGE_AUTOEDIT: 'no',
  GIT_SEQUENCE_EDITOR: 'false',
  GIT_AUTHOR_NAME: 'selfheal',
  GIT_AUTHOR_EMAIL: 'selfheal@localhost',
  GIT_COMMITTER_NAME: 'selfheal',
  GIT_COMMITTER_EMAIL: 'selfheal@localhost',
  [GIT_MARK]: READS,
};

/**
 * Runs git in a repository. The exit code is an answer, never a proof: what it did is judged by the repository's state.
 *
 * @example
 * const place = await openPlace(run, '/srv/agent');
 * if (place) await git(run, place, ['rev-parse', '--verify', 'HEAD']);
 */
export async function git(
  run: Run,
  place: GitPlace,
  args: readonly string[],
  options: GitOptions = {},
): Promise<GitAnswer> {
  const tree = place.workTree === null ? [] : [`--work-tree=${place.workTree}`];
  const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
  const result = await run(
    ['git', '--no-pager', '--literal-pathspecs', `--git-dir=${place.gitDirectory}`, ...tree, ...settings, ...args],
    {
      cwd: place.workTree ?? place.gitDirectory,
      asOwnerOf: place.gitDirectory,
      env: { ...ENVIRONMENT, ...overrides(place.drivers), ...options.env },
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      outputCap: options.outputCap ?? OUTPUT_CAP,
      ...(options.input === undefined ? {} : { input: options.input }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  return { ...result, ok: result.code === 0 && !result.timedOut && !result.truncated && result.failure === null };
}

/** Through the environment, because a driver's name may hold `=`, which `-c` would cut at. */
function overrides(drivers: readonly string[]): Record<string, string> {
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(drivers.length) };
  for (const [index, key] of drivers.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = key.endsWith('.required') ? 'false' : '';
  }
  return env;
}

/** A full object id, and nothing that could be read as an option or an expression. */
export const isCommit = (text: string): boolean => /^[0-9a-f]{40,64}$/.test(text);

/** Last line of what git said, for people. */
export function gitSaid(answer: RunResult): string {
  if (answer.failure) return answer.failure;
  if (answer.timedOut) return 'git did not end in time';
  const lines = `${answer.stderr}\n${answer.stdout}`.split('\n').filter((line) => line.trim() !== '');
  const telling =
    lines.find((l) => l.startsWith('fatal:')) ?? lines.find((l) => l.startsWith('error:')) ?? lines.at(-1);
  return telling?.replace(/^(?:fatal|error): /, '') ?? `git ended with ${answer.code ?? answer.signal}`;
}

// ---------------------------------------------------------------- finding a repository

/** A repository as it lies on the disk, before git has been asked anything. */
export interface FoundRepository {
  readonly workTree: string;
  readonly gitDirectory: string;
  /** False when it belongs to another user than the folder: its configuration would be that user's shell. */
  readonly sameOwner: boolean;
}

/**
 * The repository around a folder: the nearest `.git` in it or above it. A bare repository that somebody put into the tree is
 * none, nor is a link, nor what another user keeps further up.
 */
export async function findRepository(directory: string): Promise<FoundRepository | null> {
  const start = await realpath(directory).catch(() => null);
  if (start === null) return null;
  const home = await lstat(start);
  if (!home.isDirectory()) return null;
  for (let folder = start; ; folder = dirname(folder)) {
    const gitDirectory = await gitDirectoryIn(folder);
    if (gitDirectory) {
      const sameOwner = (await lstat(gitDirectory)).uid === home.uid && mayActFor(home.uid);
      return sameOwner || folder === start ? { workTree: folder, gitDirectory, sameOwner } : null;
    }
    if (folder === '/') return null;
  }
}

/** Root becomes the owner before git starts; anybody else must be the owner already. */
function mayActFor(uid: number): boolean {
  const me = process.getuid?.();
  return me === 0 || me === uid;
}

async function gitDirectoryIn(folder: string): Promise<string | null> {
  const path = join(folder, '.git');
  const status = await lstat(path).catch(() => null);
  if (status?.isDirectory()) return path;
  if (!status?.isFile() || status.size > 4096) return null;
  const target = /^gitdir: (.+?)\s*$/.exec(await readFile(path, 'utf8').catch(() => ''))?.[1];
  if (!target) return null;
  const gitDirectory = isAbsolute(target) ? target : resolve(folder, target);
  return (await lstat(gitDirectory).catch(() => null))?.isDirectory() ? gitDirectory : null;
}

// ---------------------------------------------------------------- its configuration

export interface GitSetting {
  /** Lower case but for the middle part, as git prints it. */
  readonly key: string;
  readonly value: string;
  /** `file:.git/config` and the like. */
  readonly origin: string;
}

/** Everything the repository's own configuration says, included files too. Null when git cannot read it. */
async function readSettings(run: Run, place: GitPlace): Promise<readonly GitSetting[] | null> {
  const answer = await git(run, place, ['config', '--list', '--show-origin', '-z', '--includes']);
  if (!answer.ok) return null;
  const parts = answer.stdout.split('\0');
  const settings: GitSetting[] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [key, ...value] = (parts[i + 1] as string).split('\n');
    settings.push({ origin: parts[i] as string, key: key ?? '', value: value.join('\n') });
  }
  return settings.filter((setting) => !setting.origin.startsWith('command line'));
}

/** Keys of drivers and helpers that would run a program, however they are named. */
const DRIVER =
  /^(?:filter\..+\.(?:clean|smudge|process|required)|diff\..+\.(?:command|textconv)|merge\..+\.driver|credential\..+\.helper|remote\..+\.(?:uploadpack|receivepack|vcs|proxy))$/i;

function driversOf(settings: readonly GitSetting[]): readonly string[] {
  return [...new Set(settings.map((setting) => setting.key).filter((key) => DRIVER.test(key)))];
}

/** A repository with its configuration read. */
export interface OpenedPlace extends GitPlace {
  readonly workTree: string;
  readonly settings: readonly GitSetting[];
}

/** Finds a repository and what in its configuration must be switched off. Null when there is none or it cannot be read. */
export async function openPlace(run: Run, directory: string): Promise<OpenedPlace | null> {
  const found = await findRepository(directory);
  if (!found?.sameOwner) return null;
  const place = { workTree: found.workTree, gitDirectory: found.gitDirectory, drivers: [] };
  const settings = await readSettings(run, place);
  return settings && { ...place, drivers: driversOf(settings), settings };
}
