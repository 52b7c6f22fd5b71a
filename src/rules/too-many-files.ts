// A process or the host has no file descriptors left.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'too-many-files',
  type: 'too_many_files',
  severity: 'high',
  patterns: [
    {
      match: /Too many open files|too many open files/,
      confidence: 0.95,
      because: 'EMFILE and ENFILE as the C library words them',
    },
    { match: /\bE[MN]FILE\b/, confidence: 0.94, because: 'the errno as Node names it' },
    {
      match: /System limit for number of file watchers reached/,
      confidence: 0.96,
      fixable: false,
      because: 'inotify watches, which Node reports as ENOSPC',
    },
  ],
  matches: [
    { text: "2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 24] Too many open files: 'session.json'" },
    { text: "Error: EMFILE: too many open files, open '/srv/a'" },
    { text: "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'" },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] open files: 24' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: what is EMFILE?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] closed too many idle connections' },
  ],
});
