// The catalogue of sources, and which of them a configuration asks for. A test compares this list with
// the folder.

import type { Config, ServiceConfig } from '../config/contract.ts';
import { gatewayRecord } from '../core/gateway.ts';
import type { Run, ServiceProbe, Supervisor } from '../host/contract.ts';
import type { StartJournal } from '../host/journal.ts';
import type { Source } from './contract.ts';
import { createDockerSource } from './docker.ts';
import { createFileSource } from './file.ts';
import { createJournaldSource } from './journald.ts';
import { createProcessSource } from './process.ts';
import { createServiceSource } from './service.ts';

export { createDockerSource } from './docker.ts';
export { createFileSource } from './file.ts';
export { createJournaldSource } from './journald.ts';
export { createProcessSource } from './process.ts';
export { createServiceSource } from './service.ts';

export interface SourceMeans {
  readonly supervisor: Supervisor;
  readonly run: Run;
  readonly journal: StartJournal;
  /** Set: services that can be asked are looked at every check interval, whether or not they log. */
  readonly services?: ServiceProbe;
  /** Gets every byte a supervised program writes. */
  readonly echo?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;
}

/** One source per origin of each service. */
export function createSources(config: Config, means: SourceMeans): readonly Source[] {
  return config.services.flatMap((service) => sourcesOf(service, config, means));
}

function sourcesOf(service: ServiceConfig, config: Config, means: SourceMeans): readonly Source[] {
  const sources: Source[] = [];
  if (service.command) {
    const { supervisor, echo } = means;
    sources.push(createProcessSource({ supervisor, service: service.name, ...(echo ? { echo } : {}) }));
  }
  if (service.logs.length > 0)
    sources.push(
      createFileSource({
        id: `file:${service.name}`,
        service: service.name,
        patterns: service.logs,
        startAt: 'end',
        // Our own state is never a log of the service, whatever its globs say.
        ignore: [`${config.state}/**`],
      }),
    );
  if (config.gateway)
    sources.push(
      createFileSource({
        id: `gateway:${service.name}`,
        service: service.name,
        patterns: [gatewayRecord(config.state, service.name)],
      }),
    );
  if (service.journald) {
    const { journald: unit, name } = service;
    sources.push(createJournaldSource({ service: name, unit, journal: means.journal }));
  }
  if (service.docker) sources.push(createDockerSource({ service: service.name, container: service.docker }));
  if (means.services && (service.health || service.restart))
    sources.push(createServiceSource({ service, probe: means.services, intervalMs: config.checkIntervalMs }));
  return sources;
}
