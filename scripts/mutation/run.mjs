// `npm run test:mutation [-- NAME…]`: changes the parts that must not be wrong, one small change at a time, and sees whether a
// test notices. The changes are Stryker's; the tests of a part are pure, so they run in one process, some hundred times a
// minute, instead of in a new test runner for each change. Stryker's instrumenter is fetched into a scratch folder.

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

// The last major version that runs on Node 20.
const INSTRUMENTER = '@stryker-mutator/instrumenter@9.6.1';
/** A change that makes the tests run this long has been noticed: it never ends. They take well under a second. */
const TOO_LONG_MS = 120_000;
/** Each change is a new copy of the modules in memory, so now and then a new process takes over. */
const PER_PROCESS = 60;

/** Each part with the tests that are its own. */
const PARTS = {
  planner: { file: 'src/engine/planner.ts', tests: ['src/engine/planner.test.ts'] },
  guards: { file: 'src/engine/guards.ts', tests: ['src/engine/guards.test.ts'] },
  'git gate': { file: 'src/host/git-suspicion.ts', tests: ['src/host/git-suspicion.test.ts'] },
  'package gate': {
    file: 'src/host/package-index.ts',
    tests: ['src/host/package-index.test.ts'],
  },
  requirements: { file: 'src/host/requirements.ts', tests: ['src/host/requirements.test.ts'] },
  journal: { file: 'src/hands/journal.ts', tests: ['src/hands/journal.test.ts'] },
  redaction: { file: 'src/core/redact.ts', tests: ['src/core/redact-rules.test.ts', 'src/core/redact.test.ts'] },
};

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'selfheal-mutation-'));
try {
  const instrument = await installInstrumenter();
  for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
    const { all, survivors } = await judge(name, instrument);
    for (const line of survivors) console.log(`${name} survived ${line}`);
    const killed = all - survivors.length;
    const score = ((100 * killed) / all).toFixed(1);
    console.log(`${name}: ${killed} of ${all} killed, ${survivors.length} survived: ${score} %`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function installInstrumenter() {
  writeFileSync(join(scratch, 'package.json'), '{"private":true,"type":"module"}');
  const npm = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', INSTRUMENTER];
  execFileSync('npm', npm, { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'] });
  const found = createRequire(join(scratch, 'package.json'));
  const modules = join(scratch, 'node_modules');
  const load = (path) => import(pathToFileURL(join(modules, path)).href);
  const { createInjector } = await import(pathToFileURL(found.resolve('typed-inject')).href);
  const { createInstrumenter } = await load('@stryker-mutator/instrumenter/dist/src/index.js');
  const logger = new Proxy({}, { get: (_, key) => () => (String(key).startsWith('is') ? false : undefined) });
  const instrumenter = createInjector().provideValue('logger', logger).injectFunction(createInstrumenter);
  const options = { plugins: null, excludedMutations: [], ignorers: [], noHeader: false };
  return (name, content) => instrumenter.instrument([{ name, content, mutate: true }], options);
}

async function judge(name, instrument) {
  const { file, tests } = PARTS[name];
  const path = join(root, file);
  const source = readFileSync(path, 'utf8');
  const { files, mutants } = await instrument(path, source);
  const bundle = await bundled(tests, path, files[0].content);
  const ids = mutants.filter(({ status }) => status === undefined).map(({ id }) => id);
  const survived = new Set(await survivorsOf(bundle, ids, name));
  const survivors = mutants
    .filter(({ id }) => survived.has(id))
    .map(({ location, replacement }) => {
      return `${file}:${location.start.line + 1} ${originalOf(source, location)} -> ${replacement}`;
    });
  return { all: ids.length, survivors };
}

/** The tests with all that they import, the changed part in its place, and a small test runner for vitest's. */
async function bundled(tests, path, content) {
  const entry = tests.map((test) => `import ${JSON.stringify(join(root, test))};`).join('\n');
  const runner = `export { failures } from ${JSON.stringify(join(here, 'runner.mjs'))};`;
  const own = { '\0entry': { code: `${entry}\n${runner}` }, [path]: { code: content, moduleType: 'ts' } };
  const places = {
    name: 'places',
    resolveId: (id) => (id === 'vitest' ? join(here, 'runner.mjs') : id === 'entry' ? '\0entry' : null),
    load: (id) => own[id] ?? null,
  };
  const build = await rolldown({ input: 'entry', platform: 'node', cwd: root, plugins: [places], logLevel: 'silent' });
  const out = join(scratch, `${tests[0].replace(/\W/g, '-')}.mjs`);
  await build.write({ file: out, format: 'esm', codeSplitting: false });
  return out;
}

/** Ids of the changes that no test has noticed. The first one that is tried is none at all: there everything must pass. */
async function survivorsOf(bundle, ids, name) {
  const waiting = ['none', ...ids];
  const survived = [];
  while (waiting.length > 0) {
    const child = fork(join(here, 'child.mjs'), [bundle], { cwd: root, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const ended = once(child, 'exit');
    for (let done = 0; done < PER_PROCESS && waiting.length > 0; done += 1) {
      const id = waiting[0];
      child.send(id);
      const answer = await Promise.race([
        once(child, 'message').then(([said]) => said),
        ended.then(() => 'it ended'),
        new Promise((resolve) => setTimeout(resolve, TOO_LONG_MS, 'it takes too long').unref()),
      ]);
      waiting.shift();
      if (id === 'none' && answer !== null) throw new Error(`${name}: the tests fail without any change: ${answer}`);
      if (answer === null && id !== 'none') survived.push(id);
      if (waiting.length % 50 === 0) console.error(`${name}: ${waiting.length} of ${ids.length} left`);
      if (answer === 'it takes too long' || answer === 'it ended') break;
    }
    child.kill('SIGKILL');
    await ended;
  }
  return survived;
}

function originalOf(source, { start, end }) {
  // Stryker counts lines from 0 here.
  const lines = source.split('\n').slice(start.line, end.line + 1);
  lines[lines.length - 1] = lines.at(-1).slice(0, end.column);
  lines[0] = lines[0].slice(start.column);
  return lines.join(' ').slice(0, 160);
}
