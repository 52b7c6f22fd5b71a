// A downloaded Node package did not have the content that the lock file pins. Once, everything is fetched anew past the
// damaged cache; if that fails too, what the registry serves is not what was pinned, and a person must look.

import { defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import {
  isLongRunning,
  lockedProject,
  npmStep,
  proofOfHealth,
  reasonsToAskForNpm,
  resolveCheck,
} from './shared/installing.ts';
import { listed } from './shared/listed.ts';

export default defineFix({
  name: 'refetch-damaged-package',
  family: 'install-package',
  title: 'Fetch Node packages anew past a damaged cache',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 39,
  diagnose,
  drills: [
    {
      given: 'an install stopped at a damaged package, and node_modules lacks it',
      world: async (kit) => {
        await kit.write('index.js', "require('padder');\n");
        await kit.npm([padder]);
      },
      facts: {},
      message: 'npm error code EINTEGRITY',
      type: 'import_error',
      expect: ['npm-install'],
    },
    {
      given: 'everything that is pinned is installed by now',
      world: async (kit) => {
        await kit.npm([padder]);
        await kit.write('node_modules/padder/package.json', '{"version":"1.0.0"}');
      },
      facts: {},
      message: 'npm error code EINTEGRITY',
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'the lock file does not fit the manifest',
      world: async (kit) => {
        await kit.npm([padder]);
        await kit.write('package.json', '{"dependencies":{"other":"2"}}');
      },
      facts: {},
      message: 'npm ERR! code EINTEGRITY',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the log speaks of something else',
      world: (kit) => kit.npm([padder]),
      facts: {},
      message: 'npm error code ERESOLVE',
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext) {
  if (!/\bEINTEGRITY\b/.test(claimOf(incident))) return notApplicable('no package came damaged');
  const found = await probe.node.project(service);
  if (found === null) return notApplicable('the service is no Node project');
  const project = lockedProject(found);
  if (typeof project === 'string') return refuse(project);
  const missing = Object.keys(project.declared).filter(
    (name) => project.installed[name] === undefined && isNeeded(project.lock.packages[`node_modules/${name}`]),
  );
  const [first] = missing;
  if (first === undefined) return notApplicable('everything that package.json asks for is installed');
  if (incident.attempts > 0) {
    return refuse(
      `it was fetched anew before and again was not what package-lock.json pins: the registry ${project.registry} ` +
        'serves other content than it did, which may be an attack. Compare the package by hand before changing the lock',
    );
  }
  const doubts = reasonsToAskForNpm(project);
  return propose({
    title: `fetch what package-lock.json pins anew, past npm's cache`,
    why: `npm said that a package was damaged (EINTEGRITY), and node_modules lacks ${listed(missing)}.`,
    facts: { package: first },
    steps: [npmStep(project, { freshCache: true })],
    checks: [resolveCheck(service.directory, first), ...(await proofOfHealth(probe, service))],
    resources: [`path:${service.directory}/node_modules`],
    needsRestart: isLongRunning(service),
    ...(doubts.length === 0 ? {} : { mustAsk: doubts.join('; ') }),
  });
}

/** Optional packages and those for development may be missing on purpose. */
function isNeeded(entry: { readonly optional: boolean; readonly dev: boolean } | undefined): boolean {
  return entry !== undefined && !entry.optional && !entry.dev;
}

const padder = { name: 'padder', version: '1.0.0', files: { 'index.js': 'module.exports = 1\n' } };
