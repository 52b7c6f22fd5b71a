import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleIncident } from '../testing/samples.ts';
import { advance, type Incident } from './incident.ts';
import { SEVERITIES, type Severity, severityIn } from './words.ts';

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);

const seen = (incident: Incident, at: number, severity: Severity): Incident => {
  const event = {
    kind: 'seen',
    at,
    times: 1,
    severity,
    facts: {},
    trusted: true,
    sample: null,
    symptom: null,
  } as const;
  return advance(incident, event) as Incident;
};

/** `perMinute` records in each of `minutes` minutes on end. */
function goesOn(severity: Severity, perMinute: number, minutes: number, from = START): Incident {
  let incident = sampleIncident({ severity, firstSeen: from, lastSeen: from });
  for (let minute = 0; minute < minutes; minute++)
    for (let i = 0; i < perMinute; i++)
      incident = seen(incident, from + minute * MINUTE + i * Math.floor(MINUTE / perMinute), severity);
  return incident;
}

describe('what goes on minute after minute', () => {
  it('is a step worse after five busy minutes, and not before', () => {
    expect(goesOn('medium', 10, 5).severity).toBe('medium');
    expect(goesOn('medium', 10, 6).severity).toBe('high');
    expect(goesOn('low', 10, 6).severity).toBe('medium');
  });

  it('is never critical for that alone', () => {
    expect(goesOn('high', 100, 20).severity).toBe('high');
  });

  it('is told apart from one burst, and from what comes now and then', () => {
    expect(goesOn('medium', 5_000, 1).severity).toBe('medium');
    expect(goesOn('medium', 3, 60).severity).toBe('medium');
  });

  it('stays raised when the pace drops, and no longer when it comes back after it was over', () => {
    const raised = goesOn('medium', 10, 6);
    const slower = seen(raised, START + 20 * MINUTE, 'medium');
    expect(slower.severity).toBe('high');

    const cleared = {
      kind: 'cleared',
      at: START + 40 * MINUTE,
      by: 'itself',
      reason: '',
      cause: null,
      outcome: null,
    } as const;
    const over = advance(slower, cleared) as Incident;
    expect(seen(over, START + 60 * MINUTE, 'medium')).toMatchObject({ severity: 'medium', state: { name: 'open' } });
  });

  it('never makes anything milder while it lasts', () => {
    const bursts = fc.array(fc.tuple(fc.nat(120_000), fc.constantFrom(...SEVERITIES)), { maxLength: 80 });
    fc.assert(
      fc.property(bursts, (steps) => {
        let incident = sampleIncident({ severity: 'low', lastSeen: START });
        let at = START;
        for (const [gap, severity] of steps) {
          const next = seen(incident, (at += gap), severity);
          expect(SEVERITIES.indexOf(next.severity)).toBeLessThanOrEqual(SEVERITIES.indexOf(incident.severity));
          incident = next;
        }
      }),
    );
  });
});

it('takes the role of a service for a step up or down, and leaves low alone', () => {
  expect(SEVERITIES.map((severity) => severityIn('critical', severity))).toEqual([
    'critical',
    'critical',
    'high',
    'low',
  ]);
  expect(SEVERITIES.map((severity) => severityIn('normal', severity))).toEqual(SEVERITIES);
  expect(SEVERITIES.map((severity) => severityIn('minor', severity))).toEqual(['high', 'medium', 'low', 'low']);
});
