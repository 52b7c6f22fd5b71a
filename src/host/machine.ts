// Puts the host together: everything a fix may look at, everything hands may do. The brain is given
// `probe` only.

import type { Clock } from '../core/clock.ts';
import type { GatewayReport } from '../core/gateway.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import { checks } from './checks/index.ts';
import type { AnyCheckRunner, AnyEffect, Probe, Run, ServiceFacts } from './contract.ts';
import { effects } from './effects/index.ts';
import { createFileProbe } from './files.ts';
import { createGitProbe } from './git.ts';
import { createNetworkProbe } from './network.ts';
import { createNodeProbe } from './node.ts';
import { createProcessProbe } from './processes.ts';
import { createPythonProbe } from './python.ts';
import { createRun } from './run.ts';
import { createServiceProbe } from './services.ts';

export interface MachineOptions {
  readonly services: readonly ServiceFacts[];
  /** Name of this host. */
  readonly node: string;
  readonly store: Pick<Store, 'value' | 'setValue' | 'goodCopies' | 'goodCopy'>;
  readonly clock: Clock;
  readonly stateDirectory: string;
  /** What selfheal was started with. Tools see nothing of it; the owner's own commands do. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Further addresses of the configuration (URLs or `host:port`): what tells a host that is offline from a peer that is down. */
  readonly peers?: readonly string[];
}

export interface Machine {
  readonly node: string;
  readonly probe: Probe;
  readonly run: Run;
  readonly effects: readonly AnyEffect[];
  readonly checks: readonly AnyCheckRunner[];
}

/**
 * @example
 * const machine = createMachine({ services, node: 'vm-1', store, clock, stateDirectory, environment: process.env });
 * console.log(await machine.probe.services.state('agent'));
 */
export function createMachine(options: MachineOptions): Machine {
  const { services, store, clock, stateDirectory } = options;
  const environment = defined(options.environment);
  const run = createRun({ home: environment.HOME ?? '/', ownerEnvironment: environment });
  const files = createFileProbe();
  const processes = createProcessProbe({ clock });
  const probe: Probe = {
    clock,
    files,
    processes,
    git: createGitProbe({ run, stateDirectory, clock }),
    python: createPythonProbe({ run, files, pipIndexUrl: environment.PIP_INDEX_URL ?? null }),
    node: createNodeProbe({ run, files }),
    services: createServiceProbe({ services, run, processes, store, clock }),
    network: createNetworkProbe({ peers: [...services.flatMap(peersOf), ...(options.peers ?? [])] }),
    gateway: () => store.value<GatewayReport>(VALUE_KEYS.gateway),
    goodCopies: (service, path) => store.goodCopies(service, path),
    goodCopyText: async (id) => {
      const found = await store.goodCopy(id);
      return found ? Buffer.from(found.content).toString('utf8') : null;
    },
  };
  return { node: options.node, probe, run, effects, checks };
}

function defined(environment: MachineOptions['environment']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function peersOf(service: ServiceFacts): readonly string[] {
  const { health } = service;
  const declared =
    health?.kind === 'http' ? health.url : health?.kind === 'tcp' ? `${health.host}:${health.port}` : null;
  return [declared, service.pipIndex, service.npmRegistry].filter((address) => address !== null);
}
