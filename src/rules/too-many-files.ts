// A process or the host has no file descriptors or watches left.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'too-many-files',
  type: 'too_many_files',
  severity: 'high',
  patterns: [
    {
      match:
        /accept4?: too many open files|accept\d?\(\) failed \(24|socket: too many open files|pipe2?: too many open files/,
      level: 'debug',
      confidence: 0.97,
      because: 'servers that cannot take a connection, at whatever level',
    },
    {
      match:
        /[Tt]oo many (?:open files|files open)\b|out of file descriptors|file descriptor limit|no (?:more )?(?:free )?file descriptors|(?:increase|raise|check|see|exceed\w*|too low)[^\n]{0,40}ulimit -n|worker_connections are not enough|Increase (?:the )?(?:nofile|open files)|\bRLIMIT_NOFILE\b[^\n]{0,40}(?:exceeded|reached|too low)/,
      confidence: 0.96,
      because: 'EMFILE and ENFILE as the C library words them',
    },
    {
      match: /\bE[MN]FILE\b|\[Errno 2[34]\]|VFS: file-max limit \d+ reached/,
      confidence: 0.955,
      because: 'the errno as Node and Python name it, and the kernel',
    },
    {
      match:
        /System limit for number of file watchers reached|inotify (?:watch(?:es)? limit|instance limit|add watch)[^\n]{0,60}(?:reached|failed|exceeded|No space)|user limit on (?:the total number of inotify|inotify)|Too many inotify|no space left on device[^\n]{0,40}inotify|inotify_(?:add_watch|init1?)[^\n]{0,60}(?:[Nn]o space|failed|[Tt]oo many)/,
      confidence: 0.975,
      fixable: false,
      because: 'inotify watches, which Node reports as ENOSPC',
    },
    {
      match:
        /nf_conntrack: (?:nf_conntrack: )?table full|neighbou?r table overflow|TCP: out of memory|ip_conntrack: table full/,
      level: 'info',
      confidence: 0.93,
      fixable: false,
      because: 'kernel tables that are full',
    },
  ],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 24] Too many open files: 'session.json'",
      facts: { path: 'session.json' },
    },
    { text: "Error: EMFILE: too many open files, open '/srv/a'", facts: { path: '/srv/a' } },
    { text: "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'" },
    {
      text: '2026/01/05 10:00:00 http: Accept error: accept tcp [::]:8090: accept4: too many open files; retrying in 1s',
      facts: { port: 8090 },
    },
    { text: 'Jan  5 10:00:00 vm kernel: nf_conntrack: table full, dropping packet' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] open files: 24' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: what is EMFILE?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] closed too many idle connections' },
  ],
});
