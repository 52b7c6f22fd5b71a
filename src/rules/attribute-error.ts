// An attribute, method or property that does not exist, or access through nothing.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'attribute-error',
  type: 'attribute_error',
  severity: 'high',
  patterns: [
    {
      on: 'exception',
      match: /AttributeError: [^\n]{0,200}has no attribute '(?<attribute>\w+)'/,
      confidence: 0.96,
      because: 'Python class',
    },
    { on: 'exception', match: /AttributeError\b/, confidence: 0.93, because: 'Python class' },
    {
      on: 'exception',
      match:
        /TypeError: Cannot (?:read|set) propert(?:y|ies) (?:'(?<attribute>[^'\n]+)' )?of (?:undefined|null)(?: \((?:reading|setting) '(?<attribute2>[^'\n]+)'\))?/,
      confidence: 0.96,
      because: 'V8',
    },
    {
      match:
        /java\.lang\.NullPointerException|System\.NullReferenceException|invalid memory address or nil pointer dereference|NoMethodError: undefined method|Call to undefined method|Call to a member function \w+\(\) on null/,
      confidence: 0.94,
      because: 'Java, C#, Go, Ruby, PHP',
    },
  ],
  matches: [
    {
      text: "Traceback (most recent call last):\n  File \"/srv/agent/main.py\", line 7, in work\n    client.post()\nAttributeError: 'Client' object has no attribute 'post'",
    },
    { text: "TypeError: Cannot read properties of undefined (reading 'id')\n    at run (/srv/agent/index.js:3:9)" },
    { text: 'panic: runtime error: invalid memory address or nil pointer dereference' },
  ],
  rejects: [
    {
      text: "2026-01-05 10:00:00,123 INFO [chat] user 82 pasted: \"AttributeError: 'NoneType' object has no attribute 'text'\"",
    },
    { text: '2026-01-05 10:00:00,123 INFO [agent] attribute table loaded' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_attribute_error ok' },
  ],
});
