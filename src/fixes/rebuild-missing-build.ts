// The built form of a Node project is missing or half there, and its source is: build it anew with the project's own
// script. What is there of the old build is kept aside. Building runs code of the project, so it always asks.

import type { RunStep, Step } from '../core/plan.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { healthCheck } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';

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
      given: 'npm would run scripts before and after it',
      world: async (kit) => {
        await project(kit);
        const scripts = { prebuild: 'echo before', build: 'sh build.sh', postbuild: 'echo after' };
        await kit.write('package.json', JSON.stringify({ name: 'a', scripts }));
        await kit.write('package-lock.json', '{"lockfileVersion":3,"packages":{}}');
      },
      facts: { module: '{directory}/dist/index.js' },
      type: 'import_error',
      expect: ['run'],
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
  const build = await buildOf(root, probe);
  if (build === null) return notApplicable('package.json has no build script');
  const scripts = build.scripts.map(([name, text]) => `${name}: ${text}`).join('; ');
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
    why: `${file} is missing, and package.json says how it is built (${scripts}).`,
    facts: { path: file },
    steps: stepsFor({ root, folder, isThere: there.kind === 'directory', build }),
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
    mustAsk: `it runs code of the project (${scripts})`,
  });
}

/** Git's name for a tree without files. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

/** Says what npm would run, or what it would run it with. */
const LOCKS = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml'] as const;

interface Build {
  /** What `npm run build` runs, in its order: the script itself, and those that npm runs before and after it. */
  readonly scripts: readonly (readonly [string, string])[];
  /** The files that say so. */
  readonly requires: NonNullable<RunStep['requires']>;
}

async function buildOf(root: string, { files }: FixContext['probe']): Promise<Build | null> {
  const manifest = `${root}/package.json`;
  // The hash first: what is read afterwards is what was hashed, or the step is refused.
  const requires: { path: string; sha256: string }[] = [];
  for (const path of [manifest, ...LOCKS.map((name) => `${root}/${name}`)]) {
    const sha256 = (await files.status(path)).kind === 'file' ? await files.sha256(path) : null;
    if (sha256 !== null) requires.push({ path, sha256 });
  }
  const text = requires[0]?.path === manifest ? await files.text(manifest) : null;
  const parsed = text === null ? null : files.parse(text, 'json');
  if (!parsed?.ok || !parsed.values.get('scripts.build')) return null;
  const scripts = ['prebuild', 'build', 'postbuild'].flatMap((name) => {
    const script = parsed.values.get(`scripts.${name}`);
    return script ? [[name, script] as const] : [];
  });
  return { scripts, requires };
}

interface Rebuild {
  readonly root: string;
  readonly folder: string;
  readonly isThere: boolean;
  readonly build: Build;
}

function stepsFor({ root, folder, isThere, build }: Rebuild): readonly Step[] {
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
  const scripts = build.scripts.map(([name, text]) => `${name} (${text})`);
  return [
    ...(isThere ? [aside] : []),
    {
      kind: 'run',
      title: `run ${scripts.length === 1 ? 'the script' : 'the scripts'} ${listed(scripts)} of the project`,
      argv: ['npm', 'run', 'build'],
      cwd: root,
      timeoutMs: BUILD_MS,
      idempotent: true,
      requires: build.requires,
      makes: path,
      undo: { kind: 'restore-snapshot' },
    },
  ];
}

const BUILD = 'mkdir -p dist && echo 1 > dist/index.js\n';
const PACKAGE = JSON.stringify({ name: 'a', scripts: { build: 'sh build.sh' } });

async function project(kit: DrillKit): Promise<void> {
  await kit.write('package.json', PACKAGE);
  await kit.write('build.sh', BUILD);
}
