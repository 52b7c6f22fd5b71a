// Moves a file or folder aside, within its file system, and back. Nothing is ever overwritten or deleted.

import { join } from 'node:path';
import type { MoveStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type Snapshot } from '../contract.ts';
import { holderOf } from '../git-processes.ts';
import { lookAt, moveSafely, readSafely, withFolder } from '../safe-files.ts';
import { describeTree, treeDifferences } from '../tree.ts';

interface MoveRecord {
  readonly to: string;
  readonly inode: number;
  readonly kind: 'file' | 'folder';
  readonly mode: number;
  /** Content hash of a file; what a folder holds, entry by entry (null when there are too many). */
  readonly content: string | Readonly<Record<string, string>> | null;
}

const record = (snapshot: Snapshot): MoveRecord => snapshot as unknown as MoveRecord;
/** A folder with more entries is moved all the same; its inode speaks for it. */
const MOST_ENTRIES = 20_000;

export const move: Effect<MoveStep> = {
  kind: 'move',

  async snapshot(step, context) {
    const stats = await lookAt(step.from);
    if (!stats) throw new EffectError('precondition', `${step.from} is gone`);
    if (step.inode !== undefined && stats.ino !== step.inode)
      throw new EffectError('precondition', `another ${step.from} stands there now`);
    await requireUnheld(step.from);
    const content = stats.isDirectory() ? await folderContent(step.from) : await fileContent(step);
    const kind = stats.isDirectory() ? 'folder' : 'file';
    const kept: MoveRecord = {
      to: await freeName(step, context),
      inode: stats.ino,
      kind,
      mode: stats.mode & 0o7777,
      content,
    };
    return { ...kept };
  },

  async apply(step, snapshot) {
    const { to, inode } = record(snapshot);
    await requireUnheld(step.from);
    await moveSafely(step.from, to, inode);
    return `moved ${step.from} to ${to}`;
  },

  async probe(step, snapshot) {
    const { to, inode } = record(snapshot);
    const [from, there] = await Promise.all([lookAt(step.from), lookAt(to)]);
    const moved = there?.ino === inode;
    if (from?.ino === inode) return 'not-done'; // under both names after a crash: moving again finishes
    return moved ? 'done' : 'unclear';
  },

  async undo(step, snapshot, context) {
    const { to, inode } = record(snapshot);
    const [from, there] = await Promise.all([lookAt(step.from), lookAt(to)]);
    if (there?.ino !== inode) {
      if (from?.ino === inode) return;
      throw new EffectError('failed', `neither ${step.from} nor ${to} is the one that was moved`);
    }
    if (from && from.ino !== inode) await clearTheWay(step, from.ino, context);
    await moveSafely(to, step.from, inode);
  },

  async differences(step, snapshot) {
    const was = record(snapshot);
    const stats = await lookAt(step.from);
    if (stats?.ino !== was.inode) return [`${step.from} is not the one it was`];
    const differences = (await lookAt(was.to)) ? [`${was.to} is still there`] : [];
    if ((stats.mode & 0o7777) !== was.mode) differences.push(`the mode of ${step.from} differs`);
    return [...differences, ...(await contentDifferences(step.from, was))];
  },
};

/** A lock that a living process has open is no leftover, whatever the plan thought. */
async function requireUnheld(path: string): Promise<void> {
  const holder = path.endsWith('.lock') ? await holderOf(path) : null;
  if (holder) throw new EffectError('precondition', `process ${holder.pid} holds ${path}`);
}

async function fileContent(step: MoveStep): Promise<string> {
  const found = await readSafely(step.from);
  if (found.kind === 'link') throw new EffectError('refused', `${step.from} is a link`);
  if (found.kind !== 'file')
    throw new EffectError('refused', `${step.from} ${found.kind === 'unfit' ? found.reason : 'is gone'}`);
  if (found.sha256 !== step.before)
    throw new EffectError('precondition', `${step.from} has changed since the plan was made`);
  return found.sha256;
}

async function folderContent(path: string): Promise<Readonly<Record<string, string>> | null> {
  await withFolder(path, async () => {}); // refuses a link anywhere on the way
  const tree = await describeTree(path, { maxEntries: MOST_ENTRIES });
  return tree && Object.fromEntries(tree);
}

async function contentDifferences(path: string, was: MoveRecord): Promise<readonly string[]> {
  if (was.content === null) return [];
  if (typeof was.content === 'string') {
    const found = await readSafely(path);
    return found.kind === 'file' && found.sha256 === was.content ? [] : [`the content of ${path} differs`];
  }
  const now = await describeTree(path, { maxEntries: MOST_ENTRIES });
  const changed = treeDifferences(new Map(Object.entries(was.content)), now ?? new Map());
  return changed.map((name) => `${join(path, Buffer.from(name, 'latin1').toString('utf8'))} differs`);
}

/** `{plan}` names may be taken by an earlier life of our store; a name without it is meant exactly. */
async function freeName(step: MoveStep, context: EffectContext): Promise<string> {
  const wish = step.to.replaceAll('{plan}', context.plan);
  for (let number = 1; ; number++) {
    const name = number === 1 ? wish : `${wish}-${number}`;
    if (!(await lookAt(name))) return name;
    if (wish === step.to) throw new EffectError('precondition', `${wish} exists already`);
  }
}

/** What the service has made anew in the meantime is moved beside it. A lock that is there now is somebody's: it stays. */
async function clearTheWay(step: MoveStep, inode: number, context: EffectContext): Promise<void> {
  if (step.from.endsWith('.lock'))
    throw new EffectError(
      'refused',
      `${step.from} was taken by somebody else meanwhile; the old one need not come back`,
    );
  const wish = { ...step, to: `${step.from}.selfheal-new-{plan}` };
  await moveSafely(step.from, await freeName(wish, context), inode);
}
