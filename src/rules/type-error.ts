// A value of the wrong type, or something called that cannot be called.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'type-error',
  type: 'type_error',
  severity: 'high',
  // A change of code is needed.
  fixable: false,
  patterns: [
    {
      on: 'exception',
      match:
        /TypeError: [^\n]{0,200}is not (?:a (?:function|constructor)|iterable|callable|subscriptable|JSON serializable|defined|a valid)/,
      confidence: 0.96,
      because: 'V8 and Python',
    },
    {
      on: 'exception',
      match:
        /TypeError: [^\n]{0,200}(?:unsupported operand|takes \d+ positional|takes from \d+|missing \d+ required|unexpected keyword argument|must be (?:str|int|a |an |bytes|real|of type|type )|can only concatenate|cannot (?:unpack|convert)|expected (?:str|bytes|string|a |an |at (?:least|most))|not supported between instances|object is not|can't (?:multiply|compare|subtract)|argument \S{1,40} must|string indices must be|unhashable type|multiple values for|got multiple values|has no len|Cannot (?:mix BigInt|convert|redefine|assign|destructure)|Assignment to constant|Class constructor|Reduce of empty|Invalid value|incompatible|argument of type)/,
      confidence: 0.955,
      because: 'Python and JavaScript',
    },
    {
      on: 'exception',
      match: /(?:^|[.\s\\])TypeError\b/,
      confidence: 0.85,
      because: 'Python, JavaScript and PHP class',
    },
    {
      match:
        /\b'?\w+'? object is not (?:subscriptable|callable|iterable|an iterator|a mapping|async iterable)|unsupported operand type\(s\)|unexpected keyword argument '|missing \d{1,2} required (?:positional|keyword-only) argument|takes \d{1,2} positional arguments? but|not supported between instances of|unhashable type: |can only concatenate (?:str|list|tuple)|(?:list|string|tuple) indices must be integers|is not JSON serializable|cannot unpack non-iterable|object of type '\w+' has no len\(\)|can't be used in 'await' expression|got multiple values for (?:keyword )?argument/,
      confidence: 0.945,
      because: 'Python, where only the message is printed',
    },
    {
      match: /[\w$.\])]{1,80} is not a (?:function|constructor)\b/,
      confidence: 0.93,
      because: 'V8, where only the message is printed',
    },
    {
      match:
        /ClassCastException|InvalidCastException|ArrayStoreException|IncompatibleClassChangeError|cannot be cast to (?:class )?|incompatible types: |interface conversion: |cannot use [^\n]{1,120} (?:as|\(type) |mismatched types?\b|error\[E0308\]|wrong number of arguments|no implicit conversion of|can't convert \w+ into|cannot unmarshal \S{1,40} into Go|Object of class \S{1,120} could not be converted/,
      confidence: 0.935,
      because: 'Java, C#, Go, Rust, Ruby, PHP',
    },
    {
      match:
        /must be (?:of (?:the )?type|an instance of) [^\n]{1,80}, [^\n]{1,80} (?:given|returned)|(?:Unsupported operand types|Argument #?\d+[^\n]{0,80}must be|Too few arguments to function|Array to string conversion|Cannot use object of type|ArgumentCountError|A non-numeric value encountered|expects (?:exactly|at least) \d+ parameters?)/,
      confidence: 0.95,
      because: 'PHP',
    },
    {
      match:
        /error TS(?:23(?:22|45|02|11|14|20|22|24|25|26|27|41|44|49|52|53|55|65|67|69)|2554|2741|2739|2740|2769|18046|18047|18048|7006|7031|2531|2532|7053): |is not assignable to (?:type|parameter)|Argument of type /,
      confidence: 0.955,
      because: 'TypeScript',
    },
    {
      match: /error: Incompatible types|error: Argument \d+ to "|\[(?:arg-type|assignment|return-value|call-arg)\]$/,
      confidence: 0.93,
      because: 'mypy',
    },
    {
      on: 'exception',
      match: /(?:^|\s)ArgumentError(?::| \()[^\n]{0,20}wrong number/,
      confidence: 0.95,
      because: 'Ruby',
    },
  ],
  never: [
    /TypeError: (?:fetch failed|Failed to fetch|Network request failed|Load failed|NetworkError when)/,
    /has no attribute '/,
  ],
  matches: [
    {
      text: "Traceback (most recent call last):\n  File \"/srv/agent/main.py\", line 7, in total\n    return a + b\nTypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
      facts: { exception: 'TypeError', sourceLine: 7 },
    },
    { text: 'TypeError: this.numbered is not a function\n    at summary (/srv/agent/report.mjs:13:10)' },
    { text: "TypeError: load() missing 1 required positional argument: 'Loader'" },
    { text: "2026-01-05 10:00:00,123 ERROR [bot] Handler failed: send() got an unexpected keyword argument 'loud'" },
    { text: "src/a.ts(4,3): error TS2322: Type 'string' is not assignable to type 'number'." },
    { text: 'java.lang.ClassCastException: class A cannot be cast to class B' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] type errors=0' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: TypeError again?' },
    { text: '2026-01-05 10:00:00,123 INFO [tests] test_type_error passed' },
  ],
});
