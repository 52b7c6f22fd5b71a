// The other side asks us to slow down: waiting helps. Exhausted money or credits are another rule.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'rate-limit',
  type: 'rate_limit',
  severity: 'medium',
  patterns: [
    {
      on: 'exception',
      match: /RateLimitError\b/,
      confidence: 0.93,
      because: 'exception class of the OpenAI and Anthropic SDKs for status 429',
    },
    {
      match: /(?:Error code|status(?: code)?|HTTP(?:\/\d\.\d)?|statusCode)["':= ]{1,4}(?<status>429)\b/i,
      confidence: 0.92,
      because: 'a client prints the status of the answer',
    },
    {
      match: /\b(?<status>429)[ :,-]{1,3}Too Many Requests\b/i,
      confidence: 0.94,
      because: 'status line of RFC 6585, section 4',
    },
    {
      match: /Too Many Requests: retry after (?<retryAfterSec>\d{1,6})/,
      confidence: 0.95,
      because: 'flood control of the Telegram Bot API',
    },
    {
      match: /rate_limit_(?:error|exceeded)/,
      confidence: 0.92,
      because: 'error type in the bodies of the Anthropic and OpenAI APIs',
    },
    {
      match: /\brate[ _-]limit(?:ed|s)? (?:exceeded|reached|hit)\b/i,
      confidence: 0.86,
      because: 'wording of many APIs',
    },
    {
      match: /ThrottlingException|RequestLimitExceeded|TooManyRequestsException/,
      confidence: 0.92,
      because: 'error codes of AWS services',
    },
  ],
  never: [/insufficient_quota|exceeded your current quota|credit balance/i],
  matches: [
    { text: "2026-01-05 10:00:00,123 ERROR [llm] anthropic.RateLimitError: Error code: 429 - {'type': 'error'}" },
    { text: '2026-01-05 10:00:00,123 ERROR [http] HTTP 429 Too Many Requests' },
    { text: 'telegram.error.RetryAfter: Too Many Requests: retry after 35' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] processed 429 items' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user asks: what does "429 Too Many Requests" mean?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] rate limit is 50 per minute' },
  ],
});
