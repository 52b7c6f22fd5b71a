// A service has used up its descriptors, its tasks or its memory. A new process begins with none of it; what leaks is for the
// owner to mend, so a service that comes back for more again and again is not started for ever.

import type { Probe, ProcessInfo, ServiceState } from '../host/contract.ts';
import { type Diagnosis, defineFix, later, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { drillService } from './shared/drill-service.ts';
import { named, treeOf } from './shared/kin.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';
import { NO_TASK_LEFT, tasksOf } from './shared/tasks.ts';

/** From this share of its descriptors on, what the log says is confirmed. */
const NEARLY_ALL = 0.8;
/** With less than this share of memory left, the host is short of it. */
const SHORT_OF_MEMORY = 0.1;
/** A process tree with this share of all memory is the one to be let go. */
const LIONS_SHARE = 0.25;
/** With less than this nothing that starts lives long. */
const NO_MEMORY = 0.03;
const LOOK_AGAIN_MS = 30_000;

export default defineFix({
  name: 'restart-leaking-service',
  family: 'restart-service',
  title: 'Restart a service that leaks',
  handles: ['too_many_files', 'out_of_memory'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 60,
  diagnose,
  drills: [
    {
      given: 'the service holds nearly all descriptors it may have',
      world: async (kit) => {
        const { start } = await drillService(kit);
        await kit.write('leak', '');
        await start();
      },
      facts: {},
      type: 'too_many_files',
      expect: ['restart'],
    },
    {
      given: 'the kernel has killed the service for lack of memory',
      world: async (kit) => {
        await drillService(kit);
      },
      facts: { pid: 4_194_399 },
      type: 'out_of_memory',
      expect: ['restart'],
    },
    {
      given: 'the service runs nearly all tasks it may have',
      world: async (kit) => {
        const { start } = await drillService(kit);
        await kit.write('multiply', '');
        await start();
      },
      message: "RuntimeError: can't start new thread",
      facts: {},
      type: 'out_of_memory',
      expect: ['restart'],
    },
    {
      given: 'no thread could be started, and the service runs a few only',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      message: "RuntimeError: can't start new thread",
      facts: {},
      type: 'out_of_memory',
      expect: 'not-applicable',
    },
    {
      given: 'the service holds a few descriptors only',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      type: 'too_many_files',
      expect: 'not-applicable',
    },
    {
      given: 'the service runs, and the host has memory left',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      type: 'out_of_memory',
      expect: 'not-applicable',
    },
    {
      given: 'nobody has said how the service is started',
      world: async (kit) => {
        await drillService(kit);
        kit.service({ restart: null });
      },
      facts: {},
      type: 'out_of_memory',
      expect: 'refused',
    },
  ],
});

/** What the machine says to the claim: a reason to restart, or why there is none. */
type Finding = { readonly confirmed: string } | { readonly refuted: string };

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const state = await probe.services.state(service.name);
  const now = probe.clock.now();
  if (state.running === 'unknown')
    return notApplicable(`whether ${service.name} runs cannot be told: ${state.evidence}`);
  const memory = await probe.processes.availableMemory();
  if (!state.running && memory.freeBytes < memory.totalBytes * NO_MEMORY)
    return later(now + LOOK_AGAIN_MS, 'the host has no memory left to start anything');
  const what = scarce(incident);
  const found = await confirm(what, state, probe);
  if ('refuted' in found) return notApplicable(found.refuted);
  const via = restartVia(service);
  const objection = reasonNotToRestart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  const health = await probe.services.health(service.name);
  return propose({
    title: `restart ${service.name}, which has used up its ${what}`,
    why: `${found.confirmed} A new process begins with none of it; if it comes back, the leak or the limit needs a person.`,
    facts: state.process ? { pid: state.process.pid } : {},
    steps: [restartStep(service, via, state.process)],
    checks: restartProofs(service, health.passed === false),
    resources: [],
    needsRestart: false,
  });
}

type Scarce = 'descriptors' | 'tasks' | 'memory';

/** A kernel that starts no task says so in the words of a lack of memory. */
function scarce(incident: FixContext['incident']): Scarce {
  if (incident.type === 'too_many_files') return 'descriptors';
  return NO_TASK_LEFT.test(claimOf(incident)) ? 'tasks' : 'memory';
}

async function confirm(what: Scarce, state: ServiceState, probe: Probe): Promise<Finding> {
  if (!state.process) return { confirmed: `The service ${state.evidence}.` };
  switch (what) {
    case 'descriptors':
      return confirmFiles(state.process, probe);
    case 'tasks': {
      const { isNearlyAll, said } = await tasksOf(probe, state.process);
      return isNearlyAll ? { confirmed: `${said}.` } : { refuted: `${said}: it is not what multiplies` };
    }
    case 'memory':
      return confirmMemory(state.process, probe);
  }
}

async function confirmFiles(root: ProcessInfo, probe: Probe): Promise<Finding> {
  let most = 'no process of it shows its descriptors';
  let share = 0;
  for (const process of await treeOf(probe, root)) {
    const { openFiles, maxOpenFiles } = (await probe.processes.usage(process.pid)) ?? {};
    if (!openFiles || !maxOpenFiles || openFiles / maxOpenFiles <= share) continue;
    share = openFiles / maxOpenFiles;
    most = `${named(process)} has ${openFiles} of ${maxOpenFiles} descriptors open`;
  }
  return share >= NEARLY_ALL ? { confirmed: `${most}.` } : { refuted: `${most}: whatever leaked has let go` };
}

async function confirmMemory(root: ProcessInfo, probe: Probe): Promise<Finding> {
  const { freeBytes, totalBytes } = await probe.processes.availableMemory();
  const usages = await Promise.all((await treeOf(probe, root)).map((one) => probe.processes.usage(one.pid)));
  const held = usages.reduce((sum, usage) => sum + (usage?.residentBytes ?? 0), 0);
  const said = `${named(root)} holds ${mega(held)} MB with its children; ${mega(freeBytes)} of ${mega(totalBytes)} MB are free`;
  const isCulprit = freeBytes < totalBytes * SHORT_OF_MEMORY && held > totalBytes * LIONS_SHARE;
  return isCulprit ? { confirmed: `${said}.` } : { refuted: `${said}: nothing to win by a restart` };
}

const mega = (bytes: number): number => Math.round(bytes / 1024 / 1024);
