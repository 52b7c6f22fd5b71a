// How the newest commits of upstream come in without losing a byte: what stands in the way, what is edited on both sides,
// the steps, and what a person should see first. Shared by the fixes that move a branch forward.

import type { Step } from '../../core/plan.ts';
import type { GitIncoming, GitRepository, MergedText, Probe } from '../../host/contract.ts';
import { listed } from './listed.ts';

export type Update =
  | { readonly kind: 'blocked'; readonly reason: string }
  | {
      readonly kind: 'ready';
      readonly steps: readonly Step[];
      /** What becomes of local edits, in a sentence. */
      readonly edits: string;
      /** Empty: nothing speaks against doing it unasked, where policy allows. */
      readonly reasonsToAsk: readonly string[];
    };

/** Works out how `incoming` (a fast-forward) would be taken in. Looks only. */
export async function planUpdate(probe: Probe, repository: GitRepository, incoming: GitIncoming): Promise<Update> {
  const blocking = await inTheWay(probe, repository, incoming);
  if (blocking.length > 0)
    return blocked(`upstream brings ${listed(blocking)}, which exist here without being tracked: move them away first`);
  const edited = overlap(repository, incoming);
  const staged = edited.filter((path) => repository.staged.includes(path));
  if (staged.length > 0)
    return blocked(`${listed(staged)} are staged here and come in changed: commit or unstage them first`);
  const merges: Merge[] = [];
  const conflicts: string[] = [];
  for (const path of edited) {
    const merged = await probe.git.mergedText(repository, incoming.commit, path);
    if (merged?.clean) merges.push({ ...merged, path });
    else conflicts.push(path);
  }
  if (conflicts.length > 0)
    return blocked(`both you and upstream changed the same lines of ${listed(conflicts)}: a person must merge them`);
  return {
    kind: 'ready',
    steps: stepsFor(repository, incoming, merges),
    edits: editsSaid(repository, merges),
    reasonsToAsk: reasons(repository, incoming, merges),
  };
}

const blocked = (reason: string): Update => ({ kind: 'blocked', reason });

type Merge = MergedText & { readonly path: string };

/** New files of upstream that stand here already, ignored ones too: a plain pull would write over those. */
async function inTheWay(
  { files }: Probe,
  { directory }: GitRepository,
  incoming: GitIncoming,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { path, status } of incoming.changed)
    if (status === 'A' && (await files.status(`${directory}/${path}`)).kind !== 'absent') found.push(path);
  return found;
}

function overlap({ modified, staged }: GitRepository, incoming: GitIncoming): readonly string[] {
  const local = new Set([...modified, ...staged]);
  return incoming.changed.map((change) => change.path).filter((path) => local.has(path));
}

/** An edited file goes back to its committed text for the moment of the move, and comes back merged. */
function stepsFor(repository: GitRepository, incoming: GitIncoming, merges: readonly Merge[]): readonly Step[] {
  const { directory, branch, head } = repository;
  const undo = { kind: 'restore-snapshot' } as const;
  const write = (merge: Merge, title: string, text: string, before: string): Step => {
    const path = `${directory}/${merge.path}`;
    return { kind: 'write-file', title, undo, path, content: { text }, before, mode: 0o644 };
  };
  return [
    {
      kind: 'git-rescue',
      title: 'save edited and untracked files under a rescue ref',
      undo,
      directory,
      ref: 'refs/selfheal/{plan}',
    },
    ...merges.map((m) => write(m, `put ${m.path} as it was committed, for a moment`, m.base, m.oursSha256)),
    {
      kind: 'git-fast-forward',
      title: `move ${branch} forward to ${incoming.commit.slice(0, 10)}`,
      undo,
      directory,
      branch: branch ?? '',
      from: head ?? '',
      to: incoming.commit,
    },
    ...merges.map((m) => write(m, `write ${m.path} with your edits and upstream's`, m.text, m.theirsSha256)),
  ];
}

function editsSaid({ modified, untracked }: GitRepository, merges: readonly Merge[]): string {
  const others = modified.length + untracked.length - merges.length;
  const elsewhere = others > 0 ? `${others} local files are not touched by it.` : 'Nothing else is edited here.';
  if (merges.length === 0) return elsewhere;
  return `Your edits in ${listed(merges.map((m) => m.path))} are in other places than upstream's and stay. ${elsewhere}`;
}

const MOST_REASONS = 5;

function reasons(repository: GitRepository, incoming: GitIncoming, merges: readonly Merge[]): readonly string[] {
  const found: string[] = [];
  if (merges.length > 0) found.push(`your edits in ${listed(merges.map((m) => m.path))} are merged with upstream's`);
  if (repository.suspicious.length > 0)
    found.push(`the repository's configuration has ${listed(repository.suspicious)}`);
  found.push(...incoming.risky.slice(0, MOST_REASONS).map(({ path, reason }) => `${path}: ${reason}`));
  const more = incoming.risky.length - MOST_REASONS;
  if (more > 0) found.push(`and ${more} more changes of that kind`);
  return found;
}

/** Texts for people need no restart. */
export function changesCode(incoming: GitIncoming): boolean {
  return incoming.changed.some(({ path }) => !/(?:\.(?:md|txt|rst)|(?:^|\/)(?:LICENSE|NOTICE|CHANGELOG))$/i.test(path));
}
