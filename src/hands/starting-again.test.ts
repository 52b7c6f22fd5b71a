// A service that a plan had started runs what its files say again, once the plan is taken back.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Check, Step } from '../core/plan.ts';
import { systemClock } from '../host/clock.ts';
import { type AnyCheckRunner, type AnyEffect, EffectError, type Snapshot } from '../host/contract.ts';
import type { JournalEntry } from '../store/contract.ts';
import { compile, type Compiled } from '../testing/compiled.ts';
import { broken, killAtEach, killTable, planOf } from '../testing/kill-points.ts';
import { switchedService } from '../testing/kill-scenes.ts';
import { Session, type HandsDeps } from './session.ts';
import { startAgain } from './starting-again.ts';

let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());

it('starts the service on the files that were put back, wherever the way back is killed', async () => {
  const points = ['checked-after.after', 'undone.0.after', 'undo-intent.1.after', 'undo.1.after', 'finished.after'];
  const rows = await killAtEach({
    scene: switchedService,
    program: compiled.path('hands/main.ts'),
    path: 'undo',
    points,
  });
  console.log(killTable(rows));
  expect(rows).toHaveLength(points.length);
  expect(broken(rows)).toEqual([]);
});

const RESTART: Step = {
  kind: 'restart',
  title: 'restart agent',
  service: 'agent',
  via: { kind: 'supervised' },
  undo: { kind: 'none', reason: 'a started service is not stopped again' },
};
const WRITE: Step = {
  kind: 'write-file',
  title: 'write',
  path: '/srv/agent/model',
  content: { text: 'small' },
  before: null,
  mode: 0o600,
  undo: { kind: 'restore-snapshot' },
};
const HEALTH: Check = { kind: 'health', title: 'well', proves: 'operation', failsBefore: true, service: 'agent' };

interface Case {
  /** Who ran before the plan. */
  readonly ran: object | null;
  readonly wasIll?: boolean;
  readonly snapshot?: () => Promise<Snapshot>;
  readonly staysUp?: true | false | 'unknown';
}

/** The plan is taken back but for its start; the service is started by an effect of the test's own. */
async function startedAgain({ ran, wasIll = false, snapshot, staysUp = true }: Case) {
  const starts: string[] = [];
  const effect = {
    kind: 'restart',
    snapshot: snapshot ?? (async () => ({ identity: { pid: 2, startTicks: 2 } })),
    probe: async () => 'not-done',
    apply: async () => void starts.push('started'),
  } as unknown as AnyEffect;
  const check = { kind: 'running-anew', run: async () => ({ passed: staysUp, evidence: 'pid 3' }) } as AnyCheckRunner;
  const plan = planOf([WRITE, RESTART], [HEALTH]);
  const self = { pid: 1, startTicks: 1, boot: 'b' };
  const row = (step: number, phase: JournalEntry['phase'], data = {}): JournalEntry =>
    ({ id: 1, plan: plan.id, step, phase, at: 1, data }) as never;
  const journal = [
    row(-1, 'claimed', { ...self, verb: 'undo', generation: 1 }),
    row(-1, 'checked', { when: 'before', checks: [{ index: 0, title: 'well', passed: !wasIll, text: '' }] }),
    row(1, 'snapshot', { snapshot: { identity: ran } }),
    row(1, 'done'),
    row(0, 'undone'),
  ];
  const deps = {
    effects: [effect],
    checks: [check],
    clock: systemClock,
    self,
    secrets: [],
    patienceMs: 0,
    signal: new AbortController().signal,
    snapshotFolder: async () => '/nowhere',
    reach: async () => {},
    probe: { services: { state: async () => ({ running: true }) } },
    store: {
      journal: async () => journal,
      appendJournal: async (entry: object) => {
        journal.push(entry as JournalEntry);
        return entry;
      },
    },
  } as unknown as HandsDeps;
  const answer = await startAgain(new Session(deps, plan, journal), 1, new AbortController().signal);
  return { ...answer, starts, last: journal.at(-1)?.phase };
}

const RAN = { pid: 1, startTicks: 1 };

describe('a service that is started once more', () => {
  it('runs what its files say when it stays up', async () => {
    const done = await startedAgain({ ran: RAN });
    expect(done).toMatchObject({ passed: true, starts: ['started'], last: 'undone' });
    expect(done.text).toBe('it was started once more, and runs what its files say: pid 3');
  });

  it.each<[string, Case, false | 'unknown']>([
    ['is said loudly not to when it was well before', { ran: RAN, staysUp: false }, false],
    ['is unclear when it was ill before', { ran: RAN, staysUp: false, wasIll: true }, 'unknown'],
    ['is unclear when it did not run before', { ran: null, staysUp: false }, 'unknown'],
    ['is unclear when nobody can be seen', { ran: RAN, staysUp: 'unknown' }, 'unknown'],
  ])('%s, if it does not stay up', async (_, given, passed) => {
    const done = await startedAgain(given);
    expect(done).toMatchObject({ passed, last: passed === false ? 'undo-failed' : 'undone' });
    expect(done.text).not.toContain('runs what its files say');
  });

  it.each<[string, EffectError, false | 'unknown']>([
    ['is left alone when a person has stopped it since', new EffectError('precondition', 'stopped'), 'unknown'],
    ['is said loudly to run the wrong thing when nothing is known of it', new EffectError('failed', 'no'), false],
  ])('%s', async (_, error, passed) => {
    const done = await startedAgain({ ran: RAN, snapshot: () => Promise.reject(error) });
    expect(done).toMatchObject({ passed, starts: [], last: passed === false ? 'undo-failed' : 'undone' });
  });
});
