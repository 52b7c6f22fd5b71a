// A value of the wrong type, or something called that cannot be called.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'type-error',
  type: 'type_error',
  severity: 'high',
  patterns: [
    {
      on: 'exception',
      match: /(?:^|\.)TypeError: (?:[\w.$]+|\([^)\n]{0,60}\)[^\n]{0,60}) is not a (?:function|constructor)/,
      confidence: 0.96,
      because: 'V8',
    },
    { on: 'exception', match: /(?:^|\.)TypeError\b/, confidence: 0.9, because: 'Python and JavaScript class' },
    {
      match: /java\.lang\.ClassCastException|cannot use [^\n]{1,80} as type|Uncaught TypeError/,
      confidence: 0.92,
      because: 'Java, Go, PHP',
    },
  ],
  matches: [
    {
      text: "Traceback (most recent call last):\n  File \"/srv/agent/main.py\", line 7, in total\n    return a + b\nTypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
    },
    { text: 'TypeError: this.numbered is not a function\n    at summary (/srv/agent/report.mjs:13:10)' },
    { text: "TypeError: load() missing 1 required positional argument: 'Loader'" },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] type errors=0' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: TypeError again?' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_type_error passed' },
  ],
});
