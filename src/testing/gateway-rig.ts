// A gateway with fake providers behind it, for tests: everything over the loopback, everything closed afterwards.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Deadlines, GatewayEvent, GatewaySpec, Upstream } from '../gateway/contract.ts';
import { Gateway } from '../gateway/server.ts';
import { systemClock } from '../host/clock.ts';
import { type FakeDialect, FakeModelServer, type FakeModelOptions } from './model-server.ts';

export interface RigOptions {
  /** Default: speaks `messages`. */
  readonly primary?: Partial<FakeModelOptions>;
  /** Default: a local server that speaks what the primary speaks; null: there is none. */
  readonly local?: Partial<FakeModelOptions> | null;
  readonly spec?: Partial<GatewaySpec>;
  readonly primaryUpstream?: Partial<Upstream>;
  readonly localUpstream?: Partial<Upstream>;
  readonly deadlines?: Partial<Deadlines>;
  readonly clock?: Clock;
}

export interface GatewayRig {
  readonly gateway: Gateway;
  readonly url: string;
  readonly primary: FakeModelServer;
  readonly local: FakeModelServer;
  readonly events: readonly GatewayEvent[];
  readonly problems: readonly unknown[];
  readonly directory: string;
  /** Closes the gateway and opens it again on the same state folder. */
  restart(): Promise<Gateway>;
  close(): Promise<void>;
}

const LOCAL_SAYING = { text: ['And', ' the', ' local', ' model', ' answers.'] };

export async function openGatewayRig(options: RigOptions = {}): Promise<GatewayRig> {
  const directory = await mkdtemp(join(tmpdir(), 'selfheal-gateway-'));
  const spoken: readonly FakeDialect[] = options.primary?.dialects ?? ['messages'];
  const primary = await FakeModelServer.open({ dialects: spoken, ...options.primary });
  const local = await FakeModelServer.open({ dialects: spoken, saying: LOCAL_SAYING, ...options.local });
  const events: GatewayEvent[] = [];
  const problems: unknown[] = [];
  const spec: GatewaySpec = {
    host: '127.0.0.1',
    port: 0,
    upstreams: [
      upstreamOf('primary', primary, spoken, options.primaryUpstream),
      ...(options.local === null
        ? []
        : [
            upstreamOf('local', local, options.local?.dialects ?? spoken, {
              fallback: true,
              model: 'tiny',
              ...options.localUpstream,
            }),
          ]),
    ],
    agents: [],
    tokenRequired: false,
    pauseMs: 0,
    stateDirectory: directory,
    ...options.spec,
  };
  const open = (): Promise<Gateway> =>
    Gateway.open({
      spec,
      clock: options.clock ?? systemClock,
      ...(options.deadlines && { deadlines: options.deadlines }),
      onEvent: (event) => events.push(event),
      problem: (_, error) => problems.push(error),
      random: () => 0,
    });
  let gateway = await open();
  return {
    get gateway() {
      return gateway;
    },
    get url() {
      return gateway.url;
    },
    primary,
    local,
    events,
    problems,
    directory,
    restart: async () => {
      await gateway.close();
      gateway = await open();
      return gateway;
    },
    close: async () => {
      await gateway.close();
      await Promise.all([primary.close(), local.close()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function upstreamOf(
  name: string,
  fake: FakeModelServer,
  dialects: readonly FakeDialect[],
  own: Partial<Upstream> = {},
): Upstream {
  const kind = dialects[0] === 'messages' ? 'anthropic' : 'openai';
  return {
    name,
    kind,
    baseUrl: kind === 'anthropic' ? fake.url : `${fake.url}/v1`,
    apiKey: null,
    model: null,
    fallback: false,
    dialects,
    contextTokens: null,
    concurrency: null,
    keepWarm: false,
    ...own,
  };
}
