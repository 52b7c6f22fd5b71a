// The other side asks us to slow down: waiting helps. Exhausted money or credits are another rule.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'rate-limit',
  type: 'rate_limit',
  severity: 'medium',
  patterns: [
    {
      on: 'exception',
      match:
        /(?:RateLimit(?:ed|Exceeded|Reached|Hit)?(?:Error|Exception)?|RetryAfter|TooManyRequests(?:Error|Exception)?|FloodWait(?:Error)?|FloodError|SlowModeWaitError|Throttl(?:ed|ing)(?:Error|Exception)?|RequestThrottled\w*|ProvisionedThroughputExceeded\w*|ResourceExhausted|SlowDown|QuotaLimitExceeded)\b/,
      confidence: 0.93,
      because: 'exception classes for status 429: OpenAI, Anthropic, Telegram, AWS, Google and web frameworks',
    },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http(?:\/\d(?:\.\d)?)?|response(?:[ _]?code)?|errno|returned(?: an?)?(?: error)?|answered|request failed with|got|received|code)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>429)\b/i,
      words: ['\\b429\\b'],
      confidence: 0.92,
      because: 'a client prints the status of the answer',
    },
    {
      match:
        /(?:\b|\()(?<status>429)["'\])]{0,2}[ :,-]{1,3}(?:\(?too many requests|resource_exhausted|resource has been exhausted|client error|rate[ _-]?limit|you |this request would)/i,
      words: ['\\b429\\b'],
      confidence: 0.93,
      because: 'status line of RFC 6585, section 4',
    },
    {
      match: /[Qq]uota exceeded[^\n]{0,160}\bper (?:minute|second|100 seconds)\b|\bRATELIMIT\b|[Tt]ake a break for \d/,
      confidence: 0.97,
      because: 'Google APIs and Reddit: a quota for a minute comes back by itself',
    },
    { match: /\((?:HTTP )?(?<status>429)\)/, confidence: 0.85, because: 'a status in brackets behind a message' },
    {
      match: /"HTTP\/\d(?:\.\d)? (?<status>429)[ "]|HTTP\/\d(?:\.\d)?"? (?<status2>429) (?:Too|\d|-|")/,
      words: ['\\b429\\b'],
      level: 'debug',
      confidence: 0.94,
      because: 'HTTP clients and servers log each answer at a calm level',
    },
    {
      match:
        /Retrying \S{1,120} in \d[\d.]{0,8} seconds as it raised [\w.]{0,60}(?:RateLimit|ResourceExhausted|ClientError: 429)/,
      level: 'info',
      confidence: 0.9,
      because: 'tenacity announces a retry and names what failed',
    },
    {
      match:
        /Too Many Requests: retry after (?<retryAfterSec>\d{1,7})|Flood control exceeded|FLOOD_WAIT_\d|A wait of \d{1,7} seconds is required/,
      confidence: 0.95,
      because: 'flood control of the Telegram APIs',
    },
    {
      match: /rate_limit_(?:error|exceeded|reached)|rateLimitExceeded|RATE_LIMIT_EXCEEDED|userRateLimitExceeded/,
      confidence: 0.93,
      because: 'error codes in the bodies of model providers and Google APIs',
    },
    {
      match:
        /\b(?:rate|request|token|message|concurrency)[ _-]?limit(?:ed|s|er)? (?:was |has been |is )?(?:exceeded|reached|hit|error|for model)\b|\bexceed(?:s|ed|ing)? [^\n]{0,60}\brate[ _-]?limits?\b|\b(?:hit|hitting|reached|over) (?:the |a |your |our )?(?:\w+ ){0,3}rate[ _-]?limits?\b|\b(?:been|being|are|is|was|got) (?:temporarily )?(?:rate[ -]?limited|throttled)\b|^rate[ _-]?limited\b/i,
      confidence: 0.88,
      because: 'wording of many APIs',
    },
    {
      match: /(?:^|: )Too Many Requests\b/,
      level: 'debug',
      confidence: 0.9,
      because: 'the body of an answer with status 429',
    },
    {
      match: /\btoo many requests\b/i,
      confidence: 0.9,
      because: 'reason phrase of status 429',
    },
    {
      match:
        /toomanyrequests: |reached your (?:unauthenticated )?pull rate limit|secondary rate limit|abuse detection mechanism/,
      level: 'info',
      confidence: 0.95,
      because: 'Docker Hub and GitHub',
    },
    {
      match:
        /ThrottlingException|ThrottledException|Throttling: Rate exceeded|RequestLimitExceeded|TooManyRequestsException|RequestThrottled|Rate exceeded$|\(Throttling\)|SlowDown\)|Please reduce your request rate/,
      confidence: 0.94,
      because: 'error codes of AWS services',
    },
    {
      match: /limiting (?:requests|connections)(?:, excess:| by zone)/,
      confidence: 0.93,
      fixable: false,
      because: 'nginx limit_req and limit_conn turn a client away',
    },
    {
      match: /\brate limited\b|\bthrottled by (?:the )?(?:server|provider|upstream|api)\b|\bbeing throttled\b/i,
      confidence: 0.84,
      because: 'usual wording',
    },
    {
      match:
        /['"](?:error|code|type|reason|status)['"]: ?['"](?:rate_?limited|rate_limit|too_many_requests|throttled|flood_wait)['"]/,
      confidence: 0.955,
      because: 'error codes of APIs',
    },
    {
      match: /\b(?<status>429) status code\b/,
      confidence: 0.95,
      because: 'SDKs of model providers on an answer without a body',
    },
  ],
  never: [
    /insufficient_quota|exceeded your current quota|credit balance|billing_hard_limit|requires more credits/i,
    /no rate limit|rate limit (?:ok|fine|remaining)|\b[1-9]\d* (?:of \d+ )?requests (?:remain|left)\b/i,
  ],
  matches: [
    { text: "2026-01-05 10:00:00,123 ERROR [llm] anthropic.RateLimitError: Error code: 429 - {'type': 'error'}" },
    { text: '2026-01-05 10:00:00,123 ERROR [http] HTTP 429 Too Many Requests' },
    { text: 'telegram.error.RetryAfter: Too Many Requests: retry after 35', facts: { retryAfterSec: 35 } },
    {
      text: '2026-01-05 10:00:00,123 INFO [httpx] HTTP Request: POST https://api.example.com/v1/x "HTTP/1.1 429 Too Many Requests"',
      facts: { status: 429 },
    },
    {
      text: '2026-01-05 10:00:00,123 WARNING [cloud] An error occurred (ThrottlingException) when calling the PutLogEvents operation: Rate exceeded',
    },
    { text: 'Error response from daemon: toomanyrequests: You have reached your pull rate limit.' },
    { text: '2026/01/05 10:00:00 [error] 12#12: *7 limiting requests, excess: 5.320 by zone "api", client: 192.0.2.7' },
    {
      text: 'pyrogram.errors.exceptions.flood_420.FloodWait: Telegram says: [420 FLOOD_WAIT_X] - A wait of 28 seconds is required',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] AxiosError: Request failed with status code 429' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO app[429]: rate limit: 1084 of 5000 requests remain, resets in 6 s' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] processed 429 items' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user asks: what does "429 Too Many Requests" mean?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] rate limit is 50 per minute' },
    { text: '192.0.2.7 - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 429 "-" "curl/8.5.0"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] on 429 we wait ten seconds' },
  ],
});
