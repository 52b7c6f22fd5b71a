// What upstream has that we have not, found out without touching the owner's repository: its objects are
// lent to a bare mirror of ours, and the fetch goes there.

import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { FetchTrouble, GitIncoming, GitRepository, Run, RunResult } from './contract.ts';
import { findRepository, git, type GitPlace, gitSaid, type GitSetting, isCommit, openPlace } from './git-command.ts';
import { parseRawDiff, pathOf, type RawChange, shownName } from './git-names.ts';
import { isPlainAddress, riskyChanges } from './git-suspicion.ts';
import { lookAt } from './safe-files.ts';

const FETCH_MS = 60_000;
/** More changed files than a person can look through on a card. */
const MANY_CHANGES = 500;
const SUBJECTS_SHOWN = 20;
export const INCOMING = 'refs/selfheal/incoming';

export interface Upstream {
  readonly remote: string;
  /** Short name of the branch on the remote. */
  readonly branch: string;
  readonly url: string;
}

/** Where the branch comes from, by the repository's configuration. */
export function upstreamOf(settings: readonly GitSetting[], branch: string | null): Upstream | null {
  const last = (key: string): string | undefined => settings.filter((setting) => setting.key === key).at(-1)?.value;
  if (branch === null) return null;
  const remote = last(`branch.${branch}.remote`);
  const merge = last(`branch.${branch}.merge`);
  const url = remote === undefined ? undefined : last(`remote.${remote}.url`);
  if (!remote || !url || !merge?.startsWith('refs/heads/')) return null;
  return { remote, branch: merge.slice('refs/heads/'.length), url };
}

export interface FetchProblem {
  readonly trouble: FetchTrouble;
  readonly reason: string;
}

/** Fetches one branch by its full name into `target`. Null when it worked. */
export async function fetchBranch(
  run: Run,
  place: GitPlace,
  upstream: Upstream,
  target: string,
  base: string,
): Promise<FetchProblem | null> {
  const url = /^\.{1,2}\//.test(upstream.url) ? resolve(base, upstream.url) : upstream.url;
  if (!isPlainAddress(url) || upstream.branch.startsWith('-'))
    return {
      trouble: 'refused-address',
      reason: 'the address of the remote is not one we fetch from (https, ssh or a folder)',
    };
  const quiet = ['--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head', '--no-auto-maintenance'];
  const refspec = `+refs/heads/${upstream.branch}:${target}`;
  const args = ['fetch', ...quiet, '--refmap=', '--upload-pack=git-upload-pack', '--', url, refspec];
  const answer = await git(run, place, args, { timeoutMs: FETCH_MS });
  return answer.ok ? null : fetchProblem(answer);
}

const TROUBLES: readonly (readonly [RegExp, FetchTrouble, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|POSSIBLE DNS SPOOFING/i,
    'host-key',
    'the host key of the remote is not the known one: check that before anything is fetched again',
  ],
  [
    /Permission denied \(|Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|invalid credentials|HTTP (?:401|403)|error: 40[13]/i,
    'auth',
    'the remote does not accept our credentials',
  ],
  [
    /couldn't find remote ref|does not appear to be a git repository|Repository not found|not found in upstream/i,
    'gone',
    'the remote has no such repository or branch',
  ],
  [
    /object .*(?:is empty|corrupt|missing)|bad object|loose object|unable to (?:read|parse) .*object|fatal: pack|failed to (?:traverse|read)/i,
    'damaged',
    'an object of the repository is damaged',
  ],
];

/** Judged by what git and ssh wrote; the texts are theirs and have been stable for years. */
export function fetchProblem(answer: RunResult): FetchProblem {
  const text = `${answer.stderr}\n${answer.stdout}`;
  const known = TROUBLES.find(([pattern]) => pattern.test(text));
  if (known) return { trouble: known[1], reason: known[2] };
  return { trouble: 'unreachable', reason: `the remote cannot be reached: ${hideAddress(gitSaid(answer))}` };
}

function hideAddress(text: string): string {
  return text.replace(/[a-z+]+:\/\/[^\s'"]*/g, '<address>');
}

// ---------------------------------------------------------------- the mirror

export interface MirrorOptions {
  readonly run: Run;
  readonly stateDirectory: string;
  /** Where another user's git may write when we are root: our state folder is closed to it. */
  readonly scratchDirectory: string;
}

/** Mirrors by git directory; those of other users live only as long as we do. */
export class Mirrors {
  readonly #options: MirrorOptions;
  readonly #known = new Map<string, Promise<string>>();

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  /** The mirror of the repository around a folder; null when there is none that we may work in. */
  async around(directory: string): Promise<{ readonly place: GitPlace; readonly mirror: GitPlace } | null> {
    const found = await findRepository(directory);
    if (!found?.sameOwner) return null;
    // Without its configuration: nothing is asked of the repository itself but where its objects are.
    const place: GitPlace = { workTree: found.workTree, gitDirectory: found.gitDirectory, drivers: [] };
    const mirror = await this.open(place).catch(() => null);
    return mirror && { place, mirror };
  }

  /** The mirror of a repository, made when it is not there. Its objects are the repository's and what was fetched. */
  async open(place: GitPlace): Promise<GitPlace> {
    const known = this.#known.get(place.gitDirectory) ?? this.#make(place);
    this.#known.set(place.gitDirectory, known);
    known.catch(() => this.#known.delete(place.gitDirectory));
    return { workTree: null, gitDirectory: await known, drivers: [] };
  }

  /** A damaged mirror is thrown away; the next call makes a new one. */
  async drop(place: GitPlace): Promise<void> {
    const directory = await this.#known.get(place.gitDirectory)?.catch(() => null);
    this.#known.delete(place.gitDirectory);
    if (directory) await rm(directory, { recursive: true, force: true });
  }

  /** A new folder that the repository's owner may write to, outside the project. */
  async scratch(place: GitPlace, name: string): Promise<string> {
    const owner = await lstat(place.gitDirectory);
    const directory = await mkdtemp(join(this.#options.scratchDirectory, `selfheal-${name}-`));
    if (process.getuid?.() === 0) await chown(directory, owner.uid, owner.gid);
    return directory;
  }

  async #make(place: GitPlace): Promise<string> {
    const directory = await this.#locate(place);
    await this.#borrow(place, { workTree: null, gitDirectory: directory, drivers: [] });
    return directory;
  }

  async #locate(place: GitPlace): Promise<string> {
    const owner = (await lstat(place.gitDirectory)).uid;
    if (owner !== process.getuid?.()) return this.scratch(place, 'mirror');
    const name = createHash('sha256').update(place.gitDirectory).digest('hex').slice(0, 16);
    const directory = join(this.#options.stateDirectory, 'mirrors', `${name}.git`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  async #borrow(place: GitPlace, mirror: GitPlace): Promise<void> {
    const { run } = this.#options;
    const format = await git(run, place, ['rev-parse', '--show-object-format']);
    const args = ['init', '--quiet', '--bare', '--template=', `--object-format=${format.stdout.trim() || 'sha1'}`];
    const made = await git(run, mirror, args);
    if (!made.ok) throw new Error(`cannot make a mirror: ${gitSaid(made)}`);
    // A link that comes in becomes a small text file in a scratch tree: it cannot lead out of it.
    await git(run, mirror, ['config', 'core.symlinks', 'false']);
    const common = await git(run, place, ['rev-parse', '--path-format=absolute', '--git-common-dir']);
    const home = common.stdout.trim() || place.gitDirectory;
    await mkdir(join(mirror.gitDirectory, 'objects', 'info'), { recursive: true });
    await writeFile(join(mirror.gitDirectory, 'objects', 'info', 'alternates'), `${join(home, 'objects')}\n`);
    const shallow = await readFile(join(home, 'shallow')).catch(() => null);
    if (shallow) await writeFile(join(mirror.gitDirectory, 'shallow'), shallow);
  }
}

// ---------------------------------------------------------------- what comes in

export type IncomingAnswer = {
  readonly incoming: GitIncoming | null;
  readonly reason: string;
  readonly trouble: FetchTrouble | null;
};

/** Fetches into the mirror and compares with HEAD. */
export async function lookForIncoming(run: Run, mirrors: Mirrors, repository: GitRepository): Promise<IncomingAnswer> {
  const none = (trouble: FetchTrouble, reason: string): IncomingAnswer => ({ incoming: null, reason, trouble });
  const place = await openPlace(run, repository.directory);
  if (!place) return none('damaged', 'git cannot read the repository');
  if (repository.head === null) return none('no-upstream', 'the repository has no commit yet');
  const upstream = upstreamOf(place.settings, repository.branch);
  if (!upstream) return none('no-upstream', 'the branch has no upstream');
  const mirror = await mirrors.open(place);
  const base = await git(run, mirror, ['update-ref', 'refs/selfheal/base', repository.head]);
  if (!base.ok) {
    await mirrors.drop(place);
    return none('damaged', `the repository's objects cannot be read: ${gitSaid(base)}`);
  }
  const problem = await fetchBranch(run, mirror, upstream, INCOMING, repository.directory);
  if (problem) return { incoming: null, ...problem };
  const incoming = await compare(run, mirror, repository);
  return incoming ? { incoming, reason: '', trouble: null } : none('damaged', 'the fetched commits cannot be read');
}

async function compare(run: Run, mirror: GitPlace, repository: GitRepository): Promise<GitIncoming | null> {
  const head = repository.head as string;
  const commit = (await git(run, mirror, ['rev-parse', '--verify', `${INCOMING}^{commit}`])).stdout.trim();
  const range = `${head}..${commit}`;
  const [count, ancestor, diff, subjects] = await Promise.all([
    git(run, mirror, ['rev-list', '--count', range]),
    git(run, mirror, ['merge-base', '--is-ancestor', head, commit]),
    git(run, mirror, ['diff-tree', '-r', '--raw', '--no-renames', '--no-abbrev', '--no-ext-diff', head, commit]),
    git(run, mirror, ['log', '--format=%s', '--no-decorate', `--max-count=${SUBJECTS_SHOWN}`, range]),
  ]);
  if (!isCommit(commit) || !count.ok || !diff.ok || !subjects.ok) return null;
  const changes = parseRawDiff(diff.stdout);
  return {
    commit,
    commits: Number(count.stdout.trim()),
    fastForward: ancestor.code === 0,
    changed: changes.map(({ name, status, newMode }) => ({ path: shownName(name), status, mode: newMode })),
    risky: [...riskyChanges(changes), ...(await inTheWay(repository, changes)), ...tooMany(changes)],
    subjects: subjects.stdout.split('\n').filter((line) => line !== ''),
  };
}

/** Files that upstream adds and that exist here already, ignored ones too: a plain pull would write over those. */
async function inTheWay(repository: GitRepository, changes: readonly RawChange[]): Promise<GitIncoming['risky']> {
  const found: { path: string; reason: string }[] = [];
  for (const { name, status } of changes) {
    if (status !== 'A' || !(await lookAt(pathOf(repository.directory, name)))) continue;
    found.push({ path: shownName(name), reason: 'exists here already and is not under version control' });
  }
  return found;
}

function tooMany(changes: readonly RawChange[]): GitIncoming['risky'] {
  if (changes.length <= MANY_CHANGES) return [];
  return [{ path: `${changes.length} files`, reason: 'more changes than a person can look through' }];
}
