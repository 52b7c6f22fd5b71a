// The model providers of the demo's agents, and the local model that stands by: scripted, over the loopback, strict about
// what they are asked. No real model is needed to see a limit, and a real one would not hit it on demand.

import type { GatewayConfig } from '../config/contract.ts';
import { FakeModelServer, type FakeDialect } from '../testing/model-server.ts';

/** What a whole answer says; the provider breaks off after the second piece. */
export const WHOLE_ANSWER = 'The capital of France is Paris, on the Seine.';
const SAYING = { text: ['The capital ', 'of France ', 'is Paris, ', 'on the Seine.'] };
const LOCAL_SAYING = { text: ['is Paris,', ' on the Seine.'] };
const LIMIT = 'Rate limit reached. Please try again in 10m0s.';
/** Frames until the second piece has been said. */
const BROKEN_OFF: Readonly<Record<FakeDialect, number>> = { chat: 3, messages: 5, responses: 6 };

export interface Provider {
  /** From now on: an answer is broken off in the middle, and then nothing is answered for ten minutes. */
  limit(): void;
}

interface Served {
  readonly agent: string;
  readonly dialect: FakeDialect;
  readonly server: FakeModelServer;
}

export class Providers {
  readonly #servers: readonly Served[];
  readonly #local: FakeModelServer;

  private constructor(servers: readonly Served[], local: FakeModelServer) {
    this.#servers = servers;
    this.#local = local;
  }

  /** A provider for each agent, in the form that it speaks. Close it when done. */
  static async open(agents: readonly { readonly name: string; readonly dialect: FakeDialect }[]): Promise<Providers> {
    const dialects = agents.map(({ dialect }) => dialect);
    const local = await FakeModelServer.open({ dialects, saying: LOCAL_SAYING });
    const servers = await Promise.all(
      agents.map(async ({ name, dialect }) => ({
        agent: name,
        dialect,
        server: await FakeModelServer.open({ dialects: [dialect], saying: SAYING }),
      })),
    );
    return new Providers(servers, local);
  }

  of(agent: string): Provider {
    const found = this.#servers.find((one) => one.agent === agent);
    if (!found) throw new Error(`no provider was made for ${agent}`);
    const { server, dialect } = found;
    return {
      limit: () => {
        const before = server.calls.length;
        server.behave = (_, index) =>
          index === before
            ? { kind: 'error-within', type: 'rate_limit_error', message: LIMIT, after: BROKEN_OFF[dialect] }
            : {
                kind: 'error',
                status: 429,
                type: 'rate_limit_error',
                message: LIMIT,
                headers: { 'retry-after': '600' },
              };
      },
    };
  }

  /** The gateway's configuration: each agent's provider, and the local model for both. */
  gateway(): GatewayConfig {
    const common = { apiKey: null, model: null, context: null, concurrency: null, keepWarm: false };
    return {
      host: '127.0.0.1',
      port: 0,
      upstreams: [
        ...this.#servers.map(({ agent, dialect, server }) => ({
          ...common,
          name: `provider-of-${agent}`,
          kind: dialect === 'messages' ? ('anthropic' as const) : ('openai' as const),
          baseUrl: dialect === 'messages' ? server.url : `${server.url}/v1`,
          fallback: false,
          dialects: [dialect],
        })),
        {
          ...common,
          name: 'local',
          kind: 'openai',
          baseUrl: `${this.#local.url}/v1`,
          model: 'small-model',
          fallback: true,
          dialects: this.#servers.map(({ dialect }) => dialect),
        },
      ],
      discover: false,
      pauseMs: 0,
      tokenRequired: true,
      embedded: null,
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#local, ...this.#servers.map(({ server }) => server)].map((server) => server.close()));
  }
}
