// The program itself calls it an error, or dies of an exception, and no other rule knows it.

import { defineRules } from './contract.ts';

export default defineRules(
  {
    name: 'uncaught-exception',
    type: 'unknown',
    severity: 'medium',
    // Nobody knows what would help.
    fixable: false,
    patterns: [
      {
        on: 'exception',
        match:
          /^(?:[A-Za-z_$][\w.$:\\]*)?(?:Error|Exception|Panic|\.Fault|KeyboardInterrupt|SystemExit|Failure|Throwable|Violation|StopIteration)\b/,
        confidence: 0.4,
        because: 'a parsed exception without a rule of its own',
      },
      {
        match:
          /^panic: |panicked at |UnhandledPromiseRejection|triggerUncaughtException|Uncaught exception|Unhandled exception|[Uu]nhandled promise rejection|RAISED /,
        confidence: 0.4,
        because: 'Go, Rust and Node',
      },
      {
        match: /[Uu]ndefined (?:variable|array key|index|offset|constant)\b/,
        confidence: 0.81,
        because: 'PHP goes on with nothing where a value should be',
      },
      {
        match: /\b(?:Unknown operation|Tool not found|RecursionError|maximum recursion depth)\b/,
        confidence: 0.42,
        because: 'gaps in tools, and endless recursion',
      },
      {
        match: /\S/,
        byLevel: true,
        level: 'error',
        confidence: 0.3,
        because: 'the level of the record',
      },
      {
        match:
          /^(?:\S{1,40}: )?(?:(?:[Ff]atal |[Ii]nternal |[Uu]nexpected |[Uu]nhandled |[Uu]nknown )?(?:ERROR|[Ee]rror|[Ee]xception|[Ff]ailure|[Pp]anic|FATAL|[Ff]atal|[Cc]ritical)(?:[:!]| (?:in|while|when|on|at|during|occurred|reading|writing|parsing|loading|opening|processing|running|creating|executing|code)\b)|[Ff]ailed to |Failed|FAILED|Cannot |Could not |Couldn't |Unable to |[Aa]borted?[:!]|[Uu]ncaught )/,
        confidence: 0.25,
        because: 'a line without a level that begins with the word',
      },
    ],
    // A register of a machine's dump is no error, and a stranger who hangs up is none of ours.
    never: [
      /^self-?heal/i,
      /\.{3,} ?\d+$|(?:^|\s)[A-Za-z][a-z]+(?: [A-Za-z][a-z]+){1,4}: 0x[0-9a-f]{8,16}$/,
      /caught end of stream|likely client has closed/,
    ],
    matches: [
      { text: '2026-01-05 10:00:00,123 ERROR [agent] could not finish the job' },
      {
        text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 7, in pick\n    return items[3]\nIndexError: list index out of range',
        facts: { exception: 'IndexError', file: '/srv/agent/main.py', sourceLine: 7 },
      },
      { text: '2026-01-05 10:00:00,123 CRITICAL [agent] giving up' },
      { text: '{"level":50,"time":1767607200000,"msg":"the queue stands still"}' },
      { text: 'time=2026-01-05T10:00:00Z level=error msg="Tool not found: paint"' },
      { text: 'E0105 10:00:00.000000       7 loop.go:12] the queue stands still' },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [agent] errors=0' },
      { text: '2026-01-05 10:00:00,123 INFO [chat] user: error?' },
      { text: '2026-01-05 10:00:00,123 FATAL [core] branch trace enable...........0' },
      { text: '2026-01-05 10:00:00,123 FATAL [core] link register value: 0x0000ab10' },
      { text: '2026-01-05 10:00:00,123 FATAL [core] Link Register Value: 0x0000ab10' },
      { text: '2026-01-05 10:00:00,123 FATAL [core] floating point enabled...0' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] the last run failed, this one did not' },
    ],
  },
  {
    name: 'failed-warning',
    type: 'unknown',
    severity: 'medium',
    fixable: false,
    patterns: [
      {
        match:
          /\b(?:failed|failure|could not|couldn't|cannot|can't|unable to|error|exception|fatal|crash(?:ed)?|refused|denied|invalid|corrupt(?:ed)?|aborted|rejected|unreachable)\b/i,
        byLevel: true,
        level: 'warn',
        confidence: 0.25,
        because: 'a warning that says something failed',
      },
    ],
    // Who says how it went on has handled it.
    never: [
      /^self-?heal/i,
      /caught end of stream|likely client has closed/,
      /[,;:.(–—-] ?(?:so |now |and |instead )?(?:starting with|continu(?:ing|ed)|going on|went on|fall(?:ing|s) back|fell back|using (?:the |a |an )?(?:defaults?|cached|empty|previous|last|built-?in|fallback)|skipp(?:ing|ed)|ignor(?:ing|ed)|proceeding|recovered)\b/i,
    ],
    matches: [
      { text: '2026-01-05 10:00:00,123 WARNING [agent] could not write the report' },
      { text: '2026-01-05 10:00:00,123 WARNING [agent] delivery of the digest was refused' },
      { text: '{"level":40,"time":1767607200000,"msg":"unable to keep the session"}' },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 WARNING [agent] deprecated option' },
      { text: '2026-01-05 10:00:00,123 WARNING [agent] thumbnail failed, skipping it' },
      {
        text: '2026-01-05 10:00:00,123 WARNING [agent] no cache could be opened (FileNotFoundError); continuing without',
      },
    ],
  },
);
