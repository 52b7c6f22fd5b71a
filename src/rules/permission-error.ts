// The operating system or a server says no.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'permission-error',
  type: 'permission_error',
  severity: 'high',
  patterns: [
    {
      match: /PermissionError: \[Errno 13\] Permission denied: '(?<path>[^'\n]+)'/,
      confidence: 0.96,
      because: 'Python class',
    },
    { match: /\bEACCES: permission denied, \w+ '(?<path>[^'\n]+)'/, confidence: 0.96, because: 'Node errno' },
    {
      match: /\b(?:EACCES|EPERM)\b|[Pp]ermission denied|Operation not permitted|PermissionError/,
      confidence: 0.88,
      because: 'errno as the C library words it',
    },
    {
      match:
        /(?:Error code|status(?: code)?|HTTP(?:\/\d\.\d)?)["':= ]{1,4}(?<status>403)\b|\b403[ :,-]{1,3}Forbidden\b/i,
      confidence: 0.9,
      fixable: false,
      because: 'status 403',
    },
  ],
  never: [/publickey/i],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [agent] PermissionError: [Errno 13] Permission denied: '/srv/agent/data/state.json'",
    },
    { text: "Error: EACCES: permission denied, open '/srv/agent/a'" },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 403 Forbidden' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] permissions checked' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "Permission denied" again' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] EPERM ignored as expected' },
  ],
});
