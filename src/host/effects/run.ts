// Runs a command that the owner has declared, as the owner of the folder. What it starts may live on.

import type { RunStep } from '../../core/plan.ts';
import { type Effect, EffectError } from '../contract.ts';
import { inFolder } from '../services.ts';

export const runCommand: Effect<RunStep> = {
  kind: 'run',

  snapshot: () => Promise.resolve({}),

  async apply(step, _snapshot, { run, signal }) {
    const argv = inFolder(step.argv, step.cwd);
    const result = await run(argv, { cwd: step.cwd, timeoutMs: step.timeoutMs, leash: 'none', signal });
    const name = step.argv.join(' ');
    if (result.failure !== null) throw new EffectError('failed', `${name}: ${result.failure}`);
    if (result.timedOut) throw new EffectError('timeout', `${name} did not end within ${step.timeoutMs / 1000} s`);
    const said = (result.stderr.trim() || result.stdout.trim()).slice(-500);
    if (result.code !== 0)
      throw new EffectError('failed', `${name} ended with ${result.code ?? result.signal}${said ? `: ${said}` : ''}`);
    return `${name} ended with 0${said ? `: ${said}` : ''}`;
  },

  // Only the owner's own check could tell. A command that may run twice counts as not done.
  probe: (step) => Promise.resolve(step.idempotent ? 'not-done' : 'unclear'),

  // Its way back is a command of the owner's too, and is run by whoever undoes the plan.
  undo: () => Promise.resolve(),
  differences: () => Promise.resolve([]),
};
