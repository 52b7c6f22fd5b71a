// A module is missing: install the distribution that the project itself pins for it, into the
// service's own venv. Any other name, however plausible, is left to a person.

import type { Facts } from '../core/facts.ts';
import type { PinChoice, Probe, PythonEnvironment, ResolvedWheel, ServiceFacts } from '../host/contract.ts';
import {
  type Damage,
  type ServiceCopy,
  defineFix,
  later,
  notApplicable,
  propose,
  refuse,
  type FixContext,
} from './contract.ts';
import { importCheck, isLongRunning, pipStep, proofOfHealth, reasonsToAsk, titleOf } from './shared/installing.ts';

export default defineFix({
  name: 'install-python-package',
  family: 'install-package',
  title: 'Install a missing Python package',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 40,
  diagnose,
  damage,
  drills: [
    {
      given: 'a module that requirements.txt pins is missing from the venv',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        await kit.venv([wordtrim('1.2.0'), wordtrim('2.0.0')]);
      },
      facts: { module: 'wordtrim', file: '{directory}/main.py', exception: 'ModuleNotFoundError' },
      type: 'import_error',
      expect: ['pip-install'],
    },
    {
      given: 'the module comes from a distribution of another name, with a dependency that is pinned too',
      world: async (kit) => {
        await kit.write('main.py', 'from yaml import safe_load\n');
        await kit.write('pyproject.toml', '[project]\nname = "x"\ndependencies = ["PyYAML>=6,<7", "textbase==1.5"]\n');
        const yaml = { name: 'PyYAML', files: { 'yaml/__init__.py': 'def safe_load(text): return text\n' } };
        await kit.venv([
          { ...yaml, version: '6.0.1', requires: ['textbase'] },
          { ...yaml, version: '7.0' },
          { name: 'textbase', version: '1.5', files: { 'textbase.py': '' } },
        ]);
      },
      facts: { module: 'yaml', exception: 'ModuleNotFoundError' },
      type: 'import_error',
      expect: ['pip-install'],
    },
    {
      given: 'nothing but the pinned wheel itself says that it holds the module',
      world: async (kit) => {
        await kit.write('main.py', 'import tabler\n');
        await kit.write('requirements.txt', 'pretty-tables==0.9\nwordtrim==1.2.0\n');
        const files = { 'tabler.py': 'x = 1\n' };
        await kit.venv([{ name: 'pretty-tables', version: '0.9', files }, wordtrim('1.2.0')]);
      },
      facts: { module: 'tabler', exception: 'ModuleNotFoundError' },
      type: 'import_error',
      expect: ['pip-install'],
    },
    {
      given: 'the project imports a module that none of its files pins',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\n');
        await kit.write('requirements.txt', 'wordtrin==1.2.0\n# wordtrim==1.2.0\n');
        await kit.venv([wordtrim('1.2.0')]);
      },
      facts: { module: 'wordtrim', file: '{directory}/main.py' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the module is pinned, but only a comment speaks of it',
      world: async (kit) => {
        await kit.write('main.py', '# import wordtrim\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        await kit.venv([wordtrim('1.2.0')]);
      },
      facts: { module: 'wordtrim', file: '{directory}/main.py' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the service has no venv of its own',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
      },
      facts: { module: 'wordtrim', file: '{directory}/main.py' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'a Node project misses a module, and the log does not name the language',
      world: (kit) => kit.write('main.mjs', "import 'wordtrim';\n"),
      facts: { module: 'wordtrim' },
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'a package is meant whose name no Python module can have',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\n');
        await kit.venv([wordtrim('1.2.0')]);
      },
      facts: { module: 'plural-kit' },
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'the module can be imported by now',
      world: async (kit) => {
        await kit.write('main.py', 'import wordtrim\n');
        await kit.write('requirements.txt', 'wordtrim==1.2.0\n');
        await kit.venv([{ ...wordtrim('1.2.0'), installed: true }]);
      },
      facts: { module: 'wordtrim', file: '{directory}/main.py' },
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

/** Takes one distribution out of the venv that the project pins and imports. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  const environment = await probe.python.environment(service);
  if (environment === null) return null;
  const installed = await probe.python.distributions(environment);
  for (const { name, kind } of await probe.python.pins(service.directory)) {
    const [module] = installed.find((one) => normal(one.name) === normal(name))?.modules ?? [];
    if (kind !== 'registry' || module === undefined) continue;
    if ((await probe.python.importers(environment, service.directory, module)).length === 0) continue;
    await kit.sh([environment.interpreter, '-m', 'pip', 'uninstall', '--yes', '--quiet', name]);
    const message = `ModuleNotFoundError: No module named '${module}'`;
    return { what: `${name} is taken out of the venv`, type: 'import_error', facts: { module }, message };
  }
  return null;
}

const normal = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

async function diagnose({ incident, service, probe }: FixContext) {
  const { python } = probe;
  const { module } = incident.facts;
  if (module === undefined || !isAboutPython(incident.facts)) return notApplicable('no Python module is named');
  if (!MODULE.test(module))
    return isSurelyPython(incident.facts)
      ? refuse('what the log calls a module is no module name; nothing is installed for it')
      : notApplicable('no Python module has such a name');

  const environment = await python.environment(service);
  if (environment === null)
    return isSurelyPython(incident.facts)
      ? refuse('the service has no venv of its own, and the system Python is never changed')
      : notApplicable('nothing says that Python misses it, and the service has no venv');
  if (await python.isStandard(environment, module)) return refuse(`${module} is part of Python itself, not a package`);
  const own = await python.ownModule(service.directory, module);
  if (own !== null) return refuse(`${module} is the project's own (${own}): not a missing package`);

  const importer = await findImporter(probe, environment, service, incident.facts);
  if (importer === null) return refuse(`no file that the log names, or of the project, really imports ${module}`);
  const now = await python.imports(environment, module, service.directory);
  if (now.ok === true) return notApplicable(`${module} can be imported now`);
  if (!isMissing(module, now.error)) return notApplicable(`importing ${module} fails for another reason: ${now.error}`);

  const candidates = await python.distributionsFor(environment, module);
  const known = await python.choosePin(environment, service.directory, candidates);
  const choice =
    known.kind === 'none' ? ((await pinThatProvides(probe, environment, service, module)) ?? known) : known;
  if (choice.kind === 'unclear') return refuse(choice.reason);
  if (choice.kind === 'none')
    return refuse(`no requirement of the project provides ${module}${like(choice.nearMisses)}`);

  const resolution = await python.resolve(environment, [wanted(choice)], service.directory);
  if (resolution.kind === 'unreachable') return later(probe.clock.now() + RETRY_MS, resolution.reason);
  if (resolution.kind === 'impossible') return refuse(resolution.reason);
  const main = resolution.wheels.find((wheel) => wheel.wanted);
  const [top = module] = module.split('.');
  if (!main?.modules.includes(top)) return refuse(`${wanted(choice).name} does not provide ${module}`);
  return proposal({ incident, service, probe }, environment, {
    module,
    importer,
    choice,
    main,
    wheels: resolution.wheels,
  });
}

const MODULE = /^[A-Za-z_][A-Za-z0-9_]{0,99}(?:\.[A-Za-z_][A-Za-z0-9_]{0,99}){0,9}$/;
const RETRY_MS = 60_000;

function isAboutPython({ file, exception }: Facts): boolean {
  if (file !== undefined && /\.[cm]?[jt]sx?$/.test(file)) return false;
  return exception === undefined || /(?:^|\.)(?:ModuleNotFoundError|ImportError)$/.test(exception);
}

function isSurelyPython({ file, exception }: Facts): boolean {
  return exception !== undefined || (file !== undefined && file.endsWith('.py'));
}

/** True when Python says that this very module, or a package on the way to it, is not there. */
function isMissing(module: string, error: string): boolean {
  const named = /^ModuleNotFoundError: No module named '([^']+)'/.exec(error)?.[1];
  return named !== undefined && (named === module || module.startsWith(`${named}.`));
}

/** Frames of the import machinery itself: the project's own file stands above them. */
const MACHINERY = /^<frozen |\/lib\/python3\.\d+\/importlib\//;

/** The file that the log names must be the project's and import the module; where none is named, any file may. */
async function findImporter(
  { files, python }: Probe,
  environment: PythonEnvironment,
  { directory }: ServiceFacts,
  { file, module = '' }: Facts,
): Promise<string | null> {
  if (file === undefined || MACHINERY.test(file)) {
    return (await python.importers(environment, directory, module))[0] ?? null;
  }
  const named = await files.inside(directory, file);
  const names = named === null ? [] : await python.importsOf(environment, named);
  return names.some((name) => name === module || name.startsWith(`${module}.`)) ? named : null;
}

/** Each pin that is looked into is a download: a project that lacks more than these lacks everything. */
const MOST_LOOKED_INTO = 4;

/**
 * A distribution may go by any name. Where no table knows the module, what the project pins and the venv lacks is looked
 * into: the one whose wheel holds the module is meant. Null when none does, or several do.
 */
async function pinThatProvides(
  { python }: Probe,
  environment: PythonEnvironment,
  { directory }: ServiceFacts,
  module: string,
): Promise<Chosen | null> {
  const [top = module] = module.split('.');
  const have = new Set((await python.distributions(environment)).map((one) => plainName(one.name)));
  const lacking = [...new Set((await python.pins(directory)).map((pin) => pin.name))].filter(
    (name) => !have.has(plainName(name)),
  );
  const providers: Chosen[] = [];
  for (const name of lacking.length > MOST_LOOKED_INTO ? [] : lacking) {
    const choice = await python.choosePin(environment, directory, [name]);
    if (choice.kind !== 'pinned') continue;
    const found = await python.resolve(environment, [wanted(choice)], directory);
    const wheel = found.kind === 'wheels' ? found.wheels.find((one) => one.wanted) : undefined;
    if (wheel?.modules.includes(top)) providers.push(choice);
  }
  return providers.length === 1 ? (providers[0] ?? null) : null;
}

/** PEP 503: case, dashes, dots and underscores make no difference. */
const plainName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

type Chosen = Extract<PinChoice, { kind: 'pinned' | 'required' }>;

function wanted(choice: Chosen) {
  return choice.kind === 'pinned'
    ? { name: choice.pin.name, constraint: choice.constraint, hashes: choice.hashes }
    : { name: choice.name, constraint: choice.constraint, hashes: [] };
}

interface Found {
  readonly module: string;
  readonly importer: string;
  readonly choice: Chosen;
  readonly main: ResolvedWheel;
  readonly wheels: readonly ResolvedWheel[];
}

async function proposal({ probe, service }: FixContext, environment: PythonEnvironment, found: Found) {
  const { module, importer, choice, main, wheels } = found;
  const { interpreter, venv } = environment;
  const said = choice.kind === 'pinned' ? `${choice.pin.file}:${choice.pin.line} pins` : `${choice.by} requires`;
  const doubts = reasonsToAsk(environment, wheels);
  if (choice.kind === 'required')
    doubts.push(`only ${choice.by} requires ${main.name}, no file of the project pins it`);
  return propose({
    title: titleOf(environment, wheels),
    why: `${importer} imports ${module}, which ${interpreter} cannot find. ${said} ${main.name} ${main.version}, which provides it.`,
    facts: { module, package: main.name, file: importer },
    steps: [pipStep(service, environment, wheels, module)],
    checks: [importCheck(service, interpreter, module), ...(await proofOfHealth(probe, service))],
    resources: [`path:${venv}`],
    needsRestart: isLongRunning(service),
    ...(doubts.length === 0 ? {} : { mustAsk: doubts.join('; ') }),
  });
}

function like(nearMisses: readonly string[]): string {
  return nearMisses.length === 0 ? '' : ` (it does require ${nearMisses.join(', ')})`;
}

const wordtrim = (version: string) => ({
  name: 'wordtrim',
  version,
  files: { 'wordtrim/__init__.py': `__version__ = "${version}"\n` },
});
