// Installs pinned wheels into a service's own venv: fetched and looked into in a staging folder first, then moved
// in entry by entry. Nothing that is there is overwritten, and every move can be taken back.

import { chown, lstat, mkdir, readdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { PipInstallStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type Snapshot } from '../contract.ts';
import { listingDifferences, listTree, loadListing, saveListing } from '../installed-tree.ts';
import { isIndexUrl, parsePipConf, withCredentials } from '../package-index.ts';
import {
  fetchWheels,
  type InspectedWheel,
  inspectWheels,
  installWheels,
  type PipCall,
  type PipTarget,
  problemOf,
} from '../pip.ts';
import { pipTarget } from '../python.ts';
import { exactVersion, isDistributionName, normalizeName } from '../requirements.ts';
import {
  inodeOf,
  isSwapped,
  type MovedEntry,
  performSwap,
  prepareSwap,
  readSwap,
  revertSwap,
  type Swap,
} from '../swap.ts';

interface Before extends Snapshot {
  readonly venv: string;
  readonly staging: string;
}

const LISTING = 'before.json';

export const pipInstall: Effect<PipInstallStep> = {
  kind: 'pip-install',

  async snapshot(step, context) {
    const target = await targetOf(step, context);
    const before: Before = { venv: target.venv, staging: stagingOf(target.venv, context) };
    const listing = await listTree(target.venv, { skip: isStaging });
    await saveListing(join(context.snapshotDirectory, LISTING), listing);
    return before;
  },

  async apply(step, snapshot, context) {
    const before = snapshot as Before;
    const swap = (await readSwap(context.snapshotDirectory)) ?? (await stage(step, before, context));
    await performSwap(swap, context.signal);
    const names = step.packages.map((p) => `${p.name} ${p.version}`).join(', ');
    return `${names} moved into ${before.venv}: ${swap.into.map((entry) => basename(entry.path)).join(', ')}`;
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

  async differences(_step, snapshot, context) {
    const before = await loadListing(join(context.snapshotDirectory, LISTING));
    return listingDifferences(before, await listTree((snapshot as Before).venv));
  },
};

/** Beside what it will replace, so that moving is renaming; hidden, and named after the plan so that leftovers are found. */
function stagingOf(venv: string, context: EffectContext): string {
  return join(venv, `.selfheal-${context.plan.replace(/[^A-Za-z0-9-]/g, '_')}-${context.step}`);
}

function isStaging(path: string): boolean {
  return path.startsWith('.selfheal-') && !path.includes('/');
}

/** The plan must be plain and its interpreter the one of a venv inside the project: hands trust no plan blindly. */
async function targetOf(step: PipInstallStep, context: EffectContext): Promise<PipTarget> {
  const flaw = flawOf(step);
  if (flaw !== null) throw new EffectError('refused', flaw);
  const venv = dirname(dirname(step.interpreter));
  const [realVenv, realDirectory] = await Promise.all([real(venv), real(step.directory)]);
  if (realVenv === null || realDirectory === null) {
    throw new EffectError('precondition', `${venv} is not there any more`);
  }
  if (realVenv !== venv || !realVenv.startsWith(`${realDirectory}/`)) {
    throw new EffectError('refused', `${venv} is not a folder of its own inside ${step.directory}`);
  }
  const target = await pipTarget(context.run, step.interpreter);
  if (typeof target === 'string') throw new EffectError('precondition', target);
  return target;
}

function flawOf(step: PipInstallStep): string | null {
  if (basename(dirname(step.interpreter)) !== 'bin') return `${step.interpreter} is not the interpreter of a venv`;
  if (!isIndexUrl(step.index)) return 'the package index is not an http address';
  if (step.packages.length === 0) return 'the plan names no package';
  for (const { name, version, hashes } of step.packages) {
    if (!isDistributionName(name)) return 'a package name is not one that an index can hold';
    if (exactVersion(`==${version}`) === null) return `${name} has no exact version`;
    if (hashes.length === 0 || !hashes.every((hash) => /^sha256:[0-9a-f]{64}$/.test(hash))) {
      return `${name} has no sha256 to be checked by`;
    }
  }
  return null;
}

async function real(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/** Fetches, inspects and unpacks into the staging folder, then writes the list of moves. Touches nothing that is live. */
async function stage(step: PipInstallStep, before: Before, context: EffectContext): Promise<Swap> {
  const target = await targetOf(step, context);
  const call: PipCall = { run: context.run, target, signal: context.signal };
  const [wheels, root] = [join(before.staging, 'wheels'), join(before.staging, 'root')];
  try {
    await freshFolders(target.venv, [before.staging, wheels, root]);
    await fetch(step, call, wheels, context);
    const inspected = await inspect(step, call, wheels);
    const installed = await installWheels(call, step.packages, wheels, root);
    if (!installed.ok) throw new EffectError('failed', `pip could not unpack the wheels: ${installed.error}`);
    const out = await leavingEntries(target, inspected);
    const into = await incomingEntries(root, target.venv, new Set(out.map((entry) => entry.path)));
    await context.run(['sync', '-f', root], { cwd: '/', timeoutMs: 60_000, signal: context.signal });
    const moves = { live: target.venv, staging: before.staging, incoming: root, out, into };
    return await prepareSwap(moves, context.snapshotDirectory);
  } catch (error) {
    await rm(before.staging, { recursive: true, force: true });
    throw error;
  }
}

/** Private folders that the venv's owner, who runs pip, can write to. */
async function freshFolders(venv: string, folders: readonly string[]): Promise<void> {
  const owner = await stat(venv);
  await rm(folders[0] ?? '', { recursive: true, force: true });
  for (const folder of folders) {
    await mkdir(folder, { mode: 0o700 });
    if (process.getuid?.() === 0) await chown(folder, owner.uid, owner.gid);
  }
}

async function fetch(step: PipInstallStep, call: PipCall, folder: string, context: EffectContext): Promise<void> {
  const wanted = step.packages.map(({ name, version, hashes }) => ({ name, constraint: `==${version}`, hashes }));
  const conf = await readFile(join(call.target.venv, 'pip.conf'), 'utf8').catch(() => '');
  const known = [parsePipConf(conf).index, ...context.services.all().map((service) => service.pipIndex)];
  const fetched = await fetchWheels(call, withCredentials(step.index, known), wanted, folder);
  if (fetched.kind !== 'fetched') throw new EffectError('failed', fetched.reason);
}

/** The wheels must be exactly what the plan shows, and the environment what the plan saw. */
async function inspect(step: PipInstallStep, call: PipCall, folder: string): Promise<readonly InspectedWheel[]> {
  const inspection = await inspectWheels(call, folder);
  if (typeof inspection === 'string') throw new EffectError('failed', inspection);
  const problem = problemOf(inspection) ?? missing(inspection.unsatisfied.map((need) => need.name));
  if (problem !== null) throw new EffectError('precondition', problem);
  if (inspection.wheels.length !== step.packages.length)
    throw new EffectError('refused', 'the index gave other wheels');
  for (const planned of step.packages) {
    const wheel = inspection.wheels.find((w) => normalizeName(w.name) === normalizeName(planned.name));
    const difference = wheel === undefined ? `no wheel of ${planned.name} came` : differs(planned, wheel);
    if (difference !== null) throw new EffectError('refused', difference);
  }
  return inspection.wheels;
}

function missing(names: readonly string[]): string | null {
  return names.length === 0 ? null : `the plan does not hold what it needs: ${names.join(', ')}`;
}

function differs(planned: PipInstallStep['packages'][number], wheel: InspectedWheel): string | null {
  if (exactVersion(`==${wheel.version}`) === null || !planned.hashes.includes(wheel.hash)) {
    return `the wheel of ${planned.name} is not the one that the plan saw`;
  }
  if ((planned.replaces ?? null) !== wheel.replaces) {
    return `${planned.name} ${wheel.replaces ?? 'absent'} is installed, the plan saw ${planned.replaces ?? 'none'}`;
  }
  const provided = planned.provides?.split('.')[0];
  if (provided !== undefined && !wheel.modules.includes(provided))
    return `${planned.name} does not provide ${provided}`;
  const unseen = wheel.concerns.find((concern) => !(planned.concerns ?? []).includes(concern));
  return unseen === undefined ? null : `${planned.name}: ${unseen}, which the plan did not show`;
}

/** What the replaced distributions leave: whole folders where nothing else lives in them. Relative to the venv. */
async function leavingEntries(target: PipTarget, wheels: readonly InspectedWheel[]): Promise<readonly MovedEntry[]> {
  const leaving = new Set(wheels.flatMap((wheel) => wheel.leaving));
  const site = relative(target.venv, target.purelib);
  const paths = new Set<string>();
  for (const file of leaving) paths.add(await largestLeaving(target.venv, site, file, leaving));
  return Promise.all([...paths].sort().map((path) => entry(target.venv, path)));
}

async function largestLeaving(venv: string, site: string, file: string, leaving: ReadonlySet<string>): Promise<string> {
  let path = file;
  for (let parent = dirname(path); parent.startsWith(`${site}/`); parent = dirname(parent)) {
    if (!(await leavesWhole(venv, parent, leaving))) break;
    path = parent;
  }
  return path;
}

async function leavesWhole(venv: string, folder: string, leaving: ReadonlySet<string>): Promise<boolean> {
  for (const item of await readdir(join(venv, folder), { withFileTypes: true })) {
    const path = `${folder}/${item.name}`;
    if (item.name === '__pycache__' || leaving.has(path)) continue;
    if (!item.isDirectory() || !(await leavesWhole(venv, path, leaving))) return false;
  }
  return true;
}

/** The largest staged entries that have no counterpart yet. A folder that is there already is gone into. */
async function incomingEntries(root: string, venv: string, out: ReadonlySet<string>): Promise<readonly MovedEntry[]> {
  const entries: MovedEntry[] = [];
  const waiting = [''];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const [staged, live] = await Promise.all([lstat(join(root, path)), lstat(join(venv, path)).catch(() => null)]);
      if (live === null || out.has(path)) entries.push({ path, inode: staged.ino });
      else if (staged.isDirectory() && live.isDirectory()) waiting.push(path);
      else if (staged.isDirectory() && (await isLibAlias(venv, path))) waiting.push(path);
      else throw new EffectError('precondition', `${join(venv, path)} is there already`);
    }
  }
  return entries;
}

/** `lib64 -> lib`, which venv makes on some systems: the same folder under a second name. */
async function isLibAlias(venv: string, path: string): Promise<boolean> {
  return path === 'lib64' && (await readlink(join(venv, path)).catch(() => '')) === 'lib';
}

async function entry(venv: string, path: string): Promise<MovedEntry> {
  const inode = await inodeOf(join(venv, path));
  if (inode === null) throw new EffectError('precondition', `${join(venv, path)} is gone`);
  return { path, inode };
}
