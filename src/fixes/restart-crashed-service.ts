// A service has died without being asked to. It is started again through whoever owns it, unless it dies again and
// again: then a start would only hide the cause.

import { defineFix, later, notApplicable, propose, refuseUnlessMended, type FixContext } from './contract.ts';
import { drillService } from './shared/drill-service.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

/** Its owner is just starting or stopping it, or waits before a start of its own. */
const LOOK_AGAIN_MS = 10_000;
/** With less memory than this nothing that starts lives long. */
const FREE_MEMORY = 0.03;
const MEMORY_MS = 30_000;

export default defineFix({
  name: 'restart-crashed-service',
  family: 'restart-service',
  title: 'Start a crashed service again',
  handles: ['service_crash'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 80,
  diagnose,
  drills: [
    {
      given: 'the service is gone, and its pid file still names it',
      world: async (kit) => {
        await drillService(kit);
      },
      facts: { signal: 'SIGSEGV' },
      type: 'service_crash',
      expect: ['restart'],
    },
    {
      given: 'the service runs and answers, whatever the log says',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: { exitCode: 1 },
      type: 'service_crash',
      expect: 'not-applicable',
    },
    {
      given: 'the owner has stopped the service: its pid file is gone, and so is every sign that it should run',
      world: async (kit) => {
        await drillService(kit);
        await kit.sh(['rm', 'data/service.pid']);
      },
      facts: {},
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'the last line of its log is that of a clean stop',
      world: async (kit) => {
        await drillService(kit);
        await kit.write('data/agent.log', 'INFO received SIGTERM from operator, shutting down cleanly\n');
        kit.service({ logs: [`${kit.directory}/data/*.log`] });
      },
      facts: {},
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'nobody has said how the service is started',
      world: async (kit) => {
        await drillService(kit);
        kit.service({ restart: null });
      },
      facts: { exitCode: 1 },
      type: 'service_crash',
      expect: 'refused',
    },
  ],
});

const RELOAD =
  'Its unit has changed on disk, and systemd starts what it has read before: `systemctl daemon-reload` lets it read the new one.';

async function diagnose({ service, probe }: FixContext) {
  const state = await probe.services.state(service.name);
  const now = probe.clock.now();
  if (state.running === true)
    return notApplicable(`${service.name} runs (${state.evidence}): a start is not what it needs`);
  const via = restartVia(service);
  const objection = reasonNotToRestart(service, state);
  if (via === null || objection !== null) return refuseUnlessMended(objection ?? 'nobody is declared to start it');
  if (state.running === 'unknown') {
    if (via.kind === 'command') return notApplicable(`whether it runs cannot be told: ${state.evidence}`);
    return later(now + LOOK_AGAIN_MS, `its owner is at it: ${state.evidence}`);
  }
  const memory = await probe.processes.availableMemory();
  if (memory.freeBytes < memory.totalBytes * FREE_MEMORY)
    return later(now + MEMORY_MS, 'the host has no memory left to start anything');
  const health = await probe.services.health(service.name);
  return propose({
    title: `start ${service.name} again`,
    why: `${service.name} ${state.evidence}. ${service.health ? `Its health probe says: ${health.evidence}.` : ''} ${state.needsReload ? RELOAD : ''}`.trim(),
    facts: {},
    steps: [restartStep(service, via, null)],
    checks: restartProofs(service, health.passed === false),
    resources: [],
    needsRestart: false,
  });
}
