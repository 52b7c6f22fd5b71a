// A repository is in order: nothing unfinished, nothing unmerged, and HEAD where the plan put it.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const gitState: CheckRunner<CheckOf<'git-state'>> = {
  kind: 'git-state',
  async run({ directory, head }, { probe }) {
    const repository = await probe.git.repository(directory);
    if (repository === null) return { passed: 'unknown', evidence: `${directory} is no repository` };
    if (repository.trouble !== null) return { passed: 'unknown', evidence: repository.trouble };
    if (repository.operation !== null) return { passed: false, evidence: `a ${repository.operation} is in progress` };
    if (repository.unmerged.length > 0)
      return { passed: false, evidence: `${repository.unmerged.length} files are unmerged` };
    const is = repository.head?.slice(0, 10) ?? 'no commit';
    if (head !== null && repository.head !== head)
      return { passed: false, evidence: `HEAD is ${is}, not ${head.slice(0, 10)}` };
    return { passed: true, evidence: `HEAD is ${is}, and nothing is unfinished` };
  },
};
