// Source code that its own interpreter or compiler refuses.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'syntax-error',
  type: 'syntax_error',
  severity: 'high',
  patterns: [
    {
      on: 'exception',
      match: /(?:^|\.)(?:SyntaxError|IndentationError|TabError)\b/,
      confidence: 0.85,
      because: 'Python and JavaScript classes',
    },
    { match: /PHP Parse error: {1,2}syntax error|Parse error: syntax error/, confidence: 0.95, because: 'PHP' },
    { match: /syntax error(?:,|:| near) unexpected/, confidence: 0.92, because: 'shells and yacc parsers' },
  ],
  matches: [
    { text: '  File "/srv/agent/main.py", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax' },
    { text: 'PHP Parse error:  syntax error, unexpected end of file in /srv/a.php on line 3' },
    { text: "/srv/agent/run.sh: line 3: syntax error near unexpected token `done'" },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] syntax checked' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: SyntaxError?' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_syntax_error ok' },
  ],
});
