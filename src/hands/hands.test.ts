// *Hands* in a small world of cells that can die at any point: whatever happens, the world ends as it was or
// as planned, nothing is done twice, and nothing is called fixed without proof.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { hashedText, type Check, type Plan, type Step } from '../core/plan.ts';
import { EffectError, type AnyCheckRunner, type AnyEffect, type Probe } from '../host/contract.ts';
import { StoreError, type Approval, type JournalEntry, type Store } from '../store/contract.ts';
import { runHands } from './hands.ts';
import { isOutstanding, listBoundaries, planState, stepStates } from './journal.ts';
import { lockOwner, type HandsAnswer, type HandsDeps, type HandsVerb } from './session.ts';

type Answer = true | false | 'unknown';

/** How one step behaves. */
interface Cell {
  readonly apply: 'works' | 'fails' | 'precondition';
  readonly undo: 'works' | 'fails' | 'none';
}

interface Case {
  readonly cells: readonly Cell[];
  readonly before: Answer;
  readonly after: Answer;
  readonly neighbourBefore: Answer;
  readonly neighbourAfter: Answer;
  readonly later: Answer;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function planOf(cells: readonly Cell[], changes: Partial<Plan> = {}): Plan {
  const steps = cells.map(
    (cell, i): Step => ({
      kind: 'write-file',
      path: `/${i}`,
      title: `cell ${i}`,
      content: { text: 'new' },
      before: null,
      mode: 0o600,
      undo: cell.undo === 'none' ? { kind: 'none', reason: 'it has no way back' } : { kind: 'restore-snapshot' },
    }),
  );
  const check = (title: string, proves: Check['proves'], failsBefore: boolean): Check => ({
    kind: 'file-absent',
    path: title,
    title,
    proves,
    failsBefore,
  });
  const plan = {
    id: 'p1',
    incident: '1',
    service: 'agent',
    node: 'host',
    fix: 'f',
    family: 'restore-config',
    type: 'config_error',
    title: 'write the cells',
    why: 'a test',
    facts: {},
    steps,
    checks: [check('operation', 'operation', true), check('neighbour', 'neighbour', false)],
    settleMs: 1_000,
    risk: 'reversible',
    scope: 'service',
    restart: 'none',
    resources: ['service:agent', 'path:/cells'],
    decision: { verdict: 'run', autonomy: 'auto', reason: 'a test' },
    createdAt: 1,
    expiresAt: 1_000_000,
    hash: '',
    ...changes,
  } satisfies Plan;
  return { ...plan, hash: changes.hash ?? sha256(hashedText(plan)) };
}

/** A machine of cells and a store, both of which outlive the processes that work on them. */
class World {
  readonly cells: string[];
  readonly applied: number[];
  readonly #case: Case;
  readonly journal: JournalEntry[] = [];
  readonly locks = new Map<string, string>();
  readonly values = new Map<string, unknown>();
  approval: Approval | null = null;
  now = 1;
  alive = 0;
  pauseFile: 'absent' | 'file' | 'denied' = 'absent';
  readonly plan: Plan;

  constructor(given: Case, changes: Partial<Plan> = {}) {
    this.#case = given;
    this.plan = planOf(given.cells, changes);
    this.cells = given.cells.map(() => 'old');
    this.applied = given.cells.map(() => 0);
  }

  /** One process: it dies when it reaches its `dieAt`-th point, and then nothing of it ever goes on. */
  async process(verb: HandsVerb, dieAt = Infinity): Promise<HandsAnswer | 'dead'> {
    this.alive += 1;
    const self = { pid: this.alive, startTicks: this.alive, boot: 'one' };
    let die: (word: 'dead') => void = () => {};
    const death = new Promise<'dead'>((resolve) => void (die = resolve));
    let points = 0;
    const point = async () => {
      points += 1;
      if (points < dieAt) return;
      die('dead');
      await new Promise(() => {});
    };
    const ended = runHands(this.deps(self, point), 'p1', verb);
    const answer = await Promise.race([ended, death]);
    // A process that has answered is gone as well.
    this.alive += 1;
    return answer;
  }

  deps(self: HandsDeps['self'], point: () => Promise<void>): HandsDeps {
    const clock: Clock = {
      now: () => this.now++,
      monotonic: () => this.now++,
      sleep: async (ms) => void (this.now += ms),
    };
    return {
      store: this.#store(),
      stateDirectory: '/state',
      effects: [this.#effect(point)],
      checks: [this.#checks()],
      probe: this.#probe(),
      run: async () => {
        throw new Error('nothing is run here');
      },
      clock,
      signal: new AbortController().signal,
      self,
      digest: sha256,
      snapshotFolder: async (plan, step) => `/state/snapshots/${plan}/${step}`,
      reach: point,
      secrets: ['hunter2-hunter2'],
      patienceMs: 300,
    };
  }

  #effect(point: () => Promise<void>): AnyEffect {
    const at = (step: { path: string }) => Number(step.path.slice(1));
    return {
      kind: 'write-file',
      snapshot: async (step) => {
        const cell = this.#case.cells[at(step)];
        if (cell?.apply === 'precondition') throw new EffectError('precondition', 'it is not what the plan saw');
        return { was: this.cells[at(step)] };
      },
      apply: async (step) => {
        const i = at(step);
        this.applied[i] = (this.applied[i] ?? 0) + 1;
        this.cells[i] = 'half';
        await point();
        if (this.#case.cells[i]?.apply === 'fails') throw new EffectError('failed', 'no room; token=hunter2-hunter2');
        this.cells[i] = 'new';
        return 'written with hunter2-hunter2';
      },
      probe: async (step) =>
        (({ old: 'not-done', half: 'unclear', new: 'done' }) as const)[this.cells[at(step)] as 'old'],
      undo: async (step, snapshot) => {
        const i = at(step);
        if (this.#case.cells[i]?.undo === 'fails') throw new EffectError('failed', 'somebody else changed it');
        if (this.cells[i] !== snapshot['was']) this.cells[i] = 'half';
        await point();
        this.cells[i] = String(snapshot['was']);
      },
      differences: async (step, snapshot) => (this.cells[at(step)] === snapshot['was'] ? [] : ['the cell']),
    };
  }

  #checks(): AnyCheckRunner {
    const changed = () => this.cells.some((cell) => cell !== 'old');
    return {
      kind: 'file-absent',
      run: async (check) => {
        const acted = this.journal.some((entry) => entry.phase === 'checked' && entry.data['verdict'] === 'passed');
        const { before, after, later, neighbourBefore, neighbourAfter } = this.#case;
        const passed =
          check.title === 'operation'
            ? !changed()
              ? before
              : acted
                ? later
                : after
            : changed()
              ? neighbourAfter
              : neighbourBefore;
        return { passed, evidence: `${check.title} ${passed} hunter2-hunter2` };
      },
    };
  }

  #probe(): Probe {
    return {
      processes: {
        process: async (pid: number) => (pid === this.alive ? { pid, startTicks: pid } : null),
        usage: async () => ({ state: 'S' }),
      },
      files: { status: async () => ({ kind: this.pauseFile }) },
    } as unknown as Probe;
  }

  #store(): Store {
    return {
      plan: async (id: string) => (id === 'p1' ? this.plan : null),
      journal: async (plan: string) => (plan === 'p1' ? [...this.journal] : []),
      appendJournal: async (entry: Omit<JournalEntry, 'seq'>) => {
        const generation = entry.data['generation'];
        const taken = (e: JournalEntry) => e.phase === 'claimed' && e.data['generation'] === generation;
        if (entry.phase === 'claimed' && this.journal.some(taken)) throw new StoreError('locked', 'claimed');
        const row = { ...(JSON.parse(JSON.stringify(entry)) as typeof entry), seq: this.journal.length };
        this.journal.push(row);
        return row;
      },
      openPlans: async () => {
        const last = (phase: string) => this.journal.findLastIndex((entry) => entry.phase === phase);
        return last('claimed') > last('finished') ? ['p1'] : [];
      },
      approval: async () => this.approval,
      value: async (key: string) => this.values.get(key) ?? null,
      lock: async (resource: string, owner: string) => {
        if ((this.locks.get(resource) ?? owner) !== owner) return false;
        this.locks.set(resource, owner);
        return true;
      },
      unlock: async (resource: string, owner: string) => {
        if (this.locks.get(resource) === owner) this.locks.delete(resource);
      },
      locks: async () => [...this.locks].map(([resource, owner]) => ({ resource, owner, until: 9e15 })),
    } as unknown as Store;
  }
}

const works: Cell = { apply: 'works', undo: 'works' };
const healing: Case = {
  cells: [works, works],
  before: false,
  after: true,
  neighbourBefore: true,
  neighbourAfter: true,
  later: true,
};

/** Finished for certain: the outcome, or the test fails. */
async function finished(world: World, verb: HandsVerb) {
  const answer = await world.process(verb);
  if (answer === 'dead' || answer.kind !== 'finished') throw new Error(`not finished: ${JSON.stringify(answer)}`);
  return answer.outcome;
}

describe('hands', () => {
  it('does the steps in order, proves them, and calls it fixed only after the settle time', async () => {
    const world = new World(healing);
    const answer = await world.process('act');
    expect(answer).toMatchObject({ kind: 'acted', evidence: [{ check: 'operation', passed: true }, {}] });
    expect(world.cells).toEqual(['new', 'new']);
    expect([...world.locks.values()]).toEqual([lockOwner('p1'), lockOwner('p1')]);
    expect((await finished(world, 'verify')).kind).toBe('fixed');
    expect(world.locks.size).toBe(0);
    expect(world.journal.map((e) => `${e.phase}${e.step < 0 ? '' : e.step}`).join(' ')).toBe(
      'claimed checked snapshot0 intent0 done0 snapshot1 intent1 done1 checked claimed checked finished',
    );
    expect(await finished(world, 'recover')).toMatchObject({ kind: 'fixed' });
  });

  it('stores no secret, wherever a text comes from', async () => {
    const world = new World({ ...healing, cells: [works, { apply: 'fails', undo: 'works' }] });
    expect(JSON.stringify(await finished(world, 'act'))).not.toContain('hunter2');
    expect(JSON.stringify(world.journal)).not.toContain('hunter2');
    expect(JSON.stringify(world.journal)).toContain('[secret]');
  });

  it('touches nothing when there is nothing to heal', async () => {
    const world = new World({ ...healing, before: true });
    expect(await finished(world, 'act')).toMatchObject({ kind: 'not-applicable' });
    expect(world.applied).toEqual([0, 0]);
  });

  it('goes on when it cannot tell beforehand whether it is broken', async () => {
    expect(await new World({ ...healing, before: 'unknown' }).process('act')).toMatchObject({ kind: 'acted' });
  });

  it.each([
    ['a failed step', { cells: [works, { apply: 'fails', undo: 'works' }] }, 'rolled-back'],
    [
      'a later step whose world has changed',
      { cells: [works, { apply: 'precondition', undo: 'works' }] },
      'rolled-back',
    ],
    ['an operation that still fails', { after: false }, 'rolled-back'],
    ['an operation that cannot be tried', { after: 'unknown' }, 'inconclusive'],
    ['a neighbour that stopped working', { neighbourAfter: false }, 'rolled-back'],
  ] satisfies [string, Partial<Case>, string][])('takes everything back after %s', async (_, changes, kind) => {
    const world = new World({ ...healing, ...changes });
    const outcome = await finished(world, 'act');
    expect(outcome.kind).toBe(kind);
    expect(world.cells).toEqual(['old', 'old']);
    expect(outcome.evidence.some((one) => one.check === 'taken back: cell 0' && one.passed === true)).toBe(true);
  });

  it('refuses without touching anything when the first step no longer fits', async () => {
    const world = new World({ ...healing, cells: [{ apply: 'precondition', undo: 'works' }, works] });
    expect(await finished(world, 'act')).toMatchObject({ kind: 'refused', reason: 'it is not what the plan saw' });
    expect(world.applied).toEqual([0, 0]);
    expect(world.locks.size).toBe(0);
  });

  it('does not blame itself for a neighbour that was broken before', async () => {
    const world = new World({ ...healing, neighbourBefore: false, neighbourAfter: false });
    expect(await world.process('act')).toMatchObject({ kind: 'acted' });
  });

  it('says loudly what it could not put back, and what to do by hand', async () => {
    const world = new World({ ...healing, cells: [works, { apply: 'works', undo: 'fails' }], after: false });
    const outcome = await finished(world, 'act');
    expect(outcome.kind).toBe('rollback-failed');
    expect(outcome.byHand).toMatch(/1\. cell 1: somebody else changed it\..*\/state\/snapshots\/p1\/1/);
    expect(world.cells).toEqual(['old', 'new']);
  });

  it('ends clean, and says so, when an undo has left what somebody else uses by now', async () => {
    const world = new World({ ...healing, after: false });
    const deps = world.deps({ pid: 1, startTicks: 1, boot: 'one' }, async () => {});
    world.alive = 1;
    const effects = deps.effects.map((effect) => ({ ...effect, left: async () => '/0 was left' }) as AnyEffect);
    const answer = await runHands({ ...deps, effects }, 'p1', 'act');
    expect(answer).toMatchObject({
      outcome: { kind: 'rolled-back', reason: expect.stringContaining('/0 was left') as string },
    });
  });

  it('keeps a step that has no way back and says why', async () => {
    const world = new World({ ...healing, cells: [works, { apply: 'works', undo: 'none' }], after: false });
    const outcome = await finished(world, 'act');
    expect(outcome.kind).toBe('rolled-back');
    expect(world.cells).toEqual(['old', 'new']);
    expect(outcome.evidence.at(-2)).toMatchObject({ check: 'not taken back: cell 1', text: 'it has no way back' });
  });

  it('takes back a fixed plan when a person asks, once', async () => {
    const world = new World(healing);
    await world.process('act');
    await finished(world, 'verify');
    expect(await finished(world, 'undo')).toMatchObject({ kind: 'rolled-back' });
    expect(world.cells).toEqual(['old', 'old']);
    const rows = world.journal.length;
    expect(await finished(world, 'undo')).toMatchObject({ kind: 'rolled-back' });
    expect(world.journal.length).toBe(rows);
  });

  it.each([
    ['did not last', false, 'rolled-back', 'old'],
    ['cannot be told', 'unknown', 'inconclusive', 'new'],
  ] satisfies [string, Answer, string, string][])('after the settle time: it %s', async (_, later, kind, cell) => {
    const world = new World({ ...healing, later });
    await world.process('act');
    expect((await finished(world, 'verify')).kind).toBe(kind);
    expect(world.cells).toEqual([cell, cell]);
  });
});

const ASKING: Partial<Plan> = { decision: { verdict: 'ask', autonomy: 'approve', reason: 'policy' } };
const PAUSED = { by: 'cli:root', at: 1, reason: 'holiday' };
const STRANGE: Step = { kind: 'wait', title: 'wait', until: 1, undo: { kind: 'none', reason: 'nothing changes' } };

describe('hands refuses', () => {
  const cases: [string, (world: World) => void, Partial<Plan>, RegExp][] = [
    ['a plan that was changed after its hash was made', () => {}, { hash: 'f00' }, /hash differs/],
    ['a refused plan', () => {}, { decision: { verdict: 'refuse', autonomy: 'off', reason: 'no' } }, /was refused: no/],
    ['a plan nobody approved', () => {}, ASKING, /nobody has approved/],
    ['a plan without a proof', () => {}, { checks: [] }, /no check tries the failed operation/],
    ['a step of a kind it does not know', () => {}, { steps: [STRANGE] }, /kind wait are not known/],
  ];
  it.each(cases)('%s', async (_, arrange, changes, reason) => {
    const world = new World(healing, changes);
    arrange(world);
    const outcome = await finished(world, 'act');
    expect(outcome).toMatchObject({ kind: 'refused', reason: expect.stringMatching(reason) });
    expect([world.applied, world.journal]).toEqual([[0, 0], []]);
  });

  const hindrances: [string, (world: World) => void, RegExp][] = [
    ['a plan that has expired', (w) => void (w.now = 2_000_000), /expired/],
    ['while everything is paused', (w) => void w.values.set('pause', PAUSED), /paused by cli:root: holiday/],
    ['while the file says so', (w) => void (w.pauseFile = 'file'), /paused by the file \/state\/DISABLED/],
    ['while the file cannot be looked at', (w) => void (w.pauseFile = 'denied'), /cannot be looked at/],
  ];
  it.each(hindrances)('nothing for good, but puts off: %s', async (_, arrange, reason) => {
    const world = new World(healing);
    arrange(world);
    expect(await world.process('act')).toEqual({ kind: 'put-off', reason: expect.stringMatching(reason) });
    expect([world.applied, world.journal]).toEqual([[0, 0], []]);
  });

  it('nothing any more when the time of a pause is over', async () => {
    const world = new World(healing);
    world.values.set('pause', { ...PAUSED, until: world.now });
    expect(await world.process('act')).toMatchObject({ kind: 'acted' });
  });

  it('to touch what another selfheal on this host is at, and what lies in a folder that another plan holds', async () => {
    const world = new World(healing);
    const deps = world.deps({ pid: 1, startTicks: 1, boot: 'one' }, async () => {});
    world.alive = 1;
    const inUse = {
      ...deps,
      lockOnHost: async (resource: string) => (resource === 'path:/cells' ? null : async () => {}),
    };
    expect(await runHands(inUse, 'p1', 'act')).toEqual({
      kind: 'put-off',
      reason: 'path:/cells is in use by another selfheal on this host',
    });
    expect([world.applied, [...world.locks.keys()]]).toEqual([[0, 0], []]);
    for (const held of ['path:/', 'path:/cells/one']) {
      const other = new World(healing);
      other.locks.set(held, 'somebody else');
      expect(await other.process('act')).toMatchObject({ kind: 'put-off' });
      expect([other.applied, [...other.locks.keys()]]).toEqual([[0, 0], [held]]);
    }
    const beside = new World(healing);
    beside.locks.set('path:/cells-of-others', 'somebody else');
    expect(await beside.process('act')).toMatchObject({ kind: 'acted' });
  });

  it('an approval of another plan or by a person who denied', async () => {
    const world = new World(healing, ASKING);
    const said = { plan: 'p1', by: 'cli:root', at: 1 };
    world.approval = { ...said, hash: 'other', verdict: 'approved' };
    expect((await finished(world, 'act')).reason).toMatch(/exactly this plan/);
    world.approval = { ...said, hash: world.plan.hash, verdict: 'denied' };
    expect((await finished(world, 'act')).reason).toMatch(/denied by cli:root/);
    world.approval = { ...said, hash: world.plan.hash, verdict: 'approved' };
    expect(await world.process('act')).toMatchObject({ kind: 'acted' });
  });

  it('to begin a plan twice, and to touch what another plan holds', async () => {
    const world = new World(healing);
    await world.process('act', 8);
    expect(await world.process('act')).toEqual({ kind: 'busy', reason: 'it was begun before' });
    const other = new World(healing);
    other.locks.set('path:/cells', '1:999');
    other.alive = 998;
    // The process that took the lock is gone: its lock does not count.
    expect(await other.process('act')).toMatchObject({ kind: 'acted' });
    const third = new World(healing);
    third.locks.set('path:/cells', 'somebody else');
    expect(await third.process('act')).toEqual({
      kind: 'put-off',
      reason: 'path:/cells is in use by somebody else',
    });
    expect([...third.locks.keys()]).toEqual(['path:/cells']);
  });

  it('to go on with a plan while something it needs is in use, and writes nothing for each time it was asked', async () => {
    const world = new World(healing);
    await world.process('act', 8); // dies in the middle
    const before = world.journal.length;
    world.locks.clear();
    world.locks.set('path:/cells', 'somebody else');
    const reason = 'path:/cells is in use by somebody else';
    for (const verb of ['recover', 'recover', 'undo'] as const)
      expect(await world.process(verb)).toEqual({ kind: 'busy', reason });
    const deps = world.deps({ pid: 77, startTicks: 77, boot: 'one' }, async () => {});
    world.locks.clear();
    const elsewhere = { ...deps, lockOnHost: async () => null };
    expect(await runHands(elsewhere, 'p1', 'recover')).toMatchObject({ kind: 'busy' });
    expect(world.journal).toHaveLength(before);
    expect(await world.process('recover')).toMatchObject({ kind: 'finished' });
  });

  it('to go on when it is paused between two steps', async () => {
    const world = new World(healing);
    const deps = world.deps({ pid: 1, startTicks: 1, boot: 'one' }, async () => {
      if (world.journal.at(-1)?.phase === 'done') world.values.set('pause', PAUSED);
    });
    world.alive = 1;
    const answer = await runHands(deps, 'p1', 'act');
    expect(answer).toMatchObject({ kind: 'finished', outcome: { kind: 'rolled-back', reason: /paused by/ } });
    expect([world.cells, world.applied]).toEqual([
      ['old', 'old'],
      [1, 0],
    ]);
  });

  it('to recover a plan whose process is alive', async () => {
    const world = new World(healing);
    world.alive = 5;
    const deps = world.deps({ pid: 6, startTicks: 6, boot: 'one' }, async () => {});
    world.journal.push({
      seq: 0,
      plan: 'p1',
      step: -1,
      phase: 'claimed',
      at: 1,
      data: { pid: 5, startTicks: 5, boot: 'one', generation: 1 },
    });
    expect(await runHands(deps, 'p1', 'recover')).toEqual({ kind: 'busy', reason: 'process 5 is at it' });
    const afterBoot = { ...deps, self: { ...deps.self, boot: 'two' } };
    expect(await runHands(afterBoot, 'p1', 'recover')).toMatchObject({
      kind: 'finished',
      outcome: { kind: 'rolled-back' },
    });
  });
});

describe('death at any point', () => {
  const answer = fc.constantFrom<Answer>(true, false, 'unknown');
  const cell: fc.Arbitrary<Cell> = fc.record({
    apply: fc.constantFrom('works', 'works', 'works', 'fails', 'precondition'),
    undo: fc.constantFrom('works', 'works', 'works', 'none', 'fails'),
  });
  const anyCase: fc.Arbitrary<Case> = fc.record({
    cells: fc.array(cell, { minLength: 1, maxLength: 4 }),
    before: fc.constantFrom<Answer>(false, false, true, 'unknown'),
    after: fc.constantFrom<Answer>(true, true, false, 'unknown'),
    neighbourBefore: answer,
    neighbourAfter: fc.constantFrom<Answer>(true, true, false, 'unknown'),
    later: answer,
  });
  const deaths = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 });
  const wish = fc.constantFrom<HandsVerb>('verify', 'undo');

  it('leaves the world as it was or as planned, and does nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, deaths, wish, async (given, dieAt, end) => {
        const world = new World(given);
        const outcome = await live(world, [...dieAt], end);
        judge(world, given, outcome.kind);
        expect(planState(world.journal)).toMatchObject({ name: 'finished' });
        expect(world.locks.size).toBe(0);
      }),
      { numRuns: 600 },
    );
  });

  it('covers every boundary it names', async () => {
    const reached = new Set<string>();
    for (const after of [true, false] as const) {
      const world = new World({ ...healing, after });
      world.alive = 1;
      const deps = world.deps({ pid: 1, startTicks: 1, boot: 'one' }, async () => {});
      await runHands({ ...deps, reach: async (point) => void reached.add(point) }, 'p1', 'act');
    }
    expect([...reached].sort()).toEqual([...listBoundaries(planOf(healing.cells), 'undo')].sort());
  });

  it('gives every prefix of every journal a meaning', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, deaths, wish, async (given, dieAt, end) => {
        const world = new World(given);
        await live(world, [...dieAt], end);
        for (let length = 0; length <= world.journal.length; length += 1) {
          const prefix = world.journal.slice(0, length);
          const state = planState(prefix);
          const steps = stepStates(prefix, given.cells.length);
          if (state.name === 'unclaimed' || state.name === 'claimed') expect(steps.some(isOutstanding)).toBe(false);
          if (state.name === 'acted') expect(steps.every(isOutstanding)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** Acts, dies, is recovered, dies again, until it is over; then what the engine would do with an acted plan. */
async function live(world: World, dieAt: number[], end: HandsVerb) {
  let verb: HandsVerb = 'act';
  for (let tries = 0; tries < 30; tries += 1) {
    const answer: HandsAnswer | 'dead' = await world.process(verb, dieAt.shift() ?? Infinity);
    if (answer === 'dead') verb = 'recover';
    else if (answer.kind === 'finished') return answer.outcome;
    else if (answer.kind === 'acted') verb = end;
    else throw new Error(`unexpected: ${answer.kind}`);
  }
  throw new Error('it never ended');
}

function judge(world: World, given: Case, kind: string): void {
  expect(Math.max(...world.applied)).toBeLessThanOrEqual(1);
  for (const [i, cell] of given.cells.entries()) {
    const found = world.cells[i];
    // A step without a way back that was cut in the middle is judged by the proof alone.
    if (kind === 'fixed') expect(cell.undo === 'none' ? ['new', 'half'] : ['new']).toContain(found);
    if (kind === 'refused' || kind === 'not-applicable') expect(found).toBe('old');
    if (kind === 'rolled-back' && cell.undo !== 'none') expect(found).toBe('old');
    if (kind === 'inconclusive' && cell.undo !== 'none') expect(['old', 'new']).toContain(found);
    if (kind === 'rollback-failed' && cell.undo === 'works') expect(found).toBe('old');
  }
  if (kind === 'fixed') expect([given.after, given.later]).toEqual([true, true]);
  if (kind === 'inconclusive')
    expect(new Set(world.cells.filter((_, i) => given.cells[i]?.undo === 'works')).size).toBeLessThanOrEqual(1);
  if (kind === 'rollback-failed') expect(given.cells.some((cell) => cell.undo === 'fails')).toBe(true);
}
