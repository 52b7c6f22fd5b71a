// How the configured services are: whether they run, by the word of whoever owns them, and whether
// they are well, by the probe that their owner declared.

import { resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { CheckResult } from '../core/plan.ts';
import type { Store } from '../store/contract.ts';
import type { ProcessProbe, Run, ServiceFacts, ServiceProbe, ServiceState } from './contract.ts';
import { commandState } from './managers/command.ts';
import { DOCKER_SOCKET, dockerState } from './managers/docker.ts';
import { type ManagerMeans, unknownState } from './managers/manager.ts';
import { pm2State } from './managers/pm2.ts';
import { supervisedState } from './managers/supervised.ts';
import { systemdState } from './managers/systemd.ts';
import { createNetworkProbe, fetchStatus } from './network.ts';
import { createServiceMemory } from './service-memory.ts';

export interface ServiceProbeOptions {
  readonly services: readonly ServiceFacts[];
  readonly run: Run;
  readonly processes: ProcessProbe;
  readonly store: Pick<Store, 'value' | 'setValue'>;
  readonly clock: Clock;
  /** Default `/var/run/docker.sock`. */
  readonly dockerSocket?: string;
}

/** A healthy service may be slow. A shorter wait has killed busy servers again and again. */
const HEALTH_MS = 10_000;
/** On a host with far more work than cores, everything takes longer. */
const BUSY_HEALTH_MS = 30_000;
const BUSY_LOAD = 8;

/** Looks only. What it has seen of services that others run is kept in the store. */
export function createServiceProbe(options: ServiceProbeOptions): ServiceProbe {
  const { services, run, processes, store, clock } = options;
  const means: ManagerMeans = { run, processes, memory: createServiceMemory(store, clock) };
  const find = (name: string): ServiceFacts | null => services.find((service) => service.name === name) ?? null;
  const state = async (service: ServiceFacts): Promise<ServiceState> => {
    const via = service.command ? ({ kind: 'supervised' } as const) : service.restart;
    switch (via?.kind) {
      case 'supervised':
        return supervisedState(service, store, clock);
      case 'systemd':
        return systemdState(service, means, via.unit);
      case 'pm2':
        return pm2State(service, means, via.name);
      case 'docker':
        return dockerState(service, means, via.container, options.dockerSocket ?? DOCKER_SOCKET);
      case 'command':
        return commandState(service, means);
      case undefined:
        return service.health ? commandState(service, means) : unknownState('nobody is declared to run it');
    }
  };
  return {
    state: async (name) => {
      const service = find(name);
      return service ? state(service) : unknownState(`service ${name} is not configured`);
    },
    health: async (name) => {
      const service = find(name);
      return service ? healthOf(service, means) : { passed: 'unknown', evidence: `service ${name} is not configured` };
    },
    facts: find,
    all: () => services,
  };
}

async function healthOf(service: ServiceFacts, means: ManagerMeans): Promise<CheckResult> {
  const { health } = service;
  if (!health) return { passed: 'unknown', evidence: 'no health probe is declared' };
  const deadlineMs = (await means.processes.load()) > BUSY_LOAD ? BUSY_HEALTH_MS : HEALTH_MS;
  switch (health.kind) {
    case 'http': {
      const answer = await fetchStatus(health.url, deadlineMs);
      return answer.status === null ? busyOr(answer, means) : { passed: answer.passed, evidence: answer.evidence };
    }
    case 'tcp': {
      const network = createNetworkProbe({ peers: [`${health.host}:${health.port}`], timeoutMs: deadlineMs });
      return busyOr(await network.tcp(health.host, health.port), means);
    }
    case 'command':
      return commandHealth(health.argv, service, means, BUSY_HEALTH_MS);
  }
}

/** No answer in time from a host that is overloaded proves nothing: a verdict of `busy` forbids restarts. */
async function busyOr(answer: CheckResult, means: ManagerMeans): Promise<CheckResult> {
  if (answer.passed !== false || !answer.evidence.includes('no answer within')) {
    return { passed: answer.passed, evidence: answer.evidence };
  }
  const load = await means.processes.load();
  if (load <= BUSY_LOAD) return { passed: false, evidence: answer.evidence };
  return { passed: 'unknown', evidence: `busy: ${answer.evidence}, at ${load.toFixed(1)} waiting tasks per core` };
}

async function commandHealth(
  argv: readonly string[],
  service: ServiceFacts,
  means: ManagerMeans,
  timeoutMs: number,
): Promise<CheckResult> {
  const result = await means.run(inFolder(argv, service.directory), {
    cwd: service.directory,
    timeoutMs,
    leash: 'group',
  });
  if (result.failure !== null) return { passed: 'unknown', evidence: result.failure };
  const said = lastWord(result.stderr.trim() || result.stdout.trim()).slice(0, 200);
  if (result.timedOut) return busyOr({ passed: false, evidence: `no answer within ${timeoutMs / 1000} s` }, means);
  return { passed: result.code === 0, evidence: `exit code ${result.code ?? result.signal}${said ? `: ${said}` : ''}` };
}

/** The last line; Node ends with its version, and has said above it what was wrong. */
function lastWord(text: string): string {
  const lines = text.split('\n');
  const last = lines.at(-1) ?? '';
  if (!last.startsWith('Node.js v')) return last;
  return lines.findLast((line) => /^[A-Za-z_$][\w$.]*(?:Error|Exception)\b/.test(line)) ?? last;
}

/** A command of the owner may name a program relative to the service's folder: `./ctl`. */
export function inFolder(argv: readonly string[], directory: string): readonly string[] {
  const [program, ...args] = argv;
  if (program === undefined || !program.includes('/')) return argv;
  return [resolve(directory, program), ...args];
}
