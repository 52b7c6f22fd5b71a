// A command of the owner's own succeeds: exit code 0, run in the service's folder as its owner.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';
import { inFolder } from '../services.ts';

export const runCheck: CheckRunner<CheckOf<'run'>> = {
  kind: 'run',
  async run({ argv, cwd, timeoutMs }, { run, signal }) {
    const result = await run(inFolder(argv, cwd), { cwd, timeoutMs, leash: 'group', signal });
    if (result.failure !== null) return { passed: 'unknown', evidence: result.failure };
    if (result.timedOut) return { passed: 'unknown', evidence: `it did not end within ${timeoutMs / 1000} s` };
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1)?.slice(0, 200) ?? '';
    const how = result.signal ?? `exit code ${result.code}`;
    return { passed: result.code === 0, evidence: said ? `${how}: ${said}` : how };
  },
};
