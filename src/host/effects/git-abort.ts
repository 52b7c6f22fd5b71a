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
  placeFor,
  recordStep,
  requireBystanders,
  requireCalm,
  statusFor,
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
    const after = await headAfter(step, place);
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
      }),
    );
  },

  async apply(step, snapshot, context) {
    const place = await placeFor(step.directory, context);
    const record = fromSnapshot(snapshot);
    await requireCalm(place);
    const said = await change(place, context, [step.operation, '--abort']);
    if (!(await isDone(record.after, place, context)))
      throw new EffectError('failed', `the ${step.operation} could not be aborted: ${said ?? 'it is still there'}`);
    await requireBystanders(place, record);
    return `the ${step.operation} is aborted, HEAD is ${record.after.slice(0, 10)}, local edits are as they were`;
  },

  async probe(step, snapshot, context) {
    const place = await placeFor(step.directory, context);
    if (await isDone(fromSnapshot(snapshot).after, place, context)) return 'done';
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

/** Where an abort leads: back to where a rebase or a sequence of picks began, else nowhere. */
async function headAfter(step: GitAbortStep, place: GitPlace): Promise<string> {
  const notes = { rebase: ['rebase-merge/orig-head', 'rebase-apply/orig-head'], merge: [] };
  const names =
    step.operation === 'rebase' ? notes.rebase : step.operation === 'merge' ? notes.merge : ['sequencer/head'];
  for (const name of names) {
    const found = await readSafely(join(place.gitDirectory, name), { maxBytes: 256 });
    const id = found.kind === 'file' ? found.content.toString('latin1').trim() : '';
    if (isCommit(id)) return id;
  }
  return step.head;
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

/** Judged by the repository: no operation, nothing unmerged, HEAD where it belongs. */
async function isDone(after: string, place: GitPlace, context: EffectContext): Promise<boolean> {
  if ((await operationIn(place.gitDirectory)) !== null) return false;
  const status = await statusFor(place, context);
  return status.head === after && status.unmerged.length === 0;
}
