// A Node module is missing: install what the lock file pins into a side folder and swap it in. What
// the lock does not pin, or what would have to be built or fetched from elsewhere, is left to a person.

import type { Facts } from '../core/facts.ts';
import type { NodeProject, Probe, ServiceFacts } from '../host/contract.ts';
import {
  type Damage,
  type ServiceCopy,
  defineFix,
  type FixContext,
  notApplicable,
  propose,
  refuse,
} from './contract.ts';
import {
  isLongRunning,
  lockedProject,
  npmStep,
  proofOfHealth,
  reasonsToAskForNpm,
  resolveCheck,
} from './shared/installing.ts';

export default defineFix({
  name: 'install-node-package',
  family: 'install-package',
  title: 'Install missing Node packages from the lock file',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 41,
  diagnose,
  damage,
  drills: [
    {
      given: 'a package that the lock file pins is missing from node_modules',
      world: async (kit) => {
        await kit.write('index.js', "const pad = require('padder');\nconsole.log(pad);\n");
        await kit.npm([padder]);
      },
      facts: { module: 'padder', file: '{directory}/index.js', exception: 'Error' },
      type: 'import_error',
      expect: ['npm-install'],
    },
    {
      given: 'a part of a scoped package is missing, others are installed',
      world: async (kit) => {
        await kit.write('main.mjs', "import { deep } from '@acme/tools/deep.js';\n");
        await kit.npm([{ ...padder, name: '@acme/tools', files: { 'deep.js': 'exports.deep = 1\n' } }, padder]);
        await kit.write('node_modules/padder/package.json', '{"name":"padder","version":"1.0.0"}');
        await kit.write('node_modules/padder/index.js', 'module.exports = 1\n');
      },
      facts: { module: '@acme/tools/deep.js', file: '{directory}/main.mjs' },
      type: 'import_error',
      expect: ['npm-install'],
    },
    {
      given: 'what an installed package depends on is missing, and the project itself never imports it',
      world: async (kit) => {
        await kit.write('main.mjs', "import plural from 'plural';\n");
        await kit.npm([
          { name: 'plural', version: '2.0.0', files: { 'index.js': '' }, dependencies: { padder: '1.0.0' } },
          padder,
        ]);
        await kit.write(
          'node_modules/plural/package.json',
          '{ "name": "plural", "version": "2.0.0", "dependencies": { "padder": "1.0.0" } }\n',
        );
        await kit.write('node_modules/plural/index.js', "require('padder');\n");
      },
      facts: { module: 'padder', exception: 'Error' },
      type: 'import_error',
      expect: ['npm-install'],
    },
    {
      given: 'the project imports a package that nothing pins',
      world: async (kit) => {
        await kit.write('index.js', "require('paddr');\n");
        await kit.npm([padder]);
      },
      facts: { module: 'paddr', file: '{directory}/index.js' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the package is pinned, but only a string speaks of it',
      world: async (kit) => {
        await kit.write('index.js', 'console.log("require(\'padder\')");\n');
        await kit.npm([padder]);
      },
      facts: { module: 'padder', file: '{directory}/index.js' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'another package manager looks after the project',
      world: async (kit) => {
        await kit.write('index.js', "require('padder');\n");
        await kit.npm([padder]);
        await kit.write('pnpm-lock.yaml', 'lockfileVersion: 9.0\n');
      },
      facts: { module: 'padder', file: '{directory}/index.js' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the package can be found by now',
      world: async (kit) => {
        await kit.write('index.js', "require('padder');\n");
        await kit.npm([padder]);
        await kit.write('node_modules/padder/index.js', '');
      },
      facts: { module: 'padder', file: '{directory}/index.js' },
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

/** Takes one package out of node_modules that the project imports. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  const project = await probe.node.project(service);
  for (const name of project?.lock ? Object.keys(project.declared) : []) {
    if (project?.installed[name] === undefined) continue;
    if ((await probe.node.importers(service.directory, name)).length === 0) continue;
    await kit.sh(['rm', '-r', '--', `node_modules/${name}`]);
    const message = `Error: Cannot find module '${name}'`;
    return { what: `${name} is taken out of node_modules`, type: 'import_error', facts: { module: name }, message };
  }
  return null;
}

async function diagnose({ incident, service, probe }: FixContext) {
  const { node } = probe;
  const { module } = incident.facts;
  if (module === undefined || !isAboutNode(incident.facts)) return notApplicable('no Node module is named');
  const found = await node.project(service);
  if (found === null) return notApplicable('the service is no Node project');
  if (/^(?:\.{0,2}\/|file:)/.test(module)) return refuse(`${FILE} is a file of the project: no package can bring it`);
  const name = packageOf(module);
  if (name === null) return refuse('what the log calls a module is no package name; nothing is installed for it');
  if (node.isBuiltin(module))
    return refuse(`${module} is part of Node itself: this Node is older than the code expects`);

  const project = lockedProject(found);
  if (typeof project === 'string') return refuse(project);
  const importer =
    (await findImporter(probe, service, incident.facts, name)) ?? (await findDependent(probe, project, name));
  if (importer === null) return refuse(`no file that the log names, or of the project, really imports ${name}`);
  const now = await node.resolves(importer, module);
  if (now.ok !== false) return notApplicable(now.ok ? `${module} can be found now` : now.error);

  const pinned = project.lock.packages[`node_modules/${name}`];
  if (pinned === undefined) return refuse(`package-lock.json does not pin ${name}${like(name, project.declared)}`);
  const doubts = reasonsToAskForNpm(project);
  return propose({
    title: `install ${name} ${pinned.version} and whatever else package-lock.json pins`,
    why: `${importer} imports ${module}, which Node cannot find. package-lock.json pins ${name} ${pinned.version}.`,
    facts: { module, package: name, file: importer },
    steps: [npmStep(project)],
    checks: [resolveCheck(importer, module), ...(await proofOfHealth(probe, service))],
    resources: [`path:${service.directory}/node_modules`],
    needsRestart: isLongRunning(service),
    ...(doubts.length === 0 ? {} : { mustAsk: doubts.join('; ') }),
  });
}

const MOST_PACKAGES = 1_000;
const FILE = 'what cannot be found';
/** npm's own rule for names, without the capitals that only very old packages have. */
const MODULE = /^((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)(?:\/[\w.@-]+)*$/;

/** `@acme/tools/deep.js` → `@acme/tools`; null for what no registry could hold. */
function packageOf(module: string): string | null {
  const name = module.length > 214 || module.startsWith('-') ? undefined : MODULE.exec(module)?.[1];
  return name === undefined || /(?:^|\/)\.{1,2}(?:\/|$)/.test(module) || name === 'node_modules' ? null : name;
}

function isAboutNode({ file, exception }: Facts): boolean {
  if (file !== undefined && file.endsWith('.py')) return false;
  return exception === undefined || !/(?:^|\.)(?:ModuleNotFoundError|ImportError)$/.test(exception);
}

/** The file that the log names must be the project's and import the module; where none is named, any file may. */
async function findImporter(
  { files, node }: Probe,
  { directory }: ServiceFacts,
  { file, module }: Facts,
  name: string,
): Promise<string | null> {
  const isNamed = file !== undefined && !file.startsWith('node:');
  const named = isNamed ? await files.inside(directory, file.replace(/^file:\/\//, '')) : null;
  const candidates = isNamed ? [named].filter((path) => path !== null) : await node.importers(directory, name);
  for (const path of candidates) {
    const imported = await node.importsOf(path);
    // Node names the package alone, or exactly what the code says.
    if (imported.some((text) => text === module || (module === name && packageOf(text) === name))) return path;
  }
  return null;
}

/** The manifest of an installed package that declares a dependency on this one: its own code is none of the project's. */
async function findDependent({ files }: Probe, project: NodeProject, name: string): Promise<string | null> {
  if (project.lock?.packages[`node_modules/${name}`] === undefined) return null;
  for (const installed of Object.keys(project.installed).slice(0, MOST_PACKAGES)) {
    const manifest = `${project.directory}/node_modules/${installed}/package.json`;
    const text = await files.text(manifest);
    const parsed = text === null ? null : files.parse(text, 'json');
    if (parsed?.ok && parsed.keys.includes(`dependencies.${name}`)) return manifest;
  }
  return null;
}

/** Names of the manifest that contain this one, or are contained in it, or begin alike. */
function like(name: string, declared: Readonly<Record<string, string>>): string {
  const near = Object.keys(declared).filter(
    (d) => d.includes(name) || name.includes(d) || d.slice(0, 4) === name.slice(0, 4),
  );
  return near.length === 0 ? '' : ` (it does pin ${near.slice(0, 5).join(', ')})`;
}

const padder = { name: 'padder', version: '1.0.0', files: { 'index.js': 'module.exports = 1\n' } };
