// A file or folder has exactly this mode.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const fileMode: CheckRunner<CheckOf<'file-mode'>> = {
  kind: 'file-mode',
  async run({ path, mode }, { probe }) {
    const status = await probe.files.status(path);
    if (status.kind === 'denied') return { passed: 'unknown', evidence: `${path} cannot be looked at` };
    if (status.kind !== 'file' && status.kind !== 'directory')
      return { passed: false, evidence: `${path} is no file or folder` };
    return { passed: status.mode === mode, evidence: `${path} has mode ${status.mode.toString(8)}` };
  },
};
