// A host name has an address.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const resolves: CheckRunner<CheckOf<'resolves'>> = {
  kind: 'resolves',
  run: ({ host }, { probe }) => probe.network.resolves(host),
};
