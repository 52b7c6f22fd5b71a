// The three classes as somebody who embeds selfheal meets them: the built library, a real program that really breaks.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

import type * as Library from '../src/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
let library: typeof Library;
let folder = '';

beforeAll(async () => {
  execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' });
  library = (await import(pathToFileURL(join(root, 'dist/index.js')).href)) as typeof Library;
}, 600_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selfheal-library-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const write = (path: string, text: string): void => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const environment = { PATH: process.env['PATH'], HOME: tmpdir() };

it('ErrorDetector finds the errors of the last minutes in the configured logs', async () => {
  const at = (minutesAgo: number) => new Date(Date.now() - minutesAgo * 60_000).toISOString();
  write('selfheal.yaml', 'services:\n  agent:\n    logs: [logs/*.log]\n');
  write(
    'logs/agent.log',
    [
      `${at(200)} ERROR [agent] OSError: [Errno 28] No space left on device`,
      `${at(2)} INFO [agent] processed 429 items`,
      `${at(1)} ERROR [agent] ModuleNotFoundError: No module named 'wordtrim'`,
      '',
    ].join('\n'),
  );
  const found = await new library.ErrorDetector({ cwd: folder, environment }).scanRecentLogs({ minutes: 60 });
  expect(found).toMatchObject([{ type: 'import_error', facts: { module: 'wordtrim' }, record: { span: { line: 3 } } }]);
});

it('ErrorDetector says which file it cannot read', async () => {
  const detector = new library.ErrorDetector({ cwd: folder, environment });
  await expect(detector.scanRecentLogs({ minutes: 5, files: [join(folder, 'none.log')] })).rejects.toThrow(/none\.log/);
});

it('SelfHealingMonitor heals a crashed program, and AutoFixer tells of it', async () => {
  write('work.py', 'import time\nprint("working", flush=True)\ntime.sleep(600)\n');
  write(
    'selfheal.yaml',
    'services:\n  worker:\n    command: [python3, -u, work.py]\n    settle: 1s\n    health: {command: ["true"]}\n',
  );
  const config = await library.loadConfig({ cwd: folder, environment });
  let healed = (): void => {};
  const over = new Promise<void>((resolve) => (healed = resolve));
  const monitor = new library.SelfHealingMonitor({
    config,
    environment,
    checkInterval: 1,
    autoFixEnabled: true,
    onChange: ({ state }) => state.name === 'resolved' && healed(),
  });
  await monitor.start();
  try {
    let pid: number | null = null;
    while (pid === null) pid = (await monitor.operations.status()).services[0]?.pid ?? null;
    process.kill(pid, 'SIGSEGV');
    await over;
    const [incident] = await monitor.operations.incidents({ all: true });
    expect(incident).toMatchObject({ type: 'service_crash', state: 'resolved', outcome: { kind: 'fixed' } });
    const [service] = (await monitor.operations.status()).services;
    expect(service?.running).toBe(true);
    expect(service?.pid).not.toBe(pid);
  } finally {
    await monitor.stop();
  }
  const summary = await new library.AutoFixer({ cwd: folder, environment }).getFixSummary();
  expect(summary).toMatchObject({ totalFixesAttempted: 1, successful: 1, successRate: 1 });
});

it('a second monitor on the same state folder is refused, and leaves the first alone', async () => {
  write('selfheal.yaml', 'services:\n  agent:\n    logs: [agent.log]\n');
  const config = await library.loadConfig({ cwd: folder, environment });
  const first = new library.SelfHealingMonitor({ config, environment });
  await first.start();
  try {
    const second = new library.SelfHealingMonitor({ config, environment });
    await expect(second.start()).rejects.toThrow(/already runs/);
    expect((await first.operations.health()).watching).toBe(true);
  } finally {
    await first.stop();
  }
});
