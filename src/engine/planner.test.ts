// The planner by itself: which fix it takes, what the plan it freezes says, and what it tells when there is none. What
// becomes of plans is shown in fixer.test.ts.

import { describe, expect, it } from 'vitest';
import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Incident } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import { hashedText, type Plan, type Step } from '../core/plan.ts';
import { later, notApplicable, propose, refuse, type Diagnosis, type Fix, type Proposal } from '../fixes/contract.ts';
import type { Probe } from '../host/contract.ts';
import { VALUE_KEYS, type JournalEntry, type LedgerRow, type Store } from '../store/contract.ts';
import { ManualClock, sampleConfig, sampleIncident, sampleService } from '../testing/samples.ts';
import { type ConsiderOptions, Planner } from './planner.ts';

const clock = new ManualClock();
const NOW = clock.now();
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const plain = sampleService();

const base = sampleConfig({ state: '/state', services: [plain] });

const WRITE: Step = {
  kind: 'write-file',
  title: 'write',
  path: '/srv/agent/a',
  content: { text: 'x' },
  before: null,
  mode: 0o600,
  undo: { kind: 'restore-snapshot' },
};
const PROOF = { kind: 'file-parses', title: 'parses', path: '/srv/agent/a', format: 'env', keys: [] } as const;

const proposal: Proposal = {
  title: 'write the file anew',
  why: 'it is gone',
  facts: { path: '/srv/agent/a' },
  steps: [WRITE],
  checks: [{ ...PROOF, proves: 'operation', failsBefore: true }],
  resources: ['path:/srv/agent', 'port:80'],
  needsRestart: false,
};

function fixNamed(name: string, diagnose: () => Diagnosis | Promise<Diagnosis>, changes: Partial<Fix> = {}): Fix {
  return {
    name,
    family: 'restore-config',
    title: name,
    handles: ['config_error'],
    risk: 'reversible',
    scope: 'service',
    autonomy: 'auto',
    order: 10,
    drills: [],
    diagnose: async () => diagnose(),
    ...changes,
  };
}
const offers = (name: string, changes: Partial<Fix> = {}, proposed: Partial<Proposal> = {}): Fix =>
  fixNamed(name, () => propose({ ...proposal, ...proposed }), changes);

/** Everything a planner looks at. */
interface Host {
  readonly service?: Partial<ServiceConfig>;
  readonly services?: readonly ServiceConfig[];
  readonly config?: Partial<Config>;
  readonly fixes?: readonly Fix[];
  readonly incidents?: readonly Incident[];
  readonly ledger?: readonly LedgerRow[];
  readonly plans?: readonly Plan[];
  /** Of every plan. */
  readonly journal?: readonly JournalEntry[];
  readonly values?: Readonly<Record<string, unknown>>;
  readonly pauseFile?: 'absent' | 'file' | 'denied';
  readonly state?: { readonly running: boolean; readonly stoppedOnPurpose: boolean };
  readonly health?: Readonly<Record<string, true | false | 'unknown'>>;
  /** Rules of the owner that say `fixable: false`. */
  readonly handsOff?: readonly string[];
}

function plannerOn(host: Host): Planner {
  const { incidents = [], ledger = [], plans = [], values = {} } = host;
  const store: Partial<Store> = {
    value: async <T>(key: string) => (values[key] ?? null) as T | null,
    incidents: async ({ service, states, since }) =>
      incidents.filter(
        (i) =>
          (service === undefined || i.service === service) &&
          (states === undefined || states.includes(i.state.name)) &&
          (since === undefined || i.lastSeen >= since),
      ),
    ledger: async ({ service, fix, since }) =>
      ledger.filter(
        (row) =>
          (service === undefined || row.service === service) &&
          (fix === undefined || row.fix === fix) &&
          (since === undefined || row.outcome.at >= since),
      ),
    journal: async () => host.journal ?? [],
    plan: async (id) => plans.find((one) => one.id === id) ?? null,
    plansOf: async (incident) => plans.filter((one) => one.incident === incident),
  };
  const probe = {
    files: {
      status: async (path: string) => ({ kind: path === '/state/DISABLED' ? (host.pauseFile ?? 'absent') : 'file' }),
    },
    services: {
      state: async () => host.state ?? { running: true, stoppedOnPurpose: false },
      health: async (name: string) => ({ passed: host.health?.[name] ?? 'unknown' }),
    },
  } as unknown as Probe;
  const services = host.services ?? [{ ...plain, ...host.service }];
  return new Planner({
    config: { ...base, services, ...host.config },
    fixes: host.fixes ?? [offers('mend')],
    probe,
    // It asks nothing else of the store.
    store: store as Store,
    clock,
    node: 'host',
    digest: (text) => `digest of ${text}`,
    leftToPeople: async (rule) => host.handsOff?.includes(rule) ?? false,
  });
}

const broken = (changes: Partial<Incident> = {}): Incident =>
  sampleIncident({ id: '7', type: 'config_error', firstSeen: NOW - HOUR_MS, lastSeen: NOW, ...changes });

const consider = (host: Host, incident: Incident = broken(), options: ConsiderOptions = {}) =>
  plannerOn(host).consider(incident, options);

async function planFor(host: Host, incident?: Incident, options?: ConsiderOptions): Promise<Plan> {
  const considered = await consider(host, incident, options);
  if (considered.kind !== 'plan') throw new Error(JSON.stringify(considered));
  return considered.plan;
}

const outcomeOf = (kind: Outcome['kind'], at: number, changes: Partial<Outcome> = {}): Outcome => ({
  kind,
  reason: 'so it was',
  evidence: [],
  at,
  plan: null,
  ...changes,
});

const tried = (changes: Partial<LedgerRow> = {}): LedgerRow => ({
  plan: '7-1',
  incident: '7',
  service: 'agent',
  fix: 'mend',
  family: 'restore-config',
  startedAt: NOW - HOUR_MS,
  outcome: outcomeOf('rolled-back', NOW - HOUR_MS),
  ...changes,
});

describe('a plan', () => {
  it('says everything that was found, and is bound by its hash', async () => {
    const plan = await planFor({});
    const { hash, ...rest } = plan;
    expect(rest).toEqual({
      id: '7-1',
      incident: '7',
      service: 'agent',
      node: 'host',
      fix: 'mend',
      family: 'restore-config',
      type: 'config_error',
      title: 'write the file anew',
      why: 'it is gone',
      facts: { path: '/srv/agent/a' },
      steps: [WRITE],
      checks: proposal.checks,
      settleMs: 3_000,
      risk: 'reversible',
      scope: 'service',
      restart: 'none',
      resources: ['service:agent', 'path:/srv/agent', 'port:80'],
      decision: { verdict: 'run', autonomy: 'auto', reason: 'restore-config may run by itself' },
      createdAt: NOW,
      expiresAt: NOW + 10 * MINUTE_MS,
    });
    expect(hash).toBe(`digest of ${hashedText(plan)}`);
  });

  it('gets a number that none of its incident has had', async () => {
    const plans = ['7-2', '7-11', '7-3'].map((id) => ({ id, incident: '7' }) as Plan);
    expect((await planFor({ plans })).id).toBe('7-12');
    expect((await planFor({ plans: [{ id: '8-5', incident: '8' } as Plan] })).id).toBe('7-1');
  });

  it.each([
    [1, 0, 3_000],
    [2, 1_000, 3_000],
    [2, 4_000, 6_000],
    [3, 8_000, 6_000],
    [2, 4_001, 6_002],
    [2, HOUR_MS, 30_000],
  ])('of a problem seen %i times within %i ms settles for %i ms', async (count, ms, settleMs) => {
    const incident = broken({ count, firstSeen: NOW - ms, lastSeen: NOW });
    expect((await planFor({}, incident)).settleMs).toBe(settleMs);
  });

  it.each([
    ['safe', 12 * HOUR_MS],
    ['reversible', 12 * HOUR_MS],
    ['risky', HOUR_MS],
  ] as const)('that asks and is %s waits its time for an answer', async (risk, ms) => {
    const plan = await planFor({ fixes: [offers('mend', { autonomy: 'approve' }, { risk })] });
    expect(plan).toMatchObject({ risk, expiresAt: NOW + ms });
  });

  it('proves that the neighbours that were well still are, and asks nothing of the others', async () => {
    const health = { kind: 'tcp', host: '127.0.0.1', port: 80 } as const;
    const named = (name: string) => ({ ...plain, name, health });
    const services = [{ ...plain, health }, named('web'), named('sick'), named('unknown'), { ...plain, name: 'mute' }];
    const well = { agent: true, web: true, sick: false, mute: true } as const;
    const { checks } = await planFor({ services, health: well });
    expect(checks.slice(1)).toEqual([
      { kind: 'health', title: 'web still answers', proves: 'neighbour', failsBefore: false, service: 'web' },
    ]);
  });
});

describe('freedom', () => {
  const decisionOf = async (host: Host, options?: ConsiderOptions) => (await planFor(host, broken(), options)).decision;

  it('is what the service has configured for the family, else what the fix says', async () => {
    expect(await decisionOf({ fixes: [offers('mend', { autonomy: 'approve' })] })).toEqual({
      verdict: 'ask',
      autonomy: 'approve',
      reason: 'restore-config is set to approve',
    });
    expect(
      await decisionOf({
        service: { fixes: { 'restore-config': 'auto' } },
        fixes: [offers('mend', { autonomy: 'suggest' })],
      }),
    ).toMatchObject({ verdict: 'run', autonomy: 'auto' });
    expect(await decisionOf({ service: { fixes: { 'restore-config': 'suggest' } } })).toMatchObject({
      verdict: 'ask',
      autonomy: 'suggest',
    });
  });

  it('off rules a fix out', async () => {
    expect(await consider({ service: { fixes: { 'restore-config': 'off' } } })).toEqual({
      kind: 'nothing',
      reason: 'no fix fits (mend: switched off for this service)',
      asked: [{ fix: 'mend', said: 'switched off for this service' }],
    });
  });

  it('is narrowed by a case that must ask, and never widened', async () => {
    const fixes = [offers('mend', {}, { mustAsk: 'it may be in use' })];
    expect(await decisionOf({ fixes })).toEqual({ verdict: 'ask', autonomy: 'approve', reason: 'it may be in use' });
    const suggested = [offers('mend', { autonomy: 'suggest' }, { mustAsk: 'it may be in use' })];
    expect(await decisionOf({ fixes: suggested })).toMatchObject({ autonomy: 'suggest' });
  });

  it('asks, and does nothing by itself, when the rule of the owner says that it is not fixable', async () => {
    const reason = 'your rule hands-off says that it is not to be fixed by itself';
    const host = { handsOff: ['hands-off'] };
    const found = broken({ rule: 'hands-off', fixable: false });
    expect((await planFor(host, found)).decision).toEqual({ verdict: 'ask', autonomy: 'approve', reason });
    expect((await planFor(host, broken())).decision).toMatchObject({ verdict: 'run' });
    const asked = await planFor(host, found, { requestedByPerson: true });
    expect(asked.decision).toMatchObject({ verdict: 'ask' });
  });

  it('is narrowed by a guard that asks', async () => {
    const asked = { verdict: 'ask', autonomy: 'approve', reason: 'auto-fix is switched off' };
    expect(await decisionOf({ config: { autoFix: false } })).toEqual(asked);
    expect(await decisionOf({ config: { enabled: false } })).toEqual(asked);
    expect(await decisionOf({ config: { autoFix: false } }, { requestedByPerson: true })).toMatchObject({
      verdict: 'run',
    });
    expect(await decisionOf({ config: { autoFixTypes: ['git_error'] } })).toMatchObject({ verdict: 'ask' });
  });

  it('follows what the fix has earned on the service only where the owner wants that', async () => {
    const ledger = Array.from({ length: 16 }, (_, i) =>
      tried({ incident: `${i + 20}`, outcome: outcomeOf('fixed', NOW - 2 * DAY_MS - i) }),
    );
    const host: Host = { ledger, fixes: [offers('mend', { autonomy: 'approve' })] };
    expect(await decisionOf(host)).toMatchObject({ verdict: 'ask' });
    const earned = { ...host, config: { trust: 'earned' } } as const;
    expect(await decisionOf(earned)).toEqual({
      verdict: 'run',
      autonomy: 'auto',
      reason: 'trusted more than configured: 16 of 16 repairs proven, lower bound 81 %',
    });
    const longAgo = ledger.map((row) => ({ ...row, outcome: { ...row.outcome, at: NOW - 91 * DAY_MS } }));
    expect(await decisionOf({ ...earned, ledger: longAgo })).toMatchObject({ verdict: 'ask' });
    for (const other of [{ fix: 'another' }, { service: 'web' }])
      expect(await decisionOf({ ...earned, ledger: ledger.map((row) => ({ ...row, ...other })) })).toMatchObject({
        verdict: 'ask',
        reason: 'restore-config is set to approve',
      });
    // An untrusted fix says why it asks.
    const harmed = [tried({ incident: '3', outcome: outcomeOf('rollback-failed', NOW - DAY_MS) })];
    expect((await decisionOf({ ...earned, fixes: [offers('mend')], ledger: harmed })).reason).toMatch(
      /^asks since the repair of incident 3/,
    );
  });
});

describe('which fix is taken', () => {
  const no = (name: string, changes: Partial<Fix> = {}) => fixNamed(name, () => notApplicable('not here'), changes);

  it('is the first in their order that fits', async () => {
    const fixes = [offers('third', { order: 30 }), offers('second', { order: 20 }), no('first', { order: 10 })];
    const considered = await consider({ fixes });
    expect(considered).toMatchObject({ kind: 'plan', plan: { fix: 'second' } });
    expect(considered.asked).toEqual([
      { fix: 'first', said: 'not here' },
      { fix: 'second', said: 'write the file anew' },
    ]);
  });

  it('is one for the problem itself before one for what it has brought about', async () => {
    const start = offers('start', { handles: ['service_crash'], order: 1 });
    const incident = broken({ symptoms: ['service_crash'] });
    const host: Host = { fixes: [start, offers('mend')], service: { command: ['./agent'] } };
    expect((await planFor(host, incident)).fix).toBe('mend');
    expect((await planFor({ ...host, fixes: [start, no('mend')] }, incident)).fix).toBe('start');
    expect(
      (
        await planFor(
          { ...host, fixes: [start, no('mend')], service: { restart: { kind: 'command', argv: ['x'], cwd: '/' } } },
          incident,
        )
      ).fix,
    ).toBe('start');
    // Nobody can start it.
    expect(await consider({ fixes: [start, no('mend')] }, incident)).toMatchObject({ kind: 'nothing' });
    // One that handles both is asked once.
    const both = no('both', { handles: ['config_error', 'service_crash'] });
    expect((await consider({ ...host, fixes: [both] }, incident)).asked).toHaveLength(1);
  });

  it('is none for a text that may be an imitation, unless a person asks or the service has died', async () => {
    const host: Host = {
      fixes: [offers('mend'), offers('start', { handles: ['service_crash'] })],
      service: { command: ['./agent'] },
    };
    expect(await consider(host, broken({ trusted: false }))).toEqual({
      kind: 'nothing',
      reason: 'no fix is known for this',
      asked: [],
    });
    expect((await planFor(host, broken({ trusted: false, symptoms: ['service_crash'] }))).fix).toBe('start');
    expect((await planFor(host, broken({ trusted: false }), { requestedByPerson: true })).fix).toBe('mend');
  });

  it('ends with the first that refuses or wants another moment', async () => {
    const refused = fixNamed('mend', () => refuse('a person is at work'));
    expect(await consider({ fixes: [refused, offers('other', { order: 20 })] })).toEqual({
      kind: 'refused',
      reason: 'a person is at work',
      trips: false,
      asked: [{ fix: 'mend', said: 'a person is at work' }],
    });
    const waits = fixNamed('mend', () => later(NOW + 5, 'not yet'));
    expect(await consider({ fixes: [waits, offers('other', { order: 20 })] })).toEqual({
      kind: 'later',
      until: NOW + 5,
      reason: 'not yet',
      asked: [{ fix: 'mend', said: 'not yet' }],
    });
  });

  it('is none when a proposal has no steps or no proof', async () => {
    expect(await consider({ fixes: [offers('mend', {}, { steps: [] })] })).toMatchObject({
      kind: 'refused',
      reason: 'mend: the plan has no steps',
    });
    const neighbour = { ...PROOF, proves: 'neighbour', failsBefore: false } as const;
    expect(await consider({ fixes: [offers('mend', {}, { checks: [neighbour] })] })).toMatchObject({
      kind: 'refused',
      reason: 'mend: nothing would prove the failed operation',
    });
    const both = [neighbour, ...proposal.checks];
    expect(await consider({ fixes: [offers('mend', {}, { checks: both })] })).toMatchObject({ kind: 'plan' });
  });

  it('is another one when a fix throws or does not come to an end', async () => {
    const throws = fixNamed('throws', () => Promise.reject(new Error('oh')), { order: 1 });
    const odd = fixNamed('odd', () => Promise.reject('no error at all'), { order: 2 });
    const considered = await consider({ fixes: [throws, odd, offers('mend')] });
    expect(considered.asked.map(({ said }) => said)).toEqual([
      'the diagnosis failed: oh',
      'the diagnosis failed: no error at all',
      'write the file anew',
    ]);
    let isAsked = false;
    const forever = () => new Promise<Diagnosis>(() => void (isAsked = true));
    const hangs = fixNamed('hangs', forever, { order: 1 });
    const waiting = consider({ fixes: [hangs, offers('mend')] });
    while (!isAsked) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(120_000);
    expect((await waiting).asked[0]).toEqual({ fix: 'hangs', said: 'the diagnosis took too long' });
    clock.advance(NOW - clock.now());
  });

  it('says what each has found when they are few, and how many they were when they are not', async () => {
    const fits = async (...names: string[]) => {
      const considered = await consider({ fixes: names.map((name) => no(name)) });
      return 'reason' in considered ? considered.reason : null;
    };
    expect(await fits()).toBe('no fix is known for this');
    expect(await fits('a', 'b')).toBe('no fix fits (a: not here; b: not here)');
    expect(await fits('a', 'b', 'c')).toBe('no fix fits: 3 were asked, and the dry run says what each has found');
  });

  it('is none for a service that is not configured', async () => {
    expect(await consider({}, broken({ service: 'gone' }))).toEqual({
      kind: 'nothing',
      reason: 'service gone is not configured',
      asked: [],
    });
  });
});

describe('what was tried before', () => {
  const plans = [{ id: '7-1', incident: '7', steps: [WRITE] } as unknown as Plan];
  const other = offers('other', { order: 20 });

  it('is only tried again when nothing else fits, and only when it is safe', async () => {
    const safe = offers('mend', { risk: 'safe' });
    expect((await planFor({ fixes: [safe, other], ledger: [tried()], plans })).fix).toBe('other');
    expect((await planFor({ fixes: [safe], ledger: [tried()], plans })).fix).toBe('mend');
    const refused = fixNamed('refused', () => refuse('no'), { order: 20 });
    expect((await planFor({ fixes: [safe, refused], ledger: [tried()], plans })).fix).toBe('mend');
    const risky = await consider({ fixes: [offers('mend')], ledger: [tried()], plans });
    expect(risky.kind).not.toBe('plan');
    expect(risky.asked[0]?.said).toMatch(/^exactly this was tried before and did not last/);
  });

  it.each([
    ['another incident', { incident: '8' }],
    ['another service', { service: 'web' }],
    ['another fix', { fix: 'other' }],
    ['a plan that is gone', { plan: '7-9' }],
    ['more than a day ago', { outcome: outcomeOf('rolled-back', NOW - DAY_MS - 1) }],
    ['with success', { outcome: outcomeOf('fixed', NOW - HOUR_MS) }],
    ['and not begun', { outcome: outcomeOf('refused', NOW - HOUR_MS) }],
  ] as const)('does not hinder when it was %s', async (_, changes) => {
    expect((await planFor({ ledger: [tried(changes)], plans })).fix).toBe('mend');
  });

  const row = (phase: JournalEntry['phase'], step: number, data: Record<string, unknown> = {}): JournalEntry => ({
    ...{ seq: 1, plan: '7-1', at: NOW, phase, step, data },
  });
  const begun = [row('claimed', -1), row('checked', -1, { when: 'before' }), row('intent', 0)];

  it.each([
    ['before its first step', [row('claimed', -1)]],
    ['in the middle of a step', begun],
    ['before a step took effect', [...begun, row('failed', 0, { touched: false })]],
    ['and was taken back', [...begun, row('done', 0), row('failed', -1), row('undone', 0)]],
  ])('does not hinder when a death has cut it short %s', async (_, journal) => {
    expect((await planFor({ ledger: [tried()], plans, journal })).fix).toBe('mend');
  });

  it.each([
    ['its checks were tried', [...begun, row('done', 0), row('checked', -1, { when: 'after' })]],
    ['its last proof was tried', [row('checked', -1, { when: 'verify' })]],
    ['a step broke off by itself', [...begun, row('failed', 0, { touched: true })]],
    ['a step broke off, who knows how', [...begun, row('failed', 0)]],
  ])('hinders when %s', async (_, journal) => {
    expect((await consider({ ledger: [tried()], plans, journal })).kind).not.toBe('plan');
  });

  it('is told by its steps: others may be tried, also when more followed upon them', async () => {
    const longer = [{ ...plans[0], steps: [WRITE, WRITE] } as unknown as Plan];
    expect((await consider({ ledger: [tried()], plans: longer })).kind).not.toBe('plan');
    const different = [{ ...plans[0], steps: [{ ...WRITE, path: '/b' }] } as unknown as Plan];
    expect((await consider({ ledger: [tried()], plans: different })).kind).toBe('plan');
  });
});

describe('a guard', () => {
  it('that postpones or refuses ends the search', async () => {
    const busy = await consider({}, broken(), { busyWith: '3-1' });
    expect(busy).toMatchObject({ kind: 'later', reason: 'waits for plan 3-1 of the same service', until: NOW + 1_000 });
    expect(await consider({}, broken({ attempts: 3 }))).toMatchObject({ kind: 'refused', trips: false });
    const many = Array.from({ length: 10 }, (_, i) => tried({ incident: `${i + 20}`, startedAt: NOW - 1_000 }));
    expect(await consider({ ledger: many })).toMatchObject({ kind: 'refused', trips: true });
    expect(await consider({ values: { [VALUE_KEYS.breaker]: { open: true, reason: 'x' } } })).toMatchObject({
      kind: 'refused',
      trips: false,
    });
  });

  it('knows a pause as a word of a person and as a file, and believes a file it cannot look at', async () => {
    const pause = { by: 'me', at: NOW, reason: 'holiday' };
    const paused = (host: Host) => consider(host);
    expect(await paused({ values: { [VALUE_KEYS.pause]: pause } })).toMatchObject({ reason: 'paused: holiday' });
    expect(await paused({ values: { [VALUE_KEYS.pause]: { ...pause, until: NOW } } })).toMatchObject({ kind: 'plan' });
    for (const pauseFile of ['file', 'denied'] as const)
      expect(await paused({ pauseFile })).toMatchObject({ reason: 'paused: by the file /state/DISABLED' });
  });

  it('lets the last attempt cool down, whichever stands first in the books', async () => {
    const at = (ms: number) => tried({ plan: `7-${ms}`, outcome: outcomeOf('rolled-back', NOW - ms) });
    for (const ledger of [
      [at(5_000), at(HOUR_MS)],
      [at(HOUR_MS), at(5_000)],
    ])
      expect(await consider({ ledger }, broken({ attempts: 1 }))).toMatchObject({ kind: 'later', until: NOW + 15_000 });
  });

  it('counts the incidents of the last minute, and lets causes go first', async () => {
    const fresh = Array.from({ length: 21 }, (_, i) => broken({ id: `${i + 20}`, firstSeen: NOW - 59_999 }));
    expect(await consider({ incidents: fresh })).toMatchObject({ kind: 'later', until: NOW + 60_000 });
    const older = fresh.map((one) => ({ ...one, firstSeen: NOW - 60_000 }));
    expect(await consider({ incidents: older })).toMatchObject({ kind: 'plan' });
    const disk = broken({ id: '9', type: 'disk_full' });
    expect(await consider({ incidents: [disk] })).toMatchObject({ kind: 'later', until: NOW + 10_000 });
    const needs = { name: 'needs-human', reason: 'x' } as unknown as Incident['state'];
    expect(await consider({ incidents: [{ ...disk, state: needs }] })).toMatchObject({ kind: 'later' });
  });

  it('that rules one fix out is told of a crash when no other fits', async () => {
    const start = offers('start', { family: 'restart-service', handles: ['service_crash', 'config_error'] });
    const state = { running: false, stoppedOnPurpose: true };
    const reason = 'the service was stopped on purpose; a deliberate stop is never undone';
    for (const incident of [broken({ type: 'service_crash' }), broken({ symptoms: ['service_crash'] })])
      expect(await consider({ fixes: [start], state }, incident)).toMatchObject({
        kind: 'refused',
        reason,
        trips: false,
      });
    expect(await consider({ fixes: [start], state })).toMatchObject({ kind: 'nothing' });
    expect((await planFor({ fixes: [start, offers('mend', { order: 20 })], state })).fix).toBe('mend');
  });
});

describe('a restart', () => {
  const down = { running: false, stoppedOnPurpose: false };
  const supervised = { command: ['./agent'] };
  const RESTART = {
    kind: 'restart',
    title: 'restart agent',
    service: 'agent',
    via: { kind: 'supervised' },
    undo: { kind: 'none', reason: 'a started service is not stopped again' },
  } as const;
  const ANEW = {
    kind: 'running-anew',
    title: 'agent runs anew',
    proves: 'operation',
    failsBefore: false,
    service: 'agent',
    forMs: 2_000,
  } as const;
  const needing = [offers('mend', {}, { needsRestart: true })];

  it('is part of the plan when the repair needs it and policy lets it happen', async () => {
    const plan = await planFor({ fixes: needing, service: supervised });
    expect(plan).toMatchObject({ restart: 'done', decision: { verdict: 'run' } });
    expect(plan.steps).toEqual([WRITE, RESTART]);
    expect(plan.checks).toEqual([...proposal.checks, ANEW]);
    const via = { kind: 'command', argv: ['systemctl', 'restart', 'x'], cwd: '/' } as const;
    expect((await planFor({ fixes: needing, service: { restart: via } })).steps[1]).toEqual({ ...RESTART, via });
  });

  it('is only recommended where policy does not let it happen, or nobody can do it', async () => {
    const fixes = { 'restart-service': 'approve' } as const;
    for (const service of [{ ...supervised, fixes }, {}]) {
      const plan = await planFor({ fixes: needing, service });
      expect(plan).toMatchObject({ restart: 'recommended', steps: [WRITE], checks: proposal.checks });
      expect(plan.decision.verdict).toBe('run');
    }
  });

  it('starts what the problem has brought down, and asks where policy says so', async () => {
    for (const incident of [broken({ type: 'service_crash' }), broken({ symptoms: ['service_crash'] })]) {
      const fixes = [offers('mend', { handles: ['config_error', 'service_crash'] })];
      const host: Host = { state: down, service: supervised, fixes };
      expect(await planFor(host, incident)).toMatchObject({ restart: 'done', decision: { verdict: 'run' } });
      const service = { ...supervised, fixes: { 'restart-service': 'approve' } } as const;
      const asks = await planFor({ ...host, service }, incident);
      expect(asks.steps).toEqual([WRITE, RESTART]);
      expect(asks.decision).toEqual({
        verdict: 'ask',
        autonomy: 'approve',
        reason: 'it starts agent again, and restart-service is set to approve',
      });
      // What runs needs no start.
      expect(await planFor({ service: supervised, fixes }, incident)).toMatchObject({
        restart: 'none',
        steps: [WRITE],
      });
    }
    // Down for another reason.
    expect(await planFor({ state: down, service: supervised })).toMatchObject({ restart: 'none', steps: [WRITE] });
  });

  it('is not added to a plan that has one, nor to a service that was stopped on purpose', async () => {
    const own = [offers('mend', {}, { needsRestart: true, steps: [WRITE, RESTART] })];
    const plan = await planFor({ fixes: own, service: supervised });
    expect(plan).toMatchObject({ restart: 'done', steps: [WRITE, RESTART], checks: proposal.checks });
    const state = { running: false, stoppedOnPurpose: true };
    const stopped = await planFor(
      { fixes: needing, service: supervised, state },
      broken({ symptoms: ['service_crash'] }),
    );
    expect(stopped).toMatchObject({ restart: 'none', steps: [WRITE], checks: proposal.checks });
  });
});

describe('a problem that another repair took away', () => {
  const none = [fixNamed('mend', () => notApplicable('not here'))];
  const seen = NOW - 10 * MINUTE_MS;
  const incident = broken({ firstSeen: seen, lastSeen: seen });
  const healer = (state: unknown, changes: Partial<Incident> = {}) =>
    broken({
      id: '8',
      firstSeen: seen,
      fix: 'mend',
      state: state as Incident['state'],
      outcome: outcomeOf('fixed', NOW - MINUTE_MS, { plan: '8-1' }),
      reason: 'the file was written anew',
      ...changes,
    });
  const resolved = { name: 'resolved', by: 'fix', at: NOW - MINUTE_MS };
  const plans = [{ id: '8-1', incident: '8', settleMs: 3_000 } as Plan];

  it('is healed with it when that is proven', async () => {
    expect(await consider({ fixes: none, plans, incidents: [healer(resolved)] }, incident)).toEqual({
      kind: 'healed-with',
      incident: '8',
      reason: 'not seen since incident 8 was healed (the file was written anew)',
      asked: [{ fix: 'mend', said: 'not here' }],
    });
  });

  it('waits for the proof when that is still open', async () => {
    const until = NOW + 5_000;
    const verifying = healer({ name: 'verifying', plan: '8-1', since: NOW - 1_000, quietUntil: until });
    expect(await consider({ fixes: none, plans, incidents: [verifying] }, incident)).toMatchObject({
      kind: 'later',
      until: until + 1_000,
      reason: 'waits for the proof of incident 8, whose repair may have taken it away too',
    });
    const late = healer({ name: 'verifying', plan: '8-1', since: NOW - 1_000, quietUntil: NOW - 500 });
    expect(await consider({ fixes: none, incidents: [late] }, incident)).toMatchObject({ until: NOW + 1_000 });
  });

  it('takes a refusal of its own back as well, but not one of the breaker', async () => {
    const refused = [fixNamed('mend', () => refuse('no'))];
    const host: Host = { plans, incidents: [healer(resolved)] };
    expect(await consider({ ...host, fixes: refused }, incident)).toMatchObject({ kind: 'healed-with' });
    const ledger = Array.from({ length: 10 }, (_, i) => tried({ incident: `${i + 20}`, startedAt: NOW - 1_000 }));
    expect(await consider({ ...host, fixes: refused, ledger }, incident)).toMatchObject({
      kind: 'refused',
      trips: true,
    });
    const waits = [fixNamed('mend', () => later(NOW + 5, 'not yet'))];
    expect(await consider({ ...host, fixes: waits }, incident)).toMatchObject({ kind: 'later', reason: 'not yet' });
    expect((await consider({ ...host, fixes: none }, incident, { requestedByPerson: true })).kind).toBe('nothing');
  });

  it.each<[string, Partial<Host>, Partial<Incident>?]>([
    ['was seen since', {}, { lastSeen: NOW - MINUTE_MS - 2_999 }],
    ['was not fixed', { incidents: [healer(resolved, { outcome: outcomeOf('rolled-back', NOW, { plan: '8-1' }) })] }],
    ['was fixed by nobody', { incidents: [healer(resolved, { outcome: outcomeOf('fixed', NOW) })] }],
    ['has no outcome', { incidents: [healer(resolved, { outcome: null })] }],
    ['has a plan that is gone', { plans: [] }],
    ['is open again', { incidents: [healer({ name: 'open', notBefore: NOW })] }],
    ['was healed by a fix that is gone', { incidents: [healer(resolved, { fix: 'gone' })] }],
    ['was healed by no fix', { incidents: [healer(resolved, { fix: null })] }],
    ['is of another service', { incidents: [healer(resolved, { service: 'web' })] }],
    ['is of another day', { incidents: [healer(resolved, { lastSeen: NOW - DAY_MS - 1 })] }],
  ])('is not explained by one that %s', async (_, host, changes = {}) => {
    const all = { fixes: none, plans, incidents: [healer(resolved)], ...host };
    expect((await consider(all, { ...incident, ...changes })).kind).toBe('nothing');
  });
});
