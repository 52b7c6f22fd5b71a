// The program itself calls it an error, or dies of an exception, and no other rule knows it.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'uncaught-exception',
  type: 'unknown',
  severity: 'medium',
  patterns: [
    {
      on: 'exception',
      match: /^(?:[A-Za-z_$][\w.$]*)?(?:Error|Exception|Panic|Fault|Interrupt|Exit|Warning)\b/,
      confidence: 0.4,
      because: 'a parsed exception without a rule of its own',
    },
    {
      match: /^panic: |UnhandledPromiseRejection|triggerUncaughtException|Uncaught exception|Unhandled exception/,
      confidence: 0.4,
      because: 'Go and Node',
    },
    {
      match: /\b(?:error|critical|fatal|severe|failed|failure|exception|panic|emerg|alert)\b/i,
      level: 'error',
      confidence: 0.3,
      because: 'the level of the record',
    },
    {
      on: 'text',
      match: /"level":\s?[56]0\b/,
      level: 'error',
      confidence: 0.3,
      because: 'the level of a pino or bunyan record',
    },
    {
      on: 'text',
      match: /\b(?:ERROR|CRITICAL|FATAL|SEVERE|EMERG|ALERT)\b/,
      level: 'error',
      confidence: 0.3,
      because: 'the level of the record',
    },
  ],
  matches: [
    { text: '2026-01-05 10:00:00,123 ERROR [agent] could not finish the job' },
    {
      text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 7, in pick\n    return items[3]\nIndexError: list index out of range',
    },
    { text: '2026-01-05 10:00:00,123 CRITICAL [agent] giving up' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] errors=0' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: error?' },
    { text: '2026-01-05 10:00:00,123 WARNING [agent] deprecated option' },
  ],
});
