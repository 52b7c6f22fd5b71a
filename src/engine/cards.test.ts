import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../core/wording.ts';
import type { Incident } from '../core/incident.ts';
import type { Plan, Step } from '../core/plan.ts';
import { telegramText } from '../notifiers/shared/telegram-html.ts';
import { sampleIncident } from '../testing/samples.ts';
import { parseHtml, tappable } from '../testing/telegram-entities.ts';
import { alertCard, askCard, escalationCard, fixedCard, stateTitle, type Card, type CardFacts } from './cards.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const HASH = '0123456789abcdef'.repeat(4);

/** Text that wants to be more than a value: a forged line, markup, something to tap, something unseen, or just long. */
const hostile = fc.oneof(
  fc.constantFrom(
    'x\n\nApproved by user 1001 at 12:00 UTC.\nRisk: safe\nPlan 000000000000, valid until 13:00',
    'x\r\n1. nothing at all\r   undo: nothing',
    '</pre></b><a href="https://evil.example">tap</a>',
    '/approve_7 @admin #tag https://evil.example www.evil.example',
    '\u202etxt.exe \u200b\u2066hidden\u2069 \u001b[2J\u0007',
    'A'.repeat(5_000),
    '💥'.repeat(2_000),
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 400 }),
);

const steps = (text: fc.Arbitrary<string>): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('run' as const),
      title: text,
      argv: fc.array(text, { minLength: 1, maxLength: 4 }),
      cwd: fc.constant('/srv'),
      timeoutMs: fc.constant(1),
      idempotent: fc.constant(true),
      undo: fc.oneof(
        fc.record({ kind: fc.constant('none' as const), reason: text }),
        fc.record({ kind: fc.constant('run' as const), argv: fc.array(text, { maxLength: 3 }), cwd: text }),
      ),
    }),
    fc.record({
      kind: fc.constant('wait' as const),
      title: text,
      until: fc.constant(0),
      undo: fc.constant({ kind: 'restore-snapshot' as const }),
    }),
  );

const plans: fc.Arbitrary<Plan> = fc
  .record({
    title: hostile,
    why: hostile,
    reason: hostile,
    check: hostile,
    steps: fc.array(steps(hostile), { maxLength: 25 }),
  })
  .map(({ title, why, reason, check, steps }) => ({
    id: 'p1',
    incident: '1',
    service: 'agent',
    node: 'box',
    fix: 'f',
    family: 'f',
    type: 'import_error',
    title,
    why,
    facts: {},
    steps,
    checks: [{ kind: 'file-absent', path: '/x', title: check, proves: 'operation', failsBefore: true }],
    settleMs: 1,
    risk: 'risky',
    scope: 'service',
    restart: 'recommended',
    resources: [],
    decision: { verdict: 'ask', autonomy: 'approve', reason },
    createdAt: NOW,
    expiresAt: NOW + 1_800_000,
    hash: HASH,
  }));

const STATES: readonly Incident['state'][] = [
  { name: 'open', notBefore: NOW },
  { name: 'awaiting-approval', plan: 'p1', until: NOW + 1_800_000 },
  { name: 'healing', plan: 'p1', owner: '1:1', leaseUntil: NOW },
  { name: 'verifying', plan: 'p1', since: NOW, quietUntil: NOW },
  { name: 'resolved', by: 'fix', at: NOW },
  { name: 'needs-human', reason: 'suggestion', at: NOW },
  { name: 'silenced', by: 'telegram:1', until: NOW },
];

const facts: fc.Arbitrary<CardFacts> = fc
  .record({
    plan: plans,
    state: fc.constantFrom(...STATES),
    text: fc.tuple(hostile, hostile, hostile, hostile, hostile),
  })
  .map(({ plan, state, text: [service, message, reason, evidence, byHand] }) => ({
    incident: sampleIncident({
      service,
      message,
      reason,
      state,
      plan: 'p1',
      attempts: 2,
      outcome: {
        kind: 'rolled-back',
        reason,
        byHand,
        at: NOW,
        plan: 'p0',
        evidence: Array.from({ length: 9 }, () => ({ check: evidence, passed: false as const, text: evidence })),
      },
    }),
    plan,
    approval: null,
    maxAttempts: 3,
    next: ['df -h /srv/agent'],
    now: NOW,
    timezone: 'UTC',
  }));

function shownOn(card: Card) {
  const text = telegramText({ title: card.title, body: card.body, excerpt: card.excerpt });
  return { ...parseHtml(text.html), plain: text.plain };
}

describe('cards', () => {
  it('obey nothing that a log or a program has said, and fit into a message', () => {
    fc.assert(
      fc.property(facts, (given) => {
        for (const card of [alertCard(given), askCard(given), fixedCard(given), escalationCard(given)]) {
          const shown = shownOn(card);
          expect(tappable(shown)).toEqual([]);
          expect(tappable({ text: shown.plain, entities: [] })).toEqual([]);
          expect(shown.text.length).toBeLessThanOrEqual(4096);
          expect(card.title).not.toContain('\n');
          expect(shown.text).not.toMatch(/^(?:Approved by user 1001 at 12:00|Plan 000000000000|1\. nothing at all)/m);
        }
        expect(stateTitle(given.incident)).not.toContain('\n');
      }),
    );
  });

  it.each([
    ['offer to roll back what has a way back', {}, ['details', 'rollback']],
    ['offer nothing where nothing has a way back', { hasWayBack: false as const }, ['details']],
  ])('%s', (_, changes, buttons) => {
    const outcome = { kind: 'fixed' as const, reason: 'proven', at: NOW, plan: 'p1', evidence: [], ...changes };
    const incident = sampleIncident({ state: { name: 'resolved', by: 'fix', at: NOW }, outcome });
    const card = fixedCard({
      incident,
      plan: null,
      approval: null,
      maxAttempts: 3,
      next: [],
      now: NOW,
      timezone: 'UTC',
    });
    expect(card.buttons.map(({ action }) => action)).toEqual(buttons);
  });

  it('ask with everything that decides, however long the rest is', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const card = askCard({ ...given, incident: { ...given.incident, state: STATES[1] as Incident['state'] } });
        const { text } = shownOn(card);
        expect(text).toMatch(/^Risk: risky; a restart is recommended afterwards$/m);
        expect(text).toMatch(/^Plan 0123456789ab, valid until 12:30 UTC$/m);
        expect(text).toMatch(/^What: /m);
        const numbered = text.match(/^\d+\. /gm)?.length ?? 0;
        const left = Number(/^… and (\d+) more steps?: read "plan 1" first\.$/m.exec(text)?.[1] ?? 0);
        expect(numbered + left).toBe(given.plan?.steps.length);
        expect(card.plan?.hash).toBe(HASH);
      }),
    );
  });

  it('show a command as one would type it, on one line', () => {
    expect(commandLine(['/bin/x', 'a b', "it's", '$(rm -rf /)', ''])).toBe(
      String.raw`/bin/x 'a b' 'it'\''s' '$(rm -rf /)' ''`,
    );
    expect(commandLine(['echo', 'a\nRisk: safe', '\u001b[2J', '\u202e'])).toBe(
      String.raw`echo $'a\nRisk: safe' $'\x1b[2J' '<U+202E>'`,
    );
  });
});
