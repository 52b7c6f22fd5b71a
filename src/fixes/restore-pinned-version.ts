// A name cannot be imported from a package that is there: another version is installed than the one the
// project pins. Putting the pinned one back changes running software, so a person is asked.

import type { Check } from '../core/plan.ts';
import { defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { isLongRunning, pipStep, proofOfHealth, reasonsToAsk, titleOf } from './shared/installing.ts';

export default defineFix({
  name: 'restore-pinned-version',
  family: 'install-package',
  title: 'Put the pinned version of a Python package back',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 42,
  diagnose,
  drills: [
    {
      given: 'an older version is installed than the one that is pinned',
      world: async (kit) => {
        await kit.write('main.py', 'from wordtrim import slug\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        await kit.venv([OLD, wordtrim('1.2.0', 'def slug(text): return text\n')]);
      },
      facts: { module: 'wordtrim', attribute: 'slug', file: '{directory}/main.py', exception: 'ImportError' },
      type: 'import_error',
      expect: ['pip-install'],
    },
    {
      given: 'what is installed is what is pinned',
      world: async (kit) => {
        await kit.write('main.py', 'from wordtrim import slug\n');
        await kit.write('requirements.txt', 'wordtrim==1.0.0\n');
        await kit.venv([OLD]);
      },
      facts: { module: 'wordtrim', attribute: 'slug', file: '{directory}/main.py', exception: 'ImportError' },
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'the installed version and its pin differ, and nobody imports that name',
      world: async (kit) => {
        await kit.write('main.py', 'from wordtrim import other\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        await kit.venv([OLD, wordtrim('1.2.0', '')]);
      },
      facts: { module: 'wordtrim', attribute: 'slug', file: '{directory}/main.py', exception: 'ImportError' },
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'the pinned version would break another package',
      world: async (kit) => {
        await kit.write('main.py', 'from wordtrim import slug\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        const user = { name: 'user', version: '1', files: { 'user_of.py': '' }, requires: ['wordtrim<1.1'] };
        await kit.venv([OLD, { ...user, installed: true }, wordtrim('1.2.0', 'def slug(text): return text\n')]);
      },
      facts: { module: 'wordtrim', attribute: 'slug', file: '{directory}/main.py', exception: 'ImportError' },
      type: 'import_error',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext) {
  const { python, files } = probe;
  const { module, attribute, file } = incident.facts;
  if (module === undefined || attribute === undefined || !DOTTED.test(`${module}.${attribute}`)) {
    return notApplicable('no name of a Python module is missing');
  }
  const environment = await python.environment(service);
  const importer = file === undefined ? null : await files.inside(service.directory, file);
  if (environment === null || importer === null)
    return notApplicable('neither a venv nor a file of the project is named');
  const names = await python.importsOf(environment, importer);
  if (!names.includes(`${module}.${attribute}`)) return notApplicable(`${importer} does not import ${attribute}`);
  if ((await python.ownModule(service.directory, module)) !== null)
    return notApplicable(`${module} is the project's own`);
  if (await python.isStandard(environment, module)) {
    return refuse(`Python ${environment.version} has no such name in ${module}: the code expects another Python`);
  }

  const candidates = await python.distributionsFor(environment, module);
  const choice = await python.choosePin(environment, service.directory, candidates);
  if (choice.kind !== 'pinned') return notApplicable('no file of the project pins the package');
  const { pin, constraint, hashes } = choice;
  const installed = (await python.distributions(environment)).find((d) => sameName(d.name, pin.name));
  if (installed === undefined) return notApplicable(`${pin.name} is not installed at all`);
  if (pin.version === null || pin.version === installed.version) {
    return notApplicable(`${pin.name} ${installed.version} is what the project asks for: the code wants another one`);
  }
  const resolution = await python.resolve(environment, [{ name: pin.name, constraint, hashes }], service.directory);
  if (resolution.kind === 'unreachable') return later(probe.clock.now() + RETRY_MS, resolution.reason);
  if (resolution.kind === 'impossible') return refuse(resolution.reason);
  const { wheels } = resolution;
  return propose({
    title: titleOf(environment, wheels),
    why: `${importer} imports ${attribute} from ${module}. Installed is ${pin.name} ${installed.version}, but ${pin.file}:${pin.line} pins ${pin.version}.`,
    facts: { module, attribute, package: pin.name, file: importer },
    steps: [pipStep(service, environment, wheels, module)],
    checks: [nameCheck(environment.interpreter, module, attribute), ...(await proofOfHealth(probe, service))],
    resources: [`path:${environment.venv}`],
    needsRestart: isLongRunning(service),
    mustAsk: reasonsToAsk(environment, wheels).join('; ') || `it replaces ${pin.name} ${installed.version}`,
  });
}

const DOTTED = /^[A-Za-z_]\w{0,99}(?:\.[A-Za-z_]\w{0,99}){1,10}$/;
const RETRY_MS = 60_000;

function sameName(a: string, b: string): boolean {
  const normal = (name: string) => name.toLowerCase().replace(/[-_.]+/g, '-');
  return normal(a) === normal(b);
}

/** The import itself, as the file of the project writes it. */
function nameCheck(interpreter: string, module: string, attribute: string): Check {
  const code = 'import importlib,sys;getattr(importlib.import_module(sys.argv[1]),sys.argv[2])';
  return {
    kind: 'run',
    title: `${interpreter} imports ${attribute} from ${module}`,
    proves: 'operation',
    failsBefore: true,
    argv: [interpreter, '-I', '-B', '-c', code, module, attribute],
    cwd: '/',
    timeoutMs: 60_000,
  };
}

const wordtrim = (version: string, text: string) => ({
  name: 'wordtrim',
  version,
  files: { 'wordtrim/__init__.py': text },
});
const OLD = { ...wordtrim('1.0.0', 'def trim(text): return text\n'), installed: true };
