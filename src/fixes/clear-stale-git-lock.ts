// A lock file of git was left behind by a process that is no more. It is moved aside, never deleted, and only after it has
// been shown that nobody holds it.

import type { ProcessInfo } from '../host/contract.ts';
import {
  type Damage,
  type ServiceCopy,
  defineFix,
  later,
  notApplicable,
  propose,
  type FixContext,
} from './contract.ts';

/**
 * A lock younger than this may belong to a process we cannot see (another container, a network file system). Writing an index
 * takes git well under a second, so a minute is long; it is the same age at which common editors offer to remove one.
 */
const MIN_AGE_MS = 60_000;
const LOOK_AGAIN_MS = 30_000;

export default defineFix({
  name: 'clear-stale-git-lock',
  family: 'clear-stale-lock',
  title: 'Move a stale git lock aside',
  handles: ['git_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 10,
  diagnose,
  damage,
  drills: [
    {
      given: 'a killed git left its index lock behind an hour ago',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.write('.git/index.lock', '');
        await kit.sh(['touch', '-d', '1 hour ago', '.git/index.lock']);
      },
      facts: { path: '{directory}/.git/index.lock' },
      type: 'git_error',
      expect: ['move'],
    },
    {
      given: 'a lock of another file was left behind',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.write('.git/refs/heads/main.lock', '');
        await kit.sh(['touch', '-d', '1 hour ago', '.git/refs/heads/main.lock']);
      },
      facts: { path: '{directory}/.git/refs/heads/main.lock' },
      type: 'git_error',
      expect: ['move'],
    },
    {
      given: 'the lock is old, and a living process holds it',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        const hold = "import time; lock = open('.git/index.lock', 'w'); print('held', flush=True); time.sleep(600)";
        await kit.start(['python3', '-c', hold], { ready: 'held' });
        await kit.sh(['touch', '-d', '1 hour ago', '.git/index.lock']);
      },
      facts: { path: '{directory}/.git/index.lock' },
      type: 'git_error',
      expect: 'later',
    },
    {
      given: 'the lock is a moment old',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.write('.git/index.lock', '');
      },
      facts: {},
      type: 'git_error',
      expect: 'later',
    },
    {
      given: 'the log speaks of a lock that is not there',
      world: (kit) => kit.repository({ 'main.py': 'a\n' }),
      facts: { path: '{directory}/.git/index.lock' },
      type: 'git_error',
      expect: 'not-applicable',
    },
    {
      given: 'the log names a lock that is none of git’s',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.write('data/session.lock', '');
        await kit.sh(['touch', '-d', '1 hour ago', 'data/session.lock']);
      },
      facts: { path: '{directory}/data/session.lock' },
      type: 'git_error',
      expect: 'not-applicable',
    },
  ],
});

interface Lock {
  readonly path: string;
  readonly inode: number;
  readonly ageMs: number;
  readonly holder: ProcessInfo | null;
}

/** Leaves an index lock behind, as a killed git does. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  const repository = await probe.git.repository(service.directory);
  if (repository === null || repository.trouble !== null || repository.indexLock !== null) return null;
  const path = `${repository.gitDirectory}/index.lock`;
  await kit.write(path, '');
  await kit.sh(['touch', '-d', '2 hours ago', '--', path]);
  const message = `fatal: Unable to create '${path}': File exists.`;
  return { what: 'a killed git has left its index lock behind', type: 'git_error', facts: { path }, message };
}

async function diagnose(context: FixContext) {
  const { service, probe } = context;
  const repository = await probe.git.repository(service.directory);
  if (repository === null) return notApplicable('the service has no git repository');
  const { directory, gitDirectory } = repository;
  const lock: Lock | null = repository.indexLock ?? (await namedLock(context, gitDirectory));
  if (lock === null) return notApplicable('no lock of git is there');
  const { holder, ageMs, path } = lock;
  const now = probe.clock.now();
  if (holder !== null)
    return later(now + LOOK_AGAIN_MS, `process ${holder.pid} (${holder.argv[0] ?? ''}) is at work there`);
  if (repository.inUse) return later(now + LOOK_AGAIN_MS, 'somebody is at work in the repository');
  if (ageMs < MIN_AGE_MS) return later(now + MIN_AGE_MS - ageMs, `${path} is only ${Math.round(ageMs / 1000)} s old`);
  const before = await probe.files.sha256(path);
  if (before === null) return notApplicable(`${path} is no plain file`);
  const minutes = Math.round(ageMs / 60_000);
  return propose({
    title: `move ${path} aside`,
    why: `${path} is ${minutes} min old, no process has it open, and no git process works in ${directory}.`,
    facts: { path, repository: directory },
    steps: [
      {
        kind: 'move',
        title: `move ${path} aside`,
        undo: { kind: 'restore-snapshot' },
        from: path,
        // Not beside it: git takes any file among the refs for a ref.
        to: `${gitDirectory}/${path.slice(path.lastIndexOf('/') + 1)}.selfheal-{plan}`,
        before,
        inode: lock.inode,
      },
    ],
    checks: [
      { kind: 'file-absent', title: 'the lock is gone', proves: 'operation', failsBefore: true, path },
      { kind: 'git-works', title: 'git works in the repository', proves: 'operation', failsBefore: false, directory },
    ],
    resources: [`path:${directory}`],
    needsRestart: false,
  });
}

/** The log may point at another lock of the same repository: of a ref, of the packed refs, of the configuration. */
async function namedLock({ incident, service, probe }: FixContext, gitDirectory: string): Promise<Lock | null> {
  const claimed = incident.facts.path;
  if (claimed === undefined || !claimed.endsWith('.lock')) return null;
  const path = await probe.files.inside(service.directory, claimed);
  if (path === null || !path.startsWith(`${gitDirectory}/`)) return null;
  const status = await probe.files.status(path);
  if (status.kind !== 'file') return null;
  const [holder = null] = await probe.processes.holders(path);
  return { path, inode: status.inode, ageMs: probe.clock.now() - status.modifiedAt, holder };
}
