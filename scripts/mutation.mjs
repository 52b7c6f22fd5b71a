// `npm run test:mutation [-- NAME…]`: changes the parts that must not be wrong, one small change at a time, and sees whether
// a test notices. In a copy of the tree, with Stryker installed there and nowhere else (needs the npm registry once).

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The last major version that runs on Node 20.
const STRYKER = ['@stryker-mutator/core@9.6.1', '@stryker-mutator/vitest-runner@9.6.1'];

/** Each part with the tests that are its own: the rest of the suite would only make it slower. */
const PARTS = {
  planner: { file: 'src/engine/planner.ts', tests: ['src/engine/planner.test.ts'] },
  guards: { file: 'src/engine/guards.ts', tests: ['src/engine/guards.test.ts'] },
  'git gate': { file: 'src/host/git-suspicion.ts', tests: ['src/host/git-suspicion.test.ts'] },
  'package gate': { file: 'src/host/package-index.ts', tests: ['src/host/package-index.test.ts'] },
  journal: { file: 'src/hands/journal.ts', tests: ['src/hands/journal.test.ts'] },
  redaction: { file: 'src/core/redact.ts', tests: ['src/core/redact.test.ts', 'src/core/redact-rules.test.ts'] },
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}

const copy = mkdtempSync(join(tmpdir(), 'selfheal-mutation-'));
try {
  setUp();
  const rows = (wanted.length > 0 ? wanted : Object.keys(PARTS)).map((name) => ({ name, ...mutate(PARTS[name]) }));
  for (const { name, survivors } of rows) for (const line of survivors) console.log(`${name} survived ${line}`);
  console.log(`${'part'.padEnd(14)} mutants  killed  survived  score`);
  for (const { name, killed, survivors } of rows) {
    const all = killed + survivors.length;
    const score = `${((100 * killed) / all).toFixed(1)} %`;
    const figures = [String(all).padStart(7), String(killed).padStart(7), String(survivors.length).padStart(9)];
    console.log(`${name.padEnd(14)} ${figures.join(' ')} ${score.padStart(8)}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function setUp() {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  for (const file of files) cpSync(join(root, file), join(copy, file), { recursive: true });
  execFileSync('cp', ['-a', '--reflink=auto', join(root, 'node_modules'), join(copy, 'node_modules')]);
  const npm = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...STRYKER];
  execFileSync('npm', npm, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] });
  mkdirSync(join(copy, 'reports'), { recursive: true });
}

function mutate({ file, tests }) {
  const vitest = `export default { test: { include: ${JSON.stringify(tests)}, pool: 'forks', testTimeout: 120000 } };\n`;
  writeFileSync(join(copy, 'vitest.mutation.config.mjs'), vitest);
  const report = join(copy, 'reports/mutation.json');
  const config = {
    mutate: [file],
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    vitest: { configFile: 'vitest.mutation.config.mjs', related: false },
    coverageAnalysis: 'perTest',
    concurrency: 1,
    // What only waits long on a busy machine must not count as noticed.
    timeoutMS: 120_000,
    timeoutFactor: 4,
    reporters: ['progress-append-only', 'json'],
    jsonReporter: { fileName: report },
    ignorePatterns: ['dist', 'docs', 'bench'],
  };
  writeFileSync(join(copy, 'stryker.config.json'), JSON.stringify(config));
  const child = spawnSync('npx', ['stryker', 'run', 'stryker.config.json'], { cwd: copy, stdio: 'inherit' });
  if (child.status !== 0) throw new Error(`Stryker ended with ${child.status ?? child.signal} on ${file}`);
  const [{ source, mutants }] = Object.values(JSON.parse(readFileSync(report, 'utf8')).files);
  return {
    killed: mutants.filter(({ status }) => status === 'Killed' || status === 'Timeout').length,
    survivors: mutants
      .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
      .map((mutant) => `${file}:${mutant.location.start.line} ${originalOf(source, mutant)} -> ${mutant.replacement}`),
  };
}

function originalOf(source, { location: { start, end } }) {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  lines[lines.length - 1] = lines.at(-1).slice(0, end.column - 1);
  lines[0] = lines[0].slice(start.column - 1);
  return lines.join(' ');
}
