// How fast `selfheal scan` goes through a log, against what people use for it, on the same file with the patterns
// of the built-in rules, interleaved, whole processes. Ratios are of CPU seconds per byte: on a machine
// that others use, wall time says little. Peers that are not installed are left out and named.
//
//   node bench/scan.mjs [--mb 1000] [--small-mb 5] [--rounds 3] [--folder DIR]

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeCorpus } from './corpus.mjs';

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '1000' },
    'small-mb': { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(values.folder, 'selfheal-bench-'));
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const PEAK = `data:text/javascript,process.on('exit',()=>process.stderr.write('peak '+process.resourceUsage().maxRSS+'\\n'))`;

/** CPU and wall seconds of a command, its own start included, and its peak memory where it tells. */
function run(argv) {
  const command = argv.map(quoted).join(' ');
  const script = `TIMEFORMAT='took %R %U %S'; time ${command} > /dev/null; exit $?`;
  const { stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8', maxBuffer: 1 << 28 });
  // 0: done; 1: what is looked for was found (selfheal) or was not (ripgrep). A peer that breaks off is no peer.
  const hasFailed = status > 1 || /^Traceback|ERROR: /m.test(stderr);
  if (hasFailed) throw new Error(`${argv[0]} failed with exit code ${status}: ${stderr.slice(-300)}`);
  const [, wall, user, system] = /took (\S+) (\S+) (\S+)\s*$/.exec(stderr) ?? [];
  const peak = /peak (\d+)/.exec(stderr)?.[1];
  return { wall: Number(wall), cpu: Number(user) + Number(system), peakMb: peak ? Number(peak) / 1024 : null };
}

/** The rules' patterns in the dialect that all engines share: names of groups taken off. */
async function writePatterns(path) {
  const { rules } = await import(here('../dist/rules/index.js'));
  const sources = rules.flatMap((rule) =>
    rule.patterns
      .map(({ match }) => match.source.replace(/\(\?<[A-Za-z_]\w*>/g, '(?:').replaceAll('\\/', '/'))
      .filter((source) => source !== '\\S'),
  );
  writeFileSync(path, `${sources.join('\n')}\n`);
  return sources;
}

/** Patterns that ripgrep's engine takes. */
function forRipgrep(sources, path) {
  const taken = sources.filter(
    (source) => spawnSync('rg', ['--no-unicode', '-c', '-e', source], { input: 'x\n' }).status !== 2,
  );
  writeFileSync(path, `${taken.join('\n')}\n`);
  return taken.length;
}

function secRules(sources, path) {
  const rule = (source) => `type=Single\nptype=RegExp\npattern=${source}\ndesc=x\naction=none\n`;
  writeFileSync(path, sources.map(rule).join('\n'));
}

function fail2banFilter(sources, path) {
  // What stands behind the match is the id; one with a slash is taken for an address, and breaks the program.
  const lines = sources.map((source) => `            (?:${source.replaceAll('%', '%%')})<F-ID>[^/\\s]*</F-ID>`);
  writeFileSync(path, `[Definition]\nfailregex = ${lines.join('\n').trimStart()}\n`);
}

async function prepare() {
  const large = join(folder, 'large.log');
  const small = join(folder, 'small.log');
  console.log(`writing ${values.mb} MB and ${values['small-mb']} MB …`);
  writeCorpus(large, Number(values.mb) * 1e6, { seed: 7 });
  writeCorpus(small, Number(values['small-mb']) * 1e6, { seed: 8 });
  const patterns = join(folder, 'patterns');
  const sources = await writePatterns(patterns);
  const own = [process.execPath, '--import', PEAK, here('../dist/cli.js'), 'scan', '--json'];
  const peers = [
    { name: 'selfheal scan', argv: (file) => [...own, file], on: [large, small] },
    {
      name: 'readline + list',
      argv: (file) => [process.execPath, here('readline-peer.mjs'), patterns, file],
      on: [small],
    },
  ];
  const missing = [];
  if (has('rg')) {
    const count = forRipgrep(sources, join(folder, 'rg'));
    peers.push({
      name: `ripgrep (${count} patterns)`,
      argv: (file) => ['rg', '--no-unicode', '-ac', '-f', join(folder, 'rg'), file],
      on: [large, small],
    });
  } else missing.push('ripgrep');
  const driver = join(folder, 'hyperscan');
  const built =
    existsSync('/usr/include/hs/hs.h') &&
    spawnSync('cc', ['-O3', here('hyperscan.c'), '-I/usr/include/hs', '-lhs', '-o', driver]).status === 0;
  if (built) {
    const told = spawnSync(driver, [patterns, small], { encoding: 'utf8' }).stdout.trim();
    peers.push({
      name: `Hyperscan (${told.replace(/^\d+ lines, /, '')})`,
      argv: (file) => [driver, patterns, file],
      on: [large, small],
    });
  } else missing.push('Hyperscan (libhyperscan-dev, cc)');
  if (has('sec')) {
    secRules(sources, join(folder, 'sec.conf'));
    peers.push({
      name: 'SEC',
      argv: (file) => ['sec', `--conf=${join(folder, 'sec.conf')}`, `--input=${file}`, '--notail'],
      on: [small],
    });
  } else missing.push('sec');
  if (has('fail2ban-regex')) {
    fail2banFilter(sources, join(folder, 'filter.conf'));
    peers.push({
      name: 'fail2ban-regex',
      argv: (file) => ['fail2ban-regex', file, join(folder, 'filter.conf')],
      on: [small],
    });
  } else missing.push('fail2ban-regex');
  if (missing.length) console.log(`not installed, left out: ${missing.join(', ')}`);
  console.log(`${sources.length} patterns of the built-in rules`);
  return { peers, large, small };
}

try {
  const { peers, large, small } = await prepare();
  for (const file of [large, small]) {
    const taking = peers.filter(({ on }) => on.includes(file));
    const runs = taking.map(() => []);
    for (let round = 0; round < Number(values.rounds); round += 1)
      for (const [at, peer] of taking.entries()) runs[at].push(run(peer.argv(file)));
    const megabytes = statSync(file).size / 1e6;
    const cpus = runs.map((list) => median(list.map(({ cpu }) => cpu)));
    console.log(`\n${megabytes.toFixed(0)} MB, medians of ${values.rounds}`);
    for (const [at, { name }] of taking.entries()) {
      const wall = median(runs[at].map((one) => one.wall));
      const peak = runs[at][0].peakMb;
      const ratio = at === 0 ? '' : `   selfheal goes ${(cpus[at] / cpus[0]).toFixed(2)} x as fast`;
      console.log(
        `  ${name.padEnd(44)} cpu ${cpus[at].toFixed(2).padStart(7)} s  wall ${wall.toFixed(2).padStart(7)} s  ${(megabytes / cpus[at]).toFixed(1).padStart(7)} MB/s${ratio}${peak ? `   peak ${peak.toFixed(0)} MB` : ''}`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
