// The service fails at each start over one file of its own state: move that file aside, so that it can start without. The
// file is kept, and comes back if the service is not healthy afterwards.

import type { CheckResult } from '../core/plan.ts';
import { formatOf } from '../core/config-format.ts';
import { type Diagnosis, defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { healthCheck } from './shared/health-check.ts';
import { provenCopy } from './shared/proven-copy.ts';

const READER = `import json, os
print(json.load(open("data/session.json")) if os.path.exists("data/session.json") else "fresh")
`;

export default defineFix({
  name: 'quarantine-poisoned-state',
  family: 'quarantine-state',
  title: 'Move a broken state file aside',
  handles: ['config_error', 'syntax_error', 'database_error', 'service_crash', 'unknown'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 60,
  diagnose,
  drills: [
    {
      given: 'a session file is broken, and the service cannot start with it',
      world: async (kit) => {
        await kit.write('main.py', READER);
        await kit.write('data/session.json', '{"turns": [');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.sh(['touch', '-d', '1 minute ago', 'data/session.json']);
      },
      facts: { path: 'data/session.json', exception: 'JSONDecodeError' },
      type: 'service_crash',
      expect: ['move'],
    },
    {
      given: 'the log names no file, and only one file of state is broken',
      world: async (kit) => {
        await kit.write('main.py', READER);
        await kit.write('data/session.json', '');
        await kit.write('data/other.json', '{}');
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.sh(['touch', '-d', '1 minute ago', 'data/session.json']);
      },
      facts: {},
      type: 'service_crash',
      expect: ['move'],
    },
    {
      given: 'two files of state are broken',
      world: async (kit) => {
        await kit.write('data/a.json', '{');
        await kit.write('data/b.json', '{');
        kit.service({ health: { kind: 'command', argv: ['false'] } });
      },
      facts: {},
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'the broken file is a configuration',
      world: async (kit) => {
        await kit.write('config.json', '{');
        kit.service({ health: { kind: 'command', argv: ['false'] }, configFiles: [`${kit.directory}/config.json`] });
      },
      facts: { path: 'config.json' },
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'the broken file is under version control',
      world: async (kit) => {
        await kit.repository({ 'data/seed.json': '{' });
        kit.service({ health: { kind: 'command', argv: ['false'] } });
      },
      facts: { path: 'data/seed.json' },
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'the service is healthy all the same',
      world: async (kit) => {
        await kit.write('data/session.json', '{');
        kit.service({ health: { kind: 'command', argv: ['true'] } });
      },
      facts: { path: 'data/session.json' },
      type: 'service_crash',
      expect: 'not-applicable',
    },
  ],
});

const SETTLE_MS = 3_000;
const MOST_FILES = 200;
/** Where services keep what they write themselves. */
const STATE_FOLDER = /^(?:data|state|var|sessions?|cache|memory|tmp)\//;
const PATTERNS = ['data', 'state', 'var', 'sessions', 'session', 'cache', 'memory', 'tmp'].map(
  (folder) => `${folder}/**/*.json`,
);

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const health = (await probe.services.health(service.name)).passed;
  if (health === true) return notApplicable('the service is healthy');
  const broken: string[] = [];
  for (const path of await candidates(context)) if (await isPoisoned(context, path)) broken.push(path);
  const [path, another] = broken;
  if (path === undefined) return notApplicable('no file of the service’s state is broken');
  if (another !== undefined)
    return refuse(`${path} and ${another} are both broken: a person should look for the cause`);
  if (health === 'unknown')
    return refuse(
      `${path} is broken; without a declared health check nothing would prove that the service can do without it`,
    );
  const status = await probe.files.status(path);
  const now = probe.clock.now();
  if (now - status.modifiedAt < SETTLE_MS) return later(now + SETTLE_MS, `${path} was written a moment ago`);
  const before = await probe.files.sha256(path);
  return before === null
    ? notApplicable(`${path} is no plain file`)
    : proposal(context, path, before, status.inode, health);
}

async function candidates({ incident, service, probe }: FixContext): Promise<readonly string[]> {
  const named = incident.facts.path ?? incident.facts.file;
  const claimed = named === undefined ? null : await probe.files.inside(service.directory, named);
  if (claimed !== null && formatOf(claimed) === 'json') return [claimed];
  return (await probe.files.glob(service.directory, PATTERNS)).slice(0, MOST_FILES);
}

/** Broken, written by the service itself, and nothing that somebody configured or committed. */
async function isPoisoned({ service, probe }: FixContext, path: string): Promise<boolean> {
  const root = await probe.files.inside(service.directory, '.');
  if (root === null || !path.startsWith(`${root}/`) || !STATE_FOLDER.test(path.slice(root.length + 1))) return false;
  if (service.configFiles?.includes(path) || path.includes('.selfheal-')) return false;
  const text = await probe.files.text(path);
  if (text === null || probe.files.parse(text, 'json').ok) return false;
  if ((await provenCopy(probe, service.name, path)) !== null) return false;
  const repository = await probe.git.repository(service.directory);
  if (repository === null || repository.head === null) return true;
  return (await probe.git.textAt(repository, repository.head, path.slice(repository.directory.length + 1))) === null;
}

function proposal(
  { service }: FixContext,
  path: string,
  before: string,
  inode: number,
  health: CheckResult['passed'],
): Diagnosis {
  const undo = { kind: 'restore-snapshot' } as const;
  const to = `${path}.selfheal-quarantine-{plan}`;
  return propose({
    title: `move ${path} aside`,
    why: `${path} cannot be read (it is not valid JSON), ${service.name} is ill, and no good copy of the file is known. It is kept beside its old place.`,
    facts: { path },
    steps: [{ kind: 'move', title: `move ${path} aside`, undo, from: path, to, before, inode }],
    checks: healthCheck(service.name, health),
    resources: [`path:${path}`],
    needsRestart: service.command !== null || service.restart !== null,
  });
}
