// Sets the mode of one file or folder to the one that was on record. Never recursive, never wider than a plain mode.

import type { ChmodStep } from '../../core/plan.ts';
import { type Effect, EffectError, type Snapshot } from '../contract.ts';
import { chmodSafely, lookAt } from '../safe-files.ts';

/** Set-id and sticky bits, and leave to write for everybody, are never given. */
const FORBIDDEN = 0o7002;

const inodeOf = (snapshot: Snapshot): number => Number(snapshot['inode']);

export const chmodEffect: Effect<ChmodStep> = {
  kind: 'chmod',

  async snapshot(step) {
    const stats = await lookAt(step.path);
    if ((step.to & FORBIDDEN) !== 0) throw new EffectError('refused', `mode ${step.to.toString(8)} is never set`);
    if (!stats?.isFile() && !stats?.isDirectory())
      throw new EffectError('refused', `${step.path} is no file or folder`);
    if ((stats.mode & 0o7777) !== step.from)
      throw new EffectError('precondition', `the mode of ${step.path} has changed since the plan was made`);
    return { inode: stats.ino };
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
    if (mode === step.from) return;
    if (mode !== step.to) throw new EffectError('refused', `the mode of ${step.path} was changed by somebody else`);
    await chmodSafely(step.path, step.to, step.from);
  },

  async differences(step) {
    const mode = ((await lookAt(step.path))?.mode ?? 0) & 0o7777;
    return mode === step.from ? [] : [`${step.path} has mode ${mode.toString(8)}, had ${step.from.toString(8)}`];
  },
};
