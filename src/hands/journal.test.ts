// What the rows of a journal mean, row by row: a process that takes up a dead one's plan believes nothing else.

import { describe, expect, it } from 'vitest';
import type { Plan } from '../core/plan.ts';
import type { JournalEntry } from '../store/contract.ts';
import {
  beganAt,
  checksBefore,
  isOutstanding,
  lastClaim,
  listBoundaries,
  planState,
  type StepState,
  stepStates,
} from './journal.ts';

type Row = readonly [JournalEntry['phase'], number, Record<string, unknown>?];

/** Rows in this order, a second apart. */
const journal = (...rows: readonly Row[]): readonly JournalEntry[] =>
  rows.map(([phase, step, data = {}], i) => ({ seq: i + 1, plan: 'p', at: 1_000 * (i + 1), phase, step, data }));

const CHECK = { index: 0, title: 'it works', passed: true, text: 'yes' };
const passed = (when: string): Row => ['checked', -1, { when, verdict: 'passed', checks: [CHECK] }];
const ending = { kind: 'inconclusive', reason: 'who knows' };
const outcome = { kind: 'fixed', reason: 'it works' };

describe('a plan', () => {
  const cases: readonly (readonly [string, readonly Row[], unknown])[] = [
    ['of which nothing is written is unclaimed', [], { name: 'unclaimed' }],
    ['is claimed when somebody took it', [['claimed', -1]], { name: 'claimed' }],
    [
      'that is claimed again stands where it stood',
      [
        ['claimed', -1],
        ['intent', 0],
        ['claimed', -1],
      ],
      { name: 'acting', step: 0 },
    ],
    [
      'acts from its first snapshot on',
      [
        ['claimed', -1],
        ['snapshot', 0],
      ],
      { name: 'acting', step: 0 },
    ],
    [
      'acts at the step of the last intent',
      [
        ['done', 0],
        ['intent', 1],
      ],
      { name: 'acting', step: 1 },
    ],
    [
      'acts while steps are done',
      [
        ['claimed', -1],
        ['done', 2],
      ],
      { name: 'acting', step: 2 },
    ],
    [
      'still acts when one step failed',
      [
        ['intent', 0],
        ['failed', 0],
      ],
      { name: 'acting', step: 0 },
    ],
    [
      'is taken back when all of it failed',
      [
        ['done', 0],
        ['failed', -1, { ending }],
      ],
      { name: 'undoing', ending },
    ],
    ['has acted when its checks passed afterwards', [['done', 0], passed('after')], { name: 'acted', checks: [CHECK] }],
    ['has not acted when its checks passed before', [['claimed', -1], passed('before')], { name: 'claimed' }],
    [
      'has not acted when its checks failed afterwards',
      [
        ['done', 0],
        ['checked', -1, { when: 'after', verdict: 'failed', checks: [CHECK] }],
      ],
      { name: 'acting', step: 0 },
    ],
    [
      'has acted without rows when none were written',
      [
        ['done', 0],
        ['checked', -1, { when: 'after', verdict: 'passed' }],
      ],
      { name: 'acted', checks: [] },
    ],
    [
      'that is being taken back goes on being so, with the ending it had',
      [
        ['failed', -1, { ending }],
        ['undo-intent', 0],
        ['undone', 0],
        ['undo-failed', 1],
      ],
      { name: 'undoing', ending },
    ],
    ...(['undo-intent', 'undone', 'undo-failed'] as const).map(
      (phase) =>
        [
          `with a lone row of ${phase} was interrupted while it was being taken back`,
          [
            ['done', 0],
            [phase, 0],
          ],
          {
            name: 'undoing',
            ending: { kind: 'rolled-back', reason: 'it was interrupted while it was being taken back' },
          },
        ] as const,
    ),
    [
      'is over when its outcome is written',
      [
        ['claimed', -1],
        ['finished', -1, { outcome }],
      ],
      { name: 'finished', outcome },
    ],
    [
      'that is over stays so for whoever only claims it',
      [
        ['finished', -1, { outcome }],
        ['claimed', -1],
      ],
      { name: 'finished', outcome },
    ],
  ];
  it.each(cases)('%s', (_, rows, state) => {
    expect(planState(journal(...rows))).toEqual(state);
  });
});

describe('a step', () => {
  const snapshot = { sha: 'x' };
  const state = (...rows: readonly Row[]): StepState | undefined => stepStates(journal(...rows), 2)[1];

  it('is untouched until something is written about it', () => {
    expect(stepStates([], 2)).toEqual([{ name: 'untouched' }, { name: 'untouched' }]);
    expect(
      state(['claimed', -1], ['intent', 0], ['intent', 2], passed('after'), ['finished', -1, { outcome }]),
    ).toEqual({
      name: 'untouched',
    });
    expect(stepStates(journal(['intent', -1], ['intent', 2]), 2)).toHaveLength(2);
    expect(Object.keys(stepStates(journal(['intent', -1]), 1))).toEqual(['0']);
  });

  it('is told apart from the others, the first one too', () => {
    const states = stepStates(journal(['snapshot', 0, { snapshot }], ['intent', 0], ['snapshot', 1]), 2);
    expect(states.map(({ name }) => name)).toEqual(['intended', 'snapshotted']);
  });

  it('keeps its snapshot through all that follows', () => {
    const taken: Row = ['snapshot', 1, { snapshot }];
    expect(state(taken)).toEqual({ name: 'snapshotted', snapshot });
    expect(state(taken, ['intent', 1])).toEqual({ name: 'intended', snapshot });
    expect(state(taken, ['intent', 1], ['done', 1])).toEqual({ name: 'done', snapshot });
    expect(state(taken, ['undo-intent', 1])).toEqual({ name: 'undoing', snapshot });
    expect(state(taken, ['undone', 1])).toEqual({ name: 'undone', snapshot });
    expect(state(taken, ['undo-failed', 1])).toEqual({ name: 'undo-failed', snapshot });
    expect(state(taken, ['failed', 1])).toEqual({ name: 'failed', touched: true, snapshot });
    expect(state(taken, ['failed', 1, { touched: false }])).toEqual({ name: 'failed', touched: false, snapshot });
    expect(state(['intent', 1])).toEqual({ name: 'intended', snapshot: {} });
  });

  it('is not moved by rows that are about the whole plan', () => {
    for (const phase of ['claimed', 'checked', 'finished'] as const)
      expect(state(['snapshot', 1, { snapshot }], [phase, 1])).toEqual({ name: 'snapshotted', snapshot });
  });

  it.each([
    [{ name: 'untouched' }, false],
    [{ name: 'snapshotted', snapshot }, false],
    [{ name: 'undone', snapshot }, false],
    [{ name: 'failed', touched: false, snapshot }, false],
    [{ name: 'failed', touched: true, snapshot }, true],
    [{ name: 'intended', snapshot }, true],
    [{ name: 'done', snapshot }, true],
    [{ name: 'undoing', snapshot }, true],
    [{ name: 'undo-failed', snapshot }, true],
  ] as const)('%o is outstanding: %s', (one, expected) => {
    expect(isOutstanding(one)).toBe(expected);
  });
});

describe('a journal', () => {
  it('knows who took the plan last, and when its first step began', () => {
    expect(lastClaim([])).toBeNull();
    expect(beganAt([])).toBeNull();
    const rows = journal(
      ['claimed', -1, { pid: 1 }],
      ['intent', 0],
      ['intent', 1],
      ['claimed', -1, { pid: 2 }],
      ['done', 1],
    );
    expect(lastClaim(rows)).toEqual({ pid: 2 });
    expect(beganAt(rows)).toBe(2_000);
    expect(beganAt(journal(['claimed', -1], ['snapshot', 0]))).toBeNull();
  });

  it('knows how the checks came out before the first step, the last time they were tried', () => {
    expect(checksBefore([])).toEqual([]);
    expect(checksBefore(journal(passed('after')))).toEqual([]);
    const other = { ...CHECK, title: 'another' };
    const rows = journal(
      ['checked', -1, { when: 'before', checks: [other] }],
      passed('before'),
      ['checked', -1, { when: 'after', checks: [other] }],
      ['snapshot', 0, { when: 'before', checks: [other] }],
    );
    expect(checksBefore(rows)).toEqual([CHECK]);
  });

  it('lists every place to die in the order in which they are reached, and the way back in reverse', () => {
    const step = { kind: 'wait', title: 'wait', until: 0, undo: { kind: 'restore-snapshot' } } as const;
    const kept = { ...step, undo: { kind: 'none', reason: 'a wait' } } as const;
    // Nothing else of a plan is asked.
    const plan = { steps: [step, kept, step] } as unknown as Plan;
    const around = (...names: readonly string[]) => names.flatMap((name) => [`${name}.before`, `${name}.after`]);
    const steps = [0, 1, 2].flatMap((i) => around(`snapshot.${i}`, `intent.${i}`, `apply.${i}`, `done.${i}`));
    const there = [...around('claimed', 'locked', 'checked-before'), ...steps, ...around('checked-after')];
    const back = [2, 0].flatMap((i) => around(`undo-intent.${i}`, `undo.${i}`, `undone.${i}`));
    expect(listBoundaries(plan, 'act')).toEqual(there);
    expect(listBoundaries(plan, 'undo')).toEqual([...there, ...around('failed'), ...back, ...around('finished')]);
  });
});
