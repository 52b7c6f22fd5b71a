// The port is listened on by the service itself, not just by somebody.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner, ProcessInfo, ProcessProbe } from '../contract.ts';

export const portOwner: CheckRunner<CheckOf<'port-owner'>> = {
  kind: 'port-owner',
  async run({ port, service }, { probe }) {
    const [owner, state] = await Promise.all([probe.processes.listener(port), probe.services.state(service)]);
    if (owner === 'unknown') return { passed: 'unknown', evidence: `the kernel does not say who listens on ${port}` };
    if (owner === null) return { passed: false, evidence: `nobody listens on ${port}` };
    if (!state.process) return { passed: 'unknown', evidence: `no process of ${service} is known: ${state.evidence}` };
    const ours = await isSameTree(owner, state.process, probe.processes);
    return {
      passed: ours,
      evidence: `pid ${owner.pid} listens on ${port}; ${service} runs as pid ${state.process.pid}`,
    };
  },
};

/** The process itself, or one below it. */
async function isSameTree(owner: ProcessInfo, root: ProcessInfo, processes: ProcessProbe): Promise<boolean> {
  for (let at: ProcessInfo | null = owner; at && at.pid > 1; at = await processes.process(at.ppid)) {
    if (at.pid === root.pid && at.startTicks === root.startTicks) return true;
  }
  return false;
}
