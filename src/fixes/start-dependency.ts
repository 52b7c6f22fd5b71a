// A service cannot reach another one on this host. When that one is configured here, is down and was not stopped on
// purpose, it is started: the dependency first, then those who need it.

import type { Probe, ServiceFacts } from '../host/contract.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { drillService } from './shared/drill-service.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

const REFUSED = /ECONNREFUSED|connection refused|Errno 111|actively refused/i;
const HERE = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i;

export default defineFix({
  name: 'start-dependency',
  family: 'restart-service',
  title: 'Start a local service that others need',
  handles: ['api_error', 'database_error', 'timeout'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 45,
  diagnose,
  drills: [
    {
      given: 'nobody configured listens on the port that the log names',
      world: (kit) => kit.write('a', ''),
      message: 'redis.exceptions.ConnectionError: Error 111 connecting to localhost:6390. Connection refused.',
      facts: { host: 'localhost', port: 6390 },
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'the port is answered again',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      message: 'connect ECONNREFUSED 127.0.0.1',
      facts: { host: '127.0.0.1' },
      type: 'api_error',
      expect: 'not-applicable',
    },
    {
      given: 'the connection to another host was refused',
      world: (kit) => kit.write('a', ''),
      message: 'connect ECONNREFUSED 10.0.0.9:6379',
      facts: { host: '10.0.0.9', port: 6379 },
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const { host, port } = incident.facts;
  if (!REFUSED.test(claimOf(incident)) || host === undefined || !HERE.test(host) || port === undefined)
    return notApplicable('no connection to a port of this host was refused');
  if ((await probe.processes.listener(port)) !== null) return notApplicable(`somebody listens on ${port} by now`);
  const dependency = dependencyAt(probe, service, port);
  if (!dependency) return notApplicable(`no other service that is configured here declares port ${port}`);
  const state = await probe.services.state(dependency.name);
  if (state.running === true)
    return notApplicable(`${dependency.name} runs (${state.evidence}) and does not listen on ${port}`);
  const via = restartVia(dependency);
  const objection = reasonNotToRestart(dependency, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  return propose({
    title: `start ${dependency.name}, which ${service.name} needs`,
    why: `${service.name} cannot reach port ${port} of this host, where ${dependency.name} should listen; it ${state.evidence}.`,
    facts: { port },
    steps: [restartStep(dependency, via, null)],
    checks: [
      ...restartProofs(dependency, true),
      {
        kind: 'tcp',
        title: `port ${port} is answered`,
        proves: 'operation',
        failsBefore: true,
        host: '127.0.0.1',
        port,
      },
    ],
    resources: [`service:${dependency.name}`, `port:${port}`],
    needsRestart: false,
  });
}

/** The other service whose health address has this port of this host. */
function dependencyAt(probe: Probe, service: ServiceFacts, port: number): ServiceFacts | undefined {
  return probe.services.all().find((other) => {
    if (other.name === service.name) return false;
    const { health } = other;
    if (health?.kind === 'tcp') return health.port === port && HERE.test(health.host);
    return (
      health?.kind === 'http' && Number(new URL(health.url).port) === port && HERE.test(new URL(health.url).hostname)
    );
  });
}
