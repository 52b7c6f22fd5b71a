// This host itself has no network: no route, no name, no peer. Restarting anything would only make it worse, so all
// that can be done is to wait and to say so.

import { type Diagnosis, defineFix, later, notApplicable, refuse, type FixContext } from './contract.ts';

const LOOK_AGAIN_MS = 60_000;
/** After an hour it is no hiccup any more. */
const PATIENCE_MS = 3_600_000;

export default defineFix({
  name: 'wait-for-network',
  family: 'wait-out-limit',
  title: 'Wait until this host has a network again',
  handles: ['timeout', 'api_error'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 8,
  diagnose,
  drills: [
    {
      given: 'a configured peer answers',
      world: async (kit) => {
        const port = await kit.freePort();
        await kit.write('a', '');
        const serve = `import socket, time; s = socket.socket(); s.bind(('127.0.0.1', ${port})); s.listen(); print('up', flush=True); time.sleep(600)`;
        await kit.start(['python3', '-c', serve], { ready: 'up' });
        kit.service({ health: { kind: 'tcp', host: '127.0.0.1', port } });
      },
      facts: { host: 'api.example.org' },
      message: 'OSError: [Errno 101] Network is unreachable',
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'the log speaks of an answer that came, with an error',
      world: (kit) => kit.write('a', ''),
      facts: { host: 'api.example.org', status: 503 },
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, probe }: FixContext): Promise<Diagnosis> {
  if (incident.facts.status !== undefined) return notApplicable('an answer came, so there is a network');
  if (!(await probe.network.offline())) return notApplicable('this host has a network');
  const now = probe.clock.now();
  if (now - incident.firstSeen > PATIENCE_MS)
    return refuse('this host has had no network for an hour: look at its link and its route');
  return later(
    now + LOOK_AGAIN_MS,
    'this host has no network (no route, no name and no configured peer answers); nothing is restarted for it',
  );
}
