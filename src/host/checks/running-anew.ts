// A service runs, somebody else than before the plan began, and stays up. A pid proves nothing: what counts
// is a start time after the first step.

import type { CheckOf, CheckResult } from '../../core/plan.ts';
import type { CheckContext, CheckRunner, ProcessInfo } from '../contract.ts';

/** Start times are exact to about this. */
const SLACK_MS = 50;
const POLL_MS = 100;

export const runningAnew: CheckRunner<CheckOf<'running-anew'>> = {
  kind: 'running-anew',
  async run(check, context) {
    const state = await context.probe.services.state(check.service);
    if (state.running === 'unknown') return { passed: 'unknown', evidence: state.evidence };
    if (!state.running) return { passed: false, evidence: state.evidence };
    if (!state.process) return { passed: 'unknown', evidence: `no process to look at: ${state.evidence}` };
    const usage = await context.probe.processes.usage(state.process.pid);
    if (!usage) return { passed: false, evidence: `pid ${state.process.pid} has just ended` };
    if (usage.startedAt < context.since - SLACK_MS)
      return { passed: false, evidence: `still the same process: pid ${state.process.pid}` };
    return staysUp(check, state.process, usage.startedAt, context);
  },
};

async function staysUp(
  check: CheckOf<'running-anew'>,
  process: ProcessInfo,
  startedAt: number,
  { probe, clock, signal }: CheckContext,
): Promise<CheckResult> {
  while (clock.now() - startedAt < check.forMs && !signal.aborted) {
    await clock.sleep(POLL_MS, signal);
    const now = await probe.processes.process(process.pid);
    if (now?.startTicks !== process.startTicks)
      return { passed: false, evidence: `pid ${process.pid} ended after ${clock.now() - startedAt} ms` };
  }
  const seconds = ((clock.now() - startedAt) / 1000).toFixed(1);
  return { passed: true, evidence: `pid ${process.pid} is new and up for ${seconds} s` };
}
