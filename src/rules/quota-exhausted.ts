// Money, credits or a plan are used up. Waiting does not help.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'quota-exhausted',
  type: 'quota_exhausted',
  severity: 'high',
  fixable: false,
  patterns: [
    { match: /insufficient_quota/, confidence: 0.97, because: 'error code of the OpenAI API' },
    { match: /exceeded your current quota/, confidence: 0.96, because: 'text of the OpenAI and Google APIs' },
    {
      match: /credit balance is too low|Insufficient (?:Balance|credits)|billing_hard_limit_reached|Payment Required/,
      confidence: 0.95,
      because: 'Anthropic, DeepSeek, OpenRouter and status 402',
    },
  ],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [llm] openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [llm] You exceeded your current quota, please check your plan and billing details.',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] Your credit balance is too low to access the API' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] quota used 40 %' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: what is insufficient_quota?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] disk quota fine' },
  ],
});
