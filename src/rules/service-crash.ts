// A service ended without being asked to.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'service-crash',
  type: 'service_crash',
  severity: 'critical',
  patterns: [
    {
      match: /Main process exited, code=(?:exited|killed|dumped), status=(?<exitCode>\d{1,3})/,
      confidence: 0.95,
      because: 'systemd',
    },
    {
      match: /Start request repeated too quickly|start-limit-hit/,
      confidence: 0.95,
      because: 'systemd gives up',
    },
    { match: /Watchdog timeout \(limit/, confidence: 0.95, because: 'systemd watchdog' },
    {
      match: /Segmentation fault|core dumped|segfault at/,
      confidence: 0.94,
      because: 'shell and kernel',
    },
    {
      match: /app crashed - waiting for file changes|Script had too many unstable restarts/,
      confidence: 0.92,
      because: 'nodemon and pm2',
    },
  ],
  never: [/status=0/i],
  matches: [
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Main process exited, code=killed, status=11/SEGV' },
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Start request repeated too quickly.' },
    { text: '/srv/run.sh: line 3: 4711 Segmentation fault (core dumped) ./agent' },
  ],
  rejects: [
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Deactivated successfully.' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "Segmentation fault"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] started' },
  ],
});
