// The small programs that are broken: Python and Node jobs with packages, services, repositories.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveNpmRegistry } from '../../../dist/testing/npm-registry.js';
import { makeWheel, servePackageIndex, wheelFiles } from '../../../dist/testing/wheels.js';
import { freePort, node, python } from './world.mjs';

const patientFile = (name) => fileURLToPath(new URL(`../patients/${name}`, import.meta.url));

// ---------------------------------------------------------------- Python jobs

/** Logging as small programs have it: one file, and the traceback of what nobody caught. */
const LOGGING = `import logging, sys
logging.basicConfig(filename="/dev/null" if "--check" in sys.argv else "logs/patient.log", level=logging.INFO,
                    format="%(asctime)s %(levelname)s [patient] %(message)s")
log = logging.getLogger("patient")
sys.excepthook = lambda kind, error, trace: log.critical("it stops", exc_info=(kind, error, trace))
`;

/** A Python job: `body` must set `result`. `--check` does the work and prints it. */
export const pythonJob = (body) => `${LOGGING}
${body}
if "--check" in sys.argv:
    print(result)
else:
    log.info("done: %s", result)
`;

export const TITLECASE = {
  name: 'titler',
  version: '3.1.0',
  files: { 'titler/__init__.py': '__version__ = "3.1.0"\n\n\ndef title(text):\n    return text.title()\n' },
};

/** A job in a venv of its own, with a package index that serves `wheels`; those with `installed` are in the venv. */
export async function pythonProject(world, { body, wheels = [TITLECASE], requirements = 'titler==3.1.0\n' }) {
  world.write('job.py', pythonJob(body));
  world.write('requirements.txt', requirements);
  await venv(world, wheels);
  world.service.health = { command: ['.venv/bin/python', 'job.py', '--check'] };
}

export async function venv(world, wheels) {
  await world.must([python, '-m', 'venv', '--without-pip', '.venv']);
  world.index = await servePackageIndex(wheels.map((wheel) => (wheel.filename ? wheel : makeWheel(wheel))));
  world.later(() => world.index.close());
  world.write('.venv/pip.conf', `[global]\nindex-url = ${world.index.indexUrl}\n`);
  for (const wheel of wheels.filter((one) => one.installed)) installWheel(world, wheel);
}

export function sitePackages(world) {
  const lib = world.path('.venv/lib');
  return join('.venv/lib', readdirSync(lib)[0], 'site-packages');
}

export function installWheel(world, wheel) {
  for (const [name, text] of Object.entries(wheelFiles(wheel))) world.write(join(sitePackages(world), name), text);
}

export const runPython = (world) => world.job(['.venv/bin/python', 'job.py'], {});
export const pythonWorks = async (world) => (await world.run(['.venv/bin/python', 'job.py', '--check'])).code === 0;

/** A job without packages, run by the plain interpreter. */
export function plainPython(world, body) {
  world.write('job.py', pythonJob(body));
  world.service.health = { command: [python, 'job.py', '--check'] };
}
export const runPlain = (world) => world.job([python, 'job.py']);
export const plainWorks = async (world) => (await world.run([python, 'job.py', '--check'])).code === 0;

// ---------------------------------------------------------------- Node jobs

/** A Node job: `body` must set `result`; errors go to the console as Node prints them. */
export const nodeJob = (imports, body) => `${imports}
const say = (text) => console.log(new Date().toISOString(), 'INFO [patient]', text);
${body}
if (process.argv.includes('--check')) console.log(result);
else say('done: ' + result);
`;

export const runNode = (world) => world.job([node, 'job.mjs']);
export const nodeWorks = async (world) => (await world.run([node, 'job.mjs', '--check'])).code === 0;

export function plainNode(world, imports, body) {
  world.write('job.mjs', nodeJob(imports, body));
  world.service.health = { command: [node, 'job.mjs', '--check'] };
}

/** A job whose packages a registry of its own serves; `installed` ones are in node_modules. */
export async function nodeProject(world, { imports, body, packages, dependencies }) {
  plainNode(world, imports, body);
  world.registry = await serveNpmRegistry(packages);
  world.later(() => world.registry.close());
  world.write(
    'package.json',
    `${JSON.stringify({ name: 'patient', version: '1.0.0', type: 'module', dependencies }, null, 2)}\n`,
  );
  world.write('.npmrc', `registry=${world.registry.registryUrl}\n`);
  world.write('package-lock.json', world.registry.lockFile('patient', dependencies));
}

/** As the owner would. */
export const npmInstall = (world) =>
  world.must(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { timeoutMs: 120_000 });

// ---------------------------------------------------------------- services

/** A Python HTTP service: `how` is `supervised` by selfheal, or kept by the owner's own script. */
export async function clerk(world, { how = 'supervised', start = how === 'script', ...settings } = {}) {
  cpSync(patientFile('clerk.py'), world.path('clerk.py'));
  await service(world, { name: 'clerk', argv: [python, 'clerk.py'], how, start, settings });
}

export async function ticker(world, { how = 'supervised', start = how === 'script', flags = [], ...settings } = {}) {
  cpSync(patientFile('ticker.mjs'), world.path('ticker.mjs'));
  await service(world, { name: 'ticker', argv: [node, ...flags, 'ticker.mjs'], how, start, settings });
}

async function service(world, { name, argv, how, start, settings }) {
  world.port = await freePort();
  world.argv = argv;
  world.write(`${name}.json`, `${JSON.stringify({ port: world.port, ...settings }, null, 2)}\n`);
  world.service.health = { http: `http://127.0.0.1:${world.port}/healthz` };
  cpSync(patientFile('ctl'), world.path('ctl'));
  if (how === 'supervised') world.service.command = argv;
  else world.service.restart = { command: ['./ctl', 'restart', ...argv] };
  if (!start) return;
  await control(world, 'start');
  if (!(await world.until(() => isUp(world)))) throw new Error(`set-up failed: ${name} does not come up`);
}

export const control = (world, verb) => world.must(['./ctl', verb, ...world.argv]);
export const isUp = async (world) => (await world.get(world.port)).status === 200;
/** The service works, now or within a moment. */
export const staysUp = (world) => world.until(() => isUp(world), 6_000);
export const comesUp = async (world) => {
  if (!(await world.until(() => isUp(world), 20_000))) throw new Error('set-up failed: the service does not come up');
};
export const starts = (world) => (world.has('run/starts') ? world.read('run/starts').trim().split('\n').length : 0);
/** The service falls ill, and the illness has shown. */
export async function fallIll(world, illness) {
  world.write(`run/${illness}`, '');
  await world.until(() => !world.has(`run/${illness}`), 10_000);
}

// ---------------------------------------------------------------- repositories

/** Makes the project a repository with a bare upstream, and a colleague who pushes there. */
export async function repository(world, ignored = '') {
  const upstream = join(world.root, 'upstream.git');
  const colleague = join(world.root, 'colleague');
  world.write('.gitignore', `logs/\nrun/\n__pycache__/\n.venv/\n.env\nnode_modules/\n${ignored}`);
  const git = (...words) => world.must(['git', ...words]);
  await git('init', '--quiet', '--bare', upstream);
  await git('init', '--quiet');
  await git('add', '--all');
  await git('commit', '--quiet', '-m', 'first');
  await git('remote', 'add', 'origin', upstream);
  await git('push', '--quiet', '--set-upstream', 'origin', 'main');
  world.git = {
    run: git,
    upstream,
    async push(files, message = 'news') {
      const there = { cwd: colleague };
      if (!existsSync(colleague)) {
        mkdirSync(colleague);
        await world.must(['git', 'clone', '--quiet', upstream, '.'], there);
      }
      await world.must(['git', 'pull', '--quiet'], there);
      for (const [name, text] of Object.entries(files)) writeFileSync(join(colleague, name), text);
      await world.must(['git', 'add', '--all'], there);
      await world.must(['git', 'commit', '--quiet', '-m', message], there);
      await world.must(['git', 'push', '--quiet'], there);
      return (await world.must(['git', 'rev-parse', 'HEAD'], there)).trim();
    },
    head: async () => (await git('rev-parse', 'HEAD')).trim(),
    state: () => gitState(world),
  };
}

/** What of a repository may not move unasked: where it stands, its branches, its stash, and what is half done. */
function gitState(world) {
  const folder = world.path('.git');
  const text = (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : null);
  const packed = (text('packed-refs') ?? '').split('\n').filter((line) => / refs\/heads\//.test(line));
  const loose = existsSync(join(folder, 'refs/heads'))
    ? readdirSync(join(folder, 'refs/heads')).map((name) => `${name} ${text(`refs/heads/${name}`)}`)
    : [];
  return { head: text('HEAD'), heads: [...packed, ...loose], stash: text('refs/stash'), merging: text('MERGE_HEAD') };
}
