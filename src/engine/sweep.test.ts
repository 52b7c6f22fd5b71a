import { describe, expect, it } from 'vitest';
import type { Config } from '../config/contract.ts';
import type { Store } from '../store/contract.ts';
import { ManualClock } from '../testing/samples.ts';
import { until } from '../testing/scratch.ts';
import { HOUR_MS, sweep } from './sweep.ts';

describe('the sweep', () => {
  it('goes on when any of its chores fails, and gives each its turn', async () => {
    const clock = new ManualClock();
    const done: string[] = [];
    const problems: string[] = [];
    const store = {
      setValue: () => Promise.reject(new Error('disk full')),
      prune: () => Promise.reject(new Error('disk full')),
    } as unknown as Store; // all of it that the sweep uses, failing
    const config = { services: [{ name: 'agent' }], checkIntervalMs: 60_000 } as unknown as Config;
    const stop = new AbortController();
    const chore = (name: string, everyMs: number) => ({
      otherwise: `${name} failed`,
      everyMs,
      work: async () => {
        done.push(name);
        if (name === 'hourly') throw new Error('no room');
      },
    });
    const sweeping = sweep(
      {
        config,
        store,
        clock,
        keep: () => Promise.reject(new Error('unreadable')),
        problem: (message) => problems.push(message),
        chores: [chore('hourly', HOUR_MS), chore('always', 0)],
      },
      stop.signal,
    );
    for (let turn = 1; turn <= 61; turn += 1) {
      expect(await until(() => done.filter((name) => name === 'always').length === turn)).toBe(true);
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(60_000);
    }
    stop.abort();
    await sweeping;
    expect(done.filter((name) => name === 'hourly')).toHaveLength(2);
    expect(new Set(problems)).toEqual(
      new Set([
        'configuration of agent could not be looked after',
        'the time of the cycle could not be stored',
        'old rows could not be pruned',
        'hourly failed',
      ]),
    );
  });
});
