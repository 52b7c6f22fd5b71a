import { describe, expect, it } from 'vitest';
import type { LedgerRow } from '../store/contract.ts';
import { sampleIncident } from '../testing/samples.ts';
import { guards, objection, type GuardView } from './guards.ts';
import { causeOf, explainsCrash } from './inhibition.ts';

const NOW = 1_000_000_000;
const HOUR_MS = 3_600_000;

const calm: GuardView = {
  incident: sampleIncident(),
  fix: { name: 'restart-crashed-service', family: 'restart-service' },
  autonomy: 'auto',
  now: NOW,
  autoFix: true,
  autoFixTypes: null,
  maxAttempts: 3,
  paused: null,
  breaker: { open: false, reason: '' },
  limits: { changesPerHour: 10, changesPerDay: 30, restartsPerHour: 5 },
  ledger: [],
  newLastMinute: 0,
  stoppedOnPurpose: false,
  busyWith: null,
  cause: null,
  leftToPeople: false,
  requestedByPerson: false,
};

function rows(count: number, agoMs: number, changes: Partial<LedgerRow> = {}): LedgerRow[] {
  return Array.from({ length: count }, (_, n) => ({
    plan: `8-${n}`,
    incident: '8',
    service: 'other',
    fix: 'rewrite',
    family: 'restore-config',
    startedAt: NOW - agoMs,
    outcome: { kind: 'fixed', reason: '', evidence: [], at: NOW - agoMs, plan: null },
    ...changes,
  }));
}
const restarts = (count: number) => rows(count, 60_000, { service: 'agent', family: 'restart-service' });
const lastTried = (agoMs: number) => rows(1, agoMs, { incident: '1' });

describe('the guards', () => {
  it('have nothing to say when all is calm', () => {
    expect(objection(calm)).toBeNull();
  });

  const cases: [string, Partial<GuardView>, string, string][] = [
    ['a pause postpones', { paused: 'maintenance' }, 'later', 'pause'],
    ['an open breaker refuses', { breaker: { open: true, reason: 'too many' } }, 'refuse', 'breaker'],
    ['a deliberate stop wins over a restart', { stoppedOnPurpose: true }, 'skip', 'deliberate stop'],
    [
      'a cause goes first',
      { cause: sampleIncident({ id: '9', type: 'disk_full' }) },
      'later',
      'causes before symptoms',
    ],
    ['the limit of attempts refuses', { incident: sampleIncident({ attempts: 3 }) }, 'refuse', 'attempts'],
    ['a rule of the owner that says `fixable: false` asks', { leftToPeople: true }, 'ask', 'owner’s rule'],
    ['a storm postpones', { newLastMinute: 21 }, 'later', 'storm'],
    ['the hourly budget trips the breaker', { ledger: rows(10, 60_000) }, 'trip', 'budget'],
    ['the daily budget trips the breaker', { ledger: rows(30, 2 * HOUR_MS) }, 'trip', 'budget'],
    ['too many restarts of one service rule out one more', { ledger: restarts(5) }, 'skip', 'budget'],
    ['a running plan of the service postpones', { busyWith: '3-1' }, 'later', 'one at a time'],
    [
      'the last attempt cools down',
      { incident: sampleIncident({ attempts: 1 }), ledger: lastTried(5_000) },
      'later',
      'cool-down',
    ],
    ['switched-off auto-fix asks', { autoFix: false }, 'ask', 'detection only'],
    ['a type that is not listed asks', { autoFixTypes: ['git_error'] }, 'ask', 'allowed type'],
  ];

  it.each(cases)('%s', (_, changes, kind, guard) => {
    expect(objection({ ...calm, ...changes })).toMatchObject({ kind, guard });
  });

  it('count what was changed, not what was only looked at or could not be tried', () => {
    const looked = (kind: 'refused' | 'not-applicable' | 'rehearsed') =>
      rows(40, 60_000, { outcome: { kind, reason: '', evidence: [], at: NOW - 60_000, plan: null } });
    expect(
      objection({ ...calm, ledger: [...looked('refused'), ...looked('not-applicable'), ...looked('rehearsed')] }),
    ).toBeNull();
  });

  const reasons: [string, Partial<GuardView>, string][] = [
    ['pause', { paused: 'maintenance' }, 'paused: maintenance'],
    [
      'breaker',
      { breaker: { open: true, reason: 'too many' } },
      "the host's breaker is open (too many); `selfheal resume` closes it",
    ],
    [
      'deliberate stop',
      { stoppedOnPurpose: true },
      'the service was stopped on purpose; a deliberate stop is never undone',
    ],
    [
      'causes before symptoms',
      { cause: sampleIncident({ id: '9', type: 'disk_full' }) },
      'waits for incident 9 (disk_full), which explains it',
    ],
    [
      'attempts',
      { incident: sampleIncident({ attempts: 3 }) },
      'tried 3 times without lasting success; a person has to look',
    ],
    ['storm', { newLastMinute: 21 }, '21 new problems in a minute: watching only until it calms down'],
    ['budget', { ledger: rows(10, 60_000) }, '10 changes within an hour'],
    ['budget', { ledger: rows(30, 2 * HOUR_MS) }, '30 changes within a day'],
    ['budget', { ledger: restarts(6) }, 'restarted 6 times within an hour'],
    ['one at a time', { busyWith: '3-1' }, 'waits for plan 3-1 of the same service'],
    ['cool-down', { ledger: lastTried(5_000) }, 'cooling down after the last attempt'],
    ['detection only', { autoFix: false }, 'auto-fix is switched off'],
    [
      'allowed type',
      { autoFixTypes: ['git_error'] },
      `${calm.incident.type} is not among the types that may be fixed without asking`,
    ],
  ];
  it.each(reasons)('%s says why', (guard, changes, reason) => {
    expect(objection({ ...calm, ...changes })).toMatchObject({ guard, reason });
  });

  const waits: [string, Partial<GuardView>, number][] = [
    ['a pause', { paused: 'maintenance' }, 5_000],
    ['a cause', { cause: sampleIncident({ id: '9' }) }, 10_000],
    ['a storm', { newLastMinute: 21 }, 60_000],
    ['a running plan', { busyWith: '3-1' }, 1_000],
    ['the last attempt', { ledger: lastTried(5_000) }, 15_000],
  ];
  it.each(waits)('%s is looked at again after its time', (_, changes, ms) => {
    expect(objection({ ...calm, ...changes })).toMatchObject({ kind: 'later', until: NOW + ms });
  });

  const quiet: [string, Partial<GuardView>][] = [
    [
      'a deliberate stop is not against a fix that starts nothing',
      { stoppedOnPurpose: true, fix: { name: 'write', family: 'restore-config' } },
    ],
    ['twenty new problems in a minute are no storm yet', { newLastMinute: 20 }],
    ['the attempt of another incident needs no cooling down', { ledger: rows(1, 1_000) }],
    ['the cool-down is over when its time has passed', { ledger: lastTried(20_000) }],
    ['a change of exactly an hour ago is not of this hour', { ledger: rows(10, HOUR_MS) }],
    ['a change of exactly a day ago is not of this day', { ledger: rows(30, 24 * HOUR_MS) }],
    ['one change less than allowed is allowed', { ledger: rows(9, 60_000) }],
    [
      'restarts of other services do not count',
      { ledger: rows(5, 60_000, { service: 'web', family: 'restart-service' }) },
    ],
    ['other changes of the service are no restarts', { ledger: rows(5, 60_000, { service: 'agent' }) }],
    [
      'restarts of more than an hour ago do not count',
      { ledger: rows(5, 2 * HOUR_MS, { service: 'agent', family: 'restart-service' }) },
    ],
    [
      'too many restarts are not against a fix that starts nothing',
      { ledger: restarts(5), fix: { name: 'write', family: 'restore-config' } },
    ],
    ['a type that is listed', { autoFixTypes: [calm.incident.type] }],
  ];
  it.each(quiet)('%s', (_, changes) => {
    expect(objection({ ...calm, ...changes })).toBeNull();
  });

  it('give a person the changes that the budget would refuse', () => {
    expect(objection({ ...calm, ledger: rows(30, 60_000), requestedByPerson: true })).toBeNull();
    expect(objection({ ...calm, ledger: restarts(9), requestedByPerson: true })).toBeNull();
  });

  it('are weighed: what trips goes before what refuses, postpones, rules out and asks', () => {
    const [trip, refuse]: Partial<GuardView>[] = [
      { ledger: rows(10, 60_000) },
      { incident: sampleIncident({ attempts: 3 }) },
    ];
    const [later, skip, ask]: Partial<GuardView>[] = [
      { busyWith: '3-1' },
      { stoppedOnPurpose: true },
      { autoFix: false },
    ];
    const said = (...views: (Partial<GuardView> | undefined)[]) =>
      objection(views.reduce<GuardView>((view, one) => ({ ...view, ...one }), calm))?.kind;
    expect(said(trip, refuse, later, skip, ask)).toBe('trip');
    expect(said(refuse, later, skip, ask)).toBe('refuse');
    expect(said(later, skip, ask)).toBe('later');
    expect(said(skip, ask)).toBe('skip');
    expect(said(ask)).toBe('ask');
  });

  it('are all covered by a case', () => {
    expect(new Set(cases.map(([, , , guard]) => guard))).toEqual(new Set(guards.map((g) => g.name)));
  });

  it('let the gravest objection speak', () => {
    const all = { ...calm, autoFix: false, newLastMinute: 99, incident: sampleIncident({ attempts: 3 }) };
    expect(objection(all)).toMatchObject({ kind: 'refuse', guard: 'attempts' });
  });

  it('double the cool-down with each attempt', () => {
    const after = (attempts: number) => {
      const said = objection({
        ...calm,
        maxAttempts: 99,
        incident: sampleIncident({ attempts }),
        ledger: lastTried(1_000),
      });
      return said?.kind === 'later' ? said.until - NOW + 1_000 : 0;
    };
    expect([after(1), after(2), after(3)]).toEqual([20_000, 40_000, 80_000]);
  });

  it('hold a person back by pause and running plans only', () => {
    const asked = (changes: Partial<GuardView>) => objection({ ...calm, ...changes, requestedByPerson: true });
    expect(asked({ incident: sampleIncident({ attempts: 9 }), newLastMinute: 99, autoFix: false })).toBeNull();
    expect(asked({ paused: 'maintenance' })).toMatchObject({ kind: 'later' });
    expect(asked({ busyWith: '3-1' })).toMatchObject({ kind: 'later' });
  });
});

describe('causes before symptoms', () => {
  const disk = sampleIncident({ id: '9', type: 'disk_full', lastSeen: NOW - 1_000 });

  it('find the active cause on the same host', () => {
    expect(causeOf(sampleIncident({ type: 'database_error' }), [disk], NOW)?.id).toBe('9');
  });

  it.each([
    ['resolved', { state: { name: 'resolved' as const, by: 'fix' as const, at: NOW } }],
    ['of another host', { node: 'elsewhere' }],
    ['long over', { lastSeen: NOW - 11 * 60_000 }],
  ])('ignore a cause that is %s', (_, changes) => {
    expect(causeOf(sampleIncident({ type: 'database_error' }), [{ ...disk, ...changes }], NOW)).toBeNull();
  });

  it('explain an exit by the newest error of the same service within three seconds', () => {
    const near = sampleIncident({ id: '2', lastSeen: NOW - 500 });
    const far = sampleIncident({ id: '3', lastSeen: NOW - 3_100 });
    const other = sampleIncident({ id: '4', lastSeen: NOW, service: 'web' });
    const exit = { service: 'agent', at: NOW, signal: undefined };
    expect(explainsCrash([far, other, near], exit)?.id).toBe('2');
    expect(explainsCrash([far, other], exit)).toBeNull();
  });

  it('explain a death by signal by lack of memory only', () => {
    const memory = sampleIncident({ id: '2', type: 'out_of_memory', lastSeen: NOW - 500 });
    const killed = { service: 'agent', at: NOW, signal: 'SIGKILL' };
    expect(explainsCrash([memory], killed)?.id).toBe('2');
    expect(explainsCrash([sampleIncident({ lastSeen: NOW })], killed)).toBeNull();
  });
});
