// Source code that its own interpreter or compiler refuses.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'syntax-error',
  type: 'syntax_error',
  severity: 'high',
  // A change of code is needed.
  fixable: false,
  patterns: [
    {
      on: 'exception',
      match: /(?:^|[.\s])(?:SyntaxError|IndentationError|TabError)\b/,
      confidence: 0.85,
      because: 'Python and JavaScript classes',
    },
    {
      on: 'exception',
      match:
        /(?:SyntaxError|IndentationError|TabError): (?:invalid|unexpected (?:indent|EOF|character)|expected|unindent|unmatched|unterminated|EOF while|EOL while|inconsistent|cannot assign|Missing parentheses|'\S{1,20}' (?:outside|was never)|f-string|closing parenthesis|positional argument follows|non-default argument|name '|Missing (?:initializer|catch)|Identifier '|Unexpected (?:identifier|reserved|strict|eval)|Invalid (?:or unexpected|left-hand|regular|shorthand|destructuring)|await is only|Illegal|missing [)\]};])/,
      confidence: 0.955,
      because: 'Python and JavaScript',
    },
    {
      match:
        /PHP Parse error: {1,2}|Parse error: syntax error|ParseError\b[^\n]{0,40}syntax error|syntax error, unexpected |unexpected (?:end of file|'[^'\n]{1,20}')(?:, expecting|$)/,
      confidence: 0.95,
      because: 'PHP and Ruby',
    },
    {
      match:
        /syntax error(?:,|:| near) unexpected|syntax error near unexpected token|unexpected EOF while looking for matching|Syntax error: (?:Unterminated|"|end of file|word|Bad)|syntax error: unexpected end of file|bad substitution$/,
      confidence: 0.945,
      because: 'shells and yacc parsers',
    },
    {
      match:
        /error TS1\d{3}: |(?:SyntaxError|Syntax error|Parsing error|Unexpected token)(?:: |, |$)[^\n]{0,120}|error: (?:expected|unexpected|missing|unterminated|unclosed) (?:[`'"(<]|an? |one of|(?:expression|identifier|item|statement|declaration|end|token|EOF|character|type|pattern|primary|unqualified|closing|initializer|return|string|char|comment|double|delimiter|block|terminating)\b)[^\n]{0,80}|error: ';' expected|error: class, interface|reached end of file while parsing|syntax error: (?:unexpected|non-declaration)|error CS10\d\d: |unexpected token [`'"]|Transform failed with \d+ error|Unterminated (?:string|regular expression|template)|ParserError: |Encountered unexpected token|template: \S{1,80}:\d+: |TemplateSyntaxError|mismatched input '/,
      confidence: 0.875,
      because: 'compilers, bundlers and template engines',
    },
    {
      match:
        /× (?:Unexpected (?:token|eof|character)|Expected ['"`,;({]|Unterminated|Expression expected)|Expected "[^"\n]{1,20}" but found|\bSyntax Error(?:$| while loading)|unable to read either as JSON nor YAML/,
      confidence: 0.93,
      because: 'SWC, Turbopack and Ansible',
    },
    {
      match: /^(?:Sorry: )?(?:SyntaxError|IndentationError|TabError)\b/,
      confidence: 0.93,
      because: 'Python compileall and interpreters',
    },
    {
      match: /SyntaxError: Cannot use import statement outside a module/,
      confidence: 0.985,
      because: 'Node reads a module as a script',
    },
    {
      match: /Unexpected token \(\d{1,7}:\d{1,5}\)/,
      confidence: 0.95,
      because: 'Babel and acorn',
    },
  ],
  never: [
    /in JSON|JSON\.parse|JSON at|SQL syntax|syntax error at or near|sqlite3?\.|is not valid JSON|JSONDecodeError/,
  ],
  matches: [
    {
      text: '  File "/srv/agent/main.py", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax',
      facts: { file: '/srv/agent/main.py', sourceLine: 3 },
    },
    { text: 'PHP Parse error:  syntax error, unexpected end of file in /srv/a.php on line 3' },
    { text: "/srv/agent/run.sh: line 3: syntax error near unexpected token `done'" },
    {
      text: "/srv/agent/index.js:3\n  const a = ;\n            ^\n\nSyntaxError: Unexpected token ';'\n    at wrapSafe (node:internal/modules/cjs/loader:1281:20)",
    },
    { text: 'IndentationError: unexpected indent (main.py, line 8)' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] syntax checked' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: SyntaxError?' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_syntax_error ok' },
  ],
});
