// A rescue ref holds everything of a repository that is not committed: index, edited, conflicted and untracked files, byte
// for byte, as a commit of its own. Making one leaves work tree, index and every other ref as they are.

import { lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EffectError, type Run } from './contract.ts';
import { readStatus } from './git.ts';
import { git, type GitAnswer, type GitOptions, type GitPlace, gitSaid, isCommit } from './git-command.ts';
import { nameBytes, pathOf, quoteName, shownName } from './git-names.ts';
import { headOf, hiddenNames } from './git-save.ts';
import {
  clearLeftovers,
  type Found,
  lookAt,
  makeFolder,
  readSafely,
  removeEmptyFolder,
  removeSafely,
  sha256Of,
  writeFileSafely,
} from './safe-files.ts';

/** More local files than this are not copied unasked; they are not touched either. */
const MOST_BYTES = 512 * 1024 * 1024;
const MOST_FILES = 20_000;
const KEPT_DAYS = 30;
const DAY_MS = 86_400_000;

export interface RescueRequest {
  readonly run: Run;
  readonly place: GitPlace;
  readonly ref: string;
  /** Folder of ours that may lie inside the work tree: what it holds is not the owner's work. */
  readonly snapshotDirectory: string;
  readonly tag: string;
  readonly now: number;
}

/** What will be kept. Looking changes nothing. */
export interface RescueList {
  readonly files: readonly RescueFile[];
  /** Private files: objects of a repository are readable for more people than they are. */
  readonly leftOut: readonly string[];
  readonly unmerged: readonly string[];
}

interface RescueFile {
  /** Bytes as latin1. */
  readonly name: string;
  readonly bytes: number;
}

/** Names that promise secrets, whatever their mode says. */
const PRIVATE_NAME =
  /(?:^|\/)(?:\.env(?:\.(?!example$|sample$|template$)[^/]*)?|[^/]*\.(?:pem|key|p12|pfx|kdbx)|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.pgpass)$/;

/** Everything that differs from the last commit, or that git was told not to look at. */
export async function listForRescue(request: Omit<RescueRequest, 'ref' | 'now' | 'tag'>): Promise<RescueList> {
  const { run, place } = request;
  const workTree = place.workTree as string;
  const status = await readStatus(run, place);
  if (typeof status === 'string') throw new EffectError('failed', `git cannot read the work tree: ${status}`);
  const tracked = [...status.modified, ...status.staged, ...status.unmerged, ...(await hiddenNames(run, place))];
  const untracked = status.untracked.filter((name) => !name.endsWith('/'));
  const ours = await ownFolders(workTree, request.snapshotDirectory);
  const files: RescueFile[] = [];
  const leftOut: string[] = [];
  for (const name of new Set([...tracked, ...untracked])) {
    if (ours.some((folder) => name.startsWith(`${folder}/`))) continue;
    const stats = await lookAt(pathOf(workTree, name));
    const isPrivate = untracked.includes(name) && (PRIVATE_NAME.test(name) || ((stats?.mode ?? 0o777) & 0o077) === 0);
    if (isPrivate) leftOut.push(name);
    else files.push({ name, bytes: stats?.isFile() ? stats.size : 0 });
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes > MOST_BYTES || files.length > MOST_FILES)
    throw new EffectError(
      'refused',
      `${files.length} local files with ${bytes} bytes are more than a rescue takes: put them in .gitignore or commit them`,
    );
  return { files, leftOut, unmerged: status.unmerged };
}

/** Folders inside the work tree that are closed to everybody else and lead to our snapshot: our own state. */
async function ownFolders(workTree: string, snapshotDirectory: string): Promise<readonly string[]> {
  const found = ['.selfheal'];
  for (let folder = snapshotDirectory; folder.startsWith(`${workTree}/`); folder = dirname(folder)) {
    const stats = await lstat(folder).catch(() => null);
    if (stats && (stats.mode & 0o077) === 0)
      found.push(Buffer.from(folder.slice(workTree.length + 1)).toString('latin1'));
  }
  return found;
}

/** Writes the commit and the ref. Evidence for people. */
export async function writeRescue(request: RescueRequest, list: RescueList): Promise<string> {
  const { run, place, ref } = request;
  const head = await headOf(run, place);
  const zero = '0'.repeat(head?.length ?? 40);
  const index = join(place.gitDirectory, `selfheal-${request.tag}.index`);
  await clearRescueLeftovers(request);
  try {
    await copyIndex(request, index);
    await changeIndex(
      request,
      index,
      list.unmerged.map((name) => removal(name, zero)),
    );
    const staged = await writeTree(request, index);
    const blobs = await storeBlobs(request, list.files);
    await changeIndex(
      request,
      index,
      list.files.map(({ name }) => blobs.get(name) ?? removal(name, zero)),
    );
    const whole = await writeTree(request, index);
    const parents = [head, await mergeHead(place)].filter((id) => id !== null);
    const stagedCommit = await commitTree(request, staged, parents.slice(0, 1), 'index before selfheal acted');
    const commit = await commitTree(request, whole, [...parents, stagedCommit], message(list));
    await must(run, place, ['update-ref', '--create-reflog', ref, commit, '0'.repeat(commit.length)]);
    await pruneRescues(request);
    return `saved ${list.files.length} uncommitted files under ${ref}`;
  } finally {
    await clearRescueLeftovers(request);
  }
}

/** A line of index information that takes a name out. */
const removal = (name: string, zero: string): string => `0 ${zero}\t${quoteName(name)}`;

/** The index as it is, beside the real one, where the repository's owner may write. */
async function copyIndex(request: RescueRequest, index: string): Promise<void> {
  const found = await readSafely(join(request.place.gitDirectory, 'index'));
  if (found.kind === 'absent') return;
  if (found.kind !== 'file') throw new EffectError('refused', 'the index is not a plain file');
  await writeFileSafely({ path: index, content: found.content, before: null, mode: 0o600, tag: request.tag });
}

async function changeIndex(request: RescueRequest, index: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = lines.map((line) => `${line}\n`).join('');
  await must(request.run, request.place, ['update-index', '--index-info'], { input, env: { GIT_INDEX_FILE: index } });
}

async function writeTree(request: RescueRequest, index: string): Promise<string> {
  return idOf(await must(request.run, request.place, ['write-tree'], { env: { GIT_INDEX_FILE: index } }));
}

async function commitTree(
  request: RescueRequest,
  tree: string,
  parents: readonly string[],
  text: string,
): Promise<string> {
  const args = ['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent])];
  return idOf(await must(request.run, request.place, args, { input: `${text}\n` }));
}

function message(list: RescueList): string {
  const out = list.leftOut.map((name) => `  ${JSON.stringify(shownName(name))}`);
  const note = out.length > 0 ? `\n\nNot copied, because they are private:\n${out.join('\n')}` : '';
  return `work tree before selfheal acted${note}`;
}

async function mergeHead(place: GitPlace): Promise<string | null> {
  const found = await readSafely(join(place.gitDirectory, 'MERGE_HEAD'), { maxBytes: 65_536 });
  const id = found.kind === 'file' ? found.content.toString('latin1').split('\n')[0] : '';
  return id && isCommit(id) ? id : null;
}

/** One git process for so many files, so that neither processes nor copies pile up. */
const BATCH_FILES = 200;

/**
 * Stores each file as it is and returns its index line. The bytes go through copies in the git directory, so that what is
 * read is what was there (no link is followed) and git applies no filter. Files that are gone have no line.
 */
async function storeBlobs(request: RescueRequest, files: readonly RescueFile[]): Promise<ReadonlyMap<string, string>> {
  await makeFolder(stagingFolder(request), 0o700, await lstat(request.place.gitDirectory));
  const lines = new Map<string, string>();
  for (let start = 0; start < files.length; start += BATCH_FILES)
    await storeBatch(request, files.slice(start, start + BATCH_FILES), lines);
  return lines;
}

async function storeBatch(
  request: RescueRequest,
  files: readonly RescueFile[],
  lines: Map<string, string>,
): Promise<void> {
  const staged: { readonly name: string; readonly mode: string; readonly path: string; readonly sha256: string }[] = [];
  for (const { name } of files) {
    const found = await readSafely(pathOf(request.place.workTree as string, name));
    if (found.kind === 'unfit') throw new EffectError('refused', `${shownName(name)} ${found.reason}`);
    if (found.kind === 'absent') continue;
    const path = join(stagingFolder(request), String(staged.length));
    const content = found.kind === 'link' ? found.target : found.content;
    await writeFileSafely({ path, content, before: null, mode: 0o600, tag: request.tag });
    staged.push({ name, mode: indexMode(found), path, sha256: sha256Of(content) });
  }
  if (staged.length === 0) return;
  const input = staged.map(({ path }) => `${quoteName(nameBytes(path))}\n`).join('');
  const stored = await must(request.run, request.place, ['hash-object', '-w', '--no-filters', '--stdin-paths'], {
    input,
  });
  const ids = stored.stdout.trim().split('\n');
  if (ids.length !== staged.length || !ids.every(isCommit))
    throw new EffectError('failed', 'git did not store every file');
  for (const [index, { name, mode, path, sha256 }] of staged.entries()) {
    lines.set(name, `${mode} ${ids[index]}\t${quoteName(name)}`);
    await removeSafely(path, sha256);
  }
}

function indexMode(found: Extract<Found, { kind: 'file' | 'link' }>): string {
  if (found.kind === 'link') return '120000';
  return (found.stats.mode & 0o100) !== 0 ? '100755' : '100644';
}

function stagingFolder(request: Pick<RescueRequest, 'place' | 'tag'>): string {
  return join(request.place.gitDirectory, `selfheal-${request.tag}.files`);
}

/** What a crash in the middle leaves: a second index and copies of files, both ours alone. */
export async function clearRescueLeftovers(request: Pick<RescueRequest, 'place' | 'tag'>): Promise<void> {
  const index = join(request.place.gitDirectory, `selfheal-${request.tag}.index`);
  for (const path of [index, `${index}.lock`]) await removeIfThere(path, request.tag);
  const folder = stagingFolder(request);
  for (const name of await namesIn(folder)) await removeIfThere(join(folder, name), request.tag);
  await removeEmptyFolder(folder);
}

/** True when something of that kind is left. */
export async function hasRescueLeftovers(request: Pick<RescueRequest, 'place' | 'tag'>): Promise<boolean> {
  const index = join(request.place.gitDirectory, `selfheal-${request.tag}.index`);
  const found = await Promise.all([index, `${index}.lock`, stagingFolder(request)].map(lookAt));
  return found.some((stats) => stats !== null);
}

async function removeIfThere(path: string, tag: string): Promise<void> {
  await clearLeftovers(path, tag);
  const found = await readSafely(path, { maxLinks: 2 });
  if (found.kind === 'file') await removeSafely(path, found.sha256);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

/** Rescues are kept for thirty days; then they are an ordinary part of the repository's garbage. */
async function pruneRescues({ run, place, now, ref }: RescueRequest): Promise<void> {
  const format = '--format=%(refname) %(creatordate:unix)';
  const answer = await git(run, place, ['for-each-ref', format, 'refs/selfheal/']);
  for (const line of answer.ok ? answer.stdout.split('\n') : []) {
    const [name, seconds] = line.split(' ');
    if (!name || name === ref || !seconds || now - Number(seconds) * 1000 < KEPT_DAYS * DAY_MS) continue;
    await git(run, place, ['update-ref', '-d', name]);
  }
}

async function must(run: Run, place: GitPlace, args: readonly string[], options: GitOptions = {}): Promise<GitAnswer> {
  const answer = await git(run, place, args, options);
  if (!answer.ok) throw new EffectError('failed', `git ${args[0]}: ${gitSaid(answer)}`);
  return answer;
}

function idOf(answer: GitAnswer): string {
  const id = answer.stdout.trim();
  if (!isCommit(id)) throw new EffectError('failed', 'git did not name an object');
  return id;
}
