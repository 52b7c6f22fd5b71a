// Which lines with a word of some rule need no second look, and which do.

import { describe, expect, it } from 'vitest';
import { rules } from '../rules/index.ts';
import { ErrorDetector } from './detector.ts';
import { lineParts } from './framer.ts';
import { compileRules } from './rule-set.ts';
import { isInnocent } from './sieve.ts';

const NOW = 1_770_000_000_000;
const sieve = (line: string): boolean => isInnocent(lineParts(line), compileRules(rules), NOW);

describe('the second look at a line', () => {
  it.each([
    '2026-01-05 10:00:00,123 INFO [agent] timeout=30 retries=0 errors=0',
    '{"level":30,"time":1767607200000,"msg":"failed_logins=0 over 60 s"}',
    'Jan  5 10:00:00 box agent[42]: GET /error-handling/guide served',
    'Jan  5 10:00:00 box agent[42]: loaded plugin exception-reporter 2.1',
    'level=info msg="0 errors, 12 timeouts configured"',
  ])('passes over %j', (line) => {
    expect(sieve(line)).toBe(true);
    expect(new ErrorDetector({ now: () => NOW }).scanText(line)).toEqual([]);
  });

  it.each([
    '2026-01-05 10:00:00,123 ERROR [agent] timeout=30',
    // Loud, or a fault of the host, whatever its level.
    '2026-01-05 10:00:00,123 INFO kernel: Out of memory: Killed process 42 (node)',
    '{"level":50,"time":1767607200000,"msg":"no luck"}',
    // A report may come below.
    '2026-01-05 10:00:00,123 INFO [agent] job crashed:',
    'Caused by: java.net.ConnectException: Connection refused',
    "ModuleNotFoundError: No module named 'yaml'",
    // Part of a line.
    '2026-01-05T10:00:00.123456789Z stdout P errors=0',
    // It may be the message of a loud line above it.
    '    connection refused by peer',
  ])('looks at %j', (line) => expect(sieve(line)).toBe(false));

  it('does not tear apart what V8 says of its heap, though no line before the last is an error', () => {
    const report = `<--- Last few GCs --->

[4242:0x5581e0]    81234 ms: Mark-Compact 2041.3 (2083.1) -> 2039.9 (2084.0) MB, pooled: 0 MB, 812.44 / 0.00 ms allocation failure; scavenge might not succeed

<--- JS stacktrace --->

FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
 1: 0xb7a940 node::Abort() [node]
Aborted (core dumped)
`;
    const found = new ErrorDetector({ now: () => NOW }).scanText(report);
    expect(found.map(({ type, record }) => [type, record.span.line, record.span.endLine])).toEqual([
      ['out_of_memory', 1, 9],
    ]);
  });
});
