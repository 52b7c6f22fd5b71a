// One table against the plain question, for random words in random texts; and the detector with its first look against
// one that reads every line.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rules } from '../rules/index.ts';
import { ErrorDetector } from './detector.ts';
import { literalsOf } from './literals.ts';
import type { MatchRule } from './rule-set.ts';
import { covering, prefilterOf } from './prefilter.ts';
import { WordFinder } from './word-finder.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '-'), minLength: 1, maxLength: 6 });
const text = fc.string({
  unit: fc.constantFrom('a', 'B', 'b', 'C', ' ', '-', '\n', 'x', 'é', '\u212a'),
  maxLength: 60,
});
const samples = rules.flatMap(({ matches, rejects }) => [...matches, ...rejects].map((sample) => sample.text));
const stamp = fc.constantFrom(
  '2026-01-05 00:00:01,429 - agent.loop - INFO - ',
  'Jan  5 00:04:03 box-1 agent[4242]: agent.loop: ',
  '2026-01-05T00:05:29.503Z DEBUG [io-7] agent.core: ',
  '[2026-01-05 00:04:02] default.INFO: ',
  'I0105 00:08:48.524000       6 prairie.go:113] ',
  'time=2026-01-05T00:00:00.778Z level=info logger=agent.core msg=',
  '',
);
const ordinary = fc
  .tuple(
    stamp,
    fc.constantFrom('update handled in', 'GET /docs', 'read /opt/agent.config/', 'wrote', 'status', 'row'),
    fc.constantFrom('', ' ', ': ', '='),
    fc.constantFrom('200', '401', '402', '403', '429', '500', '503', '529', '4290', '1503', '5291'),
    fc.constantFrom('', ' ', ' ms', ' rows', 'Z', ' 17 in 3 ms', '"'),
  )
  .map((parts) => parts.join(''));
/** ASCII only: what regular expressions without `u` fold. */
const folded = (from: string) => from.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

describe('the word finder', () => {
  it('finds exactly the words that stand in a text, each once', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), text, (words, where) => {
        const finder = new WordFinder(words);
        const found = finder.in(where).map((at) => finder.words[at] as string);
        const expected = [...new Set(words)].filter((one) => folded(where).includes(one));
        expect([...found].sort()).toEqual(expected.sort());
      }),
      { numRuns: 500 },
    );
  });

  it('names the place where the first word ends, from any place on', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), text, fc.nat(60), (words, where, from) => {
        const ends = words.flatMap((one) => {
          const at = folded(where).indexOf(one, from);
          return at < 0 ? [] : [at + one.length - 1];
        });
        expect(new WordFinder(words).next(where, from)).toBe(ends.length > 0 ? Math.min(...ends) : -1);
      }),
      { numRuns: 500 },
    );
  });

  it('counts a word in the form of `\\b429\\b` only where it stands alone, and escapes do not touch it', () => {
    const finder = new WordFinder(['\\b429\\b', '\\bx-429\\b', 'x29']);
    const found = (where: string) => finder.in(where).map((at) => finder.words[at]);
    for (const where of ['429', 'code 429: no', 'say \\n429', 'a\\u00a0429', '\u001b[31m429\u001b[0m', 'é429é'])
      expect(found(where), where).toEqual(['429']);
    for (const where of ['4290', '1429', '_429', '26.429Z', 'a429 429a']) {
      expect(found(where), where).toEqual([]);
      expect(finder.next(where, 0), where).toBe(-1);
    }
    expect(found('x-4290 x-429')).toEqual(['x-429', '429']);
    expect(finder.next('4290 X29 429', 0)).toBe(7);
  });

  it('counts a word anywhere when the list names it in both forms', () => {
    const finder = new WordFinder(['\\b429\\b', '429']);
    expect(finder.words).toEqual(['429']);
    expect(finder.next('14290', 0)).toBe(3);
  });

  it('takes one step for each character, however the text tries to lead it astray', () => {
    const finder = new WordFinder([`${'a'.repeat(400)}b`, `${'a'.repeat(399)}c`]);
    expect(finder.next('a'.repeat(3_000_000), 0)).toBe(-1);
  });
});

describe('the first look', () => {
  it('covers every word by the shorter ones', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), text, (words, where) => {
        const has = (list: readonly string[]) => list.some((one) => folded(where).includes(one));
        expect(has(covering(words))).toBe(has(words));
      }),
    );
  });

  it('keeps a word that must stand alone beside longer ones that need not', () => {
    expect(covering(['\\b429\\b', '429 too', 'http 429)'])).toEqual(['429 too', 'http 429)', '\\b429\\b']);
    expect(covering(['\\b429\\b', '29'])).toEqual(['29']);
  });

  it('finds words and shapes in the order of their places', () => {
    const look = prefilterOf(['error'], [/^[ef]\d+ /]);
    const where = 'fine\ne12 x\nan Error\nf3 error\n';
    const places: number[] = [];
    for (let at = look.next(where, 0)?.at; at !== undefined; at = look.next(where, at + 1)?.at) places.push(at);
    expect(places).toEqual([5, 18, 20, 27]);
  });

  it('never passes over what a pattern of the catalogue matches', () => {
    const patterns = rules.flatMap((rule) => rule.patterns.map(({ match }) => match));
    const lines = [...new Set(samples.flatMap((sample) => sample.split('\n')))];
    for (const pattern of patterns) {
      const words = literalsOf(pattern);
      if (!words) continue;
      const missed = lines.filter((line) => pattern.test(line) && !words.some((one) => folded(line).includes(one)));
      expect({ pattern: pattern.source, missed }).toEqual({ pattern: pattern.source, missed: [] });
    }
  });

  it('takes nothing away: who reads every line finds the same in any mix of samples and ordinary lines', () => {
    const never = { exec: () => null, on: 'message', confidence: 0, required: null, byLevel: false } as const;
    const pattern = { ...never, source: '', level: undefined, severity: undefined, fixable: false, facts: {} };
    const everyLine: MatchRule = {
      ...{ name: 'every-line', type: 'unknown', severity: 'low', never: [], identity: [] },
      patterns: [{ ...pattern, constant: {}, because: 'it makes every line be read' }],
    };
    const quick = new ErrorDetector({ now: () => 0 });
    const thorough = new ErrorDetector({ now: () => 0, userRules: [everyLine] });
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...samples), ordinary), { maxLength: 12 }), (lines) => {
        const text = `${lines.join('\n')}\n`;
        const told = (detector: ErrorDetector) =>
          detector.scanText(text).map(({ rule, facts, record }) => ({ rule, facts, span: record.span }));
        expect(told(quick)).toEqual(told(thorough));
      }),
      { numRuns: 150 },
    );
  });

  it('lets the detector find the same whether it is asked line by line or at once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...samples, 'all is well', '{"level":30,"msg":"ok"}'), { maxLength: 8 }),
        (lines) => {
          const whole = new ErrorDetector({ now: () => 0 }).scanText(`${lines.join('\n')}\n`);
          const detector = new ErrorDetector({ now: () => 0 });
          let at = 0;
          const bytes = Buffer.from(`${lines.join('\n')}\n`);
          const found = [...bytes].flatMap((_, end) => {
            if (bytes[end] !== 10) return [];
            const part = bytes.subarray(at, end + 1);
            const block = {
              kind: 'block',
              stream: 'text',
              service: null,
              bytes: part,
              startByte: at,
              startLine: 1,
            } as const;
            at = end + 1;
            return detector.feed({ ...block, final: end === bytes.length - 1 });
          });
          const told = (list: readonly { readonly rule: string; readonly message: string }[]) =>
            list.map(({ rule, message }) => `${rule}: ${message}`);
          expect(told([...found, ...detector.flush()])).toEqual(told(whole));
        },
      ),
      { numRuns: 60 },
    );
  });
});
