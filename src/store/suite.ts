// The contract of the store as tests: what every implementation must do, run on the real thing.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { advance, type Incident } from '../core/incident.ts';
import type { Notification } from '../core/notification.ts';
import type { Outcome } from '../core/outcome.ts';
import { canonicalJson, type Plan } from '../core/plan.ts';
import { StoreError, type LedgerRow, type Store } from './contract.ts';

/** An implementation under test: `reopen` gives a second connection to the same memory. */
export interface StoreUnderTest {
  readonly store: Store;
  now(at: number): void;
  reopen(): Promise<Store>;
  end(): Promise<void>;
}

export function storeSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let test: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      test = await make();
      store = test.store;
    });
    afterEach(() => test.end());
    const on = (check: (s: Store, t: StoreUnderTest) => Promise<void>) => () => check(store, test);
    watching(on);
    healing(on);
    telling(on);
    remembering(on);
  });
}

type On = (check: (store: Store, test: StoreUnderTest) => Promise<void>) => () => Promise<void>;

function watching(on: On): void {
  it(
    'keeps incidents and cursors of one commit for another connection',
    on(async (store, test) => {
      const incident = anIncident('1');
      await store.commitWatch({ incidents: [incident], cursors: [{ source: 'file:a', cursor: { offset: 9 } }] });
      const other = await test.reopen();
      expect(await other.incident('1')).toEqual(incident);
      expect(await other.cursor('file:a')).toEqual({ offset: 9 });
      expect(await other.cursor('file:b')).toBeNull();
      await other.close();
    }),
  );

  it(
    'rejects a whole commit when one incident was changed meanwhile, cursor included',
    on(async (store) => {
      const [one, two] = [anIncident('1'), anIncident('2')];
      await store.commitWatch({ incidents: [one, two], cursors: [{ source: 's', cursor: { offset: 1 } }] });
      expect(await store.saveIncident(seen(two))).toBe(true);
      const late = { incidents: [seen(one), seen(two)], cursors: [{ source: 's', cursor: { offset: 2 } }] };
      await expect(store.commitWatch(late)).rejects.toMatchObject({ name: 'StoreError', code: 'locked' });
      expect(await store.incident('1')).toEqual(one);
      expect(await store.cursor('s')).toEqual({ offset: 1 });
    }),
  );

  it(
    'removes an incident with the commit, unless somebody changed it meanwhile',
    on(async (store) => {
      const [one, two] = [anIncident('1'), anIncident('2')];
      await store.commitWatch({ incidents: [one, two], cursors: [] });
      const cursors = [{ source: 's', cursor: { offset: 2 } }];
      await store.commitWatch({ incidents: [], cursors: [], removed: [one] });
      expect(await store.saveIncident(seen(two))).toBe(true);
      const late = store.commitWatch({ incidents: [], cursors, removed: [two] });
      await expect(late).rejects.toMatchObject({ name: 'StoreError', code: 'locked' });
      expect((await store.incidents({})).map(({ id }) => id)).toEqual(['2']);
      expect(await store.cursor('s')).toBeNull();
    }),
  );

  it(
    'takes several successive revisions of one incident in a commit, and refuses ones with a gap',
    on(async (store) => {
      const first = anIncident('1');
      const second = seen(first);
      await store.commitWatch({ incidents: [first, second], cursors: [] });
      expect((await store.incident('1'))?.revision).toBe(2);
      const gap = [seen(second), seen(seen(seen(second)))];
      await expect(store.commitWatch({ incidents: gap, cursors: [] })).rejects.toBeInstanceOf(StoreError);
    }),
  );

  it(
    'lets exactly one of two writers win an incident',
    on(async (store, test) => {
      const incident = anIncident('1');
      expect(await store.saveIncident(incident)).toBe(true);
      expect(await store.saveIncident(incident)).toBe(false);
      const other = await test.reopen();
      const results = await Promise.all([store.saveIncident(seen(incident)), other.saveIncident(seen(incident))]);
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await store.saveIncident({ ...anIncident('7'), revision: 4 })).toBe(false);
      await other.close();
    }),
  );

  it(
    'gives each incident an id of its own, whoever asks',
    on(async (store, test) => {
      const other = await test.reopen();
      const asked = Array.from({ length: 40 }, (_, i) => (i % 2 ? store : other).nextIncidentId());
      const ids = await Promise.all(asked);
      expect(new Set(ids).size).toBe(40);
      expect(ids.every((id) => /^[1-9]\d*$/.test(id))).toBe(true);
      await other.close();
    }),
  );

  it(
    'finds incidents by fingerprint, by a merge of a person, by state and time',
    on(async (store) => {
      const old = { ...anIncident('1'), firstSeen: 10, lastSeen: 10 };
      const resolved: Incident = {
        ...anIncident('2', 'other'),
        firstSeen: 20,
        lastSeen: 20,
        state: { name: 'resolved', by: 'fix', at: 20 },
      };
      await store.commitWatch({ incidents: [old, resolved], cursors: [] });
      expect((await store.incidentByFingerprint('agent', 'place-1'))?.id).toBe('1');
      expect(await store.incidentByFingerprint('agent', 'place-9')).toBeNull();
      expect(await store.incidentByFingerprint('other', 'place-1')).toBeNull();
      await store.mergeFingerprint('agent', 'place-9', '1');
      expect((await store.incidentByFingerprint('agent', 'place-9'))?.id).toBe('1');
      expect(await store.merges()).toEqual([{ service: 'agent', place: 'place-9', incident: '1' }]);
      expect(await store.unmergeFingerprint('agent', 'place-9')).toBe(true);
      expect(await store.unmergeFingerprint('agent', 'place-9')).toBe(false);
      expect(await store.incidentByFingerprint('agent', 'place-9')).toBeNull();
      const ids = async (query: Parameters<Store['incidents']>[0]) => (await store.incidents(query)).map((i) => i.id);
      expect(await ids({})).toEqual(['2', '1']);
      expect(await ids({ states: ['open'] })).toEqual(['1']);
      expect(await ids({ service: 'other' })).toEqual(['2']);
      expect(await ids({ since: 15 })).toEqual(['2']);
      expect(await ids({ limit: 1 })).toEqual(['2']);
    }),
  );

  it(
    'tells the story of an incident in the order it was written',
    on(async (store) => {
      await store.addTimeline({ incident: '1', at: 5, kind: 'seen', text: 'first' });
      await store.addTimeline({ incident: '2', at: 5, kind: 'seen', text: 'another' });
      await store.addTimeline({ incident: '1', at: 5, kind: 'planned', text: 'second' });
      expect((await store.timeline('1')).map((entry) => entry.text)).toEqual(['first', 'second']);
    }),
  );
}

function healing(on: On): void {
  it(
    'keeps a plan exactly, and never another one under its id',
    on(async (store) => {
      const plan = aPlan('p1');
      await store.savePlan(plan);
      await store.savePlan(plan);
      expect(canonicalJson(await store.plan('p1'))).toBe(canonicalJson(plan));
      await expect(store.savePlan({ ...plan, hash: 'other' })).rejects.toThrow('never changes');
      await store.savePlan({ ...aPlan('p2'), createdAt: 2 });
      expect((await store.plansOf('1')).map((p) => p.id)).toEqual(['p1', 'p2']);
      expect(await store.plan('p9')).toBeNull();
    }),
  );

  it(
    'takes the first decision about a plan and only for its exact hash',
    on(async (store, test) => {
      await store.savePlan(aPlan('p1'));
      const yes = { plan: 'p1', hash: 'hash-p1', verdict: 'approved', by: 'cli:root', at: 1 } as const;
      expect(await store.decide({ ...yes, hash: 'stale' })).toBe(false);
      expect(await store.decide({ ...yes, plan: 'p9' })).toBe(false);
      const other = await test.reopen();
      const results = await Promise.all([store.decide(yes), other.decide({ ...yes, verdict: 'denied' })]);
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await store.approval('p1'))?.verdict).toBe(results[0] ? 'approved' : 'denied');
      expect(await store.approval('p2')).toBeNull();
      await other.close();
    }),
  );

  it(
    'journals in order and lets one process claim each generation of a plan',
    on(async (store, test) => {
      const other = await test.reopen();
      const claim = (s: Store, generation: number) =>
        s.appendJournal({ plan: 'p1', step: -1, phase: 'claimed', at: 1, data: { generation } });
      const results = await Promise.allSettled([claim(store, 1), claim(other, 1)]);
      expect(results.map((r) => r.status).sort()).toEqual(['fulfilled', 'rejected']);
      await store.appendJournal({ plan: 'p1', step: 0, phase: 'intent', at: 2, data: { nested: { a: [1, null] } } });
      await claim(other, 2);
      const phases = (await store.journal('p1')).map((entry) => `${entry.step} ${entry.phase}`);
      expect(phases).toEqual(['-1 claimed', '0 intent', '-1 claimed']);
      expect((await store.journal('p1'))[1]?.data).toEqual({ nested: { a: [1, null] } });
      await other.close();
    }),
  );

  it(
    'names the plans that were claimed and not finished, also after a plan is taken up again',
    on(async (store) => {
      const write = (plan: string, phase: 'claimed' | 'finished' | 'intent', generation = 1) =>
        store.appendJournal({ plan, step: -1, phase, at: 1, data: { generation } });
      await write('b', 'claimed');
      await write('a', 'claimed');
      await write('a', 'intent');
      expect(await store.openPlans()).toEqual(['b', 'a']);
      await write('b', 'finished');
      expect(await store.openPlans()).toEqual(['a']);
      await write('b', 'claimed', 2);
      expect(await store.openPlans()).toEqual(['b', 'a']);
    }),
  );

  it(
    'has one line per attempt in the ledger, the last word on it',
    on(async (store) => {
      const row = aLedgerRow('p1', 'fixed', 10);
      await store.addLedger(row);
      await store.addLedger({ ...aLedgerRow('p2', 'rolled-back', 20), service: 'other' });
      await store.addLedger({ ...row, outcome: { ...row.outcome, kind: 'rolled-back', at: 30 } });
      const kinds = async (query: Parameters<Store['ledger']>[0]) =>
        (await store.ledger(query)).map((r) => `${r.plan} ${r.outcome.kind}`);
      expect(await kinds({})).toEqual(['p2 rolled-back', 'p1 rolled-back']);
      expect(await kinds({ since: 15 })).toEqual(['p2 rolled-back']);
      expect(await kinds({ service: 'agent', fix: 'f', limit: 5 })).toEqual(['p1 rolled-back']);
    }),
  );

  it(
    'gives a lock to one owner until it is given back or runs out',
    on(async (store, test) => {
      test.now(1_000);
      const other = await test.reopen();
      const both = await Promise.all([store.lock('port:1', 'me', 2_000), other.lock('port:1', 'you', 2_000)]);
      expect(both.filter(Boolean)).toHaveLength(1);
      const [holder, rival] = both[0] ? ['me', 'you'] : ['you', 'me'];
      expect(await store.lock('port:1', holder, 3_000)).toBe(true);
      await store.unlock('port:1', rival);
      expect(await store.locks()).toEqual([{ resource: 'port:1', owner: holder, until: 3_000 }]);
      test.now(3_000);
      expect(await other.lock('port:1', rival, 4_000)).toBe(true);
      await store.unlock('port:1', rival);
      expect(await store.locks()).toEqual([]);
      await other.close();
    }),
  );
}

function telling(on: On): void {
  it(
    'keeps a notification once per channel until it is sent, withheld ones too',
    on(async (store) => {
      const [first, second] = [aNotification('n1', 10), aNotification('n2', 20)];
      await store.enqueue(first, ['telegram', 'webhook'], false);
      await store.enqueue(first, ['telegram'], false);
      await store.enqueue(second, ['telegram'], false);
      await store.enqueue(aNotification('n3', 30), [], false);
      await store.enqueue(aNotification('n4', 40), ['telegram'], true);
      const due = await store.dueOutbox('telegram', 15, 10);
      expect(due.map((row) => row.notification.id)).toEqual(['n1']);
      expect(due[0]?.notification).toEqual(first);
      const sent = { tries: 1, notBefore: 0, error: null, channel: 'telegram', state: 'sent' } as const;
      expect(await store.lastSent('telegram', 'incident:1')).toBeNull();
      await store.updateOutbox({ ...sent, id: 'n1', externalId: '77' });
      expect((await store.lastSent('telegram', 'incident:1'))?.externalId).toBe('77');
      expect(await store.dueOutbox('telegram', 15, 10)).toEqual([]);
      expect((await store.dueOutbox('webhook', 15, 10)).map((row) => row.channel)).toEqual(['webhook']);
      const all = await store.outbox({});
      expect(all.map((row) => `${row.notification.id} ${row.channel} ${row.state}`)).toEqual([
        'n4 telegram withheld',
        'n3 none withheld',
        'n2 telegram pending',
        'n1 webhook pending',
        'n1 telegram sent',
      ]);
      expect(await store.outbox({ since: 30, limit: 1 })).toHaveLength(1);
    }),
  );
}

function remembering(on: On): void {
  it(
    'swaps a value only against what it was; null is absence',
    on(async (store, test) => {
      expect(await store.value('breaker')).toBeNull();
      expect(await store.swapValue('breaker', null, { open: false, tries: 1 })).toBe(true);
      expect(await store.swapValue('breaker', null, { open: true })).toBe(false);
      const other = await test.reopen();
      // The order of keys is no difference.
      const swap = (s: Store, tries: number) =>
        s.swapValue('breaker', { tries: 1, open: false }, { open: true, tries });
      const results = await Promise.all([swap(store, 2), swap(other, 3)]);
      expect(results.filter(Boolean)).toHaveLength(1);
      await store.setValue('breaker', null);
      expect(await other.value('breaker')).toBeNull();
      expect(await store.swapValue('breaker', null, null)).toBe(true);
      await store.setValue('offset', 12);
      expect(await store.swapValue('offset', 12, null)).toBe(true);
      expect(await other.value('offset')).toBeNull();
      await other.close();
    }),
  );

  it(
    'keeps the bytes of good copies, proven ones first, equal content once',
    on(async (store) => {
      const save = (text: string, savedAt: number, provenAt: number | null = null) =>
        store.saveGoodCopy(
          { service: 'agent', path: '/a/.env', sha256: `sha-${text}`, mode: 0o600, bytes: 3, savedAt, provenAt },
          new Uint8Array(Buffer.from(text)),
        );
      const one = await save('one', 1);
      const two = await save('two', 2);
      expect((await save('one', 3)).id).toBe(one.id);
      await store.proveGoodCopy(two.id, 9);
      expect((await store.goodCopies('agent', '/a/.env')).map((copy) => [copy.id, copy.provenAt])).toEqual([
        [two.id, 9],
        [one.id, null],
      ]);
      expect((await save('two', 10)).provenAt).toBe(9);
      const kept = await store.goodCopy(one.id);
      expect(Buffer.from(kept?.content ?? []).toString()).toBe('one');
      expect(kept?.copy).toMatchObject({ savedAt: 3, mode: 0o600 });
      expect(await store.goodCopy('nothing')).toBeNull();
    }),
  );

  it(
    'hands each request out exactly once',
    on(async (store, test) => {
      const other = await test.reopen();
      for (let n = 0; n < 20; n += 1) await store.request({ kind: 'fix', subject: `${n}`, by: 'cli:root', at: n });
      await store.request({ kind: 'rollback', subject: 'x', by: 'cli:root', at: 1 });
      const taken = await Promise.all([store.takeRequests(['fix']), other.takeRequests(['fix'])]);
      expect(taken.flat().map((request) => request.subject)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`));
      expect((await store.takeRequests(['fix', 'rollback'])).map((request) => request.kind)).toEqual(['rollback']);
      expect(await store.takeRequests([])).toEqual([]);
      const id = await store.request({ kind: 'start-service', subject: 'agent', by: 'hands:p1', at: 1 });
      expect([await other.isWaiting(id), await other.withdraw(id)]).toEqual([true, true]);
      expect([await store.isWaiting(id), await store.withdraw(id)]).toEqual([false, false]);
      await other.close();
    }),
  );

  it(
    'forgets what is old and closed, and nothing that is open or was acted on',
    on(async (store) => {
      const closed: Incident = { ...anIncident('1'), lastSeen: 5, state: { name: 'resolved', by: 'itself', at: 5 } };
      const open = { ...anIncident('2'), lastSeen: 5 };
      await store.commitWatch({ incidents: [closed, open], cursors: [] });
      await store.addTimeline({ incident: '1', at: 5, kind: 'seen', text: 'gone' });
      await store.addTimeline({ incident: '2', at: 5, kind: 'seen', text: 'kept' });
      await store.savePlan({ ...aPlan('unused'), expiresAt: 5 });
      await store.savePlan({ ...aPlan('used'), expiresAt: 5 });
      await store.appendJournal({ plan: 'used', step: -1, phase: 'claimed', at: 5, data: {} });
      await store.enqueue(aNotification('waiting', 5), ['telegram'], false);
      await store.enqueue(aNotification('withheld', 5), ['telegram'], true);
      expect(await store.prune(100)).toBe(4);
      expect((await store.incidents({})).map((incident) => incident.id)).toEqual(['2']);
      expect(await store.timeline('1')).toEqual([]);
      expect(await store.timeline('2')).toHaveLength(1);
      expect(await store.plan('unused')).toBeNull();
      expect(await store.plan('used')).not.toBeNull();
      expect(await store.journal('used')).toHaveLength(1);
      expect((await store.outbox({})).map((row) => row.notification.id)).toEqual(['waiting']);
    }),
  );
}

// ---------------------------------------------------------------- examples to store

const seen = (incident: Incident): Incident =>
  advance(incident, {
    kind: 'seen',
    at: incident.lastSeen + 1,
    times: 1,
    severity: 'high',
    facts: {},
    trusted: true,
    symptom: null,
    sample: null,
  }) as Incident;

/** A fresh open incident of revision 1. */
export function anIncident(id: string, service = 'agent'): Incident {
  return {
    id,
    service,
    node: 'host',
    type: 'import_error',
    severity: 'high',
    state: { name: 'open', notBefore: 0 },
    rule: 'python-import',
    fingerprint: { version: 1, kind: `kind-${id}`, place: `place-${id}`, template: 'No module named <*>' },
    message: 'No module named yaml',
    facts: { module: 'yaml' },
    fixable: true,
    trusted: true,
    symptoms: [],
    count: 1,
    firstSeen: 1,
    lastSeen: 1,
    samples: [{ at: 1, source: 'file:a', line: 1, endLine: 3, text: 'Traceback\n  …\nModuleNotFoundError' }],
    attempts: 0,
    plan: null,
    fix: null,
    outcome: null,
    reason: 'seen for the first time',
    causedBy: null,
    revision: 1,
  };
}

/** A plan of incident 1 with one harmless step. Its hash is not computed: the store does not look at it. */
export function aPlan(id: string): Plan {
  return {
    id,
    incident: '1',
    service: 'agent',
    node: 'host',
    fix: 'f',
    family: 'install-package',
    type: 'import_error',
    title: 'install yaml',
    why: 'the service imports it',
    facts: {},
    steps: [{ kind: 'wait', title: 'wait', undo: { kind: 'none', reason: 'nothing changes' }, until: 1 }],
    checks: [{ kind: 'time-passed', title: 'time passed', proves: 'operation', failsBefore: false, until: 1 }],
    settleMs: 0,
    risk: 'safe',
    scope: 'service',
    restart: 'none',
    resources: ['service:agent'],
    decision: { verdict: 'run', autonomy: 'auto', reason: 'safe' },
    createdAt: 1,
    expiresAt: 1_000,
    hash: `hash-${id}`,
  };
}

function aLedgerRow(plan: string, kind: Outcome['kind'], at: number): LedgerRow {
  const outcome: Outcome = { kind, reason: 'because', evidence: [], at: at + 5, plan };
  return { plan, incident: '1', service: 'agent', fix: 'f', family: 'install-package', startedAt: at, outcome };
}

function aNotification(id: string, at: number): Notification {
  return {
    id,
    key: 'incident:1',
    incident: '1',
    urgency: 'now',
    severity: 'high',
    reason: 'high: at once',
    title: randomUUID(),
    body: 'line one\nline two',
    buttons: [],
    plan: null,
    at,
  };
}
