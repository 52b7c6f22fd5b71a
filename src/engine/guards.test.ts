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
