// A moment has come. It proves a wait and nothing else.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const timePassed: CheckRunner<CheckOf<'time-passed'>> = {
  kind: 'time-passed',
  run({ until }, { clock }) {
    const left = until - clock.now();
    const evidence = left > 0 ? `${Math.ceil(left / 1000)} s to go` : 'the time is over';
    return Promise.resolve({ passed: left <= 0, evidence });
  },
};
