// Whoever passes over innocent lines must find what reading line by line finds, to the last byte of a span. A block
// of a few kilobytes is read line by line, a large one is skimmed: the same text in both forms must say the same.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detection } from '../core/detection.ts';
import { ErrorDetector } from './detector.ts';
import { covering } from './prefilter.ts';
import { PAD, Sampler } from './sampler.ts';
import { bare, WordFinder } from './word-finder.ts';

/** The text in blocks of at most `size` bytes; cut behind a line end where there is one. */
function detections(text: string, size: number, atLines = true): readonly Detection[] {
  const detector = new ErrorDetector({ now: () => 1_770_000_000_000 });
  const bytes = Buffer.from(text, 'latin1');
  const found: Detection[] = [];
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    end = Math.min(bytes.length, at + size);
    const line = bytes.lastIndexOf(0x0a, end - 1);
    if (atLines && end < bytes.length && line >= at) end = line + 1;
    const block = { kind: 'block', stream: 'log', service: null, startLine: 1, final: false } as const;
    found.push(...detector.feed({ ...block, bytes: bytes.subarray(at, end), startByte: at }));
  }
  return [...found, ...detector.flush()];
}

const LARGE = 1 << 20;
const SMALL = 4_096;

const time = fc.integer({ min: 0, max: 59 }).map((second) => `2026-01-05 10:00:${String(second).padStart(2, '0')},123`);
const quiet = fc.constantFrom(
  'tick',
  'served /guide in 12 ms',
  'pool size 20, 3 in use',
  'größe gesetzt',
  'loaded app.ts:12',
  'level e f',
);
const carrier = fc.constantFrom(
  '',
  '',
  'Jan  5 10:00:00 box agent[42]: ',
  'Jan  5 10:00:00 box kernel: ',
  'web_1  | ',
  'db_1   | ',
  '2026-01-05T10:00:00.123456789Z stdout F ',
  '2026-01-05T10:00:00.123456789Z stdout P ',
  '2026-01-05T10:00:00.123456789Z stderr F ',
);
const head = fc.oneof(
  fc.tuple(time, quiet).map(([at, words]) => `${at} INFO [agent] ${words}`),
  quiet.map((words) => `{"level":30,"time":1767607200000,"msg":"${words}"}`),
  quiet.map((words) => `[INFO] user wrote: ${words}`),
  quiet.map((words) => `[WARN] ${words}:`),
  quiet,
);
const loud = fc.constantFrom(
  '2026-01-05 10:00:00,123 ERROR [agent] task failed',
  '2026-01-05 10:00:00,123 WARNING [agent] odd:',
  '2026-01-05 10:00:00,123 INFO [agent] job crashed:',
  "OSError: [Errno 28] No space left on device: '/srv/x'",
  '{"level":50,"time":1767607200000,"msg":"no luck"}',
  'E0105 10:00:00.123456       7 main.go:12] cannot do it',
  '01-05 10:00:00.123  123  456 E Tag: cannot',
  '2026-01-05T10:00:00.123+0000 E COMMAND  [conn1] cannot',
  'Error: connect ECONNREFUSED 127.0.0.1:8000',
  'HTTP 429',
  'status=429',
  'read env file',
  'x'.repeat(70_000),
  `${'y'.repeat(66_000)} ECONNREFUSED`,
);
const part = fc.constantFrom(
  'Traceback (most recent call last):',
  '  File "/srv/agent/main.py", line 3, in <module>',
  '    import yaml',
  "ModuleNotFoundError: No module named 'yaml'",
  'During handling of the above exception, another exception occurred:',
  'KeyError: 3',
  '/srv/agent/index.js:12',
  '    throw new Error("x")',
  '    at run (/srv/agent/index.js:3:1)',
  '<--- Last few GCs --->',
  '<--- JS stacktrace --->',
  'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
  'agent invoked oom-killer: gfp_mask=0x1',
  'Out of memory: Killed process 77 (agent)',
  'Updating 1a2b3c4d5e..9f8e7d6c5b',
  'error: Your local changes to the following files would be overwritten by merge:',
  '\tsettings.json',
  'Aborting',
  'hint: try again',
  'panic: boom',
  'goroutine 1 [running]:',
  'Caused by: java.io.IOException: x',
  '{',
  '  "level": 50,',
  '}',
  'npm ERR! code E404',
  '***************************',
  'indented',
  '    indented',
  '',
  '   ',
);
const line = fc
  .tuple(
    carrier,
    fc.oneof({ weight: 40, arbitrary: head }, { weight: 1, arbitrary: loud }, { weight: 6, arbitrary: part }),
    fc.constantFrom('\n', '\n', '\n', '\n', '\r\n', '\u001b[0m\n', '\r', '\n\n'),
  )
  .map((parts) => parts.join(''));
/** Long stretches without any error: they are what is passed over. */
const stretch = fc
  .tuple(fc.oneof(head, part), fc.integer({ min: 1, max: 450 }))
  .map(([text, times]) => `${text}\n`.repeat(times));
const log = fc
  .array(fc.oneof({ weight: 14, arbitrary: line }, { weight: 1, arbitrary: stretch }), {
    minLength: 20,
    maxLength: 400,
  })
  .map((lines) => lines.join(''));

describe('who passes over innocent lines', () => {
  it('finds what reading line by line finds', () => {
    fc.assert(
      fc.property(log, (text) => {
        expect(detections(text, LARGE)).toEqual(detections(text, SMALL));
      }),
      { numRuns: 60, seed: 5 },
    );
  }, 120_000);

  it('does so wherever the blocks are cut, also within a line', () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 8_192, max: 40_000 }), fc.boolean(), (text, size, atLines) => {
        expect(detections(text, size, atLines)).toEqual(detections(text, SMALL));
      }),
      { numRuns: 40, seed: 6 },
    );
  }, 120_000);

  it('sees an error at each place around the cut between two looks', () => {
    const error = 'Error: listen EADDRINUSE: address already in use :::8080\n';
    for (const shift of Array.from({ length: 64 }, (_, i) => i)) {
      const text = `${'a quiet line\n'.repeat(20_163)}${'-'.repeat(shift)}\n${error}${'a quiet line\n'.repeat(900)}`;
      expect(detections(text, LARGE)).toMatchObject([{ type: 'port_in_use', record: { span: { line: 20_165 } } }]);
    }
  });
});

describe('a sampler of words', () => {
  const letter = fc.constantFrom(...'abe1 -.:"');
  const word = fc.string({ unit: letter, minLength: 3, maxLength: 9 });
  const words = fc.array(
    fc.oneof(
      word,
      fc.string({ unit: fc.constantFrom(...'abe1'), minLength: 3, maxLength: 5 }).map((one) => `\\b${one}\\b`),
    ),
    { minLength: 1, maxLength: 30 },
  );
  const text = fc.string({ unit: fc.constantFrom(...'aAbBe1 -.:"\\um\n\u00e9'), minLength: 1, maxLength: 400 });

  it('finds each line in which any of them stands, wherever it begins', () => {
    fc.assert(
      fc.property(words, text, (given, lines) => {
        const list = covering(given);
        const finder = new WordFinder(list);
        const { length } = lines;
        const bytes = Buffer.from(new ArrayBuffer(Math.ceil(length / 4) * 4 + 2 * PAD)).fill(0x0a);
        bytes.write(lines, PAD, 'latin1');
        const view = new Int32Array(bytes.buffer);
        const sampler = new Sampler(list);
        sampler.look(view, PAD + length);
        const found = { word: 0, at: 0 };
        for (let at = 0; at < length; ) {
          const last = finder.next(lines, at);
          const has = sampler.next(bytes, view, PAD + at, PAD + length, found);
          expect(has).toBe(last >= 0);
          if (!has) break;
          const lineOf = (place: number): number => lines.slice(0, place).split('\n').length;
          expect(lineOf(found.at - PAD + 1)).toBe(lineOf(last));
          expect(
            lines
              .slice(found.at - PAD)
              .toLowerCase()
              .startsWith(bare(sampler.words[found.word] ?? '')),
          ).toBe(true);
          const end = lines.indexOf('\n', last);
          at = end < 0 ? length : end + 1;
        }
      }),
      { numRuns: 400, seed: 7 },
    );
  });
});
