// `npm test`, also on a fresh machine: sets the checkout up if needed, runs the suite, and ends with
// one line `N passed, N failed` (and `, N skipped`). `--long` adds *.long.test.ts. Other arguments go to vitest.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const long = process.argv.includes('--long');
const rest = process.argv.slice(2).filter((argument) => argument !== '--long');

const setup = spawnSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'inherit' });
if (setup.status !== 0) {
  console.log('0 passed, 1 failed');
  process.exit(setup.status ?? 1);
}

// Ctrl-C reaches vitest too, and ends it; we stay, to clear up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const total = { passed: 0, failed: 0, skipped: 0 };
const configs = ['vitest.config.ts', ...(long ? ['vitest.long.config.ts'] : [])];
const worst = Math.max(...configs.map(run));
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = worst || (total.failed > 0 ? 1 : 0);

function run(config) {
  const folder = mkdtempSync(join(tmpdir(), 'selfheal-tests-'));
  // Programs that a test runs as another user must be able to pass through.
  chmodSync(folder, 0o711);
  const results = join(folder, 'results.json');
  try {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
    const child = spawnSync(process.execPath, [vitest, 'run', '--config', config, ...reporters, ...rest], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, TMPDIR: folder },
    });
    count(JSON.parse(readFileSync(results, 'utf8')));
    return child.status ?? 1;
  } catch (error) {
    console.error(`no results: ${error.message}`);
    total.failed += 1;
    return 1;
  } finally {
    clearUp(folder);
  }
}

/** Whatever an interrupted test has left behind: its programs, its mounts, its files. All of them are below our own folder. */
function clearUp(folder) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (`${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended, or it is not ours to look at.
    }
  }
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const below = mounts.map((line) => line.split(' ')[1] ?? '').filter((place) => place.startsWith(`${folder}/`));
  for (const place of below.reverse()) spawnSync('umount', ['-l', place]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function count(results) {
  total.passed += results.numPassedTests;
  total.skipped += results.numPendingTests + results.numTodoTests;
  // A file that could not even be loaded has no tests to fail: it counts as one.
  const unloaded = results.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  total.failed += results.numFailedTests + unloaded.length;
}
