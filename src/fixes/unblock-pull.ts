// Local edits stop an update, or the owner asks for the newest commits: save everything, then go forward. Edits in files that
// come in changed are kept by merging them, which is shown first; where both changed the same lines, a person decides.

import type { Check } from '../core/plan.ts';
import type { GitIncoming, GitRepository, Probe } from '../host/contract.ts';
import { type Diagnosis, defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { listed } from './shared/listed.ts';
import { changesCode, planUpdate, type Update } from './shared/update.ts';

const BUSY_MS = 10_000;
const UNREACHABLE_MS = 300_000;

export default defineFix({
  name: 'unblock-pull',
  family: 'sync-git',
  title: 'Take in the newest commits of upstream',
  handles: ['git_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 30,
  diagnose,
  drills: [
    {
      given: 'upstream has news, and local edits are in other files',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'old\n', 'notes.md': 'n\n' });
        await kit.upstream({ 'main.py': 'new\n' }, 'news');
        await kit.write('notes.md', 'edited here\n');
        await kit.write('draft.txt', 'never committed\n');
      },
      facts: {},
      message: 'error: Your local changes to the following files would be overwritten by merge',
      type: 'git_error',
      expect: ['git-rescue', 'git-fast-forward'],
    },
    {
      given: 'the same file was edited here and upstream, in different places',
      world: async (kit) => {
        const lines = (first: string, last: string): string => `${first}\nb\nc\nd\ne\nf\n${last}\n`;
        await kit.repository({ 'main.py': lines('a', 'z') });
        await kit.upstream({ 'main.py': lines('theirs', 'z') }, 'news');
        await kit.write('main.py', lines('a', 'ours'));
      },
      facts: { file: 'main.py' },
      message: 'error: Your local changes to the following files would be overwritten by merge: main.py',
      type: 'git_error',
      expect: ['git-rescue', 'write-file', 'git-fast-forward', 'write-file'],
    },
    {
      given: 'the same line was edited here and upstream',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.upstream({ 'main.py': 'theirs\n' }, 'news');
        await kit.write('main.py', 'ours\n');
      },
      facts: { file: 'main.py' },
      message: 'error: Your local changes to the following files would be overwritten by merge: main.py',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'upstream begins to track a file that exists here, ignored',
      world: async (kit) => {
        await kit.repository({ '.gitignore': '.env\n', 'main.py': 'a\n' });
        await kit.write('.env', 'TOKEN=real\n');
        await kit.upstream({ '.gitignore': '\n', '.env': 'TOKEN=changeme\n' }, 'track it');
      },
      facts: {},
      message: 'error: The following untracked working tree files would be overwritten by merge',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'the branches have gone apart',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n', 'b.py': 'b\n' });
        await kit.upstream({ 'main.py': 'theirs\n' }, 'theirs');
        await kit.write('b.py', 'ours\n');
        await kit.sh(['git', 'commit', '-qam', 'ours']);
      },
      facts: {},
      message: 'fatal: Not possible to fast-forward, aborting.',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'upstream has nothing new',
      world: (kit) => kit.repository({ 'main.py': 'a\n' }),
      facts: {},
      message: 'error: Your local changes would be overwritten by merge',
      type: 'git_error',
      expect: 'not-applicable',
    },
    {
      given: 'upstream has news, and the trouble had nothing to do with it',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'old\n' });
        await kit.upstream({ 'main.py': 'new\n' }, 'news');
      },
      facts: {},
      message: "error: pathspec 'x' did not match any file(s) known to git",
      type: 'git_error',
      expect: 'not-applicable',
    },
  ],
});

/** What git says when an update did not go through. Only a reason to look. */
const ABOUT_UPDATING =
  /overwritten by (?:merge|checkout)|\bpull|fast-forward|\bfetch|upstream|unmerged|diverge|rebase/i;

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const repository = await probe.git.repository(service.directory);
  const early = whyNot(context, repository);
  if (early !== null || repository === null) return early ?? notApplicable('the service has no git repository');
  const { incoming, reason, trouble } = await probe.git.incoming(repository);
  if (trouble === 'unreachable') return later(probe.clock.now() + UNREACHABLE_MS, reason);
  if (trouble === 'no-upstream') return isAsked(context) ? refuse(reason) : notApplicable(reason);
  if (incoming === null) return refuse(reason);
  if (incoming.commits === 0) return notApplicable('upstream has nothing new');
  if (!incoming.fastForward)
    return refuse(`the branch and its upstream have both moved on: here ${repository.head}, there ${incoming.commit}`);
  const update = await planUpdate(probe, repository, incoming);
  return update.kind === 'blocked' ? refuse(update.reason) : proposal(context, repository, incoming, update);
}

const isAsked = ({ incident }: FixContext): boolean => incident.rule === 'asked-by-owner';

function whyNot(context: FixContext, repository: GitRepository | null): Diagnosis | null {
  const { incident, probe } = context;
  if (repository === null) return notApplicable('the service has no git repository');
  const said = [incident.message, ...incident.samples.map((sample) => sample.text)].join('\n');
  if (!isAsked(context) && !ABOUT_UPDATING.test(said)) return notApplicable('nothing was said about an update');
  if (repository.trouble !== null) return notApplicable(`git cannot work there: ${repository.trouble}`);
  if (repository.operation !== null) return notApplicable(`a ${repository.operation} is in progress: that comes first`);
  if (repository.indexLock !== null) return notApplicable('the index is locked: that comes first');
  if (repository.branch === null) return refuse('HEAD is on no branch: there is nothing to update');
  if (repository.inUse) return later(probe.clock.now() + BUSY_MS, 'somebody is at work in the repository');
  return null;
}

async function proposal(
  { service, probe }: FixContext,
  repository: GitRepository,
  incoming: GitIncoming,
  { steps, edits, reasonsToAsk }: Extract<Update, { kind: 'ready' }>,
): Promise<Diagnosis> {
  const { directory, branch } = repository;
  return propose({
    title: `take in ${incoming.commits} commits of upstream on ${branch}`,
    why: `${branch} is ${incoming.commits} commits behind: ${listed(incoming.subjects)}. ${edits}`,
    facts: { repository: directory, branch: branch ?? '' },
    steps,
    checks: [
      {
        kind: 'git-state',
        title: `${branch} is at ${incoming.commit.slice(0, 10)}`,
        proves: 'operation',
        failsBefore: true,
        directory,
        head: incoming.commit,
      },
      ...(await healthStays(service.name, probe)),
    ],
    resources: [`path:${directory}`],
    needsRestart: (service.command !== null || service.restart !== null) && changesCode(incoming),
    ...(reasonsToAsk.length === 0 ? {} : { mustAsk: reasonsToAsk.join('; ') }),
  });
}

async function healthStays(service: string, { services }: Probe): Promise<Check[]> {
  const { passed } = await services.health(service);
  if (passed !== true) return [];
  return [{ kind: 'health', title: `${service} is still healthy`, proves: 'neighbour', failsBefore: false, service }];
}
