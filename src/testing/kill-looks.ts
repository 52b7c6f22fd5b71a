// What is compared of a drill's world before and after a death: files, what git knows, processes and model routes.

import { execFile } from 'node:child_process';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ModelRoute } from '../core/gateway.ts';
import type { Step } from '../core/plan.ts';
import type { ProcessInfo } from '../host/contract.ts';
import { readPids, readProcess } from '../host/proc.ts';
import { describeTree, treeDifferences } from '../host/tree.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import type { OpenDrill } from './rehearse.ts';
import { until } from './scratch.ts';

const sh = promisify(execFile);

/** Entries of a world, by name. */
export type Look = ReadonlyMap<string, string>;

/** Python's caches come and go by themselves; git's objects, logs, rescued work and what an undo put aside stay on purpose. */
const SKIPPED =
  /\.selfheal-undone-|(?:^|\/)__pycache__(?:\/|$)|(?:^|\/)[^/]*\.git\/(?:objects|logs|refs\/selfheal|packed-refs|gc\.log|COMMIT_EDITMSG|ORIG_HEAD|FETCH_HEAD)(?:\/|$)/;
/** What the drills' services write themselves when they are started. */
const BY_SERVICE = /(?:^|\/)(?:out\.log|service\.pid|bot\.pid)$/;
/** The same, and what holds times of files: equal in meaning, not in bytes, in two runs (an index is compared as `git index`). */
export const WRITTEN_ANEW = /(?:^|\/)(?:out\.log|service\.pid|bot\.pid|\.git\/index)$/;
/** Entries that only these steps have changed: processes that were started or ended, disposable files that went. */
export function touchedBy(steps: readonly Step[], root: string): (entry: string) => boolean {
  // Who is waited for ends by himself, whatever becomes of the plan.
  const isOfProcesses = steps.some(({ kind }) => kind === 'restart' || kind === 'end-process' || kind === 'wait');
  const removed = steps.flatMap((step) => (step.kind === 'remove-files' ? step.files.map((file) => file.path) : []));
  return (entry) =>
    (isOfProcesses && (entry === 'processes' || BY_SERVICE.test(entry))) || removed.includes(join(root, entry));
}

export async function lookAround(open: OpenDrill, store: Store, ran: readonly ProcessInfo[]): Promise<Look> {
  const { root, kit } = open.world;
  const files = await describeTree(root, { skip: (path) => SKIPPED.test(path) });
  const found = new Map<string, string>(files ?? []);
  for (const [name, text] of await gitFacts(kit.directory)) found.set(name, text);
  found.set('processes', namesOf(await processesBelow(root), ran, root));
  const routes = (await store.value<readonly ModelRoute[]>(VALUE_KEYS.routes)) ?? [];
  found.set('routes', routes.map(({ from, to }) => `${from} to ${to}`).join());
  return found;
}

async function gitFacts(directory: string): Promise<readonly (readonly [string, string])[]> {
  const git = async (...argv: readonly string[]) =>
    (await sh('git', ['--no-optional-locks', '-C', directory, ...argv]).catch(() => ({ stdout: '' }))).stdout;
  const names: readonly string[] = await readdir(directory).catch(() => []);
  if (!names.includes('.git')) return [];
  return [
    ['git head', await git('symbolic-ref', '-q', 'HEAD')],
    ['git refs', (await git('for-each-ref')).replace(/^.*refs\/selfheal\/.*\n/gm, '')],
    ['git index', await git('ls-files', '--stage')],
    ['git status', await git('status', '--porcelain=v2', '--branch')],
  ];
}

/** Those that work in this folder. */
export async function processesBelow(root: string): Promise<readonly ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const pid of await readPids()) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null);
    const one = cwd?.startsWith(root) ? await readProcess(pid) : null;
    if (one) found.push(one);
  }
  return found;
}

/** Each by its command line, and whether it is the one that ran when the plan was made. */
function namesOf(now: readonly ProcessInfo[], ran: readonly ProcessInfo[], root: string): string {
  const isSame = (a: ProcessInfo) => ran.some((b) => a.pid === b.pid && a.startTicks === b.startTicks);
  return now
    .map((one) => `${one.argv.join(' ').replaceAll(root, '{root}')} (${isSame(one) ? 'same' : 'new'})`)
    .sort()
    .join('; ');
}

/** What was started may still be coming up, and what was ended be going: two equal looks in a row. */
export async function settled(look: () => Promise<Look>): Promise<Look> {
  let last = await look();
  await until(async () => {
    const now = await look();
    const isSame = treeDifferences(last, now).length === 0;
    last = now;
    return isSame;
  });
  return last;
}

/** What has become of each entry that is not as it was. Worlds that were built one by one differ in ports and times. */
export function changes(before: Look, after: Look): Look {
  const told = (entry: string): string => {
    const [was, is] = [before.get(entry), after.get(entry)];
    if (entry === 'processes' || entry === 'routes') return is ?? '';
    // Without the hash: kind, mode and owner.
    return was === undefined
      ? `new ${(is ?? '').split(' ').slice(0, 3).join(' ')}`
      : is === undefined
        ? 'gone'
        : 'changed';
  };
  return new Map(treeDifferences(before, after).map((entry) => [entry, told(entry)]));
}
