import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Incident } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import { hashedText, type Plan } from '../core/plan.ts';
import { notApplicable, propose, type Diagnosis, type Fix } from '../fixes/contract.ts';
import { untried } from '../fixes/shared/health-check.ts';
import type { Probe } from '../host/contract.ts';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { ManualClock, sampleConfig, sampleIncident, sampleService } from '../testing/samples.ts';
import { AutoFixer, type Hands, type HandsAnswer } from './fixer.ts';
import { Planner } from './planner.ts';

const SETTLE_MS = 3_000;
const plainService = sampleService({ settleMs: SETTLE_MS });
const config = sampleConfig({ services: [plainService] });
const proposal = {
  title: 'write the file anew',
  why: 'it is gone',
  facts: {},
  steps: [
    {
      kind: 'write-file' as const,
      title: 'write',
      path: '/srv/agent/a',
      content: { text: 'x' },
      before: null,
      mode: 0o600,
      undo: { kind: 'restore-snapshot' as const },
    },
  ],
  checks: [
    {
      kind: 'file-parses' as const,
      title: 'parses',
      proves: 'operation' as const,
      failsBefore: true,
      path: '/srv/agent/a',
      format: 'env' as const,
      keys: [],
    },
  ],
  resources: [],
  needsRestart: false,
};

let directory: string;
let store: Store;
let clock: ManualClock;
let calls: string[];
let answers: Record<string, HandsAnswer[]>;
let diagnosis: () => Diagnosis;
/** What happens while *hands* is at work. */
let meanwhile: (verb: string) => Promise<void>;
let service: ServiceConfig;
let isRunning: boolean;
let isCutOff: boolean;
let problems: unknown[];
const signal = new AbortController().signal;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'selfheal-fixer-'));
  clock = new ManualClock();
  store = await openStore({ directory, clock });
  calls = [];
  answers = {};
  diagnosis = () => propose(proposal);
  meanwhile = async () => {};
  service = plainService;
  isRunning = true;
  isCutOff = false;
  problems = [];
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const outcome = (kind: Outcome['kind']): HandsAnswer => ({
  kind: 'finished',
  outcome: { kind, reason: `it is ${kind}`, evidence: [], at: clock.now(), plan: '1-1' },
});
const acted: HandsAnswer = { kind: 'acted', evidence: [] };

function fixer(changes: Partial<Config> = {}, autonomy: Fix['autonomy'] = 'auto'): AutoFixer {
  const fix: Fix = {
    name: 'rewrite',
    family: 'restore-config',
    title: 'Write it anew',
    handles: ['import_error'],
    risk: 'reversible',
    scope: 'service',
    autonomy,
    order: 1,
    diagnose: async () => diagnosis(),
    drills: [],
  };
  // The planner asks the machine only whether the service was stopped on purpose.
  const probe = {
    services: {
      state: async () => ({ stoppedOnPurpose: false, running: isRunning }),
      health: async () => ({ passed: 'unknown' }),
    },
    files: { status: async () => ({ kind: 'absent' }) },
    network: { offline: async () => isCutOff },
  } as unknown as Probe;
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const all = { ...config, services: [service], ...changes };
  const planner = new Planner({ config: all, fixes: [fix], probe, store, clock, node: 'host', digest });
  const hands: Hands = async (plan, verb) => {
    calls.push(`${verb} ${plan}`);
    await meanwhile(verb);
    return answers[verb]?.shift() ?? { kind: 'died', reason: 'no answer was scripted' };
  };
  const problem = (_: string, error: unknown) => void problems.push(error);
  return new AutoFixer({ config: all, store, planner, hands, clock, owner: '1:1', changed: () => {}, problem });
}

async function incident(changes: Partial<Incident> = {}): Promise<string> {
  const id = await store.nextIncidentId();
  await store.saveIncident(sampleIncident({ id, firstSeen: clock.now(), lastSeen: clock.now(), ...changes }));
  return id;
}
async function anyPlan(incidentId: string): Promise<Plan> {
  const plan: Omit<Plan, 'hash'> = {
    ...{ id: `${incidentId}-1`, incident: incidentId, service: 'agent', node: 'host', fix: 'rewrite' },
    ...{ family: 'restore-config', type: 'import_error', title: 't', why: 'w', facts: {}, settleMs: SETTLE_MS },
    ...{ steps: proposal.steps, checks: proposal.checks, risk: 'reversible', scope: 'service', restart: 'none' },
    ...{ resources: [], createdAt: clock.now(), expiresAt: clock.now() + 60_000 },
    decision: { verdict: 'run', autonomy: 'auto', reason: 'r' },
  };
  return { ...plan, hash: createHash('sha256').update(hashedText(plan)).digest('hex') };
}
const state = async (id: string) => (await store.incident(id))?.state.name;

async function seenAgain(id: string): Promise<void> {
  const now = await store.incident(id);
  if (now)
    await store.saveIncident({ ...now, lastSeen: clock.now(), count: now.count + 1, revision: now.revision + 1 });
}

describe('an error that comes back', () => {
  const doneAt = (plan: string, at: number) => store.appendJournal({ plan, step: 0, phase: 'done', at, data: {} });

  it('after the last step, while the first checks still ran, is taken back at once', async () => {
    answers = { act: [acted], undo: [outcome('rolled-back')] };
    const id = await incident();
    const auto = fixer();
    meanwhile = async (verb) => {
      if (verb !== 'act') return;
      await doneAt(`${id}-1`, clock.now());
      clock.advance(1_500);
      await seenAgain(id);
      clock.advance(1_000);
    };
    await auto.step(id, signal);
    expect(await state(id)).toBe('verifying');
    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`, `undo ${id}-1`]);
    expect((await store.incident(id))?.outcome?.kind).toBe('rolled-back');
  });

  it('while the last checks run is never called fixed', async () => {
    answers = { act: [acted], verify: [outcome('fixed')], undo: [outcome('rolled-back')] };
    const id = await incident();
    const auto = fixer();
    await auto.step(id, signal);
    clock.advance(SETTLE_MS);
    meanwhile = async (verb) => {
      if (verb !== 'verify') return;
      clock.advance(500);
      await seenAgain(id);
    };
    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`, `verify ${id}-1`, `undo ${id}-1`]);
    expect((await store.incident(id))?.outcome?.kind).toBe('rolled-back');
  });
});

describe('a service that the problem has brought down', () => {
  const restarts = async (id: string) => (await store.plan(`${id}-1`))?.steps.map((step) => step.kind);

  beforeEach(() => {
    service = { ...plainService, command: ['./agent'] };
    isRunning = false;
  });

  it('is started by the plan that heals the problem, and must run to be healed', async () => {
    answers = { act: [acted] };
    const id = await incident({ symptoms: ['service_crash'] });
    await fixer().step(id, signal);
    expect(await restarts(id)).toEqual(['write-file', 'restart']);
    expect((await store.plan(`${id}-1`))?.checks.map((check) => check.kind)).toContain('running-anew');
  });

  it('tries by staying up what nobody else could try', async () => {
    diagnosis = () => propose({ ...proposal, checks: [...proposal.checks, untried('the call that failed')] });
    answers = { act: [acted] };
    const id = await incident({ symptoms: ['service_crash'] });
    await fixer().step(id, signal);
    expect((await store.plan(`${id}-1`))?.checks.map(({ kind }) => kind)).toEqual(['file-parses', 'running-anew']);
  });

  it('is not started unasked where restarts are not automatic: the plan asks', async () => {
    service = { ...service, fixes: { 'restart-service': 'approve' } };
    const id = await incident({ symptoms: ['service_crash'] });
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
    expect(await state(id)).toBe('awaiting-approval');
    expect(await restarts(id)).toEqual(['write-file', 'restart']);
  });
});

describe('the flow of healing', () => {
  /** Runs until `until` holds, and stops. */
  async function runUntil(auto: AutoFixer, until: () => Promise<boolean>): Promise<void> {
    const stop = new AbortController();
    const over = auto.run(stop.signal);
    while (!(await until())) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stop.abort();
    clock.advance(120_000);
    await over;
  }

  it('goes on after the store has failed, and says so', async () => {
    answers = { act: [acted] };
    const id = await incident();
    const { openPlans } = store;
    let failures = 2;
    store = {
      ...store,
      openPlans: async () => (failures-- > 0 ? Promise.reject(new Error('disk full')) : openPlans()),
    };
    await runUntil(fixer(), async () => (await state(id)) === 'verifying');
    expect(problems.map(String)).toEqual(['Error: disk full', 'Error: disk full']);
  });

  it('takes up a plan that a dead hands left half undone, without a restart of the monitor', async () => {
    const id = await incident({ state: { name: 'resolved', by: 'fix', at: clock.now() }, plan: '1-1' });
    answers = { recover: [outcome('rolled-back')] };
    await store.savePlan(await anyPlan(id));
    await store.appendJournal({ plan: `${id}-1`, step: -1, phase: 'claimed', at: clock.now(), data: {} });
    await runUntil(fixer(), async () => calls.length > 0);
    expect(calls).toEqual([`recover ${id}-1`]);
    expect((await store.incident(id))?.outcome?.kind).toBe('rolled-back');
  });

  it('does not close what bears an old date and a person has just been called for', async () => {
    const longAgo = clock.now() - 30 * 24 * 3_600_000;
    const id = await incident({
      ...{ firstSeen: longAgo, lastSeen: longAgo },
      state: { name: 'needs-human', reason: 'r', at: clock.now() },
    });
    const other = await incident({ state: { name: 'needs-human', reason: 'r', at: longAgo }, lastSeen: longAgo });
    await runUntil(fixer(), async () => (await state(other)) === 'resolved');
    expect(await state(id)).toBe('needs-human');
  });

  it('closes what a person was called for and was not seen for a week', async () => {
    const id = await incident({ state: { name: 'needs-human', reason: 'r', at: clock.now() } });
    clock.advance(8 * 24 * 3_600_000);
    await runUntil(fixer(), async () => (await state(id)) === 'resolved');
    expect(calls).toEqual([]);
  });
});

describe('a rollback', () => {
  it('is of the newest plan that has left something, not of a suggestion that never ran', async () => {
    const id = await incident();
    await store.savePlan(await anyPlan(id));
    await store.appendJournal({ plan: `${id}-1`, step: 0, phase: 'done', at: clock.now(), data: {} });
    clock.advance(1);
    await store.savePlan({ ...(await anyPlan(id)), id: `${id}-2`, createdAt: clock.now() });
    await store.saveIncident({ ...((await store.incident(id)) as Incident), plan: `${id}-2`, revision: 2 });
    answers = { undo: [outcome('rolled-back')] };
    await fixer().rollBack(id, 'ada', signal);
    expect(calls).toEqual([`undo ${id}-1`]);
  });

  it('of an incident for which nothing was done is none', async () => {
    const id = await incident();
    await store.savePlan(await anyPlan(id));
    expect(await fixer().rollBack(id, 'ada', signal)).toBeNull();
    expect(calls).toEqual([]);
  });
});

describe('what could not be tried', () => {
  it('costs no attempt and is tried again, with a plan of its own', async () => {
    answers = { act: [{ kind: 'put-off', reason: 'path:/srv is in use' }, acted] };
    const id = await incident();
    const auto = fixer();
    await auto.step(id, signal);
    expect(await store.incident(id)).toMatchObject({
      attempts: 0,
      state: { name: 'open' },
      reason: 'path:/srv is in use',
    });
    clock.advance(5_000);
    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`, `act ${id}-2`]);
    expect(await store.incident(id)).toMatchObject({ attempts: 1, state: { name: 'verifying' } });
    expect((await auto.getFixSummary()).totalFixesAttempted).toBe(0);
  });
});

describe('a host that is cut off', () => {
  const fetching = { message: "fatal: unable to access 'https://github.com/o/r/': Could not resolve host: github.com" };

  it('starts no fix for what that explains, spends no attempt, and goes on once there is a network', async () => {
    isCutOff = true;
    answers = { act: [acted] };
    const id = await incident({ ...fetching, symptoms: ['service_crash'] });
    const waiting = await fixer().step(id, signal);
    expect(waiting).toMatchObject({ attempts: 0, state: { name: 'open' }, reason: expect.stringMatching(/cut off/) });
    expect(calls).toEqual([]);
    isCutOff = false;
    clock.advance(30_000);
    await fixer().step(id, signal);
    expect(calls).toEqual([`act ${id}-1`]);
  });

  it('does not keep what has nothing to do with the network from being healed', async () => {
    isCutOff = true;
    answers = { act: [acted] };
    const id = await incident();
    await fixer().step(id, signal);
    expect(calls).toEqual([`act ${id}-1`]);
  });

  it('calls a person after an hour, with what to look at', async () => {
    isCutOff = true;
    const id = await incident({ ...fetching, firstSeen: clock.now() - 3_700_000 });
    const ended = await fixer().step(id, signal);
    expect(ended?.state.name).toBe('needs-human');
    expect(ended?.outcome).toMatchObject({ kind: 'refused', next: expect.arrayContaining(['ip route']) });
  });
});

describe('what may be an imitation', () => {
  it('leads to nothing, though a fix would fit', async () => {
    const id = await incident({ trusted: false });
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
    expect(await store.incident(id)).toMatchObject({ attempts: 0, state: { name: 'needs-human' } });
  });

  it('leads to nothing either when the service has died at that time: only its death is looked into', async () => {
    const id = await incident({ trusted: false, symptoms: ['service_crash'] });
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
  });

  it('is looked into when a person asks for it', async () => {
    answers = { act: [acted] };
    const id = await incident({ trusted: false });
    await fixer().step(id, signal, { requestedByPerson: true });
    expect(calls).toEqual([`act ${id}-1`]);
  });

  it('is another thing than an error no rule would call fixable: that one is asked about', async () => {
    answers = { act: [acted] };
    const id = await incident({ fixable: false });
    await fixer().step(id, signal);
    expect(calls).toEqual([`act ${id}-1`]);
  });
});

describe('an automatic fix', () => {
  it('is fixed only after acting, the settle time, and a second proof', async () => {
    answers = { act: [acted], verify: [outcome('fixed')] };
    const id = await incident();
    const auto = fixer();

    await auto.step(id, signal);
    expect(await state(id)).toBe('verifying');
    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`]);

    clock.advance(SETTLE_MS);
    await auto.step(id, signal);
    expect(await state(id)).toBe('resolved');
    expect(calls).toEqual([`act ${id}-1`, `verify ${id}-1`]);
    expect(await auto.getFixSummary()).toMatchObject({ totalFixesAttempted: 1, successful: 1, successRate: 1 });
  });

  it('is undone when the error returns within the settle time', async () => {
    answers = { act: [acted], undo: [outcome('rolled-back')] };
    const id = await incident();
    const auto = fixer();
    await auto.step(id, signal);
    clock.advance(1_000);
    await seenAgain(id);

    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`, `undo ${id}-1`]);
    expect((await store.incident(id))?.outcome?.kind).toBe('rolled-back');
  });

  it('is not repeated with the same steps after it did not last', async () => {
    answers = { act: [outcome('rolled-back')] };
    const id = await incident();
    const auto = fixer();
    await auto.step(id, signal);
    clock.advance(120_000);
    await auto.step(id, signal);

    expect(calls).toEqual([`act ${id}-1`]);
    expect(await store.incident(id)).toMatchObject({ attempts: 1, state: { name: 'needs-human' } });
  });

  it('counts the attempt before anything is touched', async () => {
    let attemptsWhileActing = -1;
    const id = await incident();
    const auto = fixer();
    answers = { act: [acted] };
    const hands = calls.push.bind(calls);
    calls.push = (...said: string[]) => {
      void store.incident(id).then((i) => {
        attemptsWhileActing = i?.attempts ?? -1;
      });
      return hands(...said);
    };
    await auto.step(id, signal);
    expect(attemptsWhileActing).toBe(1);
  });

  it('clears the incident without a claim when nothing was wrong any more', async () => {
    answers = { act: [outcome('not-applicable')] };
    const id = await incident();
    await fixer().step(id, signal);
    expect(await store.incident(id)).toMatchObject({
      state: { name: 'resolved', by: 'itself' },
      outcome: { kind: 'not-applicable' },
    });
  });

  it('asks the journal when hands dies, and never claims success without an answer', async () => {
    answers = { act: [{ kind: 'died', reason: 'killed' }], recover: [{ kind: 'died', reason: 'killed again' }] };
    const id = await incident();
    await fixer().step(id, signal);
    expect(calls).toEqual([`act ${id}-1`, `recover ${id}-1`]);
    expect(await store.incident(id)).toMatchObject({
      state: { name: 'needs-human' },
      outcome: { kind: 'inconclusive' },
    });
  });

  it('stops at the limit of attempts and calls a person', async () => {
    const id = await incident({ attempts: 3 });
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
    expect(await state(id)).toBe('needs-human');
  });

  it('waits while the host is paused', async () => {
    await store.setValue('pause', { by: 'cli', at: clock.now(), reason: 'maintenance' });
    const id = await incident();
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
    expect(await store.incident(id)).toMatchObject({ state: { name: 'open' }, reason: 'paused: maintenance' });
  });

  it('opens the breaker when the host has changed too often, and only a person closes it', async () => {
    for (let n = 0; n < 10; n++)
      await store.addLedger({
        plan: `9-${n}`,
        incident: '9',
        service: 'agent',
        fix: 'x',
        family: 'restore-config',
        startedAt: clock.now(),
        outcome: { kind: 'fixed', reason: '', evidence: [], at: clock.now(), plan: null },
      });
    const id = await incident();
    await fixer().step(id, signal);
    expect(await store.value('breaker')).toMatchObject({ open: true });
    clock.advance(7_200_000);
    const later = await incident({ fingerprint: { version: 1, kind: 'k', place: 'q', template: '' } });
    await fixer().step(later, signal);
    expect(calls).toEqual([]);
    expect(await state(later)).toBe('needs-human');
  });
});

describe('a fix that must ask', () => {
  it('acts on an approval of exactly the plan that was shown', async () => {
    answers = { act: [acted] };
    const id = await incident();
    const auto = fixer({}, 'approve');
    await auto.step(id, signal);
    expect(await state(id)).toBe('awaiting-approval');
    const plan = await store.plan(`${id}-1`);

    await store.decide({ plan: `${id}-1`, hash: plan?.hash ?? '', verdict: 'approved', by: 'cli', at: clock.now() });
    await auto.step(id, signal);
    expect(calls).toEqual([`act ${id}-1`]);
  });

  it('does nothing on an approval of another plan', async () => {
    const id = await incident();
    const auto = fixer({}, 'approve');
    await auto.step(id, signal);
    await store.decide({ plan: `${id}-1`, hash: 'something else', verdict: 'approved', by: 'cli', at: clock.now() });
    await auto.step(id, signal);
    expect(calls).toEqual([]);
  });

  it.each([
    [
      'a denial',
      async (id: string) => {
        const hash = (await store.plan(`${id}-1`))?.hash ?? '';
        await store.decide({ plan: `${id}-1`, hash, verdict: 'denied', by: 'cli', at: clock.now() });
      },
    ],
    ['the end of the time to decide', async () => clock.advance(13 * 3_600_000)],
  ])('ends with a person after %s', async (_, happens) => {
    const id = await incident();
    const auto = fixer({}, 'approve');
    await auto.step(id, signal);
    await happens(id);
    await auto.step(id, signal);
    expect(calls).toEqual([]);
    expect(await state(id)).toBe('needs-human');
  });

  it.each([
    ['auto-fix is switched off', { autoFix: false }],
    ['the type is not among those that may be fixed unasked', { autoFixTypes: ['git_error' as const] }],
  ])('includes every fix when %s', async (_, changes) => {
    const id = await incident();
    await fixer(changes).step(id, signal);
    expect(calls).toEqual([]);
    expect(await state(id)).toBe('awaiting-approval');
  });
});

describe('the planner', () => {
  it('refuses a proposal that nothing could prove', async () => {
    diagnosis = () => propose({ ...proposal, checks: [] });
    const id = await incident();
    await fixer().step(id, signal);
    expect(await store.incident(id)).toMatchObject({ state: { name: 'needs-human' }, outcome: { kind: 'refused' } });
  });

  it('survives a fix that throws', async () => {
    diagnosis = () => {
      throw new Error('a bug');
    };
    const id = await incident();
    await fixer().step(id, signal);
    expect(await store.incident(id)).toMatchObject({
      state: { name: 'needs-human' },
      reason: 'no fix fits (rewrite: the diagnosis failed: a bug)',
    });
  });

  it('freezes a plan whose hash covers everything but the hash', async () => {
    const id = await incident();
    await fixer({}, 'approve').step(id, signal);
    const plan = await store.plan(`${id}-1`);
    expect(plan?.hash).toBe(
      createHash('sha256')
        .update(hashedText(plan as NonNullable<typeof plan>))
        .digest('hex'),
    );
  });

  describe('when one fault was reported as several problems', () => {
    const sameFault = { fingerprint: { version: 1, kind: 'k', place: 'other', template: '' } } as const;

    /** The first incident, repaired and checked; its proof is still to come. */
    async function repaired(): Promise<string> {
      const first = await incident();
      answers = { act: [acted] };
      await fixer().step(first, signal);
      return first;
    }

    it('closes the others with the one whose repair took them away', async () => {
      const first = await repaired();
      const other = await incident(sameFault);
      diagnosis = () => notApplicable('nothing is wrong any more');
      await fixer().step(other, signal);
      expect(await store.incident(other)).toMatchObject({ state: { name: 'open' } });
      expect((await store.incident(other))?.reason).toMatch(/^waits for plan 1-1/);
      clock.advance(SETTLE_MS + 1_000);
      answers = { verify: [outcome('fixed')] };
      await fixer().step(first, signal);
      await fixer().step(other, signal);
      expect(await store.incident(other)).toMatchObject({
        state: { name: 'resolved', by: 'cause' },
        causedBy: first,
        outcome: null,
      });
    });

    it('leaves one that was seen again since to a person', async () => {
      const first = await repaired();
      clock.advance(SETTLE_MS + 1_000);
      answers = { verify: [outcome('fixed')] };
      await fixer().step(first, signal);
      clock.advance(1_000);
      const other = await incident({ ...sameFault, lastSeen: clock.now() });
      diagnosis = () => notApplicable('nothing is wrong that I know of');
      await fixer().step(other, signal);
      expect(await state(other)).toBe('needs-human');
    });
  });

  it('heals the full disk before what the full disk explains', async () => {
    await incident({ type: 'disk_full', fingerprint: { version: 1, kind: 'd', place: 'd', template: '' } });
    const id = await incident({ type: 'import_error' });
    await fixer().step(id, signal);
    expect(calls).toEqual([]);
    expect((await store.incident(id))?.reason).toMatch(/waits for incident 1 \(disk_full\)/);
  });
});
