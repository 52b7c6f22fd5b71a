// Waits until a moment that the other side has named. Touches nothing.

import type { WaitStep } from '../../core/plan.ts';
import { type Effect, EffectError } from '../contract.ts';

/** A plan holds its service's lock: longer waits are for whoever plans, not for the hand that acts. */
const LONGEST_MS = 10 * 60_000;

export const wait: Effect<WaitStep> = {
  kind: 'wait',

  snapshot(step, { clock }) {
    if (step.until - clock.now() > LONGEST_MS)
      return Promise.reject(new EffectError('refused', 'so long a wait must not hold the service'));
    return Promise.resolve({});
  },

  async apply(step, _snapshot, { clock, signal }) {
    const began = clock.now();
    while (clock.now() < step.until && !signal.aborted) await clock.sleep(step.until - clock.now(), signal);
    if (clock.now() < step.until) throw new EffectError('timeout', 'the wait was cut short');
    return `waited ${Math.round((clock.now() - began) / 1000)} s`;
  },

  probe: (step, _snapshot, { clock }) => Promise.resolve(clock.now() >= step.until ? 'done' : 'not-done'),
  undo: () => Promise.resolve(),
  differences: () => Promise.resolve([]),
};
