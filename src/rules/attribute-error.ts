// An attribute, method or property that does not exist, or access through nothing.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'attribute-error',
  type: 'attribute_error',
  severity: 'high',
  // A change of code is needed.
  fixable: false,
  patterns: [
    {
      match:
        /(?:module|object|class|type|instance) ['"](?<module>[\w.]{1,120})['"] has no attribute ['"](?<attribute>\w+)['"]/,
      confidence: 0.965,
      because: 'Python: a module or class without the name',
    },
    {
      match: /has no attribute ['"‘`](?<attribute>[\w.]{1,120})['"’`]/,
      confidence: 0.96,
      because: 'Python, also where only the message is printed',
    },
    { on: 'exception', match: /(?:^|[.\s])AttributeError\b/, confidence: 0.94, because: 'Python class' },
    {
      match:
        /Cannot (?:read|set) propert(?:y|ies) (?:['"`](?<attribute>[^'"`\n]+)['"`] )?of (?:undefined|null)(?: \((?:reading|setting) ['"`](?<attribute2>[^'"`\n]+)['"`]\))?/,
      confidence: 0.965,
      because: 'V8',
    },
    {
      match:
        /(?:undefined|null) is not an object(?: \(evaluating ['"`](?<attribute>[^'"`\n]{1,200})['"`]\))?|\b[\w$.()[\]-]{1,120} is (?:undefined|null)$|can't access property "?(?<attribute2>[\w$]+)"?(?:,| of)|Cannot access '(?<attribute3>[\w$]+)' before initialization|Cannot destructure property ['"`](?<attribute4>[\w$]+)['"`]/,
      confidence: 0.95,
      because: 'JavaScriptCore, SpiderMonkey and destructuring',
    },
    {
      match:
        /java\.lang\.NullPointerException|NullPointerException\b|Cannot invoke "(?<attribute>[^"\n]{1,200})" because|java\.lang\.(?:NoSuchMethodError|NoSuchFieldError|AbstractMethodError)|NoSuchMethodException|NoSuchFieldException|UninitializedPropertyAccessException/,
      confidence: 0.95,
      because: 'Java and Kotlin',
    },
    {
      match:
        /NullReferenceException|Object reference not set to an instance|MissingMethodException|RuntimeBinderException/,
      confidence: 0.95,
      because: 'the runtime of C#',
    },
    {
      match: /invalid memory address or nil pointer dereference|assignment to entry in nil map/,
      level: 'trace',
      confidence: 0.95,
      because: 'Go',
    },
    {
      match: /undefined (?:local variable or )?method [`'](?<attribute>\w+[?!=]?)['`]/,
      confidence: 0.955,
      because: 'Ruby',
    },
    { match: /NoMethodError\b/, confidence: 0.95, because: 'Ruby' },
    {
      match:
        /Call to (?:undefined method|an undefined method|private method|protected method) (?<attribute>[\w\\:]+(?:->\w+)?)\(\)|Call to a member function (?<attribute2>\w+)\(\) on|[Aa]ttempt to read property ["'\\]{1,3}(?<attribute3>\w+)["'\\]{1,3} on|Trying to (?:get|access) (?:property|array offset)|Undefined property: (?<attribute4>[\w\\:$]+)|Method [\w\\:]{1,120} does not exist|Cannot access (?:private|protected) property|Creating default object from empty value/i,
      confidence: 0.95,
      because: 'PHP',
    },
    {
      match:
        /unrecognized selector sent to|attempt to (?:index|call|compare) (?:a )?(?:nil|field|global|local|upvalue)|error TS2339: |Property '(?<attribute>\w+)' does not exist on type|has no member named|no (?:method|field) (?:named )?[`'](?<attribute2>\w+)['`] found for|undefined field or method|has no field or method (?<attribute3>\w+)|Could not find method (?<attribute4>\w+)\(\)|option\.unwrap|called `Option::unwrap\(\)` on a `None`|KeyError: key not found|Unresolved reference|function [\w.?!]{1,120}\/\d{1,2} is undefined/,
      confidence: 0.93,
      because: 'Objective-C, Lua, TypeScript, C, Rust, Go compilers and Gradle',
    },
  ],
  matches: [
    {
      text: "Traceback (most recent call last):\n  File \"/srv/agent/main.py\", line 7, in work\n    client.post()\nAttributeError: 'Client' object has no attribute 'post'",
      facts: { attribute: 'post', file: '/srv/agent/main.py', sourceLine: 7 },
    },
    {
      text: "TypeError: Cannot read properties of undefined (reading 'id')\n    at run (/srv/agent/index.js:3:9)",
      facts: { attribute: 'id' },
    },
    { text: 'panic: runtime error: invalid memory address or nil pointer dereference' },
    {
      text: "2026-01-05 10:00:00,123 ERROR [bot] Failed to answer: 'Bot' object has no attribute 'shout'",
      facts: { attribute: 'shout' },
    },
    { text: "app.rb:3:in `<main>': undefined method `shout' for nil (NoMethodError)", facts: { attribute: 'shout' } },
    {
      text: 'PHP Fatal error:  Uncaught Error: Call to a member function save() on null in /srv/www/a.php:9',
      facts: { attribute: 'save' },
    },
    {
      text: 'Exception in thread "main" java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null',
    },
  ],
  rejects: [
    {
      text: "2026-01-05 10:00:00,123 INFO [chat] user 82 pasted: \"AttributeError: 'NoneType' object has no attribute 'text'\"",
    },
    { text: '2026-01-05 10:00:00,123 INFO [agent] attribute table loaded' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_attribute_error ok' },
  ],
});
