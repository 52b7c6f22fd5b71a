// The module can be found from the file that asked for it, by Node's own rules.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';
import { resolveModule } from '../node.ts';

export const nodeResolve: CheckRunner<CheckOf<'node-resolve'>> = {
  kind: 'node-resolve',
  async run({ from, module }, { run, signal }) {
    const { ok, error } = await resolveModule(run, { node: process.execPath, from, module, signal });
    return { passed: ok, evidence: ok === true ? `${from} finds ${module}` : `${from} on finding ${module}: ${error}` };
  },
};
