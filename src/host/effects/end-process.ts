// Ends one process that is identified by pid, start time and program, so that a pid the kernel has given to
// somebody else is never hit.

import type { EndProcessStep } from '../../core/plan.ts';
import { type Effect, EffectError } from '../contract.ts';
import { isAlive, readProcess } from '../proc.ts';

const TERM_GRACE_MS = 5_000;
const KILL_GRACE_MS = 3_000;
const POLL_MS = 50;

export const endProcess: Effect<EndProcessStep> = {
  kind: 'end-process',

  async snapshot(step) {
    const found = await readProcess(step.pid);
    if (!found || found.startTicks !== step.startTicks)
      throw new EffectError('precondition', `pid ${step.pid} is gone, or somebody else by now`);
    if (found.executable !== step.executable)
      throw new EffectError('precondition', `pid ${step.pid} runs ${found.executable ?? 'an unknown program'} by now`);
    if (step.pid <= 1 || step.pid === process.pid || step.pid === process.ppid)
      throw new EffectError('refused', `pid ${step.pid} is never ended by selfheal`);
    return { argv: found.argv, uid: found.uid, cwd: found.cwd };
  },

  async apply(step, _snapshot, { clock, signal }) {
    const gone = async (withinMs: number): Promise<boolean> => {
      const deadline = clock.monotonic() + withinMs;
      while (await isAlive(step)) {
        if (clock.monotonic() > deadline) return false;
        await clock.sleep(POLL_MS);
      }
      return true;
    };
    await send(step, 'SIGTERM');
    if (await gone(signal.aborted ? 0 : TERM_GRACE_MS)) return `pid ${step.pid} ended after TERM`;
    await send(step, 'SIGKILL');
    if (await gone(KILL_GRACE_MS)) return `pid ${step.pid} ended after KILL`;
    throw new EffectError('failed', `pid ${step.pid} does not end: it hangs in the kernel`);
  },

  async probe(step) {
    return (await isAlive(step)) ? 'not-done' : 'done';
  },

  // What was ended cannot be brought back, and the step says so.
  undo: () => Promise.resolve(),
  async differences(step) {
    return (await isAlive(step)) ? [] : [`pid ${step.pid} (${step.executable}) was ended`];
  },
};

/** Looks once more right before the signal: the identity, not the number, is what is meant. */
async function send(step: EndProcessStep, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(step))) return;
  try {
    process.kill(step.pid, signal);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== 'ESRCH') throw new EffectError('failed', `${signal} to pid ${step.pid}: ${code ?? ''}`, { cause });
  }
}
