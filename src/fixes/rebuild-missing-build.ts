// The built form of a Node project is missing or half there, and its source is: build it anew with the project's own
// script. What is there of the old build is kept aside. Building runs code of the project, so it always asks.

import type { Step } from '../core/plan.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { healthCheck } from './shared/health-check.ts';

/** Folders that hold what was built, and nothing else. */
const BUILT = /^(?:dist|build|out)$/;
const BUILD_MS = 600_000;

export default defineFix({
  name: 'rebuild-missing-build',
  family: 'install-package',
  title: 'Build a project whose built files are missing',
  handles: ['import_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 38,
  diagnose,
  drills: [
    {
      given: 'the built folder is gone',
      world: (kit) => project(kit),
      facts: { module: '{directory}/dist/index.js' },
      type: 'import_error',
      expect: ['run'],
    },
    {
      given: 'a build was cut off half way',
      world: async (kit) => {
        await project(kit);
        await kit.write('dist/part.js', '');
      },
      facts: { module: '{directory}/dist/index.js' },
      type: 'import_error',
      expect: ['move', 'run'],
    },
    {
      given: 'the project has no build script',
      world: async (kit) => {
        await kit.write('package.json', '{"name":"a"}');
      },
      facts: { module: '{directory}/dist/index.js' },
      type: 'import_error',
      expect: 'not-applicable',
    },
    {
      given: 'the built folder is under version control',
      world: async (kit) => {
        await kit.repository({ 'package.json': PACKAGE, 'build.sh': BUILD, 'dist/other.js': '1\n' });
      },
      facts: { module: '{directory}/dist/index.js' },
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'a package is missing, not a built file',
      world: (kit) => project(kit),
      facts: { module: 'express' },
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const { module } = incident.facts;
  const root = await probe.files.inside(service.directory, '.');
  if (root === null || module === undefined || !module.startsWith('/'))
    return notApplicable('no file of the project is missing');
  const prefix = [`${service.directory}/`, `${root}/`].find((one) => module.startsWith(one));
  const [folder = '', ...rest] = prefix === undefined ? [] : module.slice(prefix.length).split('/');
  if (!BUILT.test(folder) || rest.length === 0 || rest.includes('..') || rest.includes(''))
    return notApplicable('what is missing is no built file of the project');
  const file = `${root}/${folder}/${rest.join('/')}`;
  if ((await probe.files.status(file)).kind !== 'absent') return notApplicable(`${file} is there by now`);
  const script = await buildScript(await probe.files.text(`${root}/package.json`), probe);
  if (script === null) return notApplicable('package.json has no build script');
  const repository = await probe.git.repository(service.directory);
  const tracked = repository?.head && (await probe.git.changedBetween(repository, EMPTY_TREE, repository.head));
  if (tracked && tracked.some((path) => `${repository.directory}/${path}`.startsWith(`${root}/${folder}/`)))
    return refuse(`${folder}/ is under version control, and ${file} is missing: bring it back with git`, [
      `git -C ${root} status --short ${folder}`,
      `git -C ${root} checkout -- ${folder}`,
    ]);
  const health = (await probe.services.health(service.name)).passed;
  const there = await probe.files.status(`${root}/${folder}`);
  if (there.kind !== 'absent' && there.kind !== 'directory')
    return refuse(`${root}/${folder} is no folder: look at it by hand`);
  return propose({
    title: `build ${service.name} anew`,
    why: `${file} is missing, and package.json has a build script (${script}).`,
    facts: { path: file },
    steps: stepsFor(root, folder, there.kind === 'directory'),
    checks: [
      {
        kind: 'run',
        title: `${folder}/${rest.join('/')} is there`,
        proves: 'operation',
        failsBefore: true,
        argv: ['test', '-f', file],
        cwd: root,
        timeoutMs: 10_000,
      },
      ...healthCheck(service.name, health),
    ],
    resources: [`path:${root}/${folder}`],
    needsRestart: service.command !== null || service.restart !== null,
    mustAsk: `it runs the build script of the project (${script})`,
  });
}

/** Git's name for a tree without files. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

async function buildScript(text: string | null, { files }: FixContext['probe']): Promise<string | null> {
  const parsed = text === null ? null : files.parse(text, 'json');
  return (parsed?.ok && parsed.values.get('scripts.build')) || null;
}

function stepsFor(root: string, folder: string, isThere: boolean): readonly Step[] {
  const path = `${root}/${folder}`;
  const to = `${path}.selfheal-half-{plan}`;
  const aside: Step = {
    kind: 'move',
    title: `keep what is there of ${folder} aside`,
    undo: { kind: 'restore-snapshot' },
    from: path,
    to,
    before: null,
  };
  return [
    ...(isThere ? [aside] : []),
    {
      kind: 'run',
      title: 'run the build script of the project',
      argv: ['npm', 'run', 'build'],
      cwd: root,
      timeoutMs: BUILD_MS,
      idempotent: true,
      undo: { kind: 'run', argv: ['rm', '-rf', '--', path], cwd: root },
    },
  ];
}

const BUILD = 'mkdir -p dist && echo 1 > dist/index.js\n';
const PACKAGE = JSON.stringify({ name: 'a', scripts: { build: 'sh build.sh' } });

async function project(kit: DrillKit): Promise<void> {
  await kit.write('package.json', PACKAGE);
  await kit.write('build.sh', BUILD);
}
