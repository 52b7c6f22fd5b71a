// Somebody accepts connections at an address of the configuration or of this host.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const tcp: CheckRunner<CheckOf<'tcp'>> = {
  kind: 'tcp',
  run: ({ host, port }, { probe }) => probe.network.tcp(host, port),
};
