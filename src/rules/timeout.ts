// Somebody waited too long for an answer.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'timeout',
  type: 'timeout',
  severity: 'medium',
  patterns: [
    {
      on: 'exception',
      match: /(?:^|\.)(?:\w*Timeout(?:Error|Exception|Expired)?|\w*TimedOut\w*)\b/,
      confidence: 0.92,
      because: 'exception classes of many libraries',
    },
    {
      match: /\b(?:ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_CONNECT_TIMEOUT)\b/,
      confidence: 0.93,
      because: 'errno as Node names it',
    },
    {
      match: /(?:[Cc]onnection|[Rr]equest|[Rr]ead|[Oo]peration|[Ww]atchdog|[Uu]pstream) time(?:d[ -]?out|out)\b/,
      confidence: 0.86,
      because: 'usual wording',
    },
    { match: /context deadline exceeded|DEADLINE_EXCEEDED/, confidence: 0.93, because: 'Go and gRPC' },
    {
      match: /\b504[ :,-]{1,3}Gateway Time-?out\b/i,
      confidence: 0.9,
      constant: { status: 504 },
      because: 'status line',
    },
  ],
  matches: [
    { text: '2026-01-05 10:00:00,123 ERROR [llm] openai.APITimeoutError: Request timed out.' },
    { text: 'Error: connect ETIMEDOUT 203.0.113.7:443' },
    { text: '2026-01-05 10:00:00,123 ERROR [rpc] context deadline exceeded' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] timeout=30' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: it timed out' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] timeouts: 0' },
  ],
});
