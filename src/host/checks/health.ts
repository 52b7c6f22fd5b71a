// The health probe that the owner declared for a service.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const health: CheckRunner<CheckOf<'health'>> = {
  kind: 'health',
  run: ({ service }, { probe }) => probe.services.health(service),
};
