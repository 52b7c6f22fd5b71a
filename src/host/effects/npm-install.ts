// Puts the packages that a lock file pins into a side folder and swaps it for node_modules. No script of any package
// runs; the old folder is kept whole, and undo puts it back.

import { chown, lstat, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NpmInstallStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type Snapshot } from '../contract.ts';
import { listingDifferences, listTree, loadListing, saveListing } from '../installed-tree.ts';
import { installLocked } from '../npm.ts';
import { isIndexUrl } from '../package-index.ts';
import { sha256Of } from '../safe-files.ts';
import { inodeOf, isSwapped, performSwap, prepareSwap, readSwap, revertSwap } from '../swap.ts';

interface Before extends Snapshot {
  readonly staging: string;
  /** False when there was no node_modules. */
  readonly existed: boolean;
}

const LISTING = 'before.json';
const MODULES = 'node_modules';

export const npmInstall: Effect<NpmInstallStep> = {
  kind: 'npm-install',

  async snapshot(step, context) {
    await requireWorld(step);
    const modules = join(step.directory, MODULES);
    const existed = (await inodeOf(modules)) !== null;
    await saveListing(join(context.snapshotDirectory, LISTING), existed ? await listModules(modules) : new Map());
    const before: Before = { staging: stagingOf(step, context), existed };
    return before;
  },

  async apply(step, snapshot, context) {
    const swap = (await readSwap(context.snapshotDirectory)) ?? (await stage(step, snapshot as Before, context));
    await performSwap(swap, context.signal);
    return `${join(step.directory, MODULES)} now holds what package-lock.json pins`;
  },

  async probe(_step, _snapshot, context) {
    const swap = await readSwap(context.snapshotDirectory);
    // From a half-done swap `apply` goes on where it stopped, so that counts as not done.
    return swap !== null && (await isSwapped(swap)) ? 'done' : 'not-done';
  },

  async undo(_step, snapshot, context) {
    const swap = await readSwap(context.snapshotDirectory);
    if (swap !== null) await revertSwap(swap, context.snapshotDirectory);
    await rm((snapshot as Before).staging, { recursive: true, force: true });
  },

  async differences(step, snapshot, context) {
    const { existed, staging } = snapshot as Before;
    const modules = join(step.directory, MODULES);
    const left = (await inodeOf(staging)) === null ? [] : [`${staging} is left`];
    if ((await inodeOf(modules)) === null) return existed ? [...left, `${modules} is gone`] : left;
    if (!existed) return [...left, `${modules} is new`];
    const before = await loadListing(join(context.snapshotDirectory, LISTING));
    return [...left, ...listingDifferences(before, await listModules(modules))];
  },
};

/** Renames keep contents; sizes and times of change prove it without reading a gigabyte. Caches of tools come and go. */
function listModules(modules: string) {
  return listTree(modules, { skip: (path) => path === '.cache' || path === '.vite', hashedBytes: 0 });
}

function stagingOf(step: NpmInstallStep, context: EffectContext): string {
  return join(step.directory, `.selfheal-${context.plan.replace(/[^A-Za-z0-9-]/g, '_')}-${context.step}`);
}

/** The folder, the lock file and node_modules must be what the plan saw, and nothing may lead out of the project. */
async function requireWorld(step: NpmInstallStep): Promise<{ readonly manifest: Buffer; readonly lock: Buffer }> {
  if (!isIndexUrl(step.registry)) throw new EffectError('refused', 'the registry is not an http address');
  if ((await realpath(step.directory).catch(() => null)) !== step.directory) {
    throw new EffectError('precondition', `${step.directory} is not there any more, or reached through a link`);
  }
  const modules = await lstat(join(step.directory, MODULES)).catch(() => null);
  if (modules !== null && !modules.isDirectory()) {
    throw new EffectError('refused', `${join(step.directory, MODULES)} is not a folder of its own`);
  }
  const [manifest, lock] = await Promise.all([plainFile(step, 'package.json'), plainFile(step, 'package-lock.json')]);
  if (sha256Of(lock) !== step.lock) throw new EffectError('precondition', 'package-lock.json changed since the plan');
  return { manifest, lock };
}

async function plainFile(step: NpmInstallStep, name: string): Promise<Buffer> {
  const path = join(step.directory, name);
  const stats = await lstat(path).catch(() => null);
  if (!stats?.isFile()) throw new EffectError('precondition', `${path} is not a plain file`);
  return readFile(path);
}

/** Installs into the staging folder, then writes the list of moves. Touches nothing that is live. */
async function stage(step: NpmInstallStep, before: Before, context: EffectContext) {
  const { manifest, lock } = await requireWorld(step);
  const { staging } = before;
  const [folder, own] = [join(staging, 'root'), join(staging, 'own')];
  try {
    await freshFolders(step.directory, [staging, folder, own]);
    await writeFile(join(folder, 'package.json'), manifest);
    await writeFile(join(folder, 'package-lock.json'), lock);
    const npmrc = await readFile(join(step.directory, '.npmrc'), 'utf8').catch(() => '');
    const problem = await installLocked(context.run, {
      node: process.execPath,
      folder,
      own,
      registry: step.registry,
      npmrc,
      freshCache: step.freshCache ?? false,
      omitDev: step.omitDev ?? false,
      owner: step.directory,
      signal: context.signal,
    });
    if (problem !== null) throw new EffectError('failed', problem);
    await context.run(['sync', '-f', folder], { cwd: '/', timeoutMs: 60_000, signal: context.signal });
    return await prepareSwap(await movesOf(step, staging, folder), context.snapshotDirectory);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function movesOf(step: NpmInstallStep, staging: string, folder: string) {
  const [fresh, old] = await Promise.all([inodeOf(join(folder, MODULES)), inodeOf(join(step.directory, MODULES))]);
  if (fresh === null) throw new EffectError('failed', 'npm installed nothing');
  return {
    live: step.directory,
    staging,
    incoming: folder,
    out: old === null ? [] : [{ path: MODULES, inode: old }],
    into: [{ path: MODULES, inode: fresh }],
  };
}

/** Private folders that the project's owner, who runs npm, can write to. */
async function freshFolders(directory: string, folders: readonly string[]): Promise<void> {
  const owner = await stat(directory);
  await rm(folders[0] ?? '', { recursive: true, force: true });
  for (const folder of folders) {
    await mkdir(folder, { mode: 0o700 });
    if (process.getuid?.() === 0) await chown(folder, owner.uid, owner.gid);
  }
}
