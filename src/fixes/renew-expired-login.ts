// The service goes on using temporary credentials that have run out. A new process fetches fresh ones from where the old
// ones came from; credentials that are written down somewhere can only be renewed by a person.

import { type Diagnosis, defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { drillService } from './shared/drill-service.ts';
import { untried } from './shared/health-check.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

const EXPIRED =
  /\bExpiredToken(?:Exception)?\b|security token included in the request is expired|provided token has expired|\bRequestExpired\b|TokenRefreshRequired/;
/** Temporary credentials last a quarter of an hour at least: a younger process has just been given its own. */
const YOUNG_MS = 600_000;
/** Names under which temporary credentials are written down. */
const WRITTEN_DOWN = /^(?:export\s+)?(?:AWS_SESSION_TOKEN|AWS_SECURITY_TOKEN|GOOGLE_OAUTH_ACCESS_TOKEN)\s*=/m;

export default defineFix({
  name: 'renew-expired-login',
  family: 'restart-service',
  title: 'Restart a service whose temporary credentials have run out',
  handles: ['auth_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 88,
  diagnose,
  drills: [
    {
      given: 'the token is written in the environment file',
      world: async (kit) => {
        await drillService(kit);
        await kit.write('.env', 'AWS_SESSION_TOKEN=x\n', 0o600);
        kit.service({ envFile: `${kit.directory}/.env` });
      },
      facts: {},
      message: 'botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the GetObject operation',
      type: 'auth_error',
      expect: 'refused',
    },
    {
      given: 'the service has just begun, and its token has run out all the same',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      message: 'ExpiredTokenException: The security token included in the request is expired',
      type: 'auth_error',
      expect: 'not-applicable',
    },
    {
      given: 'the key itself is rejected',
      world: (kit) => kit.write('a', ''),
      facts: { status: 401 },
      message: "Error code: 401 - {'type': 'authentication_error', 'message': 'invalid x-api-key'}",
      type: 'auth_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  if (!EXPIRED.test(claimOf(incident))) return notApplicable('no temporary credentials are said to have run out');
  const written = service.envFile === null ? null : await probe.files.text(service.envFile);
  if (written !== null && WRITTEN_DOWN.test(written))
    return refuse(
      `temporary credentials are written in ${service.envFile}, and they have run out: put fresh ones in, or let the service fetch its own`,
      ['aws sts get-caller-identity', 'aws configure list'],
    );
  const state = await probe.services.state(service.name);
  if (state.process === null)
    return notApplicable(`${service.name} ${state.evidence}: whoever starts it gets fresh ones`);
  const usage = await probe.processes.usage(state.process.pid);
  if (usage === null || probe.clock.now() - usage.startedAt < YOUNG_MS)
    return notApplicable(`${service.name} has just been started: a new process has got no better ones`);
  const via = restartVia(service);
  const objection = reasonNotToRestart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  const health = await probe.services.health(service.name);
  return propose({
    title: `restart ${service.name}, whose temporary credentials have run out`,
    why: `${service.name} ${state.evidence}, and holds credentials from its start. They are written down nowhere, so a new process fetches fresh ones.`,
    facts: { pid: state.process.pid },
    steps: [restartStep(service, via, state.process)],
    checks: [
      ...restartProofs(service, health.passed === false),
      ...(health.passed === false ? [] : [untried('the call that was refused')]),
    ],
    resources: [],
    needsRestart: false,
    // The token that has run out may be that of somebody who calls the service: no probe can tell.
    mustAsk: 'only the log says that the credentials have run out, and they may be those of a caller',
  });
}
