import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minuteNow, quietUntil } from './quiet-hours.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const night = { from: '22:30', to: '07:00', timezone: 'Europe/Berlin' };
const at = (iso: string) => Date.parse(iso);

describe('quiet hours', () => {
  it.each([
    ['in the evening', '2026-01-05T21:30:00Z', '2026-01-06T06:00:00Z'],
    ['after midnight', '2026-01-06T02:15:30Z', '2026-01-06T06:00:00Z'],
    ['in the minute before their end', '2026-01-06T05:59:59Z', '2026-01-06T06:00:00Z'],
    ['at their end', '2026-01-06T06:00:00Z', null],
    ['by day', '2026-01-06T12:00:00Z', null],
    ['in the night in which the clocks go forward', '2026-03-28T23:00:00Z', '2026-03-29T05:00:00Z'],
    ['in the night in which the clocks go back', '2026-10-24T22:00:00Z', '2026-10-25T06:00:00Z'],
  ])('end as people expect %s', (_, now, end) => {
    expect(quietUntil(night, at(now))).toBe(end === null ? null : at(end));
  });

  it('are none when none are set, or when they end as they begin', () => {
    expect(quietUntil(null, 0)).toBeNull();
    expect(quietUntil({ from: '03:00', to: '03:00', timezone: 'UTC' }, at('2026-01-05T03:00:00Z'))).toBeNull();
  });

  it('always end, within a day, at the minute that was asked for', () => {
    const times = fc.integer({ min: 0, max: 1439 }).map((m) => `${pad(Math.floor(m / 60))}:${pad(m % 60)}`);
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe');
    const moments = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2028-01-01T00:00:00Z') });
    fc.assert(
      fc.property(times, times, zones, moments, (from, to, timezone, now) => {
        const end = quietUntil({ from, to, timezone }, now);
        if (end === null) return;
        expect(end).toBeGreaterThan(now - MINUTE);
        expect(end - now).toBeLessThanOrEqual(25 * HOUR);
        const [hours = 0, minutes = 0] = to.split(':').map(Number);
        const off = Math.abs(minuteNow(end, timezone) - (hours * 60 + minutes));
        // A minute that the clocks leave out cannot be met.
        expect(off === 0 || off <= 60).toBe(true);
      }),
    );
  });
});

function pad(n: number): string {
  return String(n).padStart(2, '0');
}
