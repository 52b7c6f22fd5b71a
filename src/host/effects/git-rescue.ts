// Saves what is not committed before anything else is done to a repository. Its own undo leaves the ref where it is: a
// second copy harms nobody, and is needed most when another undo has failed.

import type { GitRescueStep } from '../../core/plan.ts';
import { type Effect, EffectError, type EffectContext } from '../contract.ts';
import { git, type GitPlace, gitSaid, openPlace } from '../git-command.ts';
import { clearRescueLeftovers, hasRescueLeftovers, listForRescue, writeRescue } from '../git-rescue.ts';
import { named, saveRepository } from '../git-save.ts';

/** The ref and nothing that git could read as something else. */
const REF = /^refs\/selfheal\/[A-Za-z0-9][\w-]*$/;

export const gitRescue: Effect<GitRescueStep> = {
  kind: 'git-rescue',

  async snapshot(step, context) {
    const place = await placeOf(step, context);
    const ref = await freeRef(named(step.ref, context.plan), place, context);
    const { snapshotDirectory } = context;
    const list = await listForRescue({ run: context.run, place, snapshotDirectory });
    // Index and notes of an unfinished operation as raw bytes, and the private files that the commit leaves out.
    await saveRepository({ run: context.run, place, names: list.leftOut, refs: [], snapshotDirectory });
    return { ref, files: list.files.length };
  },

  async apply(step, snapshot, context) {
    const place = await placeOf(step, context);
    const ref = String(snapshot['ref']);
    if (await refValue(ref, place, context)) return `saved before under ${ref}`;
    const { run, snapshotDirectory, clock } = context;
    const list = await listForRescue({ run, place, snapshotDirectory });
    return writeRescue({ run, place, ref, snapshotDirectory, tag: tagOf(context), now: clock.now() }, list);
  },

  async probe(step, snapshot, context) {
    const place = await placeOf(step, context);
    return (await refValue(String(snapshot['ref']), place, context)) ? 'done' : 'not-done';
  },

  async undo(step, _snapshot, context) {
    await clearRescueLeftovers({ place: await placeOf(step, context), tag: tagOf(context) });
  },

  async differences(step, _snapshot, context) {
    const left = await hasRescueLeftovers({ place: await placeOf(step, context), tag: tagOf(context) });
    return left ? ['files of an unfinished rescue are left in the git directory'] : [];
  },
};

const tagOf = (context: EffectContext): string => `${context.plan}-${context.step}`;

async function placeOf(step: GitRescueStep, context: EffectContext): Promise<GitPlace> {
  const place = await openPlace(context.run, step.directory);
  if (!place) throw new EffectError('precondition', `${step.directory} is no repository that we may work in`);
  return place;
}

async function refValue(ref: string, place: GitPlace, context: EffectContext): Promise<string | null> {
  const answer = await git(context.run, place, ['rev-parse', '--verify', '--quiet', `${ref}^{commit}`]);
  return answer.ok ? answer.stdout.trim() : null;
}

/** A plan of an earlier life of our store may have had the same id. */
async function freeRef(wish: string, place: GitPlace, context: EffectContext): Promise<string> {
  if (!REF.test(wish)) throw new EffectError('refused', `not a name for a rescue ref: ${wish}`);
  const answer = await git(context.run, place, ['for-each-ref', '--format=%(refname)', 'refs/selfheal/']);
  if (!answer.ok) throw new EffectError('failed', `the refs cannot be read: ${gitSaid(answer)}`);
  const taken = new Set(answer.stdout.split('\n'));
  for (let number = 1; ; number++) {
    const ref = number === 1 ? wish : `${wish}-${number}`;
    if (!taken.has(ref)) return ref;
  }
}
