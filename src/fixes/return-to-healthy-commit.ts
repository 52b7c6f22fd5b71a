// A service that ran well on one commit is ill since the branch was moved to a later one: propose the way back. Going back
// takes work of people out of use, so it always asks.

import { headRecord } from '../core/good-copy-names.ts';
import type { Check, CheckResult } from '../core/plan.ts';
import type { GitRepository } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { untried } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';

/** A deploy shows its faults within this time, or with the first run of an hourly job. */
const RIGHT_AFTER_MS = 2 * 3_600_000;
/** Reflogs count whole seconds. */
const SECOND_MS = 1_000;
const BUSY_MS = 10_000;
/** So many starts within ten minutes are a crash loop. */
const CRASH_LOOP = 3;

export default defineFix({
  name: 'return-to-healthy-commit',
  family: 'sync-git',
  title: 'Go back to the commit that ran well',
  handles: ['service_crash', 'syntax_error', 'attribute_error', 'type_error', 'import_error', 'config_error'],
  risk: 'risky',
  scope: 'service',
  autonomy: 'approve',
  order: 75,
  diagnose,
  drills: [
    {
      given: 'the service ran well until the last deploy',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'print("fine")\n', 'notes.md': 'n\n' });
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await ranWell(kit);
        await kit.write('main.py', 'raise SystemExit(1)\n');
        await kit.sh(['git', 'commit', '-qam', 'deploy']);
        await kit.write('notes.md', 'edited here\n');
      },
      facts: { exitCode: 1 },
      type: 'service_crash',
      expect: ['git-rescue', 'git-return'],
    },
    {
      given: 'the file that the deploy broke has been edited since',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'print("fine")\n' });
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await ranWell(kit);
        await kit.write('main.py', 'raise SystemExit(1)\n');
        await kit.sh(['git', 'commit', '-qam', 'deploy']);
        await kit.write('main.py', 'raise SystemExit(2)\n');
      },
      facts: {},
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'the commit is the one that ran well',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'raise SystemExit(1)\n' });
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await ranWell(kit);
      },
      facts: {},
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'the service is healthy on the new commit',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'print("fine")\n' });
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await ranWell(kit);
        await kit.write('main.py', 'print("finer")\n');
        await kit.sh(['git', 'commit', '-qam', 'deploy']);
      },
      facts: {},
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'nothing is known about the commits before',
      world: (kit) => kit.repository({ 'main.py': 'raise SystemExit(1)\n' }),
      facts: {},
      type: 'service_crash',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const repository = await probe.git.repository(service.directory);
  if (repository === null) return notApplicable('the service has no git repository');
  if (repository.head === null) return notApplicable('the repository of the service has no commit yet');
  const healthy = await lastHealthy(context, repository);
  if (healthy === null) return notApplicable('no commit is known with which the service ran well');
  if (healthy.commit === repository.head) return notApplicable('the commit is the one with which the service ran well');
  const late = notSince(context, repository, healthy);
  if (late !== null) return notApplicable(late);
  const health = await probe.services.health(service.name);
  const ill = await illness(context, health);
  if (ill === null) return notApplicable('nothing on the machine confirms that the service is ill');
  if (repository.operation !== null) return notApplicable(`a ${repository.operation} is in progress: that comes first`);
  if (repository.branch !== healthy.branch)
    return refuse(`the service ran well on ${healthy.branch} and is on ${repository.branch ?? 'no branch'} now`);
  if ((await probe.git.isAncestor(repository, healthy.commit, repository.head)) !== true)
    return refuse(
      `${healthy.commit.slice(0, 10)}, with which the service ran well, is not on the way to the present commit`,
    );
  if (repository.inUse || repository.indexLock !== null)
    return later(probe.clock.now() + BUSY_MS, 'somebody is at work in the repository');
  const changed = (await probe.git.changedBetween(repository, healthy.commit, repository.head)) ?? [];
  const local = new Set([...repository.modified, ...repository.staged]);
  const edited = changed.filter((path) => local.has(path));
  if (edited.length > 0)
    return refuse(`${listed(edited)} were changed by the deploy and edited since: a person must decide`);
  return proposal(context, { repository, healthy, health: health.passed, ill, changed });
}

interface Healthy {
  readonly commit: string;
  readonly branch: string;
  readonly provenAt: number;
}

async function lastHealthy({ service, probe }: FixContext, { directory }: GitRepository): Promise<Healthy | null> {
  const copies = await probe.goodCopies(service.name, headRecord(directory));
  const proven = copies.find((copy) => copy.provenAt !== null);
  const [commit = '', branch = ''] = ((proven && (await probe.goodCopyText(proven.id))) ?? '').split('\n');
  if (!proven || proven.provenAt === null || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  return { commit, branch, provenAt: proven.provenAt };
}

/** The order of things must be: ran well, branch moved, trouble. */
function notSince({ incident }: FixContext, { headMovedAt }: GitRepository, healthy: Healthy): string | null {
  if (headMovedAt === null) return 'when the branch was moved is not known';
  if (headMovedAt + SECOND_MS < healthy.provenAt) return 'the service ran well after the branch was moved';
  if (incident.firstSeen < headMovedAt) return 'the trouble is older than the present commit';
  if (incident.firstSeen - headMovedAt > RIGHT_AFTER_MS) return 'the trouble began long after the branch was moved';
  return null;
}

async function illness({ service, probe }: FixContext, health: CheckResult): Promise<string | null> {
  if (health.passed === false) return `it fails its health check (${health.evidence})`;
  if (health.passed === true) return null;
  const state = await probe.services.state(service.name);
  if (state.supervisorGaveUp) return 'its supervisor has given up on it';
  if (state.recentStarts >= CRASH_LOOP) return `it was started ${state.recentStarts} times within ten minutes`;
  return null;
}

interface Found {
  readonly repository: GitRepository;
  readonly healthy: Healthy;
  readonly health: CheckResult['passed'];
  readonly ill: string;
  readonly changed: readonly string[];
}

function proposal({ service }: FixContext, found: Found): Diagnosis {
  const { repository, healthy, ill, changed } = found;
  const { directory, head } = repository;
  const short = healthy.commit.slice(0, 10);
  const undo = { kind: 'restore-snapshot' } as const;
  return propose({
    title: `go back to ${short}, with which ${service.name} ran well`,
    why: `${service.name} ran well with ${short}. The branch was moved to ${head?.slice(0, 10)}, and since then ${ill}. Going back changes ${listed(changed)}.`,
    facts: { repository: directory, branch: healthy.branch },
    steps: [
      {
        kind: 'git-rescue',
        title: 'save edited and untracked files under a rescue ref',
        undo,
        directory,
        ref: 'refs/selfheal/{plan}',
      },
      {
        kind: 'git-return',
        title: `put ${healthy.branch} back to ${short}`,
        undo,
        directory,
        branch: healthy.branch,
        from: head ?? '',
        to: healthy.commit,
      },
    ],
    checks: checksFor(service.name, found),
    resources: [`path:${directory}`],
    needsRestart: service.command !== null || service.restart !== null,
    mustAsk: reasonToAsk(changed),
  });
}

function checksFor(service: string, { repository, healthy, health }: Found): Check[] {
  const title = `${healthy.branch} is at ${healthy.commit.slice(0, 10)}`;
  const { directory } = repository;
  const arrived = { kind: 'git-state', title, failsBefore: true, directory, head: healthy.commit } as const;
  if (health !== false) return [{ ...arrived, proves: 'operation' }, untried(`that ${service} stays up`)];
  const isHealthy = { kind: 'health', title: `${service} is healthy`, service, failsBefore: true } as const;
  return [
    { ...isHealthy, proves: 'operation' },
    { ...arrived, proves: 'neighbour' },
  ];
}

function reasonToAsk(changed: readonly string[]): string {
  const schema = changed.filter((path) => /(?:^|\/)(?:migrations?|alembic)\//.test(path));
  const warning = schema.length > 0 ? `; beware, it also takes back ${listed(schema)}, and no data follows` : '';
  return `it takes the latest commits out of use${warning}`;
}

/** Leaves the record that the keeper of good copies would have left. */
async function ranWell(kit: DrillKit): Promise<void> {
  const head = await kit.sh(['git', 'rev-parse', 'HEAD']);
  await kit.write('.git#head', `${head.trim()}\nmain\n`);
  await kit.goodCopy('.git#head');
  await kit.sh(['rm', '.git#head']);
}
