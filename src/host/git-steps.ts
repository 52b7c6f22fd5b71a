// What the steps that change a work tree have in common: nobody else is at work, what they may touch is known and kept
// beforehand, and what they must not touch is compared afterwards.

import { type EffectContext, EffectError, type Snapshot } from './contract.ts';
import { readStatus } from './git.ts';
import { CHANGES, git, GIT_MARK, type GitPlace, gitSaid, type OpenedPlace, openPlace } from './git-command.ts';
import { lockLeft, locksIn } from './git-locks.ts';
import { pathOf, shownName, type StatusLines } from './git-names.ts';
import { gitProcesses } from './git-processes.ts';
import { repositoryDifferences, restoreRepository, saveRepository, type SavedRepository } from './git-save.ts';
import { lookAt } from './safe-files.ts';

/** Local files beyond this number are not compared one by one; git never touches them anyway. */
const MOST_BYSTANDERS = 5_000;

/** What the journal keeps of such a step. */
export interface StepRecord {
  readonly saved: SavedRepository;
  /** Edited and untracked files that the step has no business with: name → size, time, inode. */
  readonly bystanders: Readonly<Record<string, string>>;
  /** HEAD when the step has been done. */
  readonly after: string;
  /** Branch when the step has been done; null when detached. */
  readonly branch: string | null;
}

/** The record as plain JSON, and back: the journal is ours, its shape is not checked again. */
export const toSnapshot = (record: StepRecord): Snapshot => ({ ...record });
export const fromSnapshot = (snapshot: Snapshot): StepRecord => snapshot as unknown as StepRecord;

export const tagOf = (context: EffectContext): string => `${context.plan}-${context.step}`;

export async function placeFor(directory: string, context: EffectContext): Promise<OpenedPlace> {
  const place = await openPlace(context.run, directory);
  if (!place) throw new EffectError('precondition', `${directory} is no repository that we may work in`);
  return place;
}

/** Nobody holds the index, HEAD or these refs, no git of somebody else runs here. */
export async function requireCalm(place: GitPlace, refs: readonly string[] = []): Promise<void> {
  await requireNoLock(place, refs);
  const [worker] = await gitProcesses(place.workTree as string, place.gitDirectory);
  if (worker) throw new EffectError('precondition', `git process ${worker.pid} is at work there`);
}

async function requireNoLock(place: GitPlace, refs: readonly string[]): Promise<void> {
  const [lock] = await locksIn(place.gitDirectory, refs);
  if (lock !== undefined)
    throw new EffectError('precondition', `${lock} is there: somebody is, or was, changing the repository`);
}

/** Null, or what our git has left because it was killed: whatever it has done, the owner's git could not go on. */
export async function lockFlaw({ saved }: StepRecord, place: GitPlace, context: EffectContext): Promise<string | null> {
  const lock = await lockLeft(place, Object.keys(saved.refs), (ms) => context.clock.sleep(ms));
  return lock && `${lock} was left`;
}

export async function statusFor(place: GitPlace, context: EffectContext): Promise<StatusLines> {
  const status = await readStatus(context.run, place);
  if (typeof status === 'string') throw new EffectError('failed', `git cannot read the work tree: ${status}`);
  return status;
}

export interface RecordRequest {
  readonly place: GitPlace;
  readonly context: EffectContext;
  readonly status: StatusLines;
  /** Names the step may touch; kept whole. */
  readonly touched: readonly string[];
  /** Refs it may move. */
  readonly refs: readonly string[];
  /** Edited names that it must leave as they are. Untracked ones are added. */
  readonly spared: readonly string[];
  /** HEAD when it has been done. */
  readonly after: string;
  readonly branch: string | null;
}

export async function recordStep(request: RecordRequest): Promise<StepRecord> {
  const { place, context, status, touched, refs, after, branch } = request;
  const { run, snapshotDirectory } = context;
  await requireNoLock(place, refs);
  const saved = await saveRepository({ run, place, names: touched, refs, snapshotDirectory });
  const spared = [...request.spared, ...status.untracked].filter((name) => !name.endsWith('/'));
  return { saved, after, branch, bystanders: await signatures(place, spared.slice(0, MOST_BYSTANDERS)) };
}

async function signatures(place: GitPlace, names: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const stats = await lookAt(pathOf(place.workTree as string, name));
    if (stats) found[name] = `${stats.size} ${stats.mtimeMs} ${stats.ino} ${stats.mode.toString(8)}`;
  }
  return found;
}

/** A work file that shrank, vanished or was replaced by the step. A log that grew meanwhile is nobody's fault. */
export async function requireBystanders(place: GitPlace, record: StepRecord): Promise<void> {
  const now = await signatures(place, Object.keys(record.bystanders));
  for (const [name, was] of Object.entries(record.bystanders)) {
    const [is, before] = [now[name]?.split(' '), was.split(' ')];
    if (!is || is[2] !== before[2] || Number(is[0]) < Number(before[0]))
      throw new EffectError('failed', `${shownName(name)} is not what it was before, and should not have been touched`);
  }
}

export async function undoStep(snapshot: Snapshot, context: EffectContext, ours: readonly string[]): Promise<void> {
  const { saved } = fromSnapshot(snapshot);
  const place = await placeFor(saved.workTree, context);
  const { run, snapshotDirectory, clock } = context;
  const sleep = (ms: number): Promise<void> => clock.sleep(ms);
  await restoreRepository({ run, place, saved, snapshotDirectory, ours, tag: tagOf(context), sleep });
}

export async function stepDifferences(snapshot: Snapshot, context: EffectContext): Promise<readonly string[]> {
  const { saved } = fromSnapshot(snapshot);
  return repositoryDifferences(context.run, await placeFor(saved.workTree, context), saved);
}

/** Runs the one command of a step. What it says is for people; whether it worked is judged by the caller. */
export async function change(place: GitPlace, context: EffectContext, args: readonly string[]): Promise<string | null> {
  const env = { [GIT_MARK]: CHANGES };
  const answer = await git(context.run, place, args, { timeoutMs: CHANGE_MS, signal: context.signal, env });
  if (answer.timedOut) throw new EffectError('timeout', `git ${args[0]} did not end in time`);
  return answer.ok ? null : gitSaid(answer);
}

const CHANGE_MS = 120_000;
