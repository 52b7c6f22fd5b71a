import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Detection } from '../core/detection.ts';
import { advance, type Incident } from '../core/incident.ts';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { ManualClock, sampleDetection, sampleRecord } from '../testing/samples.ts';
import type { Counted } from './ahead.ts';
import { Incidents, type Result } from './incidents.ts';

let directory: string;
let store: Store;
let clock: ManualClock;
let incidents: Incidents;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'selfheal-incidents-'));
  clock = new ManualClock();
  store = await openStore({ directory, clock });
  incidents = new Incidents({ store, clock, node: 'host', redact: (text) => text.replaceAll('hunter2', '***') });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const seenNow = (detection: Detection): Detection => ({ ...detection, record: sampleRecord({ seenAt: clock.now() }) });
const crash = () =>
  seenNow(sampleDetection('service_crash', 'crash', { severity: 'critical', facts: { exitCode: 1, pid: 7 } }));
const missing = () => seenNow(sampleDetection('import_error', 'yaml', { facts: { module: 'yaml' } }));
const all = () => store.incidents({ limit: 100 });

it('makes one incident of ten thousand repeats, with the exact count', async () => {
  for (let i = 0; i < 20; i++) await incidents.take(Array.from({ length: 500 }, missing), []);

  const [only, ...others] = await all();
  expect(others).toEqual([]);
  expect(only).toMatchObject({ count: 10_000, state: { name: 'open' } });
  expect(only?.samples).toHaveLength(5);
});

it('takes a problem more seriously on a service that much depends on', async () => {
  const options = { store, clock, node: 'host', redact: (text: string) => text };
  const roles = new Incidents({ ...options, roleOf: (service) => (service === 'agent' ? 'critical' : 'minor') });
  const of = (service: string) => ({ ...missing(), record: sampleRecord({ service, seenAt: clock.now() }) });
  await roles.take([of('agent'), of('toy')], []);

  expect((await all()).map(({ service, severity }) => [service, severity]).sort()).toEqual([
    ['agent', 'critical'],
    ['toy', 'medium'],
  ]);
});

it('keeps different problems apart', async () => {
  await incidents.take([missing(), seenNow(sampleDetection('import_error', 'requests'))], []);
  expect(await all()).toHaveLength(2);
});

it('commits the cursor together with the incidents it led to', async () => {
  await incidents.take([missing()], [{ source: 'file:agent', cursor: { offset: 42 } }]);
  expect(await store.cursor('file:agent')).toEqual({ offset: 42 });
});

it('counts a crash right after an error as a symptom of that error', async () => {
  await incidents.take([missing()], []);
  clock.advance(200);
  await incidents.take([crash()], []);

  expect(await all()).toHaveLength(1);
  expect((await all())[0]).toMatchObject({
    type: 'import_error',
    symptoms: ['service_crash'],
    count: 1,
    facts: { module: 'yaml', exitCode: 1 },
  });
});

it('closes a crash in favour of its reason when the reason is read later', async () => {
  await incidents.take([crash()], []);
  clock.advance(300);
  await incidents.take([missing()], []);

  const byType = Object.fromEntries((await all()).map((i) => [i.type, i]));
  expect(byType['service_crash']?.state).toMatchObject({ name: 'resolved', by: 'cause' });
  expect(byType['import_error']).toMatchObject({ symptoms: ['service_crash'], state: { name: 'open' } });
});

it('gives a crash without a reason an incident of its own', async () => {
  await incidents.take([crash()], []);
  clock.advance(5_000);
  await incidents.take([missing()], []);
  expect((await all()).map((i) => i.type).sort()).toEqual(['import_error', 'service_crash']);
});

it('reopens a resolved incident when the error returns, under the same id', async () => {
  await incidents.take([missing()], []);
  const [first] = await all();
  const healed =
    first &&
    advance(first, { kind: 'cleared', at: clock.now(), by: 'person', reason: 'done', cause: null, outcome: null });
  await store.saveIncident(healed as NonNullable<typeof healed>);
  clock.advance(60_000);

  const changes = await incidents.take([missing()], []);
  expect(changes).toMatchObject([{ kind: 'reopened', incident: { id: first?.id, count: 2, state: { name: 'open' } } }]);
});

it('counts on when somebody else changed the incident in between', async () => {
  await incidents.take([missing()], []);
  const [first] = await all();
  const silenced = first && advance(first, { kind: 'silenced', by: 'cli', until: clock.now() + 1_000 });
  await store.saveIncident(silenced as NonNullable<typeof silenced>);

  await incidents.take([missing(), missing()], []);
  expect((await all())[0]).toMatchObject({ count: 3, state: { name: 'silenced' } });
});

it('stores no secret, neither in the message nor in the samples', async () => {
  const leaky = { ...missing(), message: 'login with hunter2 failed' };
  await incidents.take([{ ...leaky, record: sampleRecord({ text: 'password hunter2', seenAt: clock.now() }) }], []);
  expect(JSON.stringify(await all())).not.toContain('hunter2');
});

it('dates lines that are read late by their own time, and never into the future', async () => {
  const old = clock.now() - 3_600_000;
  const late = sampleDetection('timeout', 'a', { record: sampleRecord({ time: old, seenAt: clock.now() }) });
  const future = sampleDetection('timeout', 'b', {
    record: sampleRecord({ time: clock.now() + 9e9, seenAt: clock.now() }),
  });
  await incidents.take([late, future], []);
  const times = Object.fromEntries((await all()).map((i) => [i.fingerprint.place, i.lastSeen]));
  expect(times).toEqual({ a: old, b: clock.now() });
});

it('a new consequence of what a person was called for is looked at again', async () => {
  await incidents.take([missing()], []);
  const [opened] = await all();
  const at = clock.now();
  const event = { kind: 'given-up', at, reason: 'no fix', outcome: null, suggestion: null } as const;
  await store.saveIncident(advance(opened as NonNullable<typeof opened>, event) as NonNullable<typeof opened>);
  clock.advance(60_000);
  await incidents.take([missing()], []);
  expect((await all())[0]?.state.name).toBe('needs-human');
  clock.advance(500);
  const [change] = await incidents.take([crash()], []);
  expect(change?.kind).toBe('reopened');
  expect((await all())[0]).toMatchObject({ state: { name: 'open' }, symptoms: ['service_crash'] });
});

it('keeps known problems themselves when too many new ones come, and counts those in one bucket', async () => {
  const many = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => seenNow(sampleDetection('import_error', `place-${from + i}`)));
  await incidents.take(many(0, 10_000), []);
  await incidents.take([...many(10_000, 10_010), ...many(3, 4)], []);
  expect(await store.incidentByFingerprint('agent', 'place-3')).toMatchObject({ count: 2 });
  expect(await store.incidentByFingerprint('agent', 'place-10003')).toBeNull();
  expect(await store.incidentByFingerprint('agent', 'overflow:import_error')).toMatchObject({ count: 10 });
  clock.advance(25 * 3_600_000);
  await incidents.take(many(10_003, 10_004), []);
  expect(await store.incidentByFingerprint('agent', 'place-10003')).toMatchObject({ count: 1 });
}, 240_000);

describe('a record that may still go on', () => {
  const rowsOf = () => [];
  const early = async (detection: Detection): Promise<Counted | null> => {
    let counted: Result | undefined;
    const changes = await incidents.settle([{ stage: 'provisional', detection, counted: null }], (results) => {
      [counted] = results;
      return [];
    });
    expect(changes).toEqual([]);
    return counted ?? null;
  };
  const final = (detection: Detection | null, counted: Counted | null) =>
    incidents.settle([{ stage: 'final', detection, counted }], rowsOf);
  const other = () => seenNow(sampleDetection('import_error', 'requests'));

  it('opens an incident that waits, and whose story begins when it is complete', async () => {
    const counted = await early(missing());
    const [waiting] = await store.incidents({});
    expect(waiting).toMatchObject({ count: 1, state: { name: 'open' } });
    const [change] = await final(missing(), counted);
    expect(change).toMatchObject({ kind: 'opened', incident: { id: waiting?.id, count: 1, samples: [{}] } });
    const untilOf = (incident?: Incident) => (incident?.state.name === 'open' ? incident.state.notBefore : 0);
    expect(untilOf(waiting)).toBeGreaterThan(untilOf(change?.incident) + 5_000);
    expect((await store.timeline('1')).map(({ kind }) => kind)).toEqual(['opened']);
  });

  it('neither wakes nor ends anything before it is complete', async () => {
    await incidents.take([missing()], []);
    const [first] = await store.incidents({});
    const resolved: Incident = {
      ...(first as Incident),
      state: { name: 'resolved', by: 'person', at: clock.now() },
      revision: 2,
    };
    expect(await store.saveIncident(resolved)).toBe(true);
    const counted = await early(missing());
    expect(await store.incident('1')).toMatchObject({ ...resolved, count: 2, revision: 3 });
    expect(await final(missing(), counted)).toMatchObject([{ kind: 'reopened', incident: { count: 2 } }]);
  });

  it('leaves nothing behind when it is no error, or tells of what is known', async () => {
    await final(null, await early(missing()));
    expect(await store.incidents({})).toEqual([]);
    await incidents.take([other()], []);
    const counted = await early(missing());
    expect(await store.incidents({})).toHaveLength(2);
    expect(await final(other(), counted)).toMatchObject([{ kind: 'repeated', incident: { count: 2 } }]);
    expect(await store.incidents({})).toMatchObject([{ fingerprint: other().fingerprint, count: 2 }]);
  });

  it('takes only its own count back where others have said the same', async () => {
    const counted = await early(missing());
    await incidents.take([missing()], []);
    await final(other(), counted);
    const kept = await store.incidents({});
    expect(kept.map(({ fingerprint, count }) => [fingerprint.place, count]).sort()).toEqual(
      [
        [missing().fingerprint.place, 1],
        [other().fingerprint.place, 1],
      ].sort(),
    );
  });
});
