// Moving a branch and its work tree from one commit to another, forwards or back. The precautions are the same: what the
// two commits differ in must be clean here, and nothing of the owner's may stand where a file comes in.

import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type EffectContext, EffectError, type Snapshot } from './contract.ts';
import { operationIn } from './git.ts';
import { git, type GitPlace, gitSaid, type OpenedPlace } from './git-command.ts';
import { parseRawDiff, pathOf, quoteName, type RawChange, shownName, type StatusLines } from './git-names.ts';
import { hiddenNames } from './git-save.ts';
import {
  change,
  fromSnapshot,
  lockFlaw,
  placeFor,
  recordStep,
  requireBystanders,
  requireCalm,
  statusFor,
  stepDifferences,
  tagOf,
  toSnapshot,
  undoStep,
} from './git-steps.ts';
import { fetchBranch, upstreamOf } from './git-upstream.ts';
import { lookAt } from './safe-files.ts';

export interface BranchMove {
  readonly directory: string;
  readonly branch: string;
  readonly from: string;
  readonly to: string;
}

export type Direction = 'forward' | 'back';

/** Room that must be left on the disk after the move. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** Checks everything and keeps what the move touches. Fetches `to` when it is not here yet: objects and one ref of ours. */
export async function snapshotMove(move: BranchMove, direction: Direction, context: EffectContext): Promise<Snapshot> {
  const place = await placeFor(move.directory, context);
  await requireCalm(place);
  const status = await statusFor(place, context);
  await requirePosition(move, place, status);
  const tracking = direction === 'forward' ? await bringIn(move, place, context) : null;
  try {
    await requireLine(move, direction, place, context);
    const changes = await changesBetween(move, place, context);
    await requireRoomFor(changes, status, place, context);
    const refs = [`refs/heads/${move.branch}`, ...(tracking ? [tracking] : [])];
    const touched = changes.map((entry) => entry.name);
    const others = [...status.modified, ...status.staged].filter((name) => !touched.includes(name));
    return toSnapshot(
      await recordStep({ place, context, status, touched, refs, spared: others, after: move.to, branch: move.branch }),
    );
  } catch (error) {
    await forgetIncoming(place, context);
    throw error;
  }
}

/** Runs the one command, and judges by the state it leaves. */
export async function applyMove(
  move: BranchMove,
  snapshot: Snapshot,
  args: readonly string[],
  context: EffectContext,
): Promise<string> {
  const place = await placeFor(move.directory, context);
  const record = fromSnapshot(snapshot);
  await requireCalm(place, Object.keys(record.saved.refs));
  // A step that was undone leaves the index as it was, but on new files: git must look at them before it compares.
  await change(place, context, ['update-index', '-q', '--refresh']);
  const said = await change(place, context, args);
  const flaw = await flawAfter(move, snapshot, place, context);
  if (flaw !== null)
    throw new EffectError('failed', `the move to ${move.to.slice(0, 10)} did not work: ${said ?? flaw}`);
  await requireBystanders(place, record);
  await followTracking(move, snapshot, place, context);
  await forgetIncoming(place, context);
  const left = await lockFlaw(record, place, context);
  if (left !== null) throw new EffectError('failed', `the move to ${move.to.slice(0, 10)} was not finished: ${left}`);
  return `${move.branch} is at ${move.to.slice(0, 10)}, was at ${move.from.slice(0, 10)}`;
}

export async function probeMove(
  move: BranchMove,
  snapshot: Snapshot,
  context: EffectContext,
): Promise<'done' | 'not-done' | 'unclear'> {
  const place = await placeFor(move.directory, context);
  if ((await flawAfter(move, snapshot, place, context)) === null) return 'done';
  return (await stepDifferences(snapshot, context)).length === 0 ? 'not-done' : 'unclear';
}

export async function undoMove(move: BranchMove, snapshot: Snapshot, context: EffectContext): Promise<void> {
  await undoStep(snapshot, context, [move.from, move.to]);
  await forgetIncoming(await placeFor(move.directory, context), context);
}

async function requirePosition(move: BranchMove, place: GitPlace, status: StatusLines): Promise<void> {
  const operation = await operationIn(place.gitDirectory);
  if (operation) throw new EffectError('precondition', `a ${operation} is in progress`);
  if (status.branch !== move.branch) throw new EffectError('precondition', `the branch is not ${move.branch} any more`);
  if (status.head !== move.from) throw new EffectError('precondition', 'HEAD has moved since the plan was made');
}

const incomingRef = (context: EffectContext): string => `refs/selfheal/incoming-${tagOf(context)}`;

/** Makes sure the commit is here. Returns the ref that follows the remote branch, when it may be moved along. */
async function bringIn(move: BranchMove, place: OpenedPlace, context: EffectContext): Promise<string | null> {
  const upstream = upstreamOf(place.settings, move.branch);
  if (!(await isHere(move.to, place, context))) {
    if (!upstream) throw new EffectError('precondition', 'the branch has no upstream any more');
    const problem = await fetchBranch(context.run, place, upstream, incomingRef(context), place.workTree);
    if (problem) throw new EffectError('precondition', problem.reason);
    if (!(await isHere(move.to, place, context)))
      throw new EffectError('precondition', 'upstream does not have the planned commit any more');
  }
  if (!upstream) return null;
  const tracking = `refs/remotes/${upstream.remote}/${upstream.branch}`;
  return (await isAncestor(tracking, move.to, place, context)) ? tracking : null;
}

async function isHere(commit: string, place: GitPlace, context: EffectContext): Promise<boolean> {
  return (await git(context.run, place, ['cat-file', '-e', `${commit}^{commit}`])).ok;
}

async function isAncestor(older: string, newer: string, place: GitPlace, context: EffectContext): Promise<boolean> {
  return (await git(context.run, place, ['merge-base', '--is-ancestor', older, newer])).code === 0;
}

async function requireLine(
  move: BranchMove,
  direction: Direction,
  place: GitPlace,
  context: EffectContext,
): Promise<void> {
  const [older, newer] = direction === 'forward' ? [move.from, move.to] : [move.to, move.from];
  if (!(await isAncestor(older, newer, place, context)))
    throw new EffectError('precondition', 'the two commits are not on one line');
}

async function changesBetween(
  move: BranchMove,
  place: GitPlace,
  context: EffectContext,
): Promise<readonly RawChange[]> {
  const args = ['diff-tree', '-r', '--raw', '--no-renames', '--no-abbrev', '--no-ext-diff', move.from, move.to];
  const answer = await git(context.run, place, args);
  if (!answer.ok) throw new EffectError('failed', `the commits cannot be compared: ${gitSaid(answer)}`);
  return parseRawDiff(answer.stdout);
}

// ---------------------------------------------------------------- what would be lost or missing

async function requireRoomFor(
  changes: readonly RawChange[],
  status: StatusLines,
  place: GitPlace,
  context: EffectContext,
): Promise<void> {
  const edited = new Set([
    ...status.modified,
    ...status.staged,
    ...status.unmerged,
    ...(await hiddenNames(context.run, place)),
  ]);
  for (const entry of changes) {
    const shown = shownName(entry.name);
    if (entry.oldMode === '160000' || entry.newMode === '160000')
      throw new EffectError('refused', `${shown} is a repository inside the repository`);
    if (edited.has(entry.name)) throw new EffectError('precondition', `${shown} has local edits and comes in changed`);
    const obstacle = await obstacleFor(entry, place.workTree as string);
    if (obstacle) throw new EffectError('precondition', `${shown} ${obstacle}`);
  }
  await requireNoFilter(changes, place, context);
  await requireSpace(changes, place, context);
}

/** Something of the owner's where a file comes in, ignored files too, or a link where a folder should be. */
async function obstacleFor(entry: RawChange, workTree: string): Promise<string | null> {
  const isNew = entry.status === 'A';
  if (isNew && (await lookAt(pathOf(workTree, entry.name)))) return 'exists here and is not under version control';
  for (let parent = dirname(entry.name); parent !== '.'; parent = dirname(parent)) {
    const stats = await lookAt(pathOf(workTree, parent));
    if (stats && !stats.isDirectory()) return `needs a folder where ${shownName(parent)} is none`;
  }
  return null;
}

/** Files that a driver (large files, encryption) writes: with drivers off they would come out wrong. */
async function requireNoFilter(changes: readonly RawChange[], place: GitPlace, context: EffectContext): Promise<void> {
  if (changes.length === 0) return;
  const input = changes.map((entry) => `${quoteName(entry.name)}\n`).join('');
  const answer = await git(context.run, place, ['check-attr', '--stdin', 'filter'], { input });
  if (!answer.ok) throw new EffectError('failed', `the attributes cannot be read: ${gitSaid(answer)}`);
  const filtered = answer.stdout
    .split('\n')
    .find((line) => line !== '' && !/: filter: (?:unspecified|unset)$/.test(line));
  if (filtered)
    throw new EffectError(
      'refused',
      'a filter driver handles some of the files: only the owner’s own git can update them',
    );
}

async function requireSpace(changes: readonly RawChange[], place: GitPlace, context: EffectContext): Promise<void> {
  const ids = changes.map((entry) => entry.newId).filter((id) => !/^0+$/.test(id));
  if (ids.length === 0) return;
  const input = `${ids.join('\n')}\n`;
  const answer = await git(context.run, place, ['cat-file', '--batch-check=%(objectsize)'], { input });
  const bytes = answer.stdout.split('\n').reduce((sum, line) => sum + (Number(line) || 0), 0);
  const { bavail, bsize } = await statfs(place.workTree as string);
  if (bavail * bsize < 2 * bytes + SPARE_BYTES)
    throw new EffectError('precondition', `not enough room: ${bytes} bytes come in, ${bavail * bsize} are free`);
}

// ---------------------------------------------------------------- judging

/** What is not as it should be after the move; null when all is. */
async function flawAfter(
  move: BranchMove,
  snapshot: Snapshot,
  place: GitPlace,
  context: EffectContext,
): Promise<string | null> {
  const status = await statusFor(place, context);
  if (status.head !== move.to) return 'HEAD did not arrive';
  if (status.branch !== move.branch) return 'the branch has changed';
  const touched = new Set(
    fromSnapshot(snapshot)
      .saved.entries.filter((e) => e.root === 'work')
      .map((e) => e.name),
  );
  const left = [...status.modified, ...status.staged, ...status.unmerged].find((name) => touched.has(name));
  if (left !== undefined) return `${shownName(left)} is not as the commit has it`;
  return lockFlaw(fromSnapshot(snapshot), place, context);
}

/** As a pull would: the ref that stands for the remote branch comes along, so that nobody reads "ahead of origin". */
async function followTracking(
  move: BranchMove,
  snapshot: Snapshot,
  place: GitPlace,
  context: EffectContext,
): Promise<void> {
  for (const [ref, was] of Object.entries(fromSnapshot(snapshot).saved.refs))
    if (ref.startsWith('refs/remotes/') && was !== null && was !== move.to)
      await git(context.run, place, ['update-ref', ref, move.to, was]);
}

async function forgetIncoming(place: GitPlace, context: EffectContext): Promise<void> {
  await git(context.run, place, ['update-ref', '-d', incomingRef(context)]);
}
