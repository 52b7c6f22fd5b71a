// The failed operation cannot be tried again by us: said so, instead of calling something else a proof.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const untried: CheckRunner<CheckOf<'untried'>> = {
  kind: 'untried',
  run: ({ reason }) => Promise.resolve({ passed: 'unknown', evidence: reason }),
};
