// What is remembered of a record must never be seen: the same log said at once and line by line says the same.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detection } from '../core/detection.ts';
import { ErrorDetector } from './detector.ts';

const NOW = Date.UTC(2026, 5, 1);

/** Each record by a detector of its own, which remembers nothing. */
function anew(records: readonly string[]): readonly unknown[] {
  let at = 0;
  return records.flatMap((record) => {
    const found = feed(new ErrorDetector({ now: () => NOW }), record, at);
    at += record.length;
    return found;
  });
}

function feed(detector: ErrorDetector, text: string, startByte: number): readonly unknown[] {
  const bytes = Buffer.from(text, 'latin1');
  const block = { kind: 'block', stream: 'log', service: null, bytes, startByte, startLine: 0, final: false } as const;
  return [...detector.feed(block), ...detector.flush()].map(withoutLines);
}

/** A block that begins anywhere does not know the numbers of its lines. */
function withoutLines({ record, ...rest }: Detection): unknown {
  const { startByte, endByte } = record.span;
  return { ...rest, record: { ...record, span: { startByte, endByte } } };
}

const two = (n: number): string => String(n).padStart(2, '0');
const time = fc
  .tuple(fc.nat(23), fc.nat(59), fc.constantFrom('iso', 'python', 'syslog', 'bracketed', 'none'))
  .map(([h, m, form]) => {
    if (form === 'iso') return `2026-01-05T${two(h)}:${two(m)}:07.123Z `;
    if (form === 'python') return `2026-01-05 ${two(h)}:${two(m)}:07,123 `;
    if (form === 'syslog') return `Jan  5 ${two(h)}:${two(m)}:07 box agent[${m}]: `;
    return form === 'bracketed' ? `[2026-01-05 ${two(h)}:${two(m)}:07] ` : '';
  });
const said = fc.constantFrom(
  'ERROR [agent] disk full: [Errno 28] No space left on device',
  'ERROR [agent] Error code: 429 - retry after 20 s',
  'INFO [agent] errors=0',
  'connect ECONNREFUSED 10.0.0.7:8000',
  'ERROR [agent] task failed\nTraceback (most recent call last):\n  File "/srv/a.py", line 3, in <module>\n    import yaml\nModuleNotFoundError: No module named \'yaml\'',
  'ERROR [agent] login of ada failed, api_key=abcdefgh12345678',
);

describe('a record that was seen before', () => {
  it('is told as if it were the first', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(time, said), { minLength: 2, maxLength: 20 }), (pairs) => {
        const records = pairs.map(([at, words]) => `${at}${words}\n`);
        const detector = new ErrorDetector({ now: () => NOW });
        let at = 0;
        const found = records.flatMap((record) => {
          const some = feed(detector, record, at);
          at += record.length;
          return some;
        });
        expect(found).toEqual(anew(records));
      }),
      { numRuns: 60 },
    );
  });

  it('keeps nothing alive of the block that it stood in', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const detector = new ErrorDetector({ now: () => NOW });
    const calm = '2026-01-05 10:00:07,123 INFO [agent] tick\n'.repeat(6_000);
    const told = (block: number) => {
      const error = `2026-01-05 10:00:08,123 ERROR [agent] task ${block} failed: [Errno 28] No space left on device\n`;
      return feed(detector, `${calm}${error}${calm}`, 0).length;
    };
    expect(told(0)).toBe(1);
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let block = 1; block <= 100; block++) told(block);
    collect();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 1024 * 1024);
  });

  it('is told anew when something has become a secret', () => {
    let secrets: readonly string[] = [];
    const detector = new ErrorDetector({ now: () => NOW, knownSecrets: () => secrets });
    const line = '2026-01-05 10:00:07,123 ERROR [agent] disk full for hunter-of-gold\n';
    expect(JSON.stringify(feed(detector, line, 0))).toContain('full for hunter-of-gold"');
    secrets = ['hunter-of-gold'];
    expect((feed(detector, line, line.length)[0] as Detection).message).not.toContain('hunter-of-gold');
  });
});
