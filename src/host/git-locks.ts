// Lock files of a repository. A git that is killed leaves those that it held: not the index's alone, but also those of HEAD,
// of the branch and of its notes, which it takes one after the other at the end of an operation.

import { join, resolve } from 'node:path';
import type { GitPlace } from './git-command.ts';
import { gitProcesses } from './git-processes.ts';
import { lookAt, readSafely } from './safe-files.ts';

/** What the commands of our steps lock in the git directory of a work tree. */
const HEADS: readonly string[] = [
  ...['index', 'HEAD', 'ORIG_HEAD', 'AUTO_MERGE', 'MERGE_RR'],
  ...['MERGE_HEAD', 'CHERRY_PICK_HEAD', 'REVERT_HEAD', 'REBASE_HEAD'],
];

/** Paths of the locks that are there now, of all that a step that may move these refs can take. */
export async function locksIn(gitDirectory: string, refs: readonly string[]): Promise<readonly string[]> {
  const common = await commonDirectory(gitDirectory);
  const paths = [
    ...HEADS.map((name) => join(gitDirectory, `${name}.lock`)),
    ...['packed-refs', ...refs].map((name) => join(common, `${name}.lock`)),
  ];
  const found = await Promise.all(paths.map(lookAt));
  return paths.filter((_, index) => found[index]?.isFile());
}

/** A linked work tree has its heads for itself, and its branches with the others. */
async function commonDirectory(gitDirectory: string): Promise<string> {
  const found = await readSafely(join(gitDirectory, 'commondir'), { maxBytes: 4_096 });
  return found.kind === 'file' ? resolve(gitDirectory, found.content.toString('utf8').trim()) : gitDirectory;
}

/** The git of a step that was killed dies with it, but not in the same instant. */
const WAITS = 25;
const WAIT_MS = 200;

/** A lock that a dead git has left; null when there is none. One under which somebody works is waited for. */
export async function lockLeft(
  place: GitPlace,
  refs: readonly string[],
  sleep: (ms: number) => Promise<void>,
): Promise<string | null> {
  for (let waits = 0; ; waits++) {
    const [lock] = await locksIn(place.gitDirectory, refs);
    if (lock === undefined) return null;
    const [worker] = await gitProcesses(place.workTree ?? place.gitDirectory, place.gitDirectory);
    if (!worker || waits === WAITS) return lock;
    await sleep(WAIT_MS);
  }
}
