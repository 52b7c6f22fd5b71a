import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Detection } from '../core/detection.ts';
import { advance, type Incident, type IncidentEvent } from '../core/incident.ts';
import { ErrorDetector } from '../engine/detector.ts';
import { Incidents } from '../engine/incidents.ts';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { ManualClock, sampleDetection, sampleRecord } from '../testing/samples.ts';
import { Grouping } from './grouping.ts';

let directory: string;
let clock: ManualClock;
let store: Store;
let incidents: Incidents;
let grouping: Grouping;

/** Opens everything anew, as after a restart. */
async function start(): Promise<void> {
  store = await openStore({ directory, clock });
  incidents = new Incidents({ store, clock, node: 'host', redact: (text) => text });
  const detector = new ErrorDetector();
  grouping = new Grouping({ store, clock, explain: async (text) => detector.explain(text) }, change);
}

async function change(id: string, event: IncidentEvent): Promise<Incident | null> {
  const next = advance((await store.incident(id)) as Incident, event);
  return next && (await store.saveIncident(next)) ? next : null;
}

async function restart(): Promise<void> {
  await store.close();
  await start();
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'selfheal-grouping-'));
  clock = new ManualClock();
  await start();
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const at = (place: string, changes: Partial<Detection> = {}): Detection =>
  sampleDetection('permission_error', place, { ...changes, record: sampleRecord({ seenAt: clock.now() }) });
const denied = (path: string): Detection => ({
  ...at('denied', { facts: { path } }),
  record: sampleRecord({ seenAt: clock.now(), text: `PermissionError: [Errno 13] Permission denied: '${path}'` }),
});
const see = (...found: readonly Detection[]) => incidents.take(found, []);
const counts = async () =>
  (await store.incidents({})).map(({ id, count }) => [id, count]).sort(([a], [b]) => Number(a) - Number(b));
const stateOf = async (id: string) => (await store.incident(id))?.state.name;

it('counts for the other incident what was merged into it, also after a restart, until it is taken back', async () => {
  await see(at('a'), at('b'));
  expect(await grouping.merge('1', '2', 'cli:me')).toMatchObject({ ok: true });
  expect(await stateOf('1')).toBe('resolved');

  await see(at('a'));
  await restart();
  await see(at('a'), at('b'));
  expect(await counts()).toEqual([
    ['1', 1],
    ['2', 4],
  ]);

  expect(await grouping.ungroup('1', 'cli:me')).toMatchObject({ ok: true });
  await see(at('a'));
  expect(await counts()).toEqual([
    ['1', 2],
    ['2', 4],
  ]);
  expect(await stateOf('1')).toBe('open');
  expect((await store.timeline('2')).map(({ text }) => text)).toContain(
    'incident 1 was merged into this one by cli:me',
  );
});

it('takes along what had been merged before, and never leads in a circle', async () => {
  await see(at('a'), at('b'), at('c'));
  await grouping.merge('1', '2', 'cli:me');
  await grouping.merge('2', '3', 'cli:me');
  await see(at('a'), at('b'), at('c'));
  expect(await counts()).toEqual([
    ['1', 1],
    ['2', 1],
    ['3', 4],
  ]);

  await grouping.merge('3', '1', 'cli:me');
  await see(at('a'), at('b'), at('c'));
  expect((await counts())[0]).toEqual(['1', 4]);
});

it('keeps what others were merged into when old incidents are cleared away', async () => {
  await see(at('a'), at('b'));
  await grouping.merge('1', '2', 'cli:me');
  await change('2', { kind: 'cleared', at: clock.now(), by: 'person', reason: '', cause: null, outcome: null });
  clock.advance(90 * 86_400_000);
  await store.prune(clock.now() - 1);
  await see(at('a'));
  expect(await counts()).toEqual([['2', 2]]);
});

it('makes problems of their own of records that differ in a fact, also after a restart, until it is taken back', async () => {
  await see(denied('/srv/a'), denied('/srv/b'));
  expect(await counts()).toEqual([['1', 2]]);
  // The facts of an incident are the latest: that is what stays with it.
  expect(await grouping.split('1', 'path', 'cli:me')).toMatchObject({ ok: true });

  await see(denied('/srv/a'), denied('/srv/b'));
  await restart();
  await see(denied('/srv/a'), denied('/srv/b'), denied('/srv/c'));
  expect(await counts()).toEqual([
    ['1', 4],
    ['2', 2],
    ['3', 1],
  ]);

  expect(await grouping.ungroup('1', 'cli:me')).toMatchObject({ ok: true });
  expect([await stateOf('2'), await stateOf('3')]).toEqual(['resolved', 'resolved']);
  await see(denied('/srv/a'));
  expect((await counts())[0]).toEqual(['1', 5]);
});

it('splits by the fact in which the records differ, and asks where it cannot tell', async () => {
  await see(denied('/srv/a'), denied('/srv/b'), at('x'));
  expect(await grouping.split('1', null, 'cli:me')).toMatchObject({
    ok: true,
    message: expect.stringMatching(/differ in path/),
  });
  expect(await grouping.split('2', null, 'cli:me')).toMatchObject({
    ok: false,
    message: expect.stringMatching(/split 2 by message/),
  });
  expect(await grouping.split('2', 'colour', 'cli:me')).toMatchObject({
    ok: false,
    message: expect.stringMatching(/known: message, /),
  });
});

it('holds a split for the version of the fingerprints it was made for, and for no other', async () => {
  await see(denied('/srv/a'));
  await grouping.split('1', 'path', 'cli:me');
  const other = denied('/srv/b');
  await see({ ...other, fingerprint: { ...other.fingerprint, version: 99 } });
  expect(await counts()).toEqual([['1', 2]]);
});

it('refuses what makes no sense, and says why', async () => {
  const elsewhere = { ...at('a'), record: sampleRecord({ service: 'mailer', seenAt: clock.now() }) };
  await see(at('a'), elsewhere);
  expect(await grouping.merge('1', '1', 'cli:me')).toMatchObject({ ok: false });
  expect(await grouping.merge('1', '2', 'cli:me')).toMatchObject({
    ok: false,
    message: expect.stringMatching(/different services/),
  });
  expect(await grouping.merge('1', '9', 'cli:me')).toMatchObject({ ok: false, message: 'there is no incident 9' });
  expect(await grouping.ungroup('1', 'cli:me')).toMatchObject({ ok: false });
});
