// The program fails in a file that upstream has changed since: try upstream's version outside the project, then go forward
// to it, and prove in place that the failed operation works. Otherwise say so and leave everything as it is.

import type { Check, CheckResult } from '../core/plan.ts';
import type { GitIncoming, GitRepository, Probe } from '../host/contract.ts';
import { type Diagnosis, defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { untried } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';
import { changesCode, planUpdate, type Update } from './shared/update.ts';

const BUSY_MS = 10_000;

const BUGGY = `import sys
class Client:
    def publish(self, text):
        return text
print(Client().post("hello"))
`;
const MENDED = BUGGY.replace('post', 'publish');

export default defineFix({
  name: 'take-upstream-fix',
  family: 'sync-git',
  title: 'Take in a fix that upstream has made',
  handles: ['attribute_error', 'type_error', 'import_error', 'syntax_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 35,
  diagnose,
  drills: [
    {
      given: 'upstream has mended the very line that fails',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY, 'notes.md': 'n\n' });
        await kit.upstream({ 'main.py': MENDED }, 'fix: the client has publish, not post');
        await kit.write('notes.md', 'edited here\n');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
      },
      facts: { file: '{directory}/main.py', sourceLine: 5, exception: 'AttributeError', attribute: 'post' },
      type: 'attribute_error',
      expect: ['git-rescue', 'git-fast-forward'],
    },
    {
      given: 'the same, with leave to run upstream’s version before it comes in',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': MENDED }, 'fix');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] }, fixes: { 'sync-git': 'auto' } });
      },
      facts: { file: 'main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: ['git-rescue', 'git-fast-forward'],
    },
    {
      given: 'upstream has changed the file and fails all the same',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': `# a remark\n${BUGGY}` }, 'docs');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] }, fixes: { 'sync-git': 'auto' } });
      },
      facts: { file: '{directory}/main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: 'refused',
    },
    {
      given: 'upstream’s version does not even compile',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': 'print("hello"\n' }, 'oops');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
      },
      facts: { file: '{directory}/main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: 'refused',
    },
    {
      given: 'upstream has news, but none in the file that fails',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY, 'other.py': 'o\n' });
        await kit.upstream({ 'other.py': 'p\n' }, 'other');
      },
      facts: { file: '{directory}/main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: 'not-applicable',
    },
    {
      given: 'the same, and nobody has said how the service is asked whether it works',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': MENDED }, 'fix');
      },
      facts: { file: '{directory}/main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: ['git-rescue', 'git-fast-forward'],
    },
    {
      given: 'upstream has mended a file that is edited here, too',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': MENDED }, 'fix');
        await kit.write('main.py', `# mine\n${BUGGY}`);
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
      },
      facts: { file: '{directory}/main.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: ['git-rescue', 'write-file', 'git-fast-forward', 'write-file'],
    },
    {
      given: 'the log names a file that is none of the project’s',
      world: async (kit) => {
        await kit.repository({ 'main.py': BUGGY });
        await kit.upstream({ 'main.py': MENDED }, 'fix');
      },
      facts: { file: '/usr/lib/python3.11/json/decoder.py', exception: 'AttributeError' },
      type: 'attribute_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const repository = await probe.git.repository(service.directory);
  const failing = repository && (await failingFile(context, repository));
  if (repository === null || failing === null)
    return notApplicable('the error names no file of a repository of the service');
  const early = whyNot(probe, repository);
  if (early !== null) return early;
  const { incoming, reason, trouble } = await probe.git.incoming(repository);
  if (trouble === 'unreachable') return notApplicable(`${reason}; whether upstream has a fix is not known`);
  if (incoming === null) return notApplicable(reason);
  if (incoming.commits === 0) return notApplicable('upstream has nothing new');
  if (!incoming.changed.some((change) => change.path === failing))
    return notApplicable(`upstream has ${incoming.commits} new commits, but none changes ${failing}`);
  if (await importsTheSame(context, repository, incoming, failing))
    return notApplicable(`upstream's ${failing} has the same import`);
  if (!incoming.fastForward)
    return refuse(
      `upstream has changed ${failing}, but has gone apart from ${repository.branch}: a person must bring them together`,
    );
  const update = await planUpdate(probe, repository, incoming);
  if (update.kind === 'blocked') return refuse(`upstream has changed ${failing}, but ${update.reason}`);
  const trial = await tryIt(context, repository, incoming);
  if (trial.passed === false)
    return refuse(`upstream has changed ${failing}, but its version does not help: ${trial.evidence}`);
  return proposal(context, { repository, incoming, failing, update, trial });
}

/** The project's own tracked file that the error names, as the repository calls it. */
async function failingFile(
  { incident, service, probe }: FixContext,
  repository: GitRepository,
): Promise<string | null> {
  const { file } = incident.facts;
  const path = file === undefined ? null : await probe.files.inside(service.directory, file);
  if (path === null || !path.startsWith(`${repository.directory}/`)) return null;
  return path.slice(repository.directory.length + 1);
}

function whyNot(probe: Probe, repository: GitRepository): Diagnosis | null {
  if (repository.trouble !== null) return notApplicable(`git cannot work there: ${repository.trouble}`);
  if (repository.operation !== null) return notApplicable(`a ${repository.operation} is in progress: that comes first`);
  if (repository.branch === null || repository.upstream === null)
    return notApplicable('there is no upstream to look at');
  if (repository.inUse || repository.indexLock !== null)
    return later(probe.clock.now() + BUSY_MS, 'somebody is at work in the repository');
  return null;
}

/** An import that fails is only mended by a version of the file that does not have that very line any more. */
async function importsTheSame(
  { incident, probe }: FixContext,
  repository: GitRepository,
  incoming: GitIncoming,
  failing: string,
): Promise<boolean> {
  if (incident.type !== 'import_error') return false;
  const { sourceLine, module } = incident.facts;
  const now = await probe.git.textAt(repository, repository.head ?? '', failing);
  const then = await probe.git.textAt(repository, incoming.commit, failing);
  const line = sourceLine === undefined ? undefined : now?.split('\n')[sourceLine - 1]?.trim();
  if (then === null || line === undefined) return module === undefined || (then ?? '').includes(module);
  return then.split('\n').some((candidate) => candidate.trim() === line);
}

/**
 * Compiled always; run only where the owner lets upstream's code come in by itself. Anywhere else the code waits for the
 * owner's word, and is proven in place afterwards.
 */
async function tryIt({ incident, service, probe }: FixContext, repository: GitRepository, incoming: GitIncoming) {
  const mayRun =
    service.fixes?.['sync-git'] === 'auto' && incoming.risky.length === 0 && repository.suspicious.length === 0;
  const argv = mayRun && service.health?.kind === 'command' ? service.health.argv : null;
  const files = incoming.changed.filter((change) => change.status !== 'D').map((change) => change.path);
  const symptom = incident.facts.exception ?? null;
  return probe.git.tryCommit(repository, incoming.commit, { files, service, argv, symptom });
}

interface Found {
  readonly repository: GitRepository;
  readonly incoming: GitIncoming;
  readonly failing: string;
  readonly update: Extract<Update, { kind: 'ready' }>;
  readonly trial: CheckResult;
}

async function proposal(context: FixContext, found: Found): Promise<Diagnosis> {
  const { service, probe } = context;
  const { repository, incoming, failing, update, trial } = found;
  const { directory, branch } = repository;
  const health = (await probe.services.health(service.name)).passed;
  const reasons = [...update.reasonsToAsk];
  if (health !== false)
    reasons.push('the failed operation cannot be tried again here: only time will show whether it is mended');
  return propose({
    title: `take in ${incoming.commits} commits of upstream that change ${failing}`,
    why:
      `${failing} fails, and upstream has changed it since: ${listed(incoming.subjects)}. ` +
      `Tried outside the project: ${trial.evidence}. ${update.edits}`,
    facts: { repository: directory, branch: branch ?? '', file: `${directory}/${failing}` },
    steps: update.steps,
    checks: checksFor(service.name, repository, incoming, health),
    resources: [`path:${directory}`],
    needsRestart: (service.command !== null || service.restart !== null) && changesCode(incoming),
    ...(reasons.length === 0 ? {} : { mustAsk: reasons.join('; ') }),
  });
}

/** The owner's probe is the failed operation when it fails now. Otherwise only its caller can try what failed. */
function checksFor(
  service: string,
  { directory, branch }: GitRepository,
  { commit }: GitIncoming,
  health: CheckResult['passed'],
): readonly Check[] {
  const title = `${branch} is at ${commit.slice(0, 10)}`;
  const arrived = { kind: 'git-state', title, failsBefore: true, directory, head: commit } as const;
  const isHealthy = { kind: 'health', title: `${service} is healthy`, service } as const;
  if (health === false)
    return [
      { ...isHealthy, proves: 'operation', failsBefore: true },
      { ...arrived, proves: 'neighbour' },
    ];
  const unproven = [{ ...arrived, proves: 'operation' }, untried('the call that failed')] as const;
  return health === 'unknown' ? unproven : [...unproven, { ...isHealthy, proves: 'neighbour', failsBefore: false }];
}
