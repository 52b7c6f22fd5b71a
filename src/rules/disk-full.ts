// No room is left on a file system: space, inodes or quota. Or the disk itself fails.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'disk-full',
  type: 'disk_full',
  severity: 'critical',
  patterns: [
    {
      match:
        /[Nn]o space left on (?:the )?device|There is not enough space on the disk|out of disk space|[Dd]isk (?:is )?full\b|not enough (?:free )?(?:disk )?space(?: on| left| available|$|:)|[Ii]nsufficient (?:free )?(?:disk|storage) space|low on disk space|[Ff]ile ?system (?:\S{1,80} )?(?:is )?full\b|no free (?:disk )?space/,
      confidence: 0.97,
      because: 'ENOSPC as C libraries, Windows and programs word it',
    },
    {
      match: /\bENOSPC\b|OS error code {1,3}28:|\(28\)$|\[?[Ee]rrno:? 28\b/,
      confidence: 0.96,
      because: 'the errno as Node names it, and its number',
    },
    {
      match: /[Dd]isk quota exceeded|\bEDQUOT\b|Quota exceeded \(122\)/,
      confidence: 0.965,
      because: 'EDQUOT as the C library words it',
    },
    { match: /database or disk is full|SQLITE_FULL/, confidence: 0.965, because: 'SQLITE_FULL' },
    {
      match:
        /flood stage disk watermark|high disk watermark|DiskPressure|ephemeral-storage|disk usage exceeded|EvictionThresholdMet|No more inodes|inode(?:s)? (?:table )?(?:is |are )?(?:full|exhausted)|out of inodes/i,
      confidence: 0.93,
      because: 'Elasticsearch, Kubernetes and file systems',
    },
    {
      match:
        /volume (?:is )?full\b|write error: No space|tablespace (?:is )?full|disk space (?:is )?(?:exhausted|critically low|used up)/i,
      confidence: 0.9,
      because: 'usual wording',
    },
    {
      match: /\bkind: (?:StorageFull|QuotaExceeded)\b|\(os error (?:28|122)\)/,
      confidence: 0.96,
      because: 'kinds of an I/O error as Rust prints them',
    },
  ],
  never: [/file watchers|inotify|no disk full|watch '/i],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [store] OSError: [Errno 28] No space left on device: '/srv/agent/data/out.json'",
      facts: { path: '/srv/agent/data/out.json' },
    },
    { text: 'Error: ENOSPC: no space left on device, write' },
    { text: 'sqlite3.OperationalError: database or disk is full' },
    { text: 'PANIC:  could not write to file "pg_wal/xlogtemp.77": No space left on device' },
    { text: 'tar: out.tar: Cannot write: Disk quota exceeded' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] 28 files written, plenty of space left' },
    { text: "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'" },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: what does "No space left on device" mean?' },
  ],
});
