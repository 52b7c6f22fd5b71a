// Makes one folder that is missing. It is taken back while nothing is in it: what somebody has written into it is theirs,
// and stays, which the outcome says.

import { readdir } from 'node:fs/promises';
import type { MakeFolderStep } from '../../core/plan.ts';
import { type Effect, EffectError, type Snapshot } from '../contract.ts';
import { lookAt, makeFolder, removeEmptyFolder } from '../safe-files.ts';

/** Set-id and sticky bits, and leave to write for everybody, are never given. */
const FORBIDDEN = 0o7002;

const ownerOf = (snapshot: Snapshot) => ({ uid: Number(snapshot['uid']), gid: Number(snapshot['gid']) });
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

export const makeFolderEffect: Effect<MakeFolderStep> = {
  kind: 'make-folder',

  async snapshot(step) {
    if ((step.mode & FORBIDDEN) !== 0) throw new EffectError('refused', `mode ${step.mode.toString(8)} is never given`);
    if (await lookAt(step.path)) throw new EffectError('precondition', `${step.path} is there by now`);
    if (step.owner) return { ...step.owner };
    const parent = await lookAt(parentOf(step.path));
    // An earlier step of the same plan may make it: then its owner is the one that was given there.
    return parent?.isDirectory() ? { uid: parent.uid, gid: parent.gid } : {};
  },

  async apply(step, snapshot) {
    await makeFolder(step.path, step.mode, await wantedOwner(step, snapshot));
    return `made ${step.path} with mode ${step.mode.toString(8)}`;
  },

  async probe(step, snapshot) {
    const stats = await lookAt(step.path);
    if (stats === null) return 'not-done';
    if (!stats.isDirectory() || (stats.mode & 0o7777) !== step.mode) return 'unclear';
    const { uid, gid } = await wantedOwner(step, snapshot);
    // Who is not root can only make what is his own.
    const isOurs =
      process.geteuid?.() === 0 ? stats.uid === uid && stats.gid === gid : stats.uid === process.geteuid?.();
    return isOurs ? 'done' : 'unclear';
  },

  async undo(step) {
    await removeEmptyFolder(step.path);
  },

  /** What lies in it by now is somebody's: then it is no difference of ours. */
  async differences(step) {
    const stats = await lookAt(step.path);
    if (stats === null || (await isUsed(step.path))) return [];
    return [`${step.path} is there, and nothing is in it`];
  },

  async left(step) {
    return (await isUsed(step.path)) ? `${step.path} was left where it is: something is in it by now` : null;
  },
};

async function wantedOwner(step: MakeFolderStep, snapshot: Snapshot): Promise<{ uid: number; gid: number }> {
  const parent = await lookAt(parentOf(step.path));
  if (!parent?.isDirectory()) throw new EffectError('precondition', `${parentOf(step.path)} is no folder`);
  return 'uid' in snapshot ? ownerOf(snapshot) : { uid: parent.uid, gid: parent.gid };
}

async function isUsed(path: string): Promise<boolean> {
  const stats = await lookAt(path);
  if (!stats?.isDirectory()) return stats !== null;
  return (await readdir(path)).length > 0;
}
