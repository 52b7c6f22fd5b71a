import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLog, type LogOptions, silentLog } from './log.ts';

const clock = { now: () => Date.UTC(2026, 0, 5, 10) };

function written(options: Partial<LogOptions>, use: (log: ReturnType<typeof createLog>) => void): string {
  let out = '';
  use(createLog({ stream: { write: (text: string) => (out += text) }, clock, ...options }));
  return out;
}

describe('the own log', () => {
  it('is one line with time, level, our name, sentence and fields', () => {
    const out = written({}, (log) =>
      log.warn('source cannot be read', { code: 'EACCES', path: '/a b', n: 3, none: undefined }),
    );
    expect(out).toBe('2026-01-05T10:00:00.000Z WARN selfheal: source cannot be read code=EACCES path="/a b" n=3\n');
  });

  it('is one JSON object a line when asked, and fields cannot take our name away', () => {
    const out = written({ json: true }, (log) =>
      log.with({ service: 'agent' }).error('x', { logger: 'other', a: [1] }),
    );
    expect(JSON.parse(out)).toEqual({
      service: 'agent',
      a: [1],
      time: '2026-01-05T10:00:00.000Z',
      level: 'error',
      logger: 'selfheal',
      message: 'x',
    });
  });

  it('says less when told to', () => {
    expect(written({}, (log) => log.debug('x'))).toBe('');
    expect(written({ level: 'debug' }, (log) => log.debug('x'))).not.toBe('');
    expect(written({ level: 'error' }, (log) => log.warn('x'))).toBe('');
    expect(() => silentLog.error('x')).not.toThrow();
  });

  it('masks everything it writes', () => {
    const redact = (text: string) => text.replaceAll('hunter2', '[secret]');
    for (const json of [true, false])
      expect(written({ json, redact }, (log) => log.info('hunter2', { a: 'hunter2' }))).not.toContain('hunter2');
  });

  it('tells errors with code and cause', () => {
    const error = Object.assign(new Error('no', { cause: new TypeError('why') }), { code: 'EIO' });
    expect(written({}, (log) => log.error('failed', { error }))).toContain(
      'error="Error [EIO]: no (because: TypeError: why)"',
    );
  });

  it('never breaks, and never writes a line without our name, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.dictionary(fc.string(), fc.anything()),
        fc.boolean(),
        (text, fields, json) => {
          const lines = written({ json }, (log) => log.info(text, fields)).split('\n');
          expect(lines.pop()).toBe('');
          expect(lines).toHaveLength(1);
          expect(lines[0]).toContain('selfheal');
        },
      ),
    );
  });
});
