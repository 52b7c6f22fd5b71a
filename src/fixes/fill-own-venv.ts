// Somebody ran pip against the system's Python, which refuses (PEP 668). The service has a venv of its own for that:
// what the project pins and the venv lacks goes there, and nowhere else.

import type { Pin, PythonEnvironment, ResolvedWheel } from '../host/contract.ts';
import { defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { importCheck, isLongRunning, pipStep, proofOfHealth, reasonsToAsk, titleOf } from './shared/installing.ts';
import { listed } from './shared/listed.ts';

export default defineFix({
  name: 'fill-own-venv',
  family: 'install-package',
  title: 'Install what is pinned into the venv instead of the system',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 43,
  diagnose,
  drills: [
    {
      given: 'pip was called for the system, and the venv lacks a pinned package',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\nimport textbase\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\ntextbase==1.5\n');
        await kit.venv([
          { name: 'wordtrim', version: '1.2.0', files: { 'wordtrim.py': '' } },
          { name: 'textbase', version: '1.5', files: { 'textbase.py': '' }, installed: true },
        ]);
      },
      facts: {},
      message: 'error: externally-managed-environment',
      type: 'import_error',
      expect: ['pip-install'],
    },
    {
      given: 'the service has no venv',
      world: (kit) => kit.write('requirements.txt', 'wordtrim==1.2.0\n'),
      facts: {},
      message: 'error: externally-managed-environment',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the venv has everything already',
      world: async (kit) => {
        await kit.write('requirements.txt', 'textbase==1.5\n');
        await kit.venv([{ name: 'textbase', version: '1.5', files: { 'textbase.py': '' }, installed: true }]);
      },
      facts: {},
      message: 'error: externally-managed-environment',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the log speaks of something else',
      world: (kit) => kit.venv([]),
      facts: {},
      message: 'ERROR: ResolutionImpossible',
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext) {
  const { python } = probe;
  if (!/externally-managed-environment/.test(claimOf(incident))) return notApplicable('pip did not refuse the system');
  const environment = await python.environment(service);
  if (environment === null) {
    return refuse(
      `the system's Python belongs to the system. Give ${service.name} its own: ` +
        `python3 -m venv ${service.directory}/.venv, then install into it with .venv/bin/pip`,
    );
  }
  const missing = await missingNames(probe.python, environment, service.directory);
  if (missing.length === 0) {
    return refuse(
      `${environment.venv} has all that the project pins: whoever called pip should call ${environment.venv}/bin/pip`,
    );
  }
  const choices = await Promise.all(missing.map((name) => python.choosePin(environment, service.directory, [name])));
  const unclear = choices.find((choice) => choice.kind === 'unclear');
  if (unclear) return refuse(unclear.reason);
  const wanted = choices.flatMap((choice) =>
    choice.kind === 'pinned' ? [{ name: choice.pin.name, constraint: choice.constraint, hashes: choice.hashes }] : [],
  );
  const resolution = await python.resolve(environment, wanted, service.directory);
  if (resolution.kind === 'unreachable') return later(probe.clock.now() + RETRY_MS, resolution.reason);
  if (resolution.kind === 'impossible') return refuse(resolution.reason);

  const { wheels } = resolution;
  const used = await usedModules({ service, probe, incident }, environment, wheels);
  const [first] = used.modules;
  if (first === undefined) return refuse(`no file of the project imports ${listed(missing)}, which the venv lacks`);
  const doubts = [
    ...reasonsToAsk(environment, wheels),
    ...used.unused.map((name) => `nothing of the project imports ${name}`),
  ];
  return propose({
    title: titleOf(environment, wheels),
    why: `pip was called for the system's Python and refused. The project pins ${listed(missing)}, which ${environment.venv} lacks.`,
    facts: { module: first },
    steps: [pipStep(service, environment, wheels, null)],
    checks: [
      ...used.modules.map((module) => importCheck(service, environment.interpreter, module)),
      ...(await proofOfHealth(probe, service)),
    ],
    resources: [`path:${environment.venv}`],
    needsRestart: isLongRunning(service),
    ...(doubts.length === 0 ? {} : { mustAsk: doubts.join('; ') }),
  });
}

const RETRY_MS = 60_000;
/** More than that is a new environment, which a person should fill. */
const MOST_MISSING = 20;

async function missingNames(
  python: FixContext['probe']['python'],
  environment: PythonEnvironment,
  directory: string,
): Promise<readonly string[]> {
  const installed = new Set((await python.distributions(environment)).map((d) => normal(d.name)));
  const pinned = (await python.pins(directory))
    .filter((pin: Pin) => pin.kind === 'registry')
    .map((pin) => normal(pin.name));
  return [...new Set(pinned)].filter((name) => !installed.has(name)).slice(0, MOST_MISSING);
}

function normal(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** For each wanted wheel the module that the project imports; `unused` names wheels of which it imports none. */
async function usedModules(
  { probe, service }: FixContext,
  environment: PythonEnvironment,
  wheels: readonly ResolvedWheel[],
) {
  const modules: string[] = [];
  const unused: string[] = [];
  for (const wheel of wheels.filter((w) => w.wanted)) {
    let found: string | null = null;
    for (const module of wheel.modules.slice(0, 10)) {
      if ((await probe.python.importers(environment, service.directory, module)).length > 0) found ??= module;
    }
    if (found === null) unused.push(wheel.name);
    else modules.push(found);
  }
  return { modules, unused };
}
