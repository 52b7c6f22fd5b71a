// Memory ran out: the kernel killed, the runtime gave up, or an allocation was refused.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'out-of-memory',
  type: 'out_of_memory',
  severity: 'critical',
  patterns: [
    {
      match: /Out of memory: Killed process (?<pid>\d{1,9})/,
      confidence: 0.97,
      because: 'the kernel names its victim',
    },
    { match: /JavaScript heap out of memory/, confidence: 0.97, because: 'V8 at its heap limit' },
    { match: /killed by the OOM killer/, confidence: 0.96, because: 'systemd reports the kernel kill' },
    { match: /Cannot allocate memory|\bENOMEM\b/, confidence: 0.94, because: 'ENOMEM as the C library words it' },
    { on: 'exception', match: /^(?:\w+\.)*MemoryError\b/, confidence: 0.95, because: 'Python class' },
    { match: /java\.lang\.OutOfMemoryError/, confidence: 0.96, because: 'Java class' },
    {
      match: /CUDA out of memory|Allowed memory size of \d+ bytes exhausted/,
      confidence: 0.95,
      because: 'GPU and PHP limits',
    },
  ],
  matches: [
    { text: 'kernel: Out of memory: Killed process 4711 (node) total-vm:2000kB' },
    { text: 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory' },
    { text: '2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 12] Cannot allocate memory' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] memory usage 80 %' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: my bot died with "Out of memory: Killed process 1 (node)"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] test_memory_error passed' },
  ],
});
