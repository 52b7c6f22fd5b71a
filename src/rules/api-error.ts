// A peer cannot be reached or answers with an error.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'api-error',
  type: 'api_error',
  severity: 'high',
  patterns: [
    {
      match:
        /\b(?:ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|EPIPE)\b(?: (?<host>[\w.-]{1,120}):(?<port>\d{1,5}))?/,
      confidence: 0.9,
      because: 'errno as Node names it',
    },
    {
      match: /[Cc]onnection (?:refused|reset by peer|aborted|error)/,
      confidence: 0.88,
      because: 'errno as the C library words it',
    },
    {
      match:
        /Temporary failure in name resolution|Name or service not known|Network is unreachable|No route to host|getaddrinfo failed/,
      confidence: 0.92,
      because: 'resolver and routing',
    },
    {
      on: 'exception',
      match:
        /(?:APIConnectionError|APIStatusError|APIError|InternalServerError|ConnectionError|ConnectionRefusedError|ConnectionResetError|HTTPError|RemoteDisconnected|ServiceUnavailable\w*|ClientConnectorError)\b/,
      confidence: 0.88,
      because: 'exception classes of clients',
    },
    {
      match: /(?:Error code|status(?: code)?|HTTP(?:\/\d\.\d)?)["':= ]{1,4}(?<status>(?:5\d\d|404|409))\b/i,
      confidence: 0.84,
      because: 'a client prints the status of the answer',
    },
    {
      match: /\b(?<status>50[0-3])[ :,-]{1,3}(?:Internal Server Error|Bad Gateway|Service Unavailable)\b/i,
      confidence: 0.88,
      because: 'status line',
    },
    {
      match:
        /certificate has expired|certificate verify failed|unable to get local issuer certificate|self[- ]signed certificate/,
      confidence: 0.93,
      fixable: false,
      because: 'TLS libraries',
    },
    {
      match: /terminated by other getUpdates request/,
      confidence: 0.94,
      fixable: false,
      because: 'the Bot API allows one poller',
    },
  ],
  matches: [
    { text: 'Error: connect ECONNREFUSED 127.0.0.1:11434' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] anthropic.APIConnectionError: Connection error.' },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 502 Bad Gateway' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] connection opened' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: ECONNREFUSED?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] errors=0 status 200' },
  ],
});
