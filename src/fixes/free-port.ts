// The port of a service is taken. Only a leftover of the very same service is ended for it: same program, arguments,
// folder and user, and not the present process. Anybody else keeps the port, and the owner hears who it is.

import type { Check, EndProcessStep } from '../core/plan.ts';
import type { Probe, ProcessInfo, ServiceFacts, ServiceState } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { drillService } from './shared/drill-service.ts';
import { isLeftover, isSame, named, treeOf } from './shared/kin.ts';
import { reasonNotToStart, restartAfterStop, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

/** A leftover with more processes than that is not what we think it is. */
const MOST_PROCESSES = 8;

export default defineFix({
  name: 'free-port',
  family: 'free-port',
  title: 'Free the port from a leftover of the service',
  handles: ['port_in_use'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 20,
  diagnose,
  drills: [
    {
      given: 'a copy that the control script has lost holds the port',
      world: async (kit) => {
        const { start } = await drillService(kit);
        await start();
        await kit.write('data/service.pid', '4194399');
      },
      facts: {},
      type: 'port_in_use',
      expect: ['end-process', 'restart'],
    },
    {
      given: 'nobody holds the port any more, and the service is down',
      world: async (kit) => {
        await drillService(kit);
      },
      facts: {},
      type: 'port_in_use',
      expect: ['restart'],
    },
    {
      given: 'a program of somebody else holds the port',
      world: async (kit) => {
        const { port } = await drillService(kit);
        await stranger(kit, port, '/');
      },
      facts: {},
      type: 'port_in_use',
      expect: 'refused',
    },
    {
      given: 'another program that was started in the service’s own folder holds the port',
      world: async (kit) => {
        const { port } = await drillService(kit);
        await stranger(kit, port, kit.directory);
      },
      facts: {},
      type: 'port_in_use',
      expect: 'refused',
    },
    {
      given: 'the service itself listens: somebody has tried to start it twice',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      type: 'port_in_use',
      expect: 'not-applicable',
    },
    {
      given: 'the log names no port, and the service declares none',
      world: async (kit) => {
        await drillService(kit);
        kit.service({ health: null });
      },
      facts: {},
      type: 'port_in_use',
      expect: 'refused',
    },
  ],
});

async function stranger(kit: DrillKit, port: number, cwd: string): Promise<void> {
  const program = `import http.server as h; s = h.HTTPServer(('127.0.0.1', ${port}), h.BaseHTTPRequestHandler); print('up', flush=True); s.serve_forever()`;
  await kit.start(['python3', '-c', program], { ready: 'up', cwd });
}

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const port = portOf(incident.facts.port, service);
  if (port === null)
    return refuse('which port is taken is known neither from the log nor from a declared health address');
  const state = await probe.services.state(service.name);
  const listener = await probe.processes.listener(port);
  if (listener === 'unknown') return refuse(`somebody of another user listens on ${port}; the kernel does not say who`);
  if (listener === null) return startNow(service, state, probe, port);
  if ((await isPresent(probe, state, listener)) && !(await isLost(probe, service, listener)))
    return notApplicable(`${service.name} itself listens on ${port} as ${named(listener)}`);
  const other = await serviceOf(probe, service, listener);
  if (other !== null) return refuse(`port ${port} belongs to the service ${other}: give one of them another port`);
  const lost = { ...state, process: state.process && isSame(state.process, listener) ? null : state.process };
  if (!(await isLeftover(probe, service, lost, listener)))
    return refuse(
      `port ${port} is held by ${named(listener)}, which is no leftover of ${service.name}: stop it, or choose another port`,
    );
  return endLeftover(service, state, probe, port, listener);
}

function portOf(claimed: number | undefined, { health }: ServiceFacts): number | null {
  if (claimed !== undefined && Number.isInteger(claimed) && claimed > 0 && claimed < 65_536) return claimed;
  if (health?.kind === 'tcp') return health.port;
  if (health?.kind !== 'http') return null;
  const url = new URL(health.url);
  return Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
}

async function isPresent(probe: Probe, state: ServiceState, listener: ProcessInfo): Promise<boolean> {
  if (!state.process) return false;
  return (await treeOf(probe, state.process)).some((one) => isSame(one, listener));
}

/** The owner's pid files name somebody else: whoever listens is out of the hands of the control script. */
async function isLost(probe: Probe, service: ServiceFacts, listener: ProcessInfo): Promise<boolean> {
  if (service.command || service.restart?.kind !== 'command') return false;
  const files = await probe.files.glob(service.directory, ['*.pid', '*/*.pid']);
  const texts = await Promise.all(files.map((file) => probe.files.text(file)));
  const pids = texts.map((text) => Number(text?.trim() || Number.NaN)).filter((pid) => Number.isInteger(pid));
  return pids.length > 0 && !pids.includes(listener.pid) && !pids.includes(listener.ppid);
}

/** Another configured service that owns the listener. */
async function serviceOf(probe: Probe, service: ServiceFacts, listener: ProcessInfo): Promise<string | null> {
  for (const other of probe.services.all()) {
    if (other.name === service.name) continue;
    if (await isPresent(probe, await probe.services.state(other.name), listener)) return other.name;
  }
  return null;
}

/** The port is free by now; what is left to do is the start that failed. */
async function startNow(service: ServiceFacts, state: ServiceState, probe: Probe, port: number): Promise<Diagnosis> {
  if (state.running !== false) return notApplicable(`nobody listens on ${port}, and ${service.name} ${state.evidence}`);
  const via = restartVia(service);
  const objection = reasonNotToStart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  const health = await probe.services.health(service.name);
  return propose({
    title: `start ${service.name}, whose port is free again`,
    why: `Nobody listens on port ${port} any more, and ${service.name} ${state.evidence}.`,
    facts: { port },
    steps: [restartStep(service, via, null)],
    checks: [...restartProofs(service, health.passed === false), portCheck(service, port)],
    resources: [`port:${port}`],
    needsRestart: false,
  });
}

async function endLeftover(
  service: ServiceFacts,
  state: ServiceState,
  probe: Probe,
  port: number,
  listener: ProcessInfo,
): Promise<Diagnosis> {
  const tree = await treeOf(probe, listener);
  if (tree.length > MOST_PROCESSES || tree.some((one) => one.executable === null))
    return refuse(
      `port ${port} is held by ${named(listener)}, a leftover with ${tree.length} processes: end it by hand`,
    );
  const via = restartVia(service);
  const title = via ? `end a leftover of ${service.name} and start it anew` : `end a leftover of ${service.name}`;
  return propose({
    title,
    why: `Port ${port} is held by ${named(listener)}: the program, folder and user of ${service.name}, and not its present process (${state.evidence}).`,
    facts: { port, pid: listener.pid },
    steps: [...tree.map(endStep), ...(via ? [restartAfterStop(service, via)] : [])],
    checks: via ? [...restartProofs(service, false), portCheck(service, port)] : [freeCheck(port)],
    resources: [`port:${port}`],
    needsRestart: false,
  });
}

function endStep(process: ProcessInfo): EndProcessStep {
  return {
    kind: 'end-process',
    title: `end ${named(process)}`,
    pid: process.pid,
    startTicks: process.startTicks,
    executable: process.executable ?? '',
    undo: { kind: 'none', reason: 'an ended process cannot be brought back; the service takes its place' },
  };
}

const portCheck = (service: ServiceFacts, port: number): Check => ({
  kind: 'port-owner',
  title: `${service.name} listens on ${port}`,
  proves: 'operation',
  // A copy that its control script has lost may count as the service itself until it is ended.
  failsBefore: false,
  port,
  service: service.name,
});

const freeCheck = (port: number): Check => ({
  kind: 'port-free',
  title: `nobody listens on ${port}`,
  proves: 'operation',
  failsBefore: true,
  port,
});
