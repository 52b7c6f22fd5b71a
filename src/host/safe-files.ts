// How effects change files: into a new file beside the old one, flushed before it takes the name, and only while the old one
// is what we saw. Every path is walked as safe-paths.ts does.

import { constants, type Stats } from 'node:fs';
import {
  chmod,
  chown,
  type FileHandle,
  lchown,
  link,
  lstat,
  mkdir,
  open,
  rename,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { EffectError } from './contract.ts';
import {
  codeOf,
  type FilePath,
  type Folder,
  lookAt,
  O_PATH,
  pathError,
  readEntry,
  sha256Of,
  shown,
  withParent,
} from './safe-paths.ts';

export {
  type FilePath,
  type Folder,
  type Found,
  codeOf,
  lookAt,
  readEntry,
  readSafely,
  sha256Of,
  shown,
  withFolder,
  withParent,
} from './safe-paths.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Never set by us: setuid, setgid, sticky. */
const PLAIN_MODE = 0o777;

// ---------------------------------------------------------------- writing

export interface WriteRequest {
  readonly path: FilePath;
  readonly content: Uint8Array;
  /** SHA-256 of what must be there now; null when nothing may be there. */
  readonly before: string | null;
  /** For a file that is not there yet. Set-id bits are dropped. */
  readonly mode: number;
  /** For a file that is not there yet, when we are root. Default: the owner of its folder. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Names the temporary file: equal before and after a crash, so that leftovers are found. */
  readonly tag: string;
  /** Name in the same folder under which the present file lives on. */
  readonly keepAs?: Buffer;
}

/**
 * Puts a whole file in place: all of it or nothing, durable when it returns. Owner and mode of a file that is there are
 * kept; set-id bits are not. Throws `EffectError`: `precondition` when the file is not what `before` says.
 */
export async function writeFileSafely(request: WriteRequest): Promise<void> {
  await withParent(request.path, async (folder, name) => {
    const temporary = temporaryName(name, request.tag);
    await removeName(folder, temporary);
    await unlinkTwin(folder, name, request.keepAs);
    const old = await requireContent(folder, name, request, 1);
    try {
      await writeTemporary(folder, temporary, request, await ownership(folder, old, request));
      if (request.keepAs && old) await link(folder.entry(name), folder.entry(request.keepAs));
      // The last look: what was written between the plan and now is not ours to replace.
      await requireContent(folder, name, request, request.keepAs ? 2 : 1);
      await takeName(folder, temporary, name, old !== null);
    } catch (error) {
      await removeName(folder, temporary);
      await unlinkTwin(folder, name, request.keepAs);
      throw writeError(error, request.path);
    }
    await folder.sync();
  });
}

/** Removes what a crash of an earlier try may have left of `writeFileSafely`. */
export async function clearLeftovers(path: FilePath, tag: string, keepAs?: Buffer): Promise<void> {
  await ifFolderExists(path, async (folder, name) => {
    await removeName(folder, temporaryName(name, tag));
    await unlinkTwin(folder, name, keepAs);
  });
}

/** True when a temporary file of this tag stands beside `path`. */
export async function hasLeftovers(path: FilePath, tag: string): Promise<boolean> {
  let found = false;
  await ifFolderExists(path, async (folder, name) => {
    found = (await lookAt(folder.entry(temporaryName(name, tag)))) !== null;
  });
  return found;
}

async function ifFolderExists(path: FilePath, use: (folder: Folder, name: Buffer) => Promise<void>): Promise<void> {
  try {
    await withParent(path, use);
  } catch (error) {
    if (!(error instanceof EffectError && error.code === 'precondition')) throw error;
  }
}

/** Short whatever the name is: a name may be 255 bytes long already. */
function temporaryName(name: Buffer, tag: string): Buffer {
  return Buffer.from(`.selfheal-${tag}-${sha256Of(name).slice(0, 12)}.tmp`);
}

async function removeName(folder: Folder, name: Buffer): Promise<void> {
  await unlink(folder.entry(name)).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
}

/** A crash between giving the old file its second name and replacing the first leaves both on one file. */
async function unlinkTwin(folder: Folder, name: Buffer, twin: Buffer | undefined): Promise<void> {
  if (!twin) return;
  const [one, two] = await Promise.all([lookAt(folder.entry(name)), lookAt(folder.entry(twin))]);
  if (one && two && one.ino === two.ino && one.dev === two.dev) await removeName(folder, twin);
}

async function requireContent(
  folder: Folder,
  name: Buffer,
  request: WriteRequest,
  links: number,
): Promise<Stats | null> {
  const found = await readEntry(folder.entry(name), { maxLinks: links });
  const path = shown(request.path);
  if (found.kind === 'link') throw new EffectError('refused', `${path} is a link`);
  if (found.kind === 'unfit') throw new EffectError('refused', `${path} ${found.reason}`);
  if (found.kind === 'absent') {
    if (request.before === null) return null;
    throw new EffectError('precondition', `${path} is gone`);
  }
  if (request.before === null) throw new EffectError('precondition', `${path} exists already`);
  if (found.sha256 !== request.before)
    throw new EffectError('precondition', `${path} has changed since the plan was made`);
  return found.stats;
}

interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

async function ownership(folder: Folder, old: Stats | null, request: WriteRequest): Promise<Ownership> {
  if (old) return { uid: old.uid, gid: old.gid, mode: old.mode & PLAIN_MODE };
  const home = await lstat(folder.entry(Buffer.from('.')));
  return { ...(request.owner ?? { uid: home.uid, gid: home.gid }), mode: request.mode & PLAIN_MODE };
}

async function writeTemporary(folder: Folder, name: Buffer, request: WriteRequest, owner: Ownership): Promise<void> {
  const handle = await open(folder.entry(name), CREATE, 0o600);
  try {
    await handle.writeFile(request.content);
    await giveTo(handle, owner, request.before !== null);
    await handle.chmod(owner.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Only root can give a file away. A new file may stay ours; one that was somebody else's may not become ours. */
async function giveTo(handle: FileHandle, owner: Ownership, mustKeep: boolean): Promise<void> {
  const mine = await handle.stat();
  if (mine.uid === owner.uid && mine.gid === owner.gid) return;
  try {
    await handle.chown(owner.uid, owner.gid);
  } catch (error) {
    if (mustKeep) throw new EffectError('refused', 'it belongs to another user', { cause: error });
  }
}

async function takeName(folder: Folder, from: Buffer, to: Buffer, replaces: boolean): Promise<void> {
  if (replaces) return rename(folder.entry(from), folder.entry(to));
  await link(folder.entry(from), folder.entry(to)); // unlike rename, it never replaces what has come meanwhile
  await removeName(folder, from);
}

function writeError(error: unknown, path: FilePath): EffectError {
  if (error instanceof EffectError) return error;
  if (codeOf(error) === 'EEXIST')
    return new EffectError('precondition', `${shown(path)} has come into being meanwhile`, { cause: error });
  return new EffectError('failed', `cannot write ${shown(path)}: ${codeOf(error) ?? String(error)}`, { cause: error });
}

// ---------------------------------------------------------------- removing, moving, modes

/** Removes a file if it still has this content. Anything else throws `precondition` and stays. */
export async function removeSafely(path: FilePath, sha256: string): Promise<void> {
  await withParent(path, async (folder, name) => {
    const found = await readEntry(folder.entry(name));
    if (found.kind === 'absent') return;
    if (found.kind !== 'file' || found.sha256 !== sha256)
      throw new EffectError('precondition', `${shown(path)} is not what was written there`);
    await removeName(folder, name);
    await folder.sync();
  });
}

/**
 * Moves a file or folder inside one file system. Never overwrites. A crash in the middle may leave a file under both names:
 * calling it again finishes.
 */
export async function moveSafely(from: FilePath, to: FilePath, inode: number): Promise<void> {
  await withParent(from, (source, name) =>
    withParent(to, async (target, newName) => {
      const [old, there] = [source.entry(name), target.entry(newName)];
      const [stats, taken] = await Promise.all([lookAt(old), lookAt(there)]);
      if (!stats || stats.ino !== inode)
        throw new EffectError('precondition', `${shown(from)} is not the one the plan saw`);
      if (taken && (taken.ino !== inode || taken.dev !== stats.dev))
        throw new EffectError('precondition', `${shown(to)} exists already`);
      await moveEntry(stats, old, there, taken !== null);
      await target.sync();
      await source.sync();
    }).catch((error: unknown) => {
      throw moveError(error, from, to);
    }),
  );
}

async function moveEntry(stats: Stats, from: Buffer, to: Buffer, linked: boolean): Promise<void> {
  if (stats.isDirectory()) return rename(from, to); // refuses a folder that has entries, and a file
  if (!stats.isFile()) throw new EffectError('refused', 'only files and folders are moved');
  if (!linked) await link(from, to);
  await unlink(from);
}

function moveError(error: unknown, from: FilePath, to: FilePath): EffectError {
  if (error instanceof EffectError) return error;
  const code = codeOf(error);
  const kind = code === 'EEXIST' || code === 'ENOTEMPTY' || code === 'EXDEV' ? 'precondition' : 'failed';
  return new EffectError(kind, `cannot move ${shown(from)} to ${shown(to)}: ${code ?? String(error)}`, {
    cause: error,
  });
}

/** Sets the mode of one file or folder that has mode `from`. Works without read permission on it. */
export async function chmodSafely(path: FilePath, from: number, to: number): Promise<void> {
  await withParent(path, async (folder, name) => {
    const handle = await open(folder.entry(name), O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
      throw pathError(error, path);
    });
    try {
      const stats = await handle.stat();
      if (!stats.isFile() && !stats.isDirectory())
        throw new EffectError('refused', `${shown(path)} is a link or a device`);
      if (stats.isFile() && stats.nlink > 1)
        throw new EffectError('refused', `${shown(path)} has a second name elsewhere`);
      if ((stats.mode & 0o7777) !== from)
        throw new EffectError('precondition', `the mode of ${shown(path)} has changed since the plan was made`);
      await chmod(`/proc/self/fd/${handle.fd}`, to); // fchmod refuses such a handle
    } finally {
      await handle.close();
    }
  });
}

/** Gives one file or folder, still the one with this inode, to its owner. Only root may; others get `refused`. */
export async function chownSafely(path: FilePath, inode: number, owner: Owner): Promise<void> {
  await withParent(path, async (folder, name) => {
    const handle = await open(folder.entry(name), O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
      throw pathError(error, path);
    });
    try {
      const stats = await handle.stat();
      const isPlain = (stats.isFile() && stats.nlink === 1) || stats.isDirectory();
      if (!isPlain || stats.ino !== inode) throw new EffectError('refused', `${shown(path)} is not the one it was`);
      await chown(`/proc/self/fd/${handle.fd}`, owner.uid, owner.gid).catch((error: unknown) => {
        throw new EffectError('refused', `${shown(path)} cannot be given to ${owner.uid}:${owner.gid}`, {
          cause: error,
        });
      });
    } finally {
      await handle.close();
    }
  });
}

// ---------------------------------------------------------------- putting back

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Makes a folder with this mode; one that is there already stays as it is. */
export async function makeFolder(path: FilePath, mode: number, owner: Owner): Promise<void> {
  await withParent(path, async (folder, name) => {
    const made = await mkdir(folder.entry(name), { mode: 0o700 }).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'EEXIST') return false;
        throw error;
      },
    );
    if (!made) return;
    // The name may lead elsewhere by now, and who owns the parent can see to it: only what was made is changed.
    const handle = await open(
      folder.entry(name),
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    ).catch((error: unknown) => {
      throw pathError(error, path);
    });
    try {
      const stats = await handle.stat();
      if (stats.uid !== process.geteuid?.() || (stats.mode & 0o7777) !== 0o700)
        throw new EffectError('refused', `${shown(path)} is not the folder that was made there`);
      if (process.getuid?.() === 0) await handle.chown(owner.uid, owner.gid);
      await handle.chmod(mode & 0o7777);
    } finally {
      await handle.close();
    }
    await folder.sync();
  });
}

/** Removes a folder when nothing is in it. */
export async function removeEmptyFolder(path: FilePath): Promise<void> {
  await ifFolderExists(path, async (folder, name) => {
    await rmdir(folder.entry(name)).catch((error: unknown) => {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(codeOf(error) ?? '')) throw error;
    });
  });
}

/** Removes a link itself, never what it leads to. */
export async function removeLink(path: FilePath): Promise<void> {
  await ifFolderExists(path, async (folder, name) => {
    if ((await lookAt(folder.entry(name)))?.isSymbolicLink()) await removeName(folder, name);
  });
}

/** Puts a link back as it was, where nothing stands now. */
export async function makeLink(path: FilePath, target: Buffer, owner: Owner): Promise<void> {
  await withParent(path, async (folder, name) => {
    await symlink(target, folder.entry(name));
    if (process.getuid?.() === 0) await lchown(folder.entry(name), owner.uid, owner.gid);
    await folder.sync();
  });
}
