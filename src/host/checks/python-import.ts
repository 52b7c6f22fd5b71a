// The module can be imported by the service's own interpreter: the very operation that failed.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';
import { importModule } from '../python.ts';

export const pythonImport: CheckRunner<CheckOf<'python-import'>> = {
  kind: 'python-import',
  async run({ interpreter, module, directory }, { run, signal }) {
    const { ok, error } = await importModule(run, { interpreter, module, directory, signal });
    if (ok === true) return { passed: true, evidence: `${interpreter} imports ${module}` };
    return { passed: ok, evidence: `${interpreter} on importing ${module}: ${error}` };
  },
};
