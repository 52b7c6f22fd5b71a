// What a step on a repository may change, kept as raw bytes before it does: the files it touches, the index, the notes of
// an unfinished operation, the refs. Raw, because what git checks out again need not be what was there (line ends, filters).

import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EffectError, type Run } from './contract.ts';
import { git, type GitPlace, isCommit } from './git-command.ts';
import { locksIn } from './git-locks.ts';
import { pathOf, shownName, unquoteName } from './git-names.ts';
import { gitProcesses } from './git-processes.ts';
import {
  chmodSafely,
  clearLeftovers,
  type Found,
  lookAt,
  makeFolder,
  makeLink,
  readSafely,
  removeEmptyFolder,
  removeLink,
  removeSafely,
  sha256Of,
  writeFileSafely,
} from './safe-files.ts';
import { describeTree } from './tree.ts';

/** A kept state, as plain JSON for the journal; the bytes lie in the snapshot folder. */
export interface SavedRepository {
  readonly workTree: string;
  readonly gitDirectory: string;
  /** Refs that the step may move, with their values; null for one that is not there. */
  readonly refs: Readonly<Record<string, string | null>>;
  readonly entries: readonly SavedEntry[];
}

export interface SavedEntry {
  readonly root: 'work' | 'git';
  /** Path below the root, bytes as latin1. */
  readonly name: string;
  readonly was: SavedThing;
}

type SavedThing =
  | { readonly kind: 'absent' }
  | ({ readonly kind: 'file'; readonly sha256: string; readonly copy: string } & Owned)
  /** `target`: bytes as latin1. */
  | ({ readonly kind: 'link'; readonly target: string } & Owned)
  | ({ readonly kind: 'folder' } & Owned);

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Files of the git directory that operations write. Logs are left out: they are the story, not the state. */
const GIT_FILES: readonly string[] = [
  ...[
    'HEAD',
    'index',
    'ORIG_HEAD',
    'MERGE_HEAD',
    'MERGE_MSG',
    'MERGE_MODE',
    'MERGE_RR',
    'MERGE_AUTOSTASH',
    'AUTO_MERGE',
  ],
  ...['CHERRY_PICK_HEAD', 'REVERT_HEAD', 'REBASE_HEAD', 'SQUASH_MSG', 'COMMIT_EDITMSG'],
];
const GIT_FOLDERS: readonly string[] = ['rebase-merge', 'rebase-apply', 'sequencer'];
const MOST_ENTRIES = 50_000;

export interface SaveRequest {
  readonly run: Run;
  readonly place: GitPlace;
  /** Paths of the work tree that the step may touch, bytes as latin1. */
  readonly names: readonly string[];
  readonly refs: readonly string[];
  readonly snapshotDirectory: string;
}

/** Keeps everything; changes nothing but the snapshot folder. Throws `EffectError` for what cannot be kept. */
export async function saveRepository(request: SaveRequest): Promise<SavedRepository> {
  const { run, place, snapshotDirectory } = request;
  const workTree = place.workTree as string;
  await mkdir(join(snapshotDirectory, 'files'), { recursive: true, mode: 0o700 });
  const copies = { directory: join(snapshotDirectory, 'files'), count: 0 };
  const entries: SavedEntry[] = [];
  for (const name of withParents(request.names)) entries.push(await save('work', workTree, name, copies));
  for (const name of [...GIT_FILES, ...(await filesBelow(place.gitDirectory))])
    entries.push(await save('git', place.gitDirectory, name, copies));
  if (entries.length > MOST_ENTRIES) throw new EffectError('refused', `more than ${MOST_ENTRIES} files are concerned`);
  return { workTree, gitDirectory: place.gitDirectory, refs: await readRefs(run, place, request.refs), entries };
}

/** Each path once, folders before what is in them. */
function withParents(names: readonly string[]): readonly string[] {
  const all = new Set<string>();
  for (const name of names) {
    const parts = name.split('/');
    for (let depth = 1; depth <= parts.length; depth++) all.add(parts.slice(0, depth).join('/'));
  }
  return [...all].sort();
}

async function filesBelow(gitDirectory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of GIT_FOLDERS) {
    const tree =
      (await lookAt(join(gitDirectory, folder)))?.isDirectory() && (await listTree(join(gitDirectory, folder)));
    found.push(folder, ...(tree || []).map((name) => `${folder}/${name}`));
  }
  return found;
}

async function listTree(directory: string): Promise<readonly string[]> {
  return [...((await describeTree(directory, { maxEntries: MOST_ENTRIES })) ?? new Map<string, string>()).keys()];
}

async function save(
  root: SavedEntry['root'],
  base: string,
  name: string,
  copies: { readonly directory: string; count: number },
): Promise<SavedEntry> {
  const path = pathOf(base, name);
  const stats = await lookAt(path);
  if (stats?.isDirectory()) return { root, name, was: { kind: 'folder', ...owned(stats) } };
  const found = await readSafely(path);
  if (found.kind === 'absent') return { root, name, was: { kind: 'absent' } };
  if (found.kind === 'unfit') throw new EffectError('refused', `${shownName(name)} ${found.reason}`);
  if (found.kind === 'link')
    return { root, name, was: { kind: 'link', target: found.target.toString('latin1'), ...owned(found.stats) } };
  const copy = String(copies.count++);
  await writeFile(join(copies.directory, copy), found.content, { mode: 0o600, flag: 'w', flush: true });
  return { root, name, was: { kind: 'file', sha256: found.sha256, copy, ...owned(found.stats) } };
}

function owned(stats: { readonly mode: number; readonly uid: number; readonly gid: number }): Owned {
  return { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid };
}

async function readRefs(run: Run, place: GitPlace, refs: readonly string[]): Promise<Record<string, string | null>> {
  if (refs.length === 0) return {};
  const answer = await git(run, place, ['for-each-ref', '--format=%(objectname) %(refname)', ...refs]);
  if (!answer.ok) throw new EffectError('failed', 'the refs cannot be read');
  const lines = answer.stdout.split('\n').map((line) => line.split(' '));
  return Object.fromEntries(refs.map((ref) => [ref, lines.find(([, name]) => name === ref)?.[0] ?? null]));
}

// ---------------------------------------------------------------- putting back

export interface RestoreRequest {
  readonly run: Run;
  readonly place: GitPlace;
  readonly saved: SavedRepository;
  readonly snapshotDirectory: string;
  /** Values that the step itself can have given to the refs. Any other value is somebody else's. */
  readonly ours: readonly string[];
  /** Names temporary files; the same for every try. */
  readonly tag: string;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Puts everything back, from any state the step can have left. What stands in the way is kept in the snapshot folder. */
export async function restoreRepository(request: RestoreRequest): Promise<void> {
  const { saved } = request;
  await requireNobodyAtWork(request);
  await clearOurLocks(request);
  await restoreRefs(request);
  const byDepth = [...saved.entries].sort((a, b) => depth(b) - depth(a));
  for (const entry of byDepth) if (entry.was.kind === 'absent') await remove(request, entry);
  for (const entry of saved.entries) if (entry.was.kind !== 'absent') await putBack(request, entry);
}

const depth = (entry: SavedEntry): number => entry.name.split('/').length;

/** The git of a step that was killed dies with it, but not in the same instant. */
const WAITS = 25;
const WAIT_MS = 200;

async function requireNobodyAtWork({ saved, sleep }: RestoreRequest): Promise<void> {
  for (let waits = 0; ; waits++) {
    const [worker] = await gitProcesses(saved.workTree, saved.gitDirectory);
    if (!worker) return;
    if (waits === WAITS) throw new EffectError('failed', `git process ${worker.pid} is at work in ${saved.workTree}`);
    await sleep(WAIT_MS);
  }
}

/** Steps start with no lock there: those that are there now and that nobody works under are what our killed git left. */
async function clearOurLocks(request: RestoreRequest): Promise<void> {
  const { gitDirectory, refs } = request.saved;
  for (const path of await locksIn(gitDirectory, Object.keys(refs))) {
    const found = await readSafely(path);
    if (found.kind !== 'file') continue;
    await keepDisplaced(request, found);
    await removeSafely(path, found.sha256);
  }
}

async function restoreRefs({ run, place, saved, ours }: RestoreRequest): Promise<void> {
  const now = await readRefs(run, place, Object.keys(saved.refs));
  for (const [ref, was] of Object.entries(saved.refs)) {
    const is = now[ref] ?? null;
    if (is === was) continue;
    if (is !== null && !ours.includes(is))
      throw new EffectError('refused', `${ref} was moved by somebody else meanwhile; it was ${was ?? 'absent'} before`);
    const args =
      was === null ? ['update-ref', '-d', ref, is as string] : ['update-ref', ref, was, is ?? '0'.repeat(was.length)];
    const answer = await git(run, place, args);
    if (!answer.ok) throw new EffectError('failed', `cannot put ${ref} back: ${answer.stderr.trim()}`);
  }
}

function fullPath(saved: SavedRepository, entry: SavedEntry): Buffer {
  return pathOf(entry.root === 'work' ? saved.workTree : saved.gitDirectory, entry.name);
}

async function remove(request: RestoreRequest, entry: SavedEntry): Promise<void> {
  const path = fullPath(request.saved, entry);
  await clearLeftovers(path, request.tag);
  if ((await lookAt(path))?.isDirectory()) return removeEmptyFolder(path);
  const found = await readSafely(path);
  if (found.kind === 'link') return removeLink(path);
  if (found.kind !== 'file') return;
  await keepDisplaced(request, found);
  await removeSafely(path, found.sha256);
}

async function putBack(request: RestoreRequest, entry: SavedEntry): Promise<void> {
  const path = fullPath(request.saved, entry);
  const { was } = entry;
  if (was.kind === 'absent') return;
  if (was.kind === 'folder') return makeFolder(path, was.mode, was);
  await clearLeftovers(path, request.tag);
  const found = await clearTheWay(request, path, was.kind);
  if (was.kind === 'link') {
    if (found.kind !== 'link') return makeLink(path, Buffer.from(was.target, 'latin1'), was);
    if (found.target.toString('latin1') === was.target) return;
    await removeLink(path);
    return makeLink(path, Buffer.from(was.target, 'latin1'), was);
  }
  if (found.kind !== 'file' || found.sha256 !== was.sha256) await writeBack(request, path, was, found);
  const mode = (await lstat(path)).mode & 0o7777;
  if (mode !== was.mode) await chmodSafely(path, mode, was.mode);
}

/** Empties the name for a thing of another kind. */
async function clearTheWay(request: RestoreRequest, path: Buffer, kind: 'file' | 'link'): Promise<Found> {
  if ((await lookAt(path))?.isDirectory()) await removeEmptyFolder(path);
  const found = await readSafely(path);
  if (found.kind === 'unfit') throw new EffectError('refused', `${path.toString()} ${found.reason}`);
  if (found.kind === kind || found.kind === 'absent') return found;
  if (found.kind === 'link') await removeLink(path);
  else {
    await keepDisplaced(request, found);
    await removeSafely(path, found.sha256);
  }
  return { kind: 'absent' };
}

async function writeBack(
  request: RestoreRequest,
  path: Buffer,
  was: Extract<SavedThing, { kind: 'file' }>,
  found: Found,
): Promise<void> {
  const content = await readFile(join(request.snapshotDirectory, 'files', was.copy));
  if (sha256Of(content) !== was.sha256)
    throw new EffectError('failed', `the kept copy of ${path.toString()} is damaged`);
  if (found.kind === 'file') await keepDisplaced(request, found);
  const before = found.kind === 'file' ? found.sha256 : null;
  await writeFileSafely({ path, content, before, mode: was.mode, owner: was, tag: request.tag });
}

/** Nothing is thrown away in an undo: what we take out of the way may be somebody's, so a copy stays with the snapshot. */
async function keepDisplaced(request: RestoreRequest, found: Extract<Found, { kind: 'file' }>): Promise<void> {
  const directory = join(request.snapshotDirectory, 'displaced');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(directory, found.sha256.slice(0, 16)), found.content, { mode: 0o600 });
}

// ---------------------------------------------------------------- comparing

/** What differs from the kept state, for people. Empty: byte for byte the same. */
export async function repositoryDifferences(
  run: Run,
  place: GitPlace,
  saved: SavedRepository,
): Promise<readonly string[]> {
  const differences: string[] = [];
  const now = await readRefs(run, place, Object.keys(saved.refs));
  for (const [ref, was] of Object.entries(saved.refs))
    if (now[ref] !== was) differences.push(`${ref} is ${now[ref] ?? 'absent'}, was ${was ?? 'absent'}`);
  for (const entry of saved.entries) {
    const difference = await entryDifference(saved, entry);
    if (difference) differences.push(`${entry.root === 'git' ? '.git/' : ''}${shownName(entry.name)}: ${difference}`);
  }
  for (const lock of await locksIn(saved.gitDirectory, Object.keys(saved.refs)))
    differences.push(`${lock}: is there, was not`);
  return differences;
}

async function entryDifference(saved: SavedRepository, entry: SavedEntry): Promise<string | null> {
  const path = fullPath(saved, entry);
  const { was } = entry;
  const stats = await lookAt(path);
  if (!stats || was.kind === 'absent')
    return (stats === null) === (was.kind === 'absent') ? null : stats ? 'is there, was not' : 'is gone';
  if (stats.isDirectory() || was.kind === 'folder')
    return stats.isDirectory() === (was.kind === 'folder') ? null : 'its kind differs';
  const found = await readSafely(path);
  if (found.kind !== was.kind) return 'its kind differs';
  if (found.kind === 'link' && was.kind === 'link')
    return found.target.toString('latin1') === was.target ? null : 'leads elsewhere';
  if (found.kind !== 'file' || was.kind !== 'file') return 'its kind differs';
  if (found.sha256 !== was.sha256) return 'its content differs';
  const is = owned(found.stats);
  if (is.mode !== was.mode) return `its mode is ${is.mode.toString(8)}, was ${was.mode.toString(8)}`;
  return is.uid === was.uid && is.gid === was.gid ? null : 'its owner differs';
}

// ---------------------------------------------------------------- questions to git that several steps ask

export async function headOf(run: Run, place: GitPlace): Promise<string | null> {
  const answer = await git(run, place, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']);
  const id = answer.stdout.trim();
  return answer.ok && isCommit(id) ? id : null;
}

/** Names whose changes git was told not to see (assume-unchanged, skip-worktree). */
export async function hiddenNames(run: Run, place: GitPlace): Promise<readonly string[]> {
  const answer = await git(run, place, ['ls-files', '-v']);
  if (!answer.ok) throw new EffectError('failed', 'the index cannot be listed');
  return answer.stdout.split('\n').flatMap((line) => (/^(?:[a-z]|S) /.test(line) ? [unquoteName(line.slice(2))] : []));
}

/** The plan's id in a name that a fix could not know yet. */
export function named(template: string, plan: string): string {
  return template.replaceAll('{plan}', plan);
}
