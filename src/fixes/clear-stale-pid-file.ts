// A pid file of a dead process keeps the service from starting. It is moved aside once /proc has shown that whom it
// names is gone, and the service is started.

import type { Incident } from '../core/incident.ts';
import type { Check } from '../core/plan.ts';
import type { Probe, ServiceFacts } from '../host/contract.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { healthCheck } from './shared/health-check.ts';
import { drillService, NOBODY } from './shared/drill-service.ts';
import { reasonNotToStart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';
import { moveAside, staleness } from './shared/stale.ts';

const PID_FILE = /\.pid$/;
const SPEAKS_OF_ONE = /\bpid ?files?\b|\.pid\b|already running/i;

export default defineFix({
  name: 'clear-stale-pid-file',
  family: 'clear-stale-lock',
  title: 'Move a stale pid file aside',
  handles: ['service_crash', 'config_error', 'unknown'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 30,
  diagnose,
  drills: [
    {
      given: 'the pid file names a process that is gone',
      world: async (kit) => {
        await drillService(kit);
        await kit.write('run/agent.pid', `${NOBODY}\n`);
      },
      message: 'pidfile /srv/agent/run/agent.pid exists, process already running? (pid 4194399)',
      facts: { path: '{directory}/run/agent.pid' },
      type: 'service_crash',
      expect: ['move', 'restart'],
    },
    {
      given: 'the number in the pid file was given to somebody else afterwards',
      world: async (kit) => {
        await drillService(kit);
        const other = await kit.start(['python3', '-c', "print('up', flush=True); import time; time.sleep(600)"], {
          ready: 'up',
          cwd: '/',
        });
        await kit.write('run/agent.pid', String(other.pid));
        await kit.sh(['touch', '-d', '1 hour ago', 'run/agent.pid']);
      },
      message: 'run/agent.pid exists: already running',
      facts: {},
      type: 'service_crash',
      expect: ['move', 'restart'],
    },
    {
      given: 'a job that something else starts is kept out by a stale pid file',
      world: async (kit) => {
        await kit.write('job.pid', String(NOBODY));
      },
      message: 'pid file job.pid exists, already running',
      facts: {},
      type: 'service_crash',
      expect: ['move'],
    },
    {
      given: 'the process in the pid file lives',
      world: async (kit) => {
        await drillService(kit);
        const other = await kit.start(['python3', '-c', "print('up', flush=True); import time; time.sleep(600)"], {
          ready: 'up',
          cwd: '/',
        });
        await kit.write('run/agent.pid', String(other.pid));
      },
      message: 'pid file run/agent.pid exists, already running',
      facts: {},
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'the service runs',
      world: async (kit) => {
        await kit.write('run/agent.pid', String(NOBODY));
        await (await drillService(kit)).start();
      },
      message: 'pid file run/agent.pid exists, already running',
      facts: { path: '{directory}/run/agent.pid' },
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'the log speaks of a crash and of no pid file',
      world: async (kit) => {
        await drillService(kit);
      },
      message: 'agent ended with exit code 1',
      facts: {},
      type: 'service_crash',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  if (!SPEAKS_OF_ONE.test(claimOf(incident))) return notApplicable('the log speaks of no pid file');
  const state = await probe.services.state(service.name);
  if (state.running === true) return notApplicable(`${service.name} runs: ${state.evidence}`);
  const path = await namedFile(incident, service, probe);
  if (path === null) return notApplicable('no pid file of the service is named');
  const found = await staleness(probe, path);
  if (found.kind === 'unclear') return notApplicable(found.why);
  if (found.kind === 'held') return refuse(`${found.why}: stop it, or correct the file, by hand`);

  const via = restartVia(service);
  const objection = via && reasonNotToStart(service, state);
  if (objection) return refuse(objection);
  const health = await probe.services.health(service.name);
  // Without its pid file the service looks as if its owner had stopped it: the step knows that we took it away.
  const start = via && { ...restartStep(service, via, null), afterStop: true };
  return propose({
    title: via ? `move ${path} aside and start ${service.name}` : `move ${path} aside`,
    why: `${found.why}. Nobody has the file open.`,
    facts: { path, pid: found.pid },
    steps: [moveAside(path, found), ...(start ? [start] : [])],
    checks: via
      ? restartProofs(service, health.passed === false)
      : [goneCheck(path), ...healthCheck(service.name, health.passed)],
    resources: [`path:${path}`],
    needsRestart: false,
  });
}

/** The file the log names, if it lies in the service's folder; else one of the folder whose name stands in the text. */
async function namedFile(incident: Incident, service: ServiceFacts, probe: Probe): Promise<string | null> {
  const claimed = incident.facts.path;
  if (claimed !== undefined && PID_FILE.test(claimed)) {
    const path = await probe.files.inside(service.directory, claimed);
    if (path !== null) return path;
  }
  const text = claimOf(incident);
  const files = await probe.files.glob(service.directory, ['*.pid', '*/*.pid']);
  const mentioned = files.filter((file) => text.includes(file.slice(service.directory.length + 1)));
  return mentioned.length === 1 ? (mentioned[0] ?? null) : null;
}

const goneCheck = (path: string): Check => ({
  kind: 'file-absent',
  title: 'the pid file is gone',
  proves: 'operation',
  failsBefore: true,
  path,
});
