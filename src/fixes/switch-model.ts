// An agent that cannot be pointed at the gateway, and a provider that refuses it for long: the switch that its owner has
// declared (a few lines of an environment file) is thrown, its own question asked, and the agent started anew. The same
// question proves it.

import type { RestartStep } from '../core/plan.ts';
import type { ModelSwitch, ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { drillService } from './shared/drill-service.ts';
import { listed } from './shared/listed.ts';
import { reasonNotToRestart, restartStep, restartVia } from './shared/restarting.ts';

/** A limit that is over sooner is waited out: a restart costs more. */
const SHORTEST_SEC = 60;
const FILE_CAP = 65_536;
/** One question to a model that may have to be loaded first. */
const CHECK_MS = 120_000;

/** Asks as its agent would: the big model is limited, the small one answers. */
const ASK = `import sys
values = dict(line.strip().split("=", 1) for line in open(".env") if "=" in line)
sys.exit(0 if values.get("LLM_MODEL") == "small" else "429 rate limit reached")
`;

const world =
  (env: string, changes: { readonly isDeclared?: boolean } = {}) =>
  async (kit: DrillKit) => {
    const service = await drillService(kit);
    await kit.write('.env', env, 0o600);
    await kit.write('model.py', ASK);
    const check = { argv: ['python3', `${kit.directory}/model.py`], cwd: kit.directory };
    const file = `${kit.directory}/.env`;
    if (changes.isDeclared !== false) kit.service({ modelSwitch: { file, set: { LLM_MODEL: 'small' }, check } });
    await service.start();
  };

export default defineFix({
  name: 'switch-model',
  family: 'fallback-model',
  title: 'Throw the declared model switch and start the agent anew',
  handles: ['rate_limit', 'provider_overloaded', 'quota_exhausted'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 25,
  diagnose,
  drills: [
    {
      given: 'the provider limits the agent for ten minutes, and a switch is declared',
      world: world('API_KEY=not-to-be-lost\nLLM_MODEL=big'),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: ['write-file', 'run', 'restart'],
    },
    {
      given: 'the quota is spent, and a switch is declared',
      world: world('LLM_MODEL=big\n'),
      facts: { status: 429 },
      type: 'quota_exhausted',
      expect: ['write-file', 'run', 'restart'],
    },
    {
      given: 'the limit is over in a moment',
      world: world('LLM_MODEL=big\n'),
      facts: { status: 429, retryAfterSec: 5 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
    {
      given: 'the switch has been thrown already',
      world: world('LLM_MODEL=big\nLLM_MODEL=small\n'),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
    {
      given: 'the owner has declared no switch',
      world: world('LLM_MODEL=big\n', { isDeclared: false }),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
    {
      given: 'the file of the switch is a link to somewhere else',
      world: async (kit) => {
        await world('LLM_MODEL=big\n')(kit);
        await kit.sh(['sh', '-c', 'mv .env ../elsewhere.env && ln -s ../elsewhere.env .env']);
        kit.later(async () => void (await kit.sh(['rm', '-f', '../elsewhere.env'], { cwd: '/', mayFail: true })));
      },
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const { modelSwitch } = service;
  if (!modelSwitch) return notApplicable('no model switch is declared for it');
  if (incident.message.includes('model gateway:')) return notApplicable('its calls go through the gateway');
  const { retryAfterSec } = incident.facts;
  const isLong = incident.type === 'quota_exhausted' || (retryAfterSec ?? 0) >= SHORTEST_SEC;
  if (!isLong) return notApplicable('the limit is short, or says nothing of its length: it is waited out');
  const { file, set } = modelSwitch;
  const path = await probe.files.inside(service.directory, file);
  if (path !== file || (await probe.files.status(file)).kind !== 'file')
    return refuse(`${file} is no plain file in the service’s folder: throw the switch by hand`);
  const text = await probe.files.text(file, FILE_CAP);
  const before = await probe.files.sha256(file);
  const parsed = text === null ? null : probe.files.parse(text, 'env');
  if (text === null || before === null || !parsed?.ok) return refuse(`${file} cannot be read as an environment file`);
  const open = Object.entries(set).filter(([key, value]) => parsed.values.get(key) !== value);
  if (open.length === 0) return notApplicable('the switch has been thrown already');
  const state = await probe.services.state(service.name);
  const via = restartVia(service);
  const obstacle = reasonNotToRestart(service, state);
  if (via === null || obstacle !== null) return refuse(`the switch needs a restart: ${obstacle}`);
  return proposal(service, modelSwitch, {
    restart: restartStep(service, via, state.process),
    before,
    lines: open,
    needsEnd: text !== '' && !text.endsWith('\n'),
  });
}

interface Change {
  readonly restart: RestartStep;
  readonly before: string;
  readonly lines: readonly (readonly [string, string])[];
  /** The last line of the file has no end. */
  readonly needsEnd: boolean;
}

function proposal(
  service: ServiceFacts,
  { file, check }: ModelSwitch,
  { before, lines, needsEnd, restart }: Change,
): Diagnosis {
  const name = file.slice(service.directory.length + 1);
  const said = listed(lines.map(([key, value]) => `${key}=${value}`));
  // Of several lines with one key the last one holds; what stands there is not touched.
  const added = `${needsEnd ? '\n' : ''}${lines.map(([key, value]) => `${key}=${value}\n`).join('')}`;
  return propose({
    title: `set ${said} in ${name} and start ${service.name} anew`,
    why: `The provider refuses ${service.name} for longer than a restart takes, and its owner has declared this switch. It stays until it is taken back, which starts the service once more.`,
    facts: {},
    steps: [
      {
        kind: 'write-file',
        title: `add ${said} at the end of ${name}`,
        undo: { kind: 'restore-snapshot' },
        path: file,
        content: { added },
        before,
        mode: 0o600,
      },
      {
        // Before the restart: a switch that does not help must not cost the agent its process.
        kind: 'run',
        title: `ask ${service.name}’s own question of the other model`,
        undo: { kind: 'none', reason: 'it only asks' },
        argv: check.argv,
        cwd: check.cwd,
        timeoutMs: CHECK_MS,
        idempotent: true,
      },
      restart,
    ],
    checks: [
      {
        kind: 'run',
        title: `a model answers ${service.name}’s own question`,
        proves: 'operation',
        failsBefore: true,
        argv: check.argv,
        cwd: check.cwd,
        timeoutMs: CHECK_MS,
      },
    ],
    resources: [`path:${file}`],
    needsRestart: false,
    ...(mayRestart(service)
      ? {}
      : { mustAsk: `it starts ${service.name} again, and restart-service is not set to auto` }),
  });
}

const mayRestart = ({ fixes }: ServiceFacts): boolean => (fixes?.['restart-service'] ?? 'auto') === 'auto';
