// Somebody else's service does not answer or answers with its own error, while this host is well. A restart of ours
// would not help them: wait, and let the service try again by itself.

import { type Diagnosis, defineFix, later, notApplicable, type FixContext } from './contract.ts';

/** Hosts that are ours to judge, not theirs. */
const HERE = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\]|0\.0\.0\.0)$/i;
/** Quiet for so long, it is over. */
const OVER_MS = 600_000;
const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 300_000;

export default defineFix({
  name: 'wait-for-upstream',
  family: 'wait-out-limit',
  title: 'Wait until the other side answers again',
  handles: ['api_error', 'timeout'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 70,
  diagnose,
  drills: [
    {
      given: 'another host answers with an error of its own',
      world: (kit) => kit.write('a', ''),
      facts: { host: 'api.example.org', status: 503 },
      type: 'api_error',
      expect: 'later',
    },
    {
      given: 'the address is one of this host',
      world: (kit) => kit.write('a', ''),
      facts: { host: '127.0.0.1', port: 6379 },
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'the other side blames our call',
      world: (kit) => kit.write('a', ''),
      facts: { host: 'api.example.org', status: 404 },
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, probe }: FixContext): Promise<Diagnosis> {
  const { host, provider, status } = incident.facts;
  const other = host ?? provider;
  if (other === undefined || HERE.test(other)) return notApplicable('no other host is named');
  if (status !== undefined && status < 500 && status !== 408 && status !== 429)
    return notApplicable(`the other side answers with ${status}: it is the call that is wrong`);
  const now = probe.clock.now();
  if (now - incident.lastSeen > OVER_MS) return notApplicable('it has been quiet for ten minutes');
  const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(incident.count - 1, 5), LONGEST_WAIT_MS);
  return later(
    Math.max(now, incident.lastSeen) + wait,
    `the trouble is on the other side (${other}); the service tries again by itself, and a restart would not help`,
  );
}
