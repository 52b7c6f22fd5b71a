import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, type Incident, type IncidentEvent } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import { SEVERITIES } from '../core/words.ts';
import { sampleIncident } from '../testing/samples.ts';
import type { CardFacts } from './cards.ts';
import { isChange, newsOf, type Draft, type Told } from './news.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const POLICY = { notifyOnFix: true, notifyOnCritical: true };

/** What a life of an incident is made of; the plan's number is filled in as it goes. */
const EVENTS = ['seen', 'asks', 'starts', 'done', 'fixed', 'rolled-back', 'again', 'postponed'] as const;
const MORE_EVENTS = ['given-up', 'denied', 'expired', 'cleared', 'silenced', 'unsilenced'] as const;
type Happening = (typeof EVENTS)[number] | (typeof MORE_EVENTS)[number];

function eventOf(kind: Happening, at: number, plan: string): IncidentEvent {
  const outcome = (kind: Outcome['kind']): Outcome => ({ kind, reason: kind, evidence: [], at, plan });
  switch (kind) {
    case 'seen':
      return { kind, at, times: 3, severity: 'low', facts: {}, trusted: true, sample: null, symptom: null };
    case 'asks':
      return { kind: 'plan-asks', plan, fix: 'f', until: at + HOUR, reason: 'asks' };
    case 'starts':
      return { kind: 'plan-starts', plan, fix: 'f', owner: '1:1', leaseUntil: at + HOUR, reason: 'starts' };
    case 'done':
      return { kind: 'steps-done', since: at, quietUntil: at + MINUTE, reason: 'done' };
    case 'fixed':
      return { kind: 'finished', outcome: outcome('fixed'), retryAt: null };
    case 'rolled-back':
      return { kind: 'finished', outcome: outcome('rolled-back'), retryAt: null };
    case 'again':
      return { kind: 'finished', outcome: outcome('rolled-back'), retryAt: at + MINUTE };
    case 'postponed':
      return { kind, until: at + MINUTE, reason: 'later' };
    case 'given-up':
      return { kind, at, reason: 'no fix is known', outcome: null, suggestion: null };
    case 'denied':
      return { kind, at, by: 'telegram:1' };
    case 'expired':
    case 'unsilenced':
      return { kind, at };
    case 'cleared':
      return { kind, at, by: 'itself', reason: 'it stayed away', cause: null, outcome: null };
    case 'silenced':
      return { kind, by: 'telegram:1', until: at + HOUR };
  }
}

interface Step {
  readonly incident: Incident;
  readonly drafts: readonly Draft[];
  readonly at: number;
}

/** Lives the life and tells of it, each change as often as `repeats` says; `restarts` forgets all but what is stored. */
function live(
  first: Incident,
  life: readonly (readonly [Happening, number])[],
  { repeats = 1, restarts = false } = {},
): readonly Step[] {
  const steps: Step[] = [];
  let incident = first;
  let told: Told | null = null;
  let at = first.firstSeen;
  const tell = () => {
    const drafts: Draft[] = [];
    for (let time = 0; time < repeats; time++) {
      if (restarts) told = JSON.parse(JSON.stringify(told)) as Told | null;
      if (!isChange(told, incident)) continue;
      const facts: CardFacts = {
        incident,
        plan: null,
        approval: null,
        maxAttempts: 3,
        next: [],
        now: at,
        timezone: 'UTC',
      };
      const news = newsOf(told, facts, POLICY);
      told = news.told;
      drafts.push(...news.drafts);
    }
    steps.push({ incident, drafts, at });
  };
  tell();
  for (const [kind, minutes] of life) {
    at += minutes * MINUTE;
    const next = advance(incident, eventOf(kind, at, `p${incident.revision}`));
    if (!next) continue;
    incident = next;
    tell();
  }
  return steps;
}

const newsIn = (drafts: readonly Draft[]) => drafts.filter(({ notification }) => notification.manner === 'news');
const lives = fc.array(fc.tuple(fc.constantFrom(...EVENTS, ...MORE_EVENTS), fc.integer({ min: 0, max: 40 })), {
  maxLength: 60,
});
const severities = fc.constantFrom(...SEVERITIES);
const born = (severity: Incident['severity']) =>
  sampleIncident({ severity, firstSeen: 0, lastSeen: 0, state: { name: 'open', notBefore: 0 } });

describe('what is told of a life', () => {
  it('is at most one message of its own per change, with an id of its own, and why', () => {
    fc.assert(
      fc.property(severities, lives, (severity, life) => {
        const all = live(born(severity), life, { repeats: 2 });
        for (const { drafts } of all) expect(newsIn(drafts).length).toBeLessThanOrEqual(1);
        const ids = all.flatMap(({ drafts }) => drafts.map(({ notification }) => notification.id));
        expect(new Set(ids).size).toBe(ids.length);
        for (const { drafts } of all)
          for (const { notification } of drafts) expect(notification.reason.length).toBeGreaterThan(5);
      }),
    );
  });

  it('is the same after any number of restarts', () => {
    fc.assert(
      fc.property(severities, lives, (severity, life) => {
        const told = (steps: readonly Step[]) => JSON.stringify(steps.map((step) => step.drafts));
        expect(told(live(born(severity), life, { restarts: true }))).toBe(told(live(born(severity), life)));
      }),
    );
  });

  it('names every fix and every end that a person did not make', () => {
    fc.assert(
      fc.property(severities, lives, (severity, life) => {
        const all = live(born(severity), life);
        for (const [index, { incident, drafts }] of all.entries()) {
          const before = all[index - 1]?.incident.state.name;
          const fixed = incident.state.name === 'resolved' && incident.state.by === 'fix' && before !== 'resolved';
          if (fixed) expect(newsIn(drafts).map((d) => d.notification.key)).toEqual([expect.stringContaining(':end:')]);
        }
      }),
    );
  });

  it.each([
    ['critical', 'now', 'critical: at once'],
    ['high', 'now', 'high: at once'],
    ['medium', 'batched', 'medium: with the next digest'],
    ['low', 'none', 'low: shown on request only'],
  ] as const)('of a %s problem is told as the severity table says, with the reason', (severity, urgency, reason) => {
    const [first] = live(born(severity), []);
    expect(first?.drafts.map(({ notification: n, withheld }) => [n.urgency, n.reason, withheld])).toEqual([
      [urgency, reason, urgency === 'none'],
    ]);
  });

  it('rings three times within an hour for a problem that comes and goes, and then waits for the digest', () => {
    const flapping = Array.from({ length: 40 }, (_, i) => [i % 2 ? 'seen' : 'cleared', 2] as [Happening, number]);
    const rang = live(born('critical'), flapping).flatMap(({ at, drafts }) =>
      newsIn(drafts).map(({ notification: { urgency, reason } }) => ({ at, urgency, reason })),
    );
    expect(rang).toHaveLength(21);
    for (const { at } of rang)
      expect(rang.filter((r) => r.urgency === 'now' && r.at >= at && r.at < at + HOUR).length).toBeLessThanOrEqual(3);
    expect(rang[5]).toMatchObject({ urgency: 'batched', reason: expect.stringContaining('comes and goes') });
    const seldom = flapping.map(([kind]) => [kind, 31] as [Happening, number]);
    const all = live(born('high'), seldom).flatMap(({ drafts }) => newsIn(drafts));
    expect(all.every(({ notification }) => notification.urgency === 'now')).toBe(true);
  });
});
