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
