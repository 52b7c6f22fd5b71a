// Ends a merge, rebase, cherry-pick or revert that is stuck, and leaves every local edit where it was.

import { join } from 'node:path';
import type { GitAbortStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError } from '../contract.ts';
import { operationIn } from '../git.ts';
import { git, type GitPlace, gitSaid, isCommit } from '../git-command.ts';
import { parseRawDiff } from '../git-names.ts';
import {
  change,
  fromSnapshot,
  lockFlaw,
  placeFor,
  recordStep,
  requireBystanders,
  requireCalm,
  statusFor,
  type StepRecord,
  stepDifferences,
  toSnapshot,
  undoStep,
} from '../git-steps.ts';
import { readSafely } from '../safe-files.ts';

export const gitAbort: Effect<GitAbortStep> = {
  kind: 'git-abort',

  async snapshot(step, context) {
    const place = await placeFor(step.directory, context);
    await requireCalm(place);
    const status = await statusFor(place, context);
    await requireOperation(step, place, status.head);
    const { after, branch } = await placeAfter(step, place, status.branch);
    const staged = await namesBetween(place, context, ['diff-index', '--cached', ...RAW, step.head]);
    const moved =
      after === step.head ? [] : await namesBetween(place, context, ['diff-tree', '-r', ...RAW, step.head, after]);
    const concerned = new Set([...staged, ...moved, ...status.unmerged]);
    const spared = status.modified.filter((name) => !concerned.has(name));
    const touched = [...concerned, ...status.modified];
    return toSnapshot(
      await recordStep({
        place,
        context,
        status,
        touched,
        refs: status.branch === null ? [] : [`refs/heads/${status.branch}`],
        spared,
        after,
        branch,
      }),
    );
  },

  async apply(step, snapshot, context) {
    const place = await placeFor(step.directory, context);
    const record = fromSnapshot(snapshot);
    await requireCalm(place, Object.keys(record.saved.refs));
    await change(place, context, ['update-index', '-q', '--refresh']);
    const said =
      step.operation === 'rebase' ? await endRebase(record, place, context) : await end(step, place, context);
    if (!(await isDone(record, place, context)))
      throw new EffectError('failed', `the ${step.operation} could not be aborted: ${said ?? 'it is still there'}`);
    await requireBystanders(place, record);
    return `the ${step.operation} is aborted, HEAD is ${record.after.slice(0, 10)}, local edits are as they were`;
  },

  async probe(step, snapshot, context) {
    const place = await placeFor(step.directory, context);
    if (await isDone(fromSnapshot(snapshot), place, context)) return 'done';
    return (await stepDifferences(snapshot, context)).length === 0 ? 'not-done' : 'unclear';
  },

  undo: (step, snapshot, context) => undoStep(snapshot, context, [step.head, fromSnapshot(snapshot).after]),
  differences: (_step, snapshot, context) => stepDifferences(snapshot, context),
};

const RAW = ['--raw', '--no-renames', '--no-abbrev', '--no-ext-diff', '--ignore-submodules=all'];

async function requireOperation(step: GitAbortStep, place: GitPlace, head: string | null): Promise<void> {
  const operation = await operationIn(place.gitDirectory);
  if (operation !== step.operation)
    throw new EffectError('precondition', `no ${step.operation} is in progress any more`);
  if (head !== step.head) throw new EffectError('precondition', 'HEAD has moved since the plan was made');
  for (const name of ['MERGE_AUTOSTASH', 'rebase-merge/autostash', 'rebase-apply/autostash'])
    if ((await readSafely(join(place.gitDirectory, name))).kind !== 'absent')
      throw new EffectError(
        'refused',
        'git has put local edits away for this operation and would put them back: a person should end it',
      );
}

const end = (step: GitAbortStep, place: GitPlace, context: EffectContext): Promise<string | null> =>
  change(place, context, [step.operation, '--abort']);

/**
 * `rebase --abort` would reset hard and throw edits of tracked files away. This goes the same way with a reset that keeps
 * them, and that does nothing at all where it could not.
 */
async function endRebase(record: StepRecord, place: GitPlace, context: EffectContext): Promise<string | null> {
  const { after, branch } = record;
  const said = await change(place, context, ['reset', '--merge', '--quiet', '--no-recurse-submodules', after]);
  if (said !== null) return said;
  const quit = await change(place, context, ['rebase', '--quit']);
  if (quit !== null || branch === null) return quit;
  return change(place, context, ['symbolic-ref', '-m', 'selfheal: end of a rebase', 'HEAD', `refs/heads/${branch}`]);
}

interface After {
  readonly after: string;
  readonly branch: string | null;
}

/** Where an end leads: back to where a rebase or a sequence of picks began, else nowhere. */
async function placeAfter({ operation, head }: GitAbortStep, place: GitPlace, branch: string | null): Promise<After> {
  if (operation === 'merge') return { after: head, branch };
  if (operation !== 'rebase') return { after: (await note(place, ['sequencer/head'], isCommit)) ?? head, branch };
  const began = await note(place, ['rebase-merge/orig-head', 'rebase-apply/orig-head'], isCommit);
  const name = await note(place, ['rebase-merge/head-name', 'rebase-apply/head-name'], (text) => text !== '');
  if (began === null || name === null)
    throw new EffectError('refused', 'the notes of the rebase do not say where it began: a person should end it');
  return { after: began, branch: name.startsWith('refs/heads/') ? name.slice('refs/heads/'.length) : null };
}

/** First line of the first of these files in the git directory that is there and fits. */
async function note(
  place: GitPlace,
  names: readonly string[],
  fits: (text: string) => boolean,
): Promise<string | null> {
  for (const name of names) {
    const found = await readSafely(join(place.gitDirectory, name), { maxBytes: 4096 });
    const text = found.kind === 'file' ? found.content.toString('utf8').trim() : '';
    if (found.kind === 'file' && fits(text)) return text;
  }
  return null;
}

async function namesBetween(
  place: GitPlace,
  context: EffectContext,
  args: readonly string[],
): Promise<readonly string[]> {
  const answer = await git(context.run, place, args);
  if (!answer.ok) throw new EffectError('failed', `the changes cannot be listed: ${gitSaid(answer)}`);
  return parseRawDiff(answer.stdout).map((entry) => entry.name);
}

/** Judged by the repository: no operation, nothing unmerged, HEAD and branch where they belong, no lock left. */
async function isDone(record: StepRecord, place: GitPlace, context: EffectContext): Promise<boolean> {
  if ((await operationIn(place.gitDirectory)) !== null) return false;
  const status = await statusFor(place, context);
  const isThere = status.head === record.after && status.branch === record.branch && status.unmerged.length === 0;
  return isThere && (await lockFlaw(record, place, context)) === null;
}
