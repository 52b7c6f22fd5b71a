// Nobody listens on the port.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const portFree: CheckRunner<CheckOf<'port-free'>> = {
  kind: 'port-free',
  async run({ port }, { probe }) {
    const owner = await probe.processes.listener(port);
    if (owner === null) return { passed: true, evidence: `nobody listens on ${port}` };
    const name = owner === 'unknown' ? 'somebody whom the kernel does not name' : `pid ${owner.pid}`;
    return { passed: false, evidence: `${name} listens on ${port}` };
  },
};
