// Sets the mode of one file or folder to the one that was on record. Never recursive, never wider than a plain mode.

import type { ChmodStep } from '../../core/plan.ts';
import { type Effect, EffectError, type Snapshot } from '../contract.ts';
import { chmodSafely, chownSafely, lookAt } from '../safe-files.ts';

/** Set-id and sticky bits, and leave to write for everybody, are never given. */
const FORBIDDEN = 0o7002;

const inodeOf = (snapshot: Snapshot): number => Number(snapshot['inode']);
/** Null in a snapshot of an older version. */
const ownerOf = (snapshot: Snapshot) =>
  'uid' in snapshot ? { uid: Number(snapshot['uid']), gid: Number(snapshot['gid']) } : null;

export const chmodEffect: Effect<ChmodStep> = {
  kind: 'chmod',

  async snapshot(step) {
    const stats = await lookAt(step.path);
    if ((step.to & FORBIDDEN) !== 0) throw new EffectError('refused', `mode ${step.to.toString(8)} is never set`);
    if (!stats?.isFile() && !stats?.isDirectory())
      throw new EffectError('refused', `${step.path} is no file or folder`);
    if ((stats.mode & 0o7777) !== step.from)
      throw new EffectError('precondition', `the mode of ${step.path} has changed since the plan was made`);
    return { inode: stats.ino, uid: stats.uid, gid: stats.gid };
  },

  async apply(step) {
    await chmodSafely(step.path, step.from, step.to);
    return `${step.path} has mode ${step.to.toString(8)}, had ${step.from.toString(8)}`;
  },

  async probe(step, snapshot) {
    const stats = await lookAt(step.path);
    if (stats?.ino !== inodeOf(snapshot)) return 'unclear';
    const mode = stats.mode & 0o7777;
    if (mode === step.to) return 'done';
    return mode === step.from ? 'not-done' : 'unclear';
  },

  async undo(step, snapshot) {
    const stats = await lookAt(step.path);
    if (stats?.ino !== inodeOf(snapshot))
      throw new EffectError('refused', `${step.path} was replaced by somebody else`);
    const mode = stats.mode & 0o7777;
    if (mode !== step.from && mode !== step.to)
      throw new EffectError('refused', `the mode of ${step.path} was changed by somebody else`);
    // The owner first: giving a file away may drop bits of its mode.
    const owner = ownerOf(snapshot);
    if (owner && (stats.uid !== owner.uid || stats.gid !== owner.gid))
      await chownSafely(step.path, inodeOf(snapshot), owner);
    const now = ((await lookAt(step.path))?.mode ?? 0) & 0o7777;
    if (now !== step.from) await chmodSafely(step.path, now, step.from);
  },

  async differences(step, snapshot) {
    const stats = await lookAt(step.path);
    const mode = (stats?.mode ?? 0) & 0o7777;
    const found = mode === step.from ? [] : [`${step.path} has mode ${mode.toString(8)}, had ${step.from.toString(8)}`];
    const owner = ownerOf(snapshot);
    if (owner === null || (stats?.uid === owner.uid && stats.gid === owner.gid)) return found;
    const [is, was] = [`${stats?.uid}:${stats?.gid}`, `${owner.uid}:${owner.gid}`];
    return [...found, `${step.path} belongs to ${is}, belonged to ${was}`];
  },
};
