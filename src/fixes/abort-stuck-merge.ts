// An update ended in a conflict and nobody finished it: save everything, end the operation, stay on the commit that
// ran before. Local edits and untracked files stay as they are, to the byte.

import type { Check } from '../core/plan.ts';
import type { GitRepository, Probe } from '../host/contract.ts';
import { defineFix, later, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { listed } from './shared/listed.ts';

/** Somebody who is at it gets this long before we look again. */
const LOOK_AGAIN_MS = 60_000;

export default defineFix({
  name: 'abort-stuck-merge',
  family: 'sync-git',
  title: 'End a merge or rebase that is stuck',
  handles: ['git_error', 'syntax_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 20,
  diagnose,
  drills: [
    {
      given: 'a pull ended in a conflict, with local edits and untracked files beside it',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\nb\nc\n', 'other.py': 'o\n', 'notes.md': 'n\n' });
        await kit.upstream({ 'main.py': 'a\nTHEIRS\nc\n', 'other.py': 'p\n' }, 'theirs');
        await kit.write('main.py', 'a\nOURS\nc\n');
        await kit.sh(['git', 'commit', '-qam', 'ours']);
        await kit.write('notes.md', 'edited\n');
        await kit.write('draft.txt', 'never committed\n');
        await kit.sh(['git', 'pull', '--no-rebase', 'origin', 'main'], { mayFail: true });
      },
      facts: { repository: '{directory}' },
      type: 'git_error',
      expect: ['git-rescue', 'git-abort'],
    },
    {
      given: 'a rebase stopped at a conflict',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.upstream({ 'main.py': 'theirs\n' }, 'theirs');
        await kit.write('main.py', 'ours\n');
        await kit.sh(['git', 'commit', '-qam', 'ours']);
        await kit.sh(['git', 'pull', '--rebase', 'origin', 'main'], { mayFail: true });
      },
      facts: {},
      type: 'git_error',
      expect: ['git-rescue', 'git-abort'],
    },
    {
      given: 'the log only speaks of a conflict',
      world: (kit) => kit.repository({ 'main.py': 'a\n' }),
      facts: { file: '{directory}/main.py' },
      type: 'git_error',
      expect: 'not-applicable',
    },
    {
      given: 'a person is looking for a bad commit',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.sh(['git', 'bisect', 'start']);
      },
      facts: {},
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'the service has no repository',
      world: (kit) => kit.write('main.py', 'a\n'),
      facts: {},
      type: 'git_error',
      expect: 'not-applicable',
    },
  ],
});

type Abortable = 'merge' | 'rebase' | 'cherry-pick' | 'revert';

async function diagnose({ incident, service, probe }: FixContext) {
  const repository = await probe.git.repository(service.directory);
  if (repository === null) return notApplicable('the service has no git repository');
  if (repository.trouble !== null) return notApplicable(`git cannot work there: ${repository.trouble}`);
  const { operation, head, unmerged } = repository;
  if (operation === null) return notApplicable('no merge or rebase is in progress');
  if (operation === 'bisect' || operation === 'am')
    return refuse(`a ${operation} is in progress: only the person who began it can end it`);
  if (head === null) return notApplicable('the repository has no commit');
  if (incident.type === 'syntax_error' && unmerged.length === 0)
    return notApplicable('no file of the repository is in conflict');
  if (repository.inUse) return later(probe.clock.now() + LOOK_AGAIN_MS, `somebody is at work on the ${operation}`);
  if (repository.indexLock !== null) return notApplicable('the index is locked: that comes first');
  return proposal(
    { incident, service, probe },
    repository,
    operation,
    head,
    await reasonsToAsk(probe, repository, operation),
  );
}

/** A conflict that an automatic update left behind is nobody's work; everything else may be somebody's. */
async function reasonsToAsk(probe: Probe, repository: GitRepository, operation: Abortable): Promise<readonly string[]> {
  const reasons: string[] = [];
  if (repository.suspicious.length > 0)
    reasons.push(`the repository's configuration has ${repository.suspicious.join(', ')}`);
  if (operation !== 'merge') return [...reasons, `a ${operation} is seldom left behind by an automatic update`];
  const message = await probe.files.text(`${repository.gitDirectory}/MERGE_MSG`);
  if (!/^Merge (?:branch|remote-tracking branch|commit) /.test(message ?? ''))
    reasons.push('the merge does not look like one that an update began');
  if (repository.unmerged.length === 0) reasons.push('every conflict in it has been resolved already');
  for (const path of repository.unmerged)
    if (!(await hasMarkers(probe, repository, path))) reasons.push(`${path} may have been resolved by hand`);
  return reasons;
}

async function hasMarkers({ files }: Probe, { directory }: GitRepository, path: string): Promise<boolean> {
  const status = await files.status(`${directory}/${path}`);
  if (status.kind === 'absent') return true; // deleted on one side
  const text = await files.text(`${directory}/${path}`);
  return text === null || /^<{7} /m.test(text);
}

async function proposal(
  { incident, service, probe }: FixContext,
  repository: GitRepository,
  operation: Abortable,
  head: string,
  reasons: readonly string[],
) {
  const { directory, branch, unmerged } = repository;
  const where = branch === null ? '' : ` on ${branch}`;
  const conflicts = unmerged.length === 0 ? 'nothing in conflict any more' : `in conflict: ${listed(unmerged)}`;
  return propose({
    title: `end the stuck ${operation}${where}; local work is saved first`,
    why: `A ${operation}${where} was begun and not finished, ${conflicts}. The commit that ran before is still there.`,
    facts: { repository: directory, ...(branch === null ? {} : { branch }) },
    steps: [
      {
        kind: 'git-rescue',
        title: 'save edited, conflicted and untracked files under a rescue ref',
        undo: { kind: 'restore-snapshot' },
        directory,
        ref: 'refs/selfheal/{plan}',
      },
      {
        kind: 'git-abort',
        title: `end the ${operation}`,
        undo: { kind: 'restore-snapshot' },
        directory,
        operation,
        head,
      },
    ],
    checks: [
      {
        kind: 'git-state',
        title: 'nothing is unfinished in the repository',
        proves: 'operation',
        failsBefore: true,
        directory,
        head: null,
      },
      ...(await healthChecks(incident.type === 'git_error', service.name, probe)),
    ],
    resources: [`path:${directory}`],
    needsRestart: false,
    ...(reasons.length === 0 ? {} : { mustAsk: reasons.join('; ') }),
  });
}

/** A service that is healthy must stay so. One that is ill because of conflict marks must be well afterwards. */
async function healthChecks(elsewhere: boolean, service: string, { services }: Probe): Promise<Check[]> {
  const { passed } = await services.health(service);
  const title = `${service} is healthy`;
  if (passed === true) return [{ kind: 'health', title, proves: 'neighbour', failsBefore: false, service }];
  if (passed === 'unknown' || elsewhere) return [];
  return [{ kind: 'health', title, proves: 'operation', failsBefore: true, service }];
}
