import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleIncident } from '../testing/samples.ts';
import {
  advance,
  ATTEMPT_HORIZON_MS,
  canAdvance,
  type Incident,
  type IncidentEvent,
  quietNeededMs,
} from './incident.ts';
import type { Outcome } from './outcome.ts';

const outcome = (kind: Outcome['kind'], at = 10): Outcome => ({ kind, reason: kind, evidence: [], at, plan: '1-1' });

const anyEvent: fc.Arbitrary<IncidentEvent> = fc.oneof(
  fc.record({
    kind: fc.constant('seen' as const),
    at: fc.nat(),
    times: fc.nat(5),
    severity: fc.constantFrom('critical' as const, 'low' as const),
    facts: fc.constant({}),
    trusted: fc.boolean(),
    sample: fc.constant(null),
    symptom: fc.constant(null),
  }),
  fc.record({ kind: fc.constantFrom('provisional' as const, 'withdrawn' as const) }),
  fc.record({
    kind: fc.constant('plan-asks' as const),
    plan: fc.constant('1-1'),
    fix: fc.constant('f'),
    until: fc.nat(),
    reason: fc.string(),
  }),
  fc.record({
    kind: fc.constant('plan-starts' as const),
    plan: fc.constant('1-1'),
    fix: fc.constant('f'),
    owner: fc.constant('1:1'),
    leaseUntil: fc.nat(),
    reason: fc.string(),
  }),
  fc.record({ kind: fc.constant('steps-done' as const), since: fc.nat(), quietUntil: fc.nat(), reason: fc.string() }),
  fc.record({
    kind: fc.constant('finished' as const),
    outcome: fc
      .constantFrom('fixed' as const, 'rolled-back' as const, 'inconclusive' as const, 'refused' as const)
      .map((k) => outcome(k)),
    retryAt: fc.option(fc.nat()),
  }),
  fc.record({ kind: fc.constant('denied' as const), at: fc.nat(), by: fc.constant('cli') }),
  fc.record({ kind: fc.constant('expired' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('silenced' as const), by: fc.constant('cli'), until: fc.nat() }),
  fc.record({ kind: fc.constant('unsilenced' as const), at: fc.nat() }),
);

it('takes no facts from a text that may be an imitation, and is no longer trusted for it', () => {
  const event = {
    kind: 'seen' as const,
    at: 5,
    times: 1,
    severity: 'low' as const,
    facts: { module: 'evil' },
    sample: null,
    symptom: null,
  };
  const trusted = sampleIncident({ facts: { module: 'yaml' } });
  expect(advance(trusted, { ...event, trusted: false })).toMatchObject({ facts: { module: 'yaml' }, trusted: true });
  const imitated = sampleIncident({ facts: { module: 'evil' }, trusted: false });
  expect(advance(imitated, { ...event, facts: {}, trusted: true, symptom: 'service_crash' })?.trusted).toBe(false);
  expect(advance(imitated, { ...event, facts: { module: 'yaml' }, trusted: true })).toMatchObject({
    facts: { module: 'yaml' },
    trusted: true,
  });
});

describe('a problem that comes and goes', () => {
  const seenAt = (at: number): IncidentEvent => ({
    kind: 'seen',
    at,
    times: 1,
    severity: 'low',
    facts: {},
    trusted: true,
    sample: null,
    symptom: null,
  });
  const over = (at: number): IncidentEvent => ({
    kind: 'cleared',
    at,
    by: 'itself',
    reason: 'it stayed away',
    cause: null,
    outcome: null,
  });
  const flapped = (times: number, everyMs: number): Incident => {
    let incident = sampleIncident({ firstSeen: 0, lastSeen: 0 });
    for (let i = 1; i <= times; i++) {
      incident = advance(incident, over(i * everyMs - 1)) as Incident;
      incident = advance(incident, seenAt(i * everyMs)) as Incident;
    }
    return incident;
  };

  it('has to stay away twice as long for each time it came back within a day, and never more than 32 times as long', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 1_000 }), (times, base) => {
        const incident = flapped(times, 60_000);
        expect(quietNeededMs(incident, base)).toBe(base * 2 ** Math.min(times, 5));
        expect(incident.comebacks?.length ?? 0).toBeLessThanOrEqual(5);
        expect(incident.count).toBe(sampleIncident().count + times);
      }),
    );
  });

  it('is as good as new when its comebacks are more than a day old', () => {
    expect(quietNeededMs(flapped(9, 25 * 3_600_000), 10)).toBe(20);
  });

  it('is not blamed for being seen again while it is open', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 30 }), (times) => {
        let incident: Incident = sampleIncident();
        for (const at of times) incident = advance(incident, seenAt(at)) as Incident;
        expect(incident.comebacks).toBeUndefined();
      }),
    );
  });
});

describe('an incident', () => {
  it('never reaches resolved by fix except through an outcome that says fixed', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        let incident: Incident = sampleIncident();
        for (const event of events) {
          const next = advance(incident, event);
          if (next?.state.name === 'resolved' && next.state.by === 'fix' && incident.state.name !== 'resolved')
            expect(event).toMatchObject({ kind: 'finished', outcome: { kind: 'fixed' } });
          incident = next ?? incident;
        }
      }),
    );
  });

  it('counts attempts up only, one for each start, until it has stayed away long enough', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        let incident: Incident = sampleIncident();
        for (const event of events) {
          const next = advance(incident, event) ?? incident;
          const started = next !== incident && event.kind === 'plan-starts' ? 1 : 0;
          if (event.kind !== 'seen') expect(next.attempts).toBe(incident.attempts + started);
          incident = next;
        }
      }),
    );
  });

  it('grows its revision by one with each change and is untouched by an impossible event', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        let incident: Incident = sampleIncident();
        for (const event of events) {
          const next = advance(incident, event);
          expect(next === null).toBe(!canAdvance(incident, event));
          if (next) expect(next.revision).toBe(incident.revision + 1);
          incident = next ?? incident;
        }
      }),
    );
  });

  it.each([
    ['a rolled-back attempt with tries left waits', outcome('rolled-back'), 99, 'open'],
    ['a rolled-back attempt without tries left needs a person', outcome('rolled-back'), null, 'needs-human'],
    ['an inconclusive attempt is no success', outcome('inconclusive'), null, 'needs-human'],
    ['a failed rollback needs a person at once', outcome('rollback-failed'), null, 'needs-human'],
  ])('%s', (_, result, retryAt, state) => {
    const healing = sampleIncident({ state: { name: 'healing', plan: '1-1', owner: '1:1', leaseUntil: 5 } });
    expect(advance(healing, { kind: 'finished', outcome: result, retryAt })?.state.name).toBe(state);
  });

  it('starts with fresh attempts when it comes back after the horizon, not before', () => {
    const resolved = sampleIncident({ attempts: 2, state: { name: 'resolved', by: 'fix', at: 1_000 } });
    const seenAt = (at: number) =>
      advance(resolved, {
        kind: 'seen',
        at,
        times: 1,
        severity: 'low',
        facts: {},
        trusted: true,
        sample: null,
        symptom: null,
      });
    expect(seenAt(2_000)?.attempts).toBe(2);
    expect(seenAt(1_001 + ATTEMPT_HORIZON_MS)?.attempts).toBe(0);
  });
});
