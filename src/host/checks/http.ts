// An address of the configuration or of this host answers with one of the expected statuses.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

export const http: CheckRunner<CheckOf<'http'>> = {
  kind: 'http',
  async run({ url, status }, { probe }) {
    const answer = await probe.network.http(url);
    if (answer.status === null) return { passed: answer.passed, evidence: answer.evidence };
    return {
      passed: status.includes(answer.status),
      evidence: `status ${answer.status}, wanted ${status.join(' or ')}`,
    };
  },
};
