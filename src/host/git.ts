// What a repository looks like, asked of the files first and of git second. Reads only: the owner's repository
// is left as it is, to the last index entry.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { GitProbe, GitRepository, Run } from './contract.ts';
import {
  findRepository,
  type FoundRepository,
  git,
  type GitPlace,
  gitSaid,
  isCommit,
  openPlace,
} from './git-command.ts';
import { parseRawDiff, parseStatus, pathOf, shownName, type StatusLines } from './git-names.ts';
import { gitProcesses, holderOf } from './git-processes.ts';
import { addressShown, isPlainAddress, suspiciousKeys } from './git-suspicion.ts';
import { mergedText, textAt, tryCommit, withWorktree } from './git-trial.ts';
import { lookForIncoming, Mirrors, upstreamOf } from './git-upstream.ts';
import { lookAt } from './safe-files.ts';

/** A person who edits a half-merged file was at it within this time. */
const AT_WORK_MS = 120_000;
/** git writes the files of a merge and its notes within this time; what is newer was edited afterwards. */
const SAME_MOMENT_MS = 2_000;

export interface GitProbeOptions {
  readonly run: Run;
  /** Mirrors of upstream live here. */
  readonly stateDirectory: string;
  readonly clock: Pick<Clock, 'now'>;
  /** For trials. Must not be inside a project. Default `/tmp`. */
  readonly scratchDirectory?: string;
}

/**
 * The eyes on git repositories.
 *
 * @example
 * const probe = createGitProbe({ run, clock, stateDirectory: '/var/lib/selfheal' });
 * const repository = await probe.repository('/srv/agent');
 * if (repository?.operation === 'merge') console.log(repository.unmerged);
 */
export function createGitProbe(options: GitProbeOptions): GitProbe {
  const { run, clock, stateDirectory, scratchDirectory = '/tmp' } = options;
  const mirrors = new Mirrors({ run, stateDirectory, scratchDirectory });
  const means = { run, mirrors };
  return {
    repository: (directory) => lookAtRepository(run, clock, directory),
    incoming: (repository) => lookForIncoming(run, mirrors, repository),
    textAt: (repository, commit, path) => textAt(means, repository, commit, path),
    withWorktree: (repository, commit, use) => withWorktree(means, repository, commit, use),
    isAncestor: (repository, older, newer) => isAncestor(run, mirrors, repository, older, newer),
    changedBetween: (repository, from, to) => changedBetween(run, mirrors, repository, from, to),
    mergedText: (repository, commit, path) => mergedText(means, repository, commit, path),
    tryCommit: (repository, commit, trial) => tryCommit(means, repository, commit, trial),
  };
}

async function lookAtRepository(run: Run, clock: Pick<Clock, 'now'>, directory: string): Promise<GitRepository | null> {
  const found = await findRepository(directory);
  if (!found) return null;
  if (!found.sameOwner) return troubled(found, 'the repository belongs to another user than the service');
  const place = await openPlace(run, found.workTree);
  if (!place) return troubled(found, 'its configuration cannot be read');
  const status = await readStatus(run, place);
  if (typeof status === 'string') return troubled(found, status);
  const operation = await operationIn(found.gitDirectory);
  const upstream = upstreamOf(place.settings, status.branch);
  const suspicious = [...suspiciousKeys(place.settings), ...(await outsideGitDirectory(found))];
  return {
    directory: found.workTree,
    gitDirectory: found.gitDirectory,
    head: status.head,
    branch: status.branch,
    upstream: upstream && { ...upstream, url: isPlainAddress(upstream.url) ? addressShown(upstream.url) : 'refused' },
    operation,
    inUse: await isInUse(clock, found, status, operation),
    unmerged: status.unmerged.map(shownName),
    modified: status.modified.map(shownName),
    staged: status.staged.map(shownName),
    untracked: status.untracked.map(shownName),
    suspicious,
    indexLock: await indexLockIn(clock, found),
    trouble: null,
    headMovedAt: await headMovedAt(found.gitDirectory),
  };
}

function troubled(found: FoundRepository, trouble: string): GitRepository {
  return {
    directory: found.workTree,
    gitDirectory: found.gitDirectory,
    head: null,
    branch: null,
    upstream: null,
    operation: null,
    inUse: false,
    unmerged: [],
    modified: [],
    staged: [],
    untracked: [],
    suspicious: [],
    indexLock: null,
    trouble,
    headMovedAt: null,
  };
}

/** Submodules are not entered: each is a repository of its own, with a configuration that nobody has looked at. */
const STATUS = [
  'status',
  '--porcelain=v2',
  '--branch',
  '--untracked-files=all',
  '--ignore-submodules=all',
  '--no-renames',
];

/** The state of the work tree, or what git said instead. */
export async function readStatus(run: Run, place: GitPlace): Promise<StatusLines | string> {
  const answer = await git(run, place, STATUS);
  return answer.ok ? parseStatus(answer.stdout) : gitSaid(answer);
}

const OPERATIONS: readonly (readonly [string, NonNullable<GitRepository['operation']>])[] = [
  ['rebase-apply/applying', 'am'],
  ['rebase-merge', 'rebase'],
  ['rebase-apply', 'rebase'],
  ['MERGE_HEAD', 'merge'],
  ['CHERRY_PICK_HEAD', 'cherry-pick'],
  ['REVERT_HEAD', 'revert'],
  ['BISECT_LOG', 'bisect'],
];

/** Order matters: a rebase leaves the notes of a cherry-pick, too. */
export async function operationIn(gitDirectory: string): Promise<GitRepository['operation']> {
  for (const [name, operation] of OPERATIONS) if (await lookAt(join(gitDirectory, name))) return operation;
  return null;
}

async function outsideGitDirectory({ workTree, gitDirectory }: FoundRepository): Promise<readonly string[]> {
  return gitDirectory === join(workTree, '.git') ? [] : ['its git directory lies elsewhere'];
}

async function isInUse(
  clock: Pick<Clock, 'now'>,
  found: FoundRepository,
  status: StatusLines,
  operation: GitRepository['operation'],
): Promise<boolean> {
  if ((await gitProcesses(found.workTree, found.gitDirectory)).length > 0) return true;
  if (operation === null) return false;
  const began = await lookAt(join(found.gitDirectory, OPERATIONS.find(([, o]) => o === operation)?.[0] ?? ''));
  for (const name of [...status.unmerged, ...status.modified]) {
    const file = await lookAt(pathOf(found.workTree, name));
    const edited = file !== null && began !== null && file.mtimeMs > began.mtimeMs + SAME_MOMENT_MS;
    if (edited && clock.now() - file.mtimeMs < AT_WORK_MS) return true;
  }
  return false;
}

async function indexLockIn(clock: Pick<Clock, 'now'>, found: FoundRepository): Promise<GitRepository['indexLock']> {
  const path = join(found.gitDirectory, 'index.lock');
  const status = await lookAt(path);
  if (!status?.isFile()) return null;
  const [worker] = await gitProcesses(found.workTree, found.gitDirectory);
  const holder = (await holderOf(path)) ?? worker ?? null;
  return { path, inode: status.ino, ageMs: Math.max(0, clock.now() - status.mtimeMs), holder };
}

/** Last entry of the reflog of HEAD that really moved it. */
async function headMovedAt(gitDirectory: string): Promise<number | null> {
  const text = await readFile(join(gitDirectory, 'logs', 'HEAD'), 'utf8').catch(() => '');
  for (const line of text.trimEnd().split('\n').reverse()) {
    const [, from, to, seconds] = /^([0-9a-f]+) ([0-9a-f]+) .*?> (\d+) [+-]\d{4}/.exec(line) ?? [];
    if (seconds !== undefined && from !== to) return Number(seconds) * 1000;
  }
  return null;
}

async function isAncestor(
  run: Run,
  mirrors: Mirrors,
  repository: GitRepository,
  older: string,
  newer: string,
): Promise<boolean | null> {
  const found = await mirrors.around(repository.directory);
  if (!found || !isCommit(older) || !isCommit(newer)) return null;
  const answer = await git(run, found.mirror, ['merge-base', '--is-ancestor', older, newer]);
  if (answer.code === 0) return true;
  return answer.code === 1 ? false : null;
}

async function changedBetween(
  run: Run,
  mirrors: Mirrors,
  repository: GitRepository,
  from: string,
  to: string,
): Promise<readonly string[] | null> {
  const found = await mirrors.around(repository.directory);
  if (!found || !isCommit(from) || !isCommit(to)) return null;
  const answer = await git(run, found.mirror, ['diff-tree', '-r', '--raw', '--no-renames', '--no-abbrev', from, to]);
  return answer.ok ? parseRawDiff(answer.stdout).map((change) => shownName(change.name)) : null;
}
