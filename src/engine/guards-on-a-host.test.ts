// Each guard by what becomes of a real file: through the store, the planner, the fixer and *hands*.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Fix } from '../fixes/contract.ts';
import { PAUSE_FILE, VALUE_KEYS } from '../store/contract.ts';
import { lockDaemon, lockOnHost } from '../store/index.ts';
import { BROKEN, HealRig, type HealRigOptions } from '../testing/heal-rig.ts';

const HOUR_MS = 3_600_000;
const open: HealRig[] = [];
afterEach(async () => {
  for (const rig of open.splice(0).reverse()) await rig.close();
});

async function rigOf(options: HealRigOptions = {}): Promise<HealRig> {
  const rig = await HealRig.open(options);
  open.push(rig);
  return rig;
}
const useless = (changes: Partial<Fix> = {}): HealRigOptions => ({
  fixes: (rig) => [rig.mend({ helps: false, risk: 'safe', ...changes })],
});
const restarts = (rig: HealRig): Fix =>
  rig.mend({ name: 'start-anew', family: 'restart-service', risk: 'safe', handles: ['service_crash'] });

describe('autonomy', () => {
  it.each([
    ['off', 'needs-human'],
    ['suggest', 'needs-human'],
    ['approve', 'awaiting-approval'],
  ] as const)('%s touches nothing by itself', async (autonomy, state) => {
    const rig = await rigOf({ services: { agent: { fixes: { 'restore-config': autonomy } } } });
    const id = await rig.incident();
    expect((await rig.step(id))?.state.name).toBe(state);
    expect([rig.content(), rig.calls]).toEqual([BROKEN, []]);
  });

  it('approve acts once a person has approved exactly this plan', async () => {
    const rig = await rigOf({ services: { agent: { fixes: { 'restore-config': 'approve' } } } });
    const id = await rig.incident();
    const plan = await rig.store.plan((await rig.step(id))?.plan ?? '');
    await rig.store.decide({ plan: `${id}-1`, hash: plan?.hash ?? '', verdict: 'approved', by: 'cli:me', at: 1 });
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
    expect(rig.isMended()).toBe(true);
  });

  it.each([
    ['a repair that leaves something can be taken back', false, undefined],
    ['a repair that has no way back is not offered to be taken back', true, false],
  ])('%s', async (_, isFinal, hasWayBack) => {
    const rig = await rigOf({
      fixes: (one) => [
        {
          ...one.mend(),
          diagnose: async (given) => {
            const found = await one.mend().diagnose(given);
            if (!isFinal || found.kind !== 'proposal') return found;
            const undo = { kind: 'none', reason: 'it is final' } as const;
            return {
              kind: 'proposal',
              proposal: { ...found.proposal, steps: found.proposal.steps.map((s) => ({ ...s, undo })) },
            };
          },
        },
      ],
    });
    expect((await rig.toTheEnd(await rig.incident())).outcome).toMatchObject({ kind: 'fixed' });
    expect((await rig.store.incident('1'))?.outcome?.hasWayBack).toBe(hasWayBack);
  });

  it('auto acts, proves and is done', async () => {
    const rig = await rigOf();
    const id = await rig.incident();
    expect((await rig.toTheEnd(id)).state).toMatchObject({ name: 'resolved', by: 'fix' });
    expect(rig.isMended()).toBe(true);
  });

  it.each([
    ['auto-fix is switched off', { autoFix: false }],
    ['selfheal is switched off', { enabled: false }],
    ['the type is not among those that may be fixed', { autoFixTypes: ['git_error' as const] }],
  ])('auto asks when %s', async (_, config) => {
    const rig = await rigOf({ config });
    expect((await rig.step(await rig.incident()))?.state.name).toBe('awaiting-approval');
    expect(rig.content()).toBe(BROKEN);
  });
});

describe('trust that is earned', () => {
  async function repairs(rig: HealRig, times: number): Promise<void> {
    for (let n = 0; n < times; n += 1) {
      rig.clock.advance(HOUR_MS);
      const at = rig.clock.now();
      const outcome = { kind: 'fixed' as const, reason: '', evidence: [], at, plan: `0-${n}` };
      const row = {
        plan: `0-${n}`,
        incident: '0',
        service: 'agent',
        fix: 'mend',
        family: 'restore-config',
        startedAt: at,
      };
      await rig.store.addLedger({ ...row, outcome });
    }
    rig.clock.advance(25 * HOUR_MS);
  }
  const suggested = { services: { agent: { fixes: { 'restore-config': 'suggest' as const } } } };

  it('lets a suggested fix ask after 4 proven repairs, and run by itself after 16', async () => {
    const rig = await rigOf({ ...suggested, config: { trust: 'earned' } });
    await repairs(rig, 4);
    const asks = await rig.step(await rig.incident({ fingerprint: nth(1) }));
    expect(asks?.state.name).toBe('awaiting-approval');
    expect((await rig.store.plan(asks?.plan ?? ''))?.decision.reason).toMatch(/4 of 4 repairs proven/);
    await repairs(rig, 16);
    const healed = await rig.toTheEnd(await rig.incident({ fingerprint: nth(2) }));
    expect(healed.outcome?.kind).toBe('fixed');
    expect((await rig.store.plan(healed.plan ?? ''))?.decision.reason).toMatch(/16 of 16 repairs proven/);
  });

  it('is lost at once when a person takes a repair back', async () => {
    const rig = await rigOf({ config: { trust: 'earned' } });
    const id = await rig.incident({ fingerprint: nth(1) });
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
    expect((await rig.fixer.rollBack(id, 'cli:me', new AbortController().signal))?.kind).toBe('rolled-back');
    expect(rig.content()).toBe(BROKEN);
    const next = await rig.step(await rig.incident({ fingerprint: nth(2) }));
    expect(next?.state.name).toBe('awaiting-approval');
    expect((await rig.store.plan(next?.plan ?? ''))?.decision.reason).toMatch(/taken back by a person/);
  });

  it('is not asked for unless the owner says so', async () => {
    const rig = await rigOf(suggested);
    await repairs(rig, 30);
    expect((await rig.step(await rig.incident()))?.state.name).toBe('needs-human');
  });
});

describe('attempts', () => {
  it('are stored before anything is touched', async () => {
    const rig = await rigOf();
    const id = await rig.incident();
    let stored = -1;
    rig.reach = async (point) => {
      if (point === 'apply.0.before') stored = (await rig.store.incident(id))?.attempts ?? -1;
    };
    await rig.step(id);
    expect(stored).toBe(1);
  });

  it('end after three that did not help, and the file is as it was', async () => {
    const rig = await rigOf(useless());
    const incident = await rig.toTheEnd(await rig.incident());
    expect(incident).toMatchObject({ attempts: 3, state: { name: 'needs-human' } });
    expect([rig.content(), rig.calls.length]).toEqual([BROKEN, 3]);
  });

  it('are not lost when the daemon dies in the middle and another one comes', async () => {
    const rig = await rigOf(useless());
    const id = await rig.incident();
    rig.reach = async (point) => {
      if (point === 'apply.0.after') throw new Error('the power is gone');
    };
    await expect(rig.step(id)).rejects.toThrow('the power is gone');
    rig.reach = async () => {};
    rig.fixer = rig.createFixer();
    const incident = await rig.toTheEnd(id);
    expect([incident.attempts, rig.content()]).toEqual([3, BROKEN]);
  });

  it('are not spent on what could not be tried', async () => {
    const rig = await rigOf();
    const id = await rig.incident();
    rig.reach = async (point) => {
      if (point !== 'claimed.after') return;
      await rig.store.setValue(VALUE_KEYS.pause, { by: 'cli:me', at: 1, reason: 'a look first' });
    };
    expect(await rig.step(id)).toMatchObject({ attempts: 0, state: { name: 'open' } });
    expect(rig.content()).toBe(BROKEN);
    rig.reach = async () => {};
    await rig.store.setValue(VALUE_KEYS.pause, null);
    expect((await rig.toTheEnd(id)).attempts).toBe(1);
    expect(rig.isMended()).toBe(true);
  });
});

describe('cool-down', () => {
  it('lets time pass between two attempts, twice as much each time', async () => {
    const rig = await rigOf(useless());
    const id = await rig.incident();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const incident = await rig.step(id);
      if (incident?.state.name !== 'open') throw new Error('it should be tried again');
      waits.push(incident.state.notBefore - rig.clock.now());
      rig.clock.advance(waits[attempt] ?? 0);
    }
    expect(waits).toEqual([20_000, 40_000]);
    const fresh = await rig.step(id, { requestedByPerson: true });
    expect(fresh?.attempts).toBe(3);
  });
});

describe('resources', () => {
  it('of a plan that waits for its proof are not touched by another service', async () => {
    const both = await rigOf({ services: { agent: {}, web: { directory: 'agent' } } });
    const first = await both.incident();
    expect((await both.step(first))?.state.name).toBe('verifying');
    both.breakFile('web');
    const second = await both.incident({ service: 'web', fingerprint: other });
    expect(await both.step(second)).toMatchObject({ attempts: 0, state: { name: 'open' } });
    expect(both.content('web')).toBe(BROKEN);
  });

  it('are held against another daemon that has a store of its own', async () => {
    const rig = await rigOf();
    rig.lockOnHost = lockOnHost;
    const rival = await rigOf({ root: rig.root, services: { bot: { directory: rig.folder() } } });
    rival.lockOnHost = lockOnHost;
    const ours = await rig.incident();
    const theirs = await rival.incident({ service: 'bot' });
    let met: unknown;
    rig.reach = async (point) => {
      if (point === 'apply.0.before') met = await rival.step(theirs);
    };
    await rig.step(ours);
    expect(met).toMatchObject({ attempts: 0, state: { name: 'open' }, reason: /in use by another selfheal/ });
    expect(rig.isMended()).toBe(true);
  });

  it('a second daemon on the same state folder does not even start', async () => {
    const rig = await rigOf();
    const lock = await lockDaemon(rig.state);
    expect(await lockDaemon(rig.state)).toHaveProperty('heldBy.pid', process.pid);
    if ('release' in lock) await lock.release();
  });
});

const other = { version: 1, kind: 'k2', place: 'p2', template: 'another problem' };
const nth = (n: number) => ({ version: 1, kind: `k${n}`, place: `p${n}`, template: `problem ${n}` });

describe('the breaker of the host', () => {
  it('opens when a budget over all fixes is used up, holds across restarts, and only a person closes it', async () => {
    const rig = await rigOf({
      services: { agent: {}, web: {} },
      config: { limits: { changesPerHour: 3, changesPerDay: 30, restartsPerHour: 5 } },
    });
    for (let n = 0; n < 3; n += 1) {
      rig.breakFile();
      expect((await rig.toTheEnd(await rig.incident({ fingerprint: nth(n) }))).outcome?.kind).toBe('fixed');
    }
    rig.breakFile();
    const fourth = await rig.toTheEnd(await rig.incident({ fingerprint: nth(9) }));
    expect(fourth).toMatchObject({ state: { name: 'needs-human' }, reason: /3 changes within an hour/ });
    expect(await rig.store.value(VALUE_KEYS.breaker)).toMatchObject({ open: true });

    rig.clock.advance(2 * HOUR_MS);
    rig.fixer = rig.createFixer();
    const later = await rig.incident({ service: 'web', fingerprint: other });
    expect(await rig.toTheEnd(later)).toMatchObject({ reason: /breaker is open/ });
    expect([rig.content(), rig.content('web')]).toEqual([BROKEN, BROKEN]);

    await rig.store.setValue(VALUE_KEYS.breaker, { open: false, reason: 'closed by me' });
    const again = await rig.incident({ service: 'web', fingerprint: nth(11) });
    expect((await rig.toTheEnd(again)).outcome?.kind).toBe('fixed');
  });
});

describe('causes before symptoms', () => {
  it('leaves a symptom alone while a full disk explains it, and heals it when that is over', async () => {
    const rig = await rigOf();
    const disk = await rig.incident({ type: 'disk_full', fingerprint: other });
    const id = await rig.incident({ type: 'database_error' });
    expect(await rig.step(id)).toMatchObject({ state: { name: 'open' }, attempts: 0, reason: /disk_full/ });
    expect(rig.content()).toBe(BROKEN);
    const cause = await rig.store.incident(disk);
    if (cause)
      await rig.store.saveIncident({
        ...cause,
        state: { name: 'resolved', by: 'person', at: rig.clock.now() },
        revision: cause.revision + 1,
      });
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
  });
});

describe('maintenance', () => {
  it('is a pause with an end: nothing is done before it, and everything after it', async () => {
    const rig = await rigOf();
    const id = await rig.incident();
    const at = rig.clock.now();
    await rig.store.setValue(VALUE_KEYS.pause, { by: 'cli:me', at, reason: 'moving disks', until: at + HOUR_MS });
    expect(await rig.step(id)).toMatchObject({ state: { name: 'open' }, attempts: 0, reason: /moving disks/ });
    expect(rig.content()).toBe(BROKEN);
    rig.clock.advance(HOUR_MS);
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
  });

  it('of one problem is a silence, which ends by itself as well', async () => {
    const rig = await rigOf();
    const id = await rig.incident();
    const incident = await rig.store.incident(id);
    if (!incident) throw new Error('it was stored');
    const until = rig.clock.now() + HOUR_MS;
    await rig.store.saveIncident({
      ...incident,
      state: { name: 'silenced', by: 'cli:me', until },
      revision: incident.revision + 1,
    });
    expect((await rig.step(id))?.state.name).toBe('silenced');
    expect(rig.content()).toBe(BROKEN);
    rig.clock.advance(HOUR_MS);
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
  });
});

describe('a pause', () => {
  it.each([
    ['by a row', (rig: HealRig) => rig.store.setValue(VALUE_KEYS.pause, { by: 'me', at: 1, reason: 'stop' })],
    ['by a file', async (rig: HealRig) => writeFileSync(join(rig.state, PAUSE_FILE), '')],
  ])('%s stops everything before it begins', async (_, stop) => {
    const rig = await rigOf();
    const id = await rig.incident();
    await stop(rig);
    expect(await rig.step(id)).toMatchObject({ state: { name: 'open' }, attempts: 0 });
    expect([rig.content(), rig.calls]).toEqual([BROKEN, []]);
  });

  it.each([
    ['a row', (rig: HealRig) => rig.store.setValue(VALUE_KEYS.pause, { by: 'me', at: 1, reason: 'stop' })],
    ['a file', async (rig: HealRig) => writeFileSync(join(rig.state, PAUSE_FILE), '')],
  ])('is read before each step: %s between two steps takes the first one back', async (_, stop) => {
    const rig = await rigOf({ fixes: (one) => [one.mend({ before: aside(one) })] });
    writeFileSync(join(rig.folder(), 'old.log'), 'kept\n');
    const id = await rig.incident();
    rig.reach = async (point) => (point === 'done.0.after' ? stop(rig) : undefined);
    const incident = await rig.step(id);
    expect(incident?.outcome).toMatchObject({ kind: 'rolled-back', reason: /paused/ });
    expect(rig.content()).toBe(BROKEN);
    rmSync(join(rig.folder(), 'old.log'));
  });
});

const aside = (rig: HealRig) =>
  ({
    kind: 'chmod',
    title: 'close app.env',
    path: join(rig.folder(), 'app.env'),
    from: 0o600,
    to: 0o400,
    undo: { kind: 'restore-snapshot' },
  }) as const;

describe('a deliberate stop', () => {
  it('is never undone by a restart, but by the person who asks for one', async () => {
    const rig = await rigOf({
      services: { agent: { command: ['/bin/sleep', '60'] } },
      fixes: (one) => [restarts(one)],
    });
    await rig.store.setValue('supervised:agent', stopped(rig));
    const id = await rig.incident({ type: 'service_crash' });
    expect(await rig.step(id)).toMatchObject({ state: { name: 'needs-human' }, reason: /stopped on purpose/ });
    expect([rig.content(), rig.calls]).toEqual([BROKEN, []]);
  });
});

it('a deliberate stop rules out restarts only: what else is wrong is healed', async () => {
  const rig = await rigOf({
    services: { agent: { command: ['/bin/sleep', '60'] } },
    fixes: (one) => [{ ...restarts(one), handles: ['config_error'], order: 1 }, one.mend()],
  });
  await rig.store.setValue('supervised:agent', stopped(rig));
  expect((await rig.toTheEnd(await rig.incident())).outcome?.kind).toBe('fixed');
  expect(rig.isMended()).toBe(true);
});

function stopped(rig: HealRig) {
  const at = rig.clock.now();
  const generation = {
    number: 1,
    pid: 1,
    startTicks: 1,
    startedAt: at,
    stdout: '',
    stderr: '',
    ended: { at, exitCode: 0, signal: null, deliberate: true, failure: null },
  };
  return { generation, boot: 'one', starts: [at], stoppedBy: 'cli:me' };
}

describe('a storm', () => {
  it('of new problems makes us watch only, until it has calmed down', async () => {
    const rig = await rigOf();
    for (let n = 0; n < 21; n += 1) await rig.incident({ fingerprint: nth(n), service: 'elsewhere' });
    const id = await rig.incident({ fingerprint: other });
    expect(await rig.step(id)).toMatchObject({ state: { name: 'open' }, attempts: 0, reason: /watching only/ });
    expect(rig.content()).toBe(BROKEN);
    expect((await rig.toTheEnd(id)).outcome?.kind).toBe('fixed');
  });
});
