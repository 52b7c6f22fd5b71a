// Makes one folder that is missing. It is taken back while nothing is in it: what somebody has written into it is theirs.

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
    const parent = await lookAt(parentOf(step.path));
    // An earlier step of the same plan may make it: then its owner is the one that was given there.
    return parent?.isDirectory() ? { uid: parent.uid, gid: parent.gid } : {};
  },

  async apply(step, snapshot) {
    const parent = await lookAt(parentOf(step.path));
    if (!parent?.isDirectory()) throw new EffectError('precondition', `${parentOf(step.path)} is no folder`);
    await makeFolder(
      step.path,
      step.mode,
      'uid' in snapshot ? ownerOf(snapshot) : { uid: parent.uid, gid: parent.gid },
    );
    return `made ${step.path} with mode ${step.mode.toString(8)}`;
  },

  async probe(step) {
    const stats = await lookAt(step.path);
    if (stats === null) return 'not-done';
    return stats.isDirectory() && (stats.mode & 0o7777) === step.mode ? 'done' : 'unclear';
  },

  async undo(step) {
    await removeEmptyFolder(step.path);
  },

  async differences(step) {
    return (await lookAt(step.path)) === null ? [] : [`${step.path} is there, and something is in it by now`];
  },
};
