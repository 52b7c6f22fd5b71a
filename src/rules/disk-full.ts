// No room is left on a file system: space, inodes or quota.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'disk-full',
  type: 'disk_full',
  severity: 'critical',
  patterns: [
    { match: /No space left on device/, confidence: 0.96, because: 'ENOSPC as the C library words it' },
    { match: /\bENOSPC\b/, confidence: 0.95, because: 'the errno as Node names it' },
    { match: /Disk quota exceeded|\bEDQUOT\b/, confidence: 0.94, because: 'EDQUOT as the C library words it' },
    { match: /database or disk is full/, confidence: 0.94, because: 'SQLITE_FULL' },
  ],
  never: [/file watchers/i],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [store] OSError: [Errno 28] No space left on device: '/srv/agent/data/out.json'",
    },
    { text: 'Error: ENOSPC: no space left on device, write' },
    { text: 'sqlite3.OperationalError: database or disk is full' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] 28 files written, plenty of space left' },
    { text: "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'" },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: what does "No space left on device" mean?' },
  ],
});
