import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceConfig } from '../config/contract.ts';
import { headRecord, modesRecord } from '../core/good-copy-names.ts';
import type { Incident } from '../core/incident.ts';
import { systemClock } from '../host/clock.ts';
import { createFileProbe } from '../host/files.ts';
import { createGitProbe } from '../host/git.ts';
import { createRun } from '../host/run.ts';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { sampleIncident } from '../testing/samples.ts';
import { createGoodCopies, type GoodCopies } from './good-copies.ts';

const MINUTE = 60_000;
const run = createRun({ home: '/nonexistent' });
let world: DrillWorld;
let store: Store;
let copies: GoodCopies;
let service: ServiceConfig;
let now: number;

beforeEach(async () => {
  world = createDrillKit({ run, name: 'agent' });
  const { directory } = world.kit;
  mkdirSync(directory);
  now = Math.floor(Date.now() / 1_000) * 1_000; // a file's time is set in seconds: a fraction may come back a millisecond less
  const clock = { ...systemClock, now: () => now };
  const state = join(world.root, 'state');
  store = await openStore({ directory: state, clock });
  const git = createGitProbe({ run, clock, stateDirectory: state, scratchDirectory: world.root });
  copies = createGoodCopies({ store, files: createFileProbe(), git, clock });
  service = {
    ...world.service(),
    logs: [join(directory, 'data/logs/*.log')],
    journald: null,
    docker: null,
    configFiles: [join(directory, 'config.json'), join(directory, '.env')],
    idle: false,
    fixes: {},
    environment: {},
  };
});
afterEach(async () => {
  await store.close();
  await world.close();
});

const path = (name: string): string => join(world.kit.directory, name);
const file = (name: string, text: string, at = now): void => {
  mkdirSync(join(path(name), '..'), { recursive: true });
  writeFileSync(path(name), text);
  utimesSync(path(name), at / 1000, at / 1000);
};
/** The service says something at this time. */
const ran = (at = now): void => file('data/logs/agent.log', 'INFO run finished\n', at);
const later = async (ms = 5 * MINUTE): Promise<void> => {
  now += ms;
  await copies.look(service);
};
const kept = async (name: string): Promise<readonly (readonly [string, boolean])[]> => {
  const rows = await store.goodCopies('agent', name.includes('#') ? name : path(name));
  const text = async (id: string) => Buffer.from((await store.goodCopy(id))?.content ?? []).toString('utf8');
  return Promise.all(rows.map(async (row) => [await text(row.id), row.provenAt !== null] as const));
};
const fails = async (change: Partial<Incident> = {}): Promise<void> => {
  const incident = sampleIncident({
    service: 'agent',
    type: 'config_error',
    firstSeen: now,
    lastSeen: now,
    revision: 1,
    ...change,
  });
  await store.saveIncident(incident);
};

describe('a configuration that the service runs with', () => {
  it('is saved at once and proven after an interval in which the service ran without errors', async () => {
    file('config.json', '{"workers": 4}');
    await copies.look(service);
    expect(await kept('config.json')).toEqual([['{"workers": 4}', false]]);
    ran(now + 1_000);
    await later();
    expect(await kept('config.json')).toEqual([['{"workers": 4}', true]]);
  });

  it('is not proven while nothing has run with it', async () => {
    ran(now - 60 * MINUTE);
    file('config.json', '{"workers": 4}');
    await copies.look(service);
    for (let i = 0; i < 5; i++) await later();
    expect(await kept('config.json')).toEqual([['{"workers": 4}', false]]);
  });

  it('is not proven by the quiet between two failures of a job', async () => {
    file('config.json', '{"workers": "many"}');
    await copies.look(service);
    for (let hour = 0; hour < 3; hour++) {
      now += 5 * MINUTE;
      ran(now);
      await fails({
        id: `${hour + 1}`,
        fingerprint: { version: 1, kind: `k${hour}`, place: `p${hour}`, template: '' },
      });
      await later(1_000);
      for (let i = 0; i < 11; i++) await later();
    }
    expect(await kept('config.json')).toEqual([['{"workers": "many"}', false]]);
  });

  it('is proven in spite of trouble that came from outside', async () => {
    file('config.json', '{"workers": 4}');
    await copies.look(service);
    ran(now + 1_000);
    await fails({ id: '1', type: 'rate_limit' });
    await later();
    expect(await kept('config.json')).toEqual([['{"workers": 4}', true]]);
  });

  it('is proven once it runs again after an error', async () => {
    file('config.json', '{"workers": 4}');
    await copies.look(service);
    await fails({ id: '1' });
    await later(1);
    await later();
    expect((await kept('config.json'))[0]?.[1]).toBe(false);
    ran(now + MINUTE);
    await later();
    expect((await kept('config.json'))[0]?.[1]).toBe(true);
  });

  it('is the newest proven one again when an older one comes back', async () => {
    for (const workers of [1, 2, 1]) {
      file('config.json', `{"workers": ${workers}}`);
      await copies.look(service);
      ran(now + 1_000);
      await later();
    }
    expect(await kept('config.json')).toEqual([
      ['{"workers": 1}', true],
      ['{"workers": 2}', true],
    ]);
  });

  it('is proven for a service that logs all the time', async () => {
    file('config.json', '{"workers": 4}');
    ran(now);
    await copies.look(service);
    for (let i = 0; i < 2; i++) {
      ran(now + 5 * MINUTE);
      await later();
    }
    expect((await kept('config.json'))[0]?.[1]).toBe(true);
  });

  it('is proven without log files as long as no error is open', async () => {
    service = { ...service, logs: [] };
    file('config.json', '{"workers": 4}');
    await copies.look(service);
    await fails({ id: '1' });
    await later();
    await later();
    expect((await kept('config.json'))[0]?.[1]).toBe(false);
  });
});

describe('what is never kept', () => {
  it.each([
    ['broken', '{"workers": '],
    ['empty', ''],
    ['not text', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')],
  ])('a file that is %s', async (_, text) => {
    mkdirSync(world.kit.directory, { recursive: true });
    writeFileSync(path('config.json'), text, 'latin1');
    await copies.look(service);
    expect(await kept('config.json')).toEqual([]);
  });

  it('a link, even one that stays inside', async () => {
    writeFileSync(join(world.root, 'secret.json'), '{"secret": 1}');
    symlinkSync(join(world.root, 'secret.json'), path('config.json'));
    await copies.look(service);
    expect(await kept('config.json')).toEqual([]);
    expect(await store.goodCopies('agent', join(world.root, 'secret.json'))).toEqual([]);
  });
});

describe('beside configurations', () => {
  it('the commit the service runs on is kept and proven', async () => {
    await world.kit.repository({ 'main.py': 'x\n' });
    const head = (await world.kit.sh(['git', 'rev-parse', 'HEAD'])).trim();
    await copies.look(service);
    ran(now + 1_000);
    await later();
    expect(await kept(headRecord(world.kit.directory))).toEqual([[`${head}\nmain\n`, true]]);
  });

  it('the modes and owners of its files are kept and proven, not those of logs and packages', async () => {
    file('key.pem', 'k');
    chmodSync(path('key.pem'), 0o600);
    file('data/state.json', '{}');
    chmodSync(path('data/state.json'), 0o640);
    file('data/logs/agent.log', '');
    file('node_modules/x/index.js', '');
    await copies.look(service);
    ran(now + 1_000);
    await later();
    const [[text, proven] = ['', false]] = await kept(modesRecord(world.kit.directory));
    expect(proven).toBe(true);
    const owner = `${process.getuid?.()}:${process.getgid?.()}`;
    expect(JSON.parse(text)).toMatchObject({
      'key.pem': `f 600 ${owner}`,
      'data/state.json': `f 640 ${owner}`,
      data: `d 755 ${owner}`,
    });
    expect(Object.keys(JSON.parse(text) as object).filter((name) => /logs|node_modules/.test(name))).toEqual([]);
  });
});
