// The quota or the credit of a provider is spent. It looks like a rate limit, and waiting does not help: only the
// owner can pay or choose another provider.

import { type Diagnosis, defineFix, refuse, type FixContext } from './contract.ts';

export default defineFix({
  name: 'report-spent-quota',
  family: 'wait-out-limit',
  title: 'Say that a quota is spent',
  handles: ['quota_exhausted'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 90,
  diagnose,
  drills: [
    {
      given: 'the credit of the key is spent',
      world: (kit) => kit.write('a', ''),
      message: "openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
      facts: { status: 429, provider: 'openai' },
      type: 'quota_exhausted',
      expect: 'refused',
    },
    {
      given: 'nothing more is said than that a quota is spent',
      world: (kit) => kit.write('a', ''),
      facts: {},
      type: 'quota_exhausted',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident }: FixContext): Promise<Diagnosis> {
  const { provider = 'the provider', retryAfterSec } = incident.facts;
  const hint =
    retryAfterSec === undefined ? '' : ` It names ${Math.round(retryAfterSec / 3600)} h until it is renewed.`;
  return refuse(
    `the quota or credit at ${provider} is spent; trying again does not help.${hint} Top it up, or use another key or provider.`,
  );
}
