// The other side asks for patience: a rate limit, or an overloaded provider. The service goes on by itself when the time
// is over; it is only helped where it died of it or where its health probe shows it. A wait alone proves nothing, so
// nothing is called fixed for having waited.

import { type Diagnosis, defineFix, later, notApplicable, propose, type FixContext } from './contract.ts';
import { drillService } from './shared/drill-service.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

/** Without a hint: half a minute, doubled with each time it was seen, as the clients of the providers back off. */
const FIRST_WAIT_MS = 30_000;
const LONGEST_GUESS_MS = 600_000;
/** A hint beyond a day is an error of the text, or a quota: looked at again after a day. */
const LONGEST_MS = 86_400_000;
/** A plan holds its service: longer waits are made before there is a plan. */
const PLANNED_WAIT_MS = 60_000;

export default defineFix({
  name: 'wait-out-limit',
  family: 'wait-out-limit',
  title: 'Wait until the other side takes calls again',
  handles: ['rate_limit', 'provider_overloaded'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 50,
  diagnose,
  drills: [
    {
      given: 'the service has died of the limit, which is over in a moment',
      world: async (kit) => {
        await drillService(kit);
      },
      facts: { retryAfterSec: 2, status: 429 },
      type: 'rate_limit',
      expect: ['wait', 'restart'],
    },
    {
      given: 'the service lives, and is asked to wait for ten minutes',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: { retryAfterSec: 600, status: 429 },
      type: 'rate_limit',
      expect: 'later',
    },
    {
      given: 'the provider is overloaded and names no time',
      world: (kit) => kit.write('agent.py', ''),
      facts: { status: 529, provider: 'anthropic' },
      type: 'provider_overloaded',
      expect: 'later',
    },
    {
      given: 'the time is over, and the service is well',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: { retryAfterSec: 0 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const now = probe.clock.now();
  const until = incident.lastSeen + waitMs(incident.facts.retryAfterSec, incident.count);
  const clock = new Date(until).toISOString().slice(11, 19);
  const state = await probe.services.state(service.name);
  const health = await probe.services.health(service.name);
  const via = restartVia(service);
  const isDown = via !== null && state.running === false && reasonNotToRestart(service, state) === null;
  const isIll = !isDown && health.passed === false;
  if (until - now > PLANNED_WAIT_MS || (until > now && !isDown && !isIll))
    return later(until, `the other side asked to wait until ${clock} UTC; the service goes on by itself then`);
  if (!isDown && !isIll) return notApplicable('the time is over, and nothing more can be done from here');
  return propose({
    title: isDown ? `wait until ${clock} UTC and start ${service.name} again` : `wait until ${clock} UTC`,
    why: `The limit is over at ${clock} UTC. ${isDown ? `${service.name} ${state.evidence}.` : `Its health probe fails: ${health.evidence}.`}`,
    facts: {},
    steps: [
      {
        kind: 'wait',
        title: `wait until ${clock} UTC`,
        until,
        undo: { kind: 'none', reason: 'a wait changes nothing' },
      },
      ...(isDown && via ? [restartStep(service, via, null)] : []),
    ],
    checks: isDown
      ? restartProofs(service, health.passed === false)
      : [
          {
            kind: 'health',
            title: `the health probe of ${service.name} passes`,
            proves: 'operation',
            failsBefore: true,
            service: service.name,
          },
        ],
    resources: [],
    needsRestart: false,
  });
}

function waitMs(retryAfterSec: number | undefined, count: number): number {
  if (retryAfterSec !== undefined && retryAfterSec >= 0) return Math.min(retryAfterSec * 1000, LONGEST_MS);
  return Math.min(FIRST_WAIT_MS * 2 ** Math.max(0, Math.min(count, 10) - 1), LONGEST_GUESS_MS);
}
