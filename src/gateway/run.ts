// A gateway with what goes on beside its requests: local servers are looked for, and kept warm where that is wanted.

import type { Clock } from '../core/clock.ts';
import type { Deadlines, GatewayEvent, GatewayStatus, Route } from './contract.ts';
import { keepDiscovering } from './discover.ts';
import type { StartServing } from './embedded/contract.ts';
import { openEmbedded } from './embedded/host.ts';
import { Gateway } from './server.ts';
import type { GatewayStart } from './spec.ts';

export interface RunOptions extends GatewayStart {
  readonly clock: Clock;
  readonly deadlines?: Partial<Deadlines>;
  readonly onEvent?: (event: GatewayEvent) => void;
  readonly problem: (message: string, error: unknown) => void;
  /** Starts the process of the embedded model. */
  readonly startModel: StartServing;
}

export interface RunningGateway {
  readonly url: string;
  status(): GatewayStatus;
  setRoutes(routes: readonly Route[]): void;
  close(): Promise<void>;
}

const DISCOVER_EVERY_MS = 60_000;
/** Ollama unloads after five minutes. */
const WARM_EVERY_MS = 240_000;

/** Listens, and resolves when it does. Rejects when the address is taken. */
export async function runGateway(options: RunOptions): Promise<RunningGateway> {
  const { spec, discover, clock, problem, startModel } = options;
  const gateway = await Gateway.open(options);
  const embedded = options.embedded && (await openEmbedded({ spec: options.embedded, start: startModel, problem }));
  // Behind everybody else.
  const own = embedded ? [embedded.upstream] : [];
  gateway.setUpstreams([...spec.upstreams, ...own]);
  const stop = new AbortController();
  const ownPort = Number(new URL(gateway.url).port);
  const discovering = keepDiscovering(
    {
      upstreams: spec.upstreams,
      discover,
      ownPort,
      clock,
      everyMs: DISCOVER_EVERY_MS,
      found: (upstreams) => gateway.setUpstreams([...upstreams, ...own]),
    },
    stop.signal,
  ).catch((error) => problem('local servers could not be looked for', error));
  const warming = keepWarm(gateway, clock, stop.signal).catch((error) => problem('keeping models warm broke', error));
  return {
    url: gateway.url,
    status: () => gateway.status(),
    setRoutes: (routes) => gateway.setRoutes(routes),
    close: async () => {
      stop.abort();
      await gateway.close();
      await embedded?.close();
      await Promise.all([discovering, warming]);
    },
  };
}

async function keepWarm(gateway: Gateway, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await gateway.warm();
    await clock.sleep(WARM_EVERY_MS, signal);
  }
}
