// A host name has no address. When other names have none either, the name service is ill and comes back; when only
// this one has none, it is misspelt or gone, and no waiting helps.

import { type Diagnosis, defineFix, later, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';

const SPEAKS_OF_NAMES =
  /name resolution|name or service not known|nodename nor servname|getaddrinfo|EAI_AGAIN|ENOTFOUND|could not resolve/i;
const LOOK_AGAIN_MS = 60_000;
const PATIENCE_MS = 1_800_000;
/** A name that answers wherever there is a name service: the root of all names is asked for by everybody. */
const CONTROLS = ['one.one.one.one', 'dns.google'] as const;

export default defineFix({
  name: 'wait-for-name-service',
  family: 'wait-out-limit',
  title: 'Wait until host names have addresses again',
  handles: ['timeout', 'api_error'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 12,
  diagnose,
  drills: [
    {
      given: 'the name has an address by now',
      world: (kit) => kit.write('a', ''),
      message: "socket.gaierror: [Errno -3] Temporary failure in name resolution: 'localhost'",
      facts: { host: 'localhost' },
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'the log speaks of a refused connection, not of a name',
      world: (kit) => kit.write('a', ''),
      message: 'connect ECONNREFUSED 127.0.0.1:11434',
      facts: { host: '127.0.0.1', port: 11_434 },
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'what should be a name is none',
      world: (kit) => kit.write('a', ''),
      message: 'getaddrinfo ENOTFOUND http://',
      facts: { host: 'http://' },
      type: 'api_error',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident, probe }: FixContext): Promise<Diagnosis> {
  if (!SPEAKS_OF_NAMES.test(claimOf(incident))) return notApplicable('the log speaks of no name');
  const { host } = incident.facts;
  if (host === undefined) return notApplicable('the log names no host');
  const name = await probe.network.resolves(host);
  if (name.passed === true) return notApplicable(`${name.evidence} now`);
  if (name.passed === 'unknown')
    return refuse('what the service takes for a host is no host name: look at its configuration');
  const controls = await Promise.all(CONTROLS.map((control) => probe.network.resolves(control)));
  if (controls.some((control) => control.passed === true))
    return refuse(`other names have addresses and ${host} has none: it is misspelt or gone`);
  const now = probe.clock.now();
  if (now - incident.firstSeen > PATIENCE_MS)
    return refuse('no host name has had an address for half an hour: look at /etc/resolv.conf and the resolver');
  return later(
    now + LOOK_AGAIN_MS,
    'no host name has an address now: the name service of this host is ill; nothing is restarted for it',
  );
}
