// Deletes files that the owner has declared disposable, each only if it still is the one that was listed.
// Where the state folder lies on another file system with room, a copy is kept there, and the step can be taken back.

import { constants, copyFile, chmod, chown, stat, statfs, unlink, utimes } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { RemoveFilesStep } from '../../core/plan.ts';
import { type Effect, EffectError, type Snapshot } from '../contract.ts';
import { type Folder, lookAt, withParent } from '../safe-files.ts';

interface Before extends Snapshot {
  /** True when every file has a copy in the snapshot folder, under its index. */
  readonly kept: boolean;
  readonly files: readonly Remembered[];
}

interface Remembered {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly accessedAt: number;
  readonly modifiedAt: number;
}

type Listed = RemoveFilesStep['files'][number];

/** Beyond this a copy costs more than it is worth: the files are disposable. */
const KEEP_BYTES = 1024 ** 3;
/** Room that stays free beside the copies. */
const RESERVE = 2;

export const removeFiles: Effect<RemoveFilesStep> = {
  kind: 'remove-files',

  async snapshot(step, context) {
    const files: Remembered[] = [];
    for (const file of step.files)
      files.push(await withListed(file, (_path, status) => Promise.resolve(remember(status))));
    const kept = await maySave(step, context.snapshotDirectory);
    for (const [index, file] of step.files.entries()) {
      if (kept) await withListed(file, (path) => copyFile(path, join(context.snapshotDirectory, String(index))));
    }
    return { kept, files } satisfies Before;
  },

  async apply(step, _snapshot, context) {
    let bytes = 0;
    for (const file of step.files) {
      if (context.signal.aborted) throw new EffectError('timeout', 'the removal was cut short');
      bytes += file.bytes;
      await withListed(file, async (path, _status, folder) => {
        await unlink(path);
        await folder.sync();
      });
    }
    return `${step.files.length} files of ${bytes} bytes removed`;
  },

  async probe(step) {
    const there = await Promise.all(step.files.map(isThere));
    if (there.every((one) => !one)) return 'done';
    return there.every((one) => one) ? 'not-done' : 'unclear';
  },

  async undo(step, snapshot, context) {
    const { kept, files } = snapshot as Before;
    for (const [index, file] of step.files.entries()) {
      if ((await pathStatus(file.path)) !== null) continue;
      const remembered = files[index];
      if (!kept || !remembered) throw new EffectError('refused', `${file.path} was disposable: no copy was kept`);
      await putBack(file.path, join(context.snapshotDirectory, String(index)), remembered);
    }
  },

  async differences(step) {
    const found = await Promise.all(
      step.files.map(async (file) => {
        const status = await pathStatus(file.path);
        if (!status) return `${file.path} is gone`;
        return status.size === file.bytes ? null : `${file.path} has ${status.size} bytes, not ${file.bytes}`;
      }),
    );
    return found.filter((one) => one !== null);
  },
};

/** Works on the very file that was listed; a link, a second name, another size or inode refuses. */
function withListed<T>(file: Listed, use: (path: Buffer, status: Stats, folder: Folder) => Promise<T>): Promise<T> {
  return withParent(file.path, async (folder, name) => {
    const path = folder.entry(name);
    const status = await lookAt(path);
    if (!status) throw new EffectError('precondition', `${file.path} is gone`);
    if (!status.isFile() || status.nlink !== 1)
      throw new EffectError('refused', `${file.path} is a link, has a second name or is no file`);
    if (status.ino !== file.inode || status.size !== file.bytes)
      throw new EffectError('precondition', `${file.path} is another file than the plan saw`);
    return use(path, status, folder);
  });
}

function remember(status: Stats): Remembered {
  return {
    mode: status.mode & 0o7777,
    uid: status.uid,
    gid: status.gid,
    accessedAt: status.atimeMs,
    modifiedAt: status.mtimeMs,
  };
}

/** Copies on the same file system would free nothing. */
async function maySave(step: RemoveFilesStep, directory: string): Promise<boolean> {
  const first = step.files[0];
  const total = step.files.reduce((sum, file) => sum + file.bytes, 0);
  if (!first || total > KEEP_BYTES) return false;
  const [there, here, room] = await Promise.all([pathStatus(first.path), stat(directory), statfs(directory)]);
  return there !== null && there.dev !== here.dev && room.bavail * room.bsize > total * RESERVE;
}

async function isThere(file: Listed): Promise<boolean> {
  return (await pathStatus(file.path))?.ino === file.inode;
}

async function pathStatus(path: string): Promise<Stats | null> {
  try {
    return await withParent(path, (folder, name) => lookAt(folder.entry(name)));
  } catch {
    return null;
  }
}

function putBack(path: string, copy: string, remembered: Remembered): Promise<void> {
  return withParent(path, async (folder, name) => {
    const target = folder.entry(name);
    await copyFile(copy, target, constants.COPYFILE_EXCL);
    await chown(target, remembered.uid, remembered.gid).catch(() => undefined);
    await chmod(target, remembered.mode);
    await utimes(target, remembered.accessedAt / 1000, remembered.modifiedAt / 1000);
    await folder.sync();
  });
}
