// The owner's own probe as part of a proof, by what it says now.

import type { Check, CheckResult } from '../../core/plan.ts';

/**
 * Fails now: it is the failed operation, and must pass afterwards. Passes now: it must go on passing. Not declared: nothing
 * can be asked.
 */
export function healthCheck(service: string, now: CheckResult['passed']): readonly Check[] {
  if (now === 'unknown') return [];
  const title = `${service} is healthy`;
  return [{ kind: 'health', title, proves: 'operation', failsBefore: now === false, service }];
}

/**
 * Nobody but its caller can try the failed operation again. The change stays and the plan ends as inconclusive, unless the
 * plan starts a service that this problem has brought down: then its staying up is the trial.
 */
export function untried(what: string): Check {
  return {
    kind: 'untried',
    title: `${what} is tried again`,
    proves: 'operation',
    failsBefore: false,
    reason: `${what} could not be tried again here: a \`health\` probe for the service would make that possible`,
  };
}
