import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from './config/load.ts';
import { SelfHealingMonitor } from './monitor.ts';
import { createConsoleNotifier } from './notifiers/index.ts';
import { createLog } from './telemetry/log.ts';
import { systemClock } from './host/clock.ts';
import { createScratch, type Scratch, until } from './testing/scratch.ts';

let scratch: Scratch;
let said: string[];
let told: string[];
beforeEach(() => {
  scratch = createScratch();
  said = [];
  told = [];
});
afterEach(() => scratch.close());

async function start(): Promise<SelfHealingMonitor> {
  const environment = { PATH: process.env['PATH'], HOME: scratch.directory };
  scratch.write('selfheal.yaml', 'services: {agent: {logs: ["*.log"]}}');
  scratch.write('agent.log', '');
  const monitor = new SelfHealingMonitor({
    config: await loadConfig({ cwd: scratch.directory, environment }),
    environment,
    notifiers: [createConsoleNotifier({ write: (text) => told.push(text) })],
    log: createLog({ stream: { write: (text) => said.push(text) }, clock: systemClock }),
  });
  scratch.later(() => monitor.stop());
  await monitor.start();
  return monitor;
}

const names = (...path: string[]): readonly string[] => {
  try {
    return readdirSync(scratch.path('.selfheal', ...path));
  } catch {
    return [];
  }
};

describe('the monitor', () => {
  it('puts room aside and copies its store', async () => {
    await start();
    expect(await until(() => names('backups').length === 2)).toBe(true);
    expect(statSync(scratch.path('.selfheal', 'ballast')).size).toBe(8 * 1024 * 1024);
    expect(names('backups').map((name) => name.replace(/\d+/, 'N'))).toEqual(['events-N.db', 'journal-N.db']);
    expect(said.join('')).not.toContain('could not');
  });

  it.each(['events.db', 'journal.db'])(
    'sets a damaged %s aside, says so, and heals nothing until resumed',
    async (file) => {
      await (await start()).stop();
      writeFileSync(scratch.path('.selfheal', file), 'this is no database'.repeat(1_000));
      const monitor = await start();
      expect(names('quarantine').map((name) => name.replace(/^\d+/, 'N'))).toContain(`N-${file}`);
      expect(said.join('')).toMatch(/ERROR selfheal: the store was damaged and was set aside/);
      expect(await monitor.operations.status()).toMatchObject({ paused: { by: 'selfheal' } });
      expect(await until(() => told.join('').includes('my memory was damaged'))).toBe(true);
      expect(told.join('')).toContain(file);
    },
  );
});
