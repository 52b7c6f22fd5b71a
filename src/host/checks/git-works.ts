// git can read this repository and could write to it: the status is answered, and no lock stands in the way.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const gitWorks: CheckRunner<CheckOf<'git-works'>> = {
  kind: 'git-works',
  async run({ directory }, { probe }) {
    const repository = await probe.git.repository(directory);
    if (repository === null) return { passed: 'unknown', evidence: `${directory} is no repository` };
    if (repository.trouble !== null) return { passed: false, evidence: repository.trouble };
    const lock = repository.indexLock;
    if (lock !== null) return { passed: false, evidence: `${lock.path} is there` };
    return { passed: true, evidence: 'git answers, and no lock is in the way' };
  },
};
