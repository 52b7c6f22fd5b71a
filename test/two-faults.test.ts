// Two faults of one real program at once, from the log line to the proof: the package that it imports is gone, and the file that
// it reads next is torn. Each repair alone leaves the program as dead as it was.

import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import { createRun } from '../src/host/run.ts';
import { systemClock } from '../src/host/clock.ts';
import { SelfHealingMonitor } from '../src/monitor.ts';
import { openStore } from '../src/store/index.ts';
import { createDrillKit } from '../src/testing/create-drill-kit.ts';
import { createScratch, until } from '../src/testing/scratch.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = createScratch();
beforeAll(() => void execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' }), 600_000);
afterAll(() => scratch.close());

const AGENT = `import json, time
from friendly import greeting
settings = json.load(open("settings.json"))
print(greeting(settings["name"]), flush=True)
open("alive", "w").close()
while True:
    time.sleep(0.1)
`;
const SETTINGS = '{\n  "name": "Ada",\n  "colours": ["red", "green"]\n}\n';
const MINUTES_MS = 180_000;

it('heals a missing package and a torn configuration one after the other, proves both, and takes neither back', async () => {
  const world = createDrillKit({ run: createRun({ home: scratch.directory }), name: 'agent' });
  scratch.later(() => world.close());
  const { kit } = world;
  const at = (path: string) => join(kit.directory, path);
  await kit.write('agent.py', AGENT);
  await kit.write('settings.json', SETTINGS);
  await kit.write('requirements.txt', 'friendly==1.4.0\n');
  const files = { 'friendly/__init__.py': 'def greeting(name):\n    return f"Good morning, {name}!"\n' };
  await kit.venv([{ name: 'friendly', version: '1.4.0', files, installed: true }]);
  scratch.write(
    'selfheal.yaml',
    `self_healing: {check_interval: 1s}
limits: {changes_per_hour: 50, changes_per_day: 50, restarts_per_hour: 50}
services:
  agent: {directory: ${kit.directory}, command: [.venv/bin/python, -u, agent.py], settle: 1s, config_files: [settings.json]}
`,
  );
  const environment = { PATH: process.env['PATH'], HOME: scratch.directory };
  const config = await loadConfig({ cwd: scratch.directory, environment });
  const monitor = new SelfHealingMonitor({ config, environment });
  scratch.later(() => monitor.stop());
  await monitor.start();
  const store = await openStore({ directory: config.state, clock: systemClock });
  scratch.later(() => store.close());
  const isKept = async () =>
    (await store.goodCopies('agent', at('settings.json'))).some(({ provenAt }) => provenAt !== null);
  expect(await until(isKept, MINUTES_MS)).toBe(true);

  await monitor.operations.control('agent', 'stop', 'test');
  const site = join(at('.venv/lib'), (await readdir(at('.venv/lib')))[0] ?? '', 'site-packages');
  for (const name of await readdir(site))
    if (name.startsWith('friendly')) rmSync(join(site, name), { recursive: true });
  await writeFile(at('settings.json'), SETTINGS.slice(0, 30));
  rmSync(at('alive'));
  await monitor.operations.control('agent', 'start', 'test');

  const both = ['import_error', 'config_error'];
  const ended = async () => {
    const all = await monitor.operations.incidents({ all: true });
    const called = all.find(({ state }) => state === 'needs-human');
    if (called) throw new Error(`a person was called: ${JSON.stringify(called)}`);
    return both.every((type) => all.some((one) => one.type === type && one.state === 'resolved'));
  };
  expect(await until(ended, MINUTES_MS)).toBe(true);
  const rows = await store.ledger({});
  expect(rows.map(({ fix, outcome }) => [fix, outcome.kind])).toEqual([
    ['restore-broken-config', 'fixed'],
    ['install-python-package', 'fixed'],
  ]);
  expect(existsSync(at('alive'))).toBe(true);
  expect(await readFile(at('settings.json'), 'utf8')).toBe(SETTINGS);
}, 600_000);
