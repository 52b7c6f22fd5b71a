// A service is alive and does nothing. Two signals that do not depend on each other must agree: its health probe gets
// no answer, twice, and neither its processor time, nor its input and output, nor its log moves. A host with more work
// than cores, or a service that is at work, is busy and never restarted for it.

import type { Probe, ProcessInfo, ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { defineFix, later, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { drillService } from './shared/drill-service.ts';
import { treeOf } from './shared/kin.ts';
import { reasonNotToRestart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';

/** Tasks waiting per core beyond which slowness proves nothing. Below it, whoever waits for a core is seen to be runnable. */
const BUSY_LOAD = 8;
/** While it starts, a service need not answer; before it listens it may take longer. */
const START_MS = 5_000;
const LISTEN_MS = 60_000;
/** At least this long it is watched for a sign of life. */
const WATCH_MS = 5_000;
/** More than this much of one core while watched is work, not waiting. Timers of an idle runtime take about 0.01. */
const WORKING_SHARE = 0.1;
/** Answering nobody, a process may still read a little: its own timers and signals. */
const IDLE_BYTES = 4_096;
const LOOK_AGAIN_MS = 60_000;

export default defineFix({
  name: 'restart-hung-service',
  family: 'restart-service',
  title: 'Restart a service that hangs',
  handles: ['timeout', 'service_crash'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 84,
  diagnose,
  drills: [
    {
      given: 'the service lives, answers nobody and does nothing',
      world: async (kit) => {
        await hangingService(kit);
      },
      facts: {},
      type: 'timeout',
      expect: ['restart'],
    },
    {
      given: 'the service answers nobody, and its log goes on growing',
      world: async (kit) => {
        await hangingService(kit);
        kit.service({ logs: [`${kit.directory}/data/*.log`] });
        const work =
          "import time\nprint('up', flush=True)\nwhile True: open('data/agent.log', 'a').write('step\\n'); time.sleep(0.2)";
        await kit.start(['python3', '-c', work], { ready: 'up' });
      },
      facts: {},
      type: 'timeout',
      expect: 'later',
    },
    {
      given: 'the service answers',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      type: 'timeout',
      expect: 'not-applicable',
    },
    {
      given: 'the service does not run at all',
      world: async (kit) => {
        await drillService(kit);
      },
      facts: {},
      type: 'timeout',
      expect: 'not-applicable',
    },
  ],
});

/** Up for longer than a start takes, and asked by a probe that does not wait long. */
async function hangingService(kit: DrillKit): Promise<void> {
  const { start } = await drillService(kit);
  const python = (await kit.sh(['python3', '-c', 'import sys; print(sys.executable)'])).trim();
  kit.service({ health: { kind: 'command', argv: [python, '-I', 'ask.py'] } });
  await kit.write('hang', '');
  await start();
  await kit.sh(['sleep', String(START_MS / 1000)]);
}

async function diagnose({ service, probe }: FixContext) {
  if (!service.health) return notApplicable('without a health probe nobody can tell a hang from a rest');
  const first = await probe.services.health(service.name);
  if (first.passed === true) return notApplicable(`${service.name} is well: ${first.evidence}`);
  const state = await probe.services.state(service.name);
  if (state.running !== true || !state.process) return notApplicable(`no process to judge: ${state.evidence}`);
  const now = probe.clock.now();
  if (await answersAtAll(probe, service))
    return notApplicable(`${service.name} answers (${first.evidence}): it does not hang`);
  if (first.passed === 'unknown') return later(now + LOOK_AGAIN_MS, first.evidence);
  const ready = await readyAt(probe, service, state.process);
  if (now < ready) return later(ready, 'it has just been started');
  const load = await probe.processes.load();
  if (load > BUSY_LOAD)
    return later(now + LOOK_AGAIN_MS, `the host is overloaded: ${load.toFixed(1)} waiting tasks per core`);

  const [second, life] = await Promise.all([
    probe.services.health(service.name),
    signOfLife(probe, service, state.process),
  ]);
  if (second.passed !== false) return notApplicable(`${service.name} answers again: ${second.evidence}`);
  if (life !== null) return later(probe.clock.now() + LOOK_AGAIN_MS, `busy, not hung: ${life}`);

  const via = restartVia(service);
  const objection = reasonNotToRestart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  return propose({
    title: `restart ${service.name}, which hangs`,
    why: `Its health probe got no answer twice (${second.evidence}), and pid ${state.process.pid} used no processor time, moved no data and wrote no log meanwhile.`,
    facts: { pid: state.process.pid },
    steps: [restartStep(service, via, state.process)],
    checks: restartProofs(service, true),
    resources: [],
    needsRestart: false,
  });
}

/** When a process that was started then may be expected to answer. */
async function readyAt(probe: Probe, { health }: ServiceFacts, process: ProcessInfo): Promise<number> {
  const usage = await probe.processes.usage(process.pid);
  const port = health?.kind === 'http' ? Number(new URL(health.url).port) : health?.kind === 'tcp' ? health.port : 0;
  const listens = port === 0 || (await probe.processes.listener(port)) !== null;
  return (usage?.startedAt ?? 0) + (listens ? START_MS : LISTEN_MS);
}

/** Any status at all, an error too, is an answer. */
async function answersAtAll(probe: Probe, { health }: ServiceFacts): Promise<boolean> {
  return health?.kind === 'http' && (await probe.network.http(health.url)).status !== null;
}

interface Pulse {
  readonly cpuMs: number;
  readonly ioBytes: number;
  readonly logBytes: number;
  /** Some process of it waits for a core or a device: slow, not hung. */
  readonly isWaiting: boolean;
}

/** What moved while we watched, in words; null when nothing did. Silence of a service that is idle by design is no sign. */
async function signOfLife(probe: Probe, service: ServiceFacts, root: ProcessInfo): Promise<string | null> {
  const began = probe.clock.monotonic();
  const before = await pulse(probe, service, root);
  await probe.clock.sleep(WATCH_MS);
  const after = await pulse(probe, service, root);
  const share = (after.cpuMs - before.cpuMs) / (probe.clock.monotonic() - began);
  if (after.logBytes > before.logBytes) return 'its log goes on growing';
  if (share > WORKING_SHARE) return `it uses ${Math.round(share * 100)} % of a core`;
  if (after.ioBytes - before.ioBytes > IDLE_BYTES) return 'it moves data';
  return before.isWaiting && after.isWaiting ? 'it waits for a core or a device' : null;
}

async function pulse(probe: Probe, service: ServiceFacts, root: ProcessInfo): Promise<Pulse> {
  const tree = await treeOf(probe, root);
  const usages = await Promise.all(tree.map((one) => probe.processes.usage(one.pid)));
  const sum = (of: (usage: NonNullable<(typeof usages)[number]>) => number): number =>
    usages.reduce((total, usage) => total + (usage ? of(usage) : 0), 0);
  return {
    cpuMs: sum((u) => u.cpuMs),
    ioBytes: sum((u) => u.ioBytes ?? 0),
    logBytes: await logBytes(probe, service),
    isWaiting: usages.some((usage) => usage?.state === 'R' || usage?.state === 'D'),
  };
}

async function logBytes(probe: Probe, service: ServiceFacts): Promise<number> {
  const files = await Promise.all((service.logs ?? []).map((pattern) => expand(probe, pattern)));
  const statuses = await Promise.all(files.flat().map((file) => probe.files.status(file)));
  return statuses.reduce((total, status) => total + status.bytes, 0);
}

/** Files of an absolute pattern: looked for below the part without wildcards. */
async function expand(probe: Probe, pattern: string): Promise<readonly string[]> {
  const parts = pattern.split('/');
  const wild = parts.findIndex((part) => /[*?[{!(]/.test(part));
  if (wild < 0) return [pattern];
  return probe.files.glob(parts.slice(0, wild).join('/') || '/', [parts.slice(wild).join('/')]);
}
