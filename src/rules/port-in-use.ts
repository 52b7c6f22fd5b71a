// A TCP or UDP port that the service wants is taken.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'port-in-use',
  type: 'port_in_use',
  severity: 'high',
  patterns: [
    {
      match: /EADDRINUSE[^\n]{0,80}?(?:(?<host>\d{1,3}(?:\.\d{1,3}){3})|::|\*|localhost)?:(?<port>\d{2,5})\b/,
      confidence: 0.96,
      because: 'Node names address and port',
    },
    { match: /\bEADDRINUSE\b/, confidence: 0.93, because: 'the errno as Node names it' },
    { match: /[Aa]ddress already in use/, confidence: 0.94, because: 'EADDRINUSE as the C library words it' },
    {
      match: /[Pp]ort (?<port>\d{2,5}) is (?:already )?(?:in use|allocated)/,
      confidence: 0.9,
      because: 'wording of frameworks and docker',
    },
  ],
  matches: [
    { text: 'Error: listen EADDRINUSE: address already in use :::3000' },
    { text: '2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 98] Address already in use' },
    { text: 'nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] listening on port 3000' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: it says "Address already in use"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] port 3000 in use by us, reusing' },
  ],
});
