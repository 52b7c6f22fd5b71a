// Nothing stands under this name, not even a link that leads nowhere.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const fileAbsent: CheckRunner<CheckOf<'file-absent'>> = {
  kind: 'file-absent',
  async run({ path }, { probe }) {
    const { kind } = await probe.files.status(path);
    if (kind === 'denied') return { passed: 'unknown', evidence: `${path} cannot be looked at` };
    return { passed: kind === 'absent', evidence: `${path} is ${kind === 'absent' ? 'not there' : 'there'}` };
  },
};
