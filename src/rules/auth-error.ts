// A key, token or password that is refused.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'auth-error',
  type: 'auth_error',
  severity: 'high',
  fixable: false,
  patterns: [
    {
      on: 'exception',
      match: /(?:AuthenticationError|UnauthorizedError|Unauthorized)\b/,
      confidence: 0.94,
      because: 'SDK classes',
    },
    {
      match: /invalid x-api-key|invalid_api_key|Incorrect API key|authentication_error|API key not valid/i,
      confidence: 0.96,
      because: 'error texts of model providers',
    },
    {
      match: /(?:Error code|status(?: code)?|HTTP(?:\/\d\.\d)?)["':= ]{1,4}(?<status>401)\b/i,
      confidence: 0.92,
      because: 'status 401',
    },
    { match: /\b401[ :,-]{1,3}Unauthorized\b/, confidence: 0.93, because: 'status line' },
    {
      match:
        /password authentication failed for user|Access denied for user|Unable to locate credentials|ExpiredToken|invalid_grant|bad credentials/i,
      confidence: 0.93,
      because: 'databases, clouds, OAuth',
    },
  ],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [llm] Error code: 401 - {'error': {'type': 'authentication_error', 'message': 'invalid x-api-key'}}",
    },
    { text: 'FATAL:  password authentication failed for user "agent"' },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 401 Unauthorized' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] authenticated' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: 401 Unauthorized?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] token refreshed' },
  ],
});
