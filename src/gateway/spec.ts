// From the configuration to what the gateway works with: default upstreams, an agent per service with a token that
// stays the same, and the addresses that agents are given.

import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config, GatewayConfig } from '../config/contract.ts';
import { gatewayFolder } from '../core/gateway.ts';
import type { Agent, FallbackPolicy, GatewaySpec, Upstream } from './contract.ts';
import { isLocal } from './discover.ts';
import type { EmbeddedSpec } from './embedded/contract.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a gateway process is started with. */
export interface GatewayStart {
  readonly spec: GatewaySpec;
  /** Look for local servers. */
  readonly discover: boolean;
  /** A model of our own, behind all others. */
  readonly embedded: EmbeddedSpec | null;
}

const OFFICIAL = { anthropic: 'https://api.anthropic.com', openai: 'https://api.openai.com/v1' } as const;

/** Makes the state folder's secret on first use. Without a `gateway` block the given address is listened on. */
export async function gatewayStart(config: Config, environment: Environment): Promise<GatewayStart> {
  const gateway = config.gateway ?? DEFAULT;
  const secret = await secretOf(config.state);
  const upstreams = gateway.upstreams.length > 0 ? gateway.upstreams.map(upstreamOf) : usual(environment);
  return {
    discover: gateway.discover,
    embedded: gateway.embedded && {
      ...gateway.embedded,
      threads: gateway.embedded.threads ?? Math.max(1, availableParallelism() - 1),
    },
    spec: {
      host: gateway.host,
      port: gateway.port,
      upstreams,
      agents: config.services.map((service) => ({
        service: service.name,
        token: tokenOf(secret, service.name),
        fallback: policyOf(service.fixes['fallback-model']),
      })),
      tokenRequired: gateway.tokenRequired,
      pauseMs: gateway.pauseMs,
      stateDirectory: config.state,
    },
  };
}

/** Where it listens when the configuration has no `gateway` block. */
export const DEFAULT: GatewayConfig = {
  host: '127.0.0.1',
  port: 7332,
  upstreams: [],
  discover: true,
  pauseMs: 20_000,
  tokenRequired: false,
  embedded: null,
};

function upstreamOf(configured: GatewayConfig['upstreams'][number]): Upstream {
  const { name, kind, baseUrl, apiKey, model, fallback, dialects, context, concurrency, keepWarm } = configured;
  return {
    name,
    kind,
    baseUrl,
    apiKey: apiKey?.reveal() ?? null,
    model,
    fallback,
    dialects,
    contextTokens: context,
    concurrency: concurrency ?? (fallback && isLocal({ baseUrl }) ? 1 : null),
    keepWarm,
  };
}

/** The providers' own addresses, or those that the environment names instead: a proxy of the owner's stays in between. */
function usual(environment: Environment): readonly Upstream[] {
  const common = {
    apiKey: null,
    model: null,
    fallback: false,
    contextTokens: null,
    concurrency: null,
    keepWarm: false,
  } as const;
  const base = (name: string, official: string): string => {
    const named = environment[name]?.replace(/\/+$/, '') ?? '';
    return /^https?:\/\//.test(named) ? named : official;
  };
  return [
    {
      name: 'anthropic',
      kind: 'anthropic',
      baseUrl: base('ANTHROPIC_BASE_URL', OFFICIAL.anthropic),
      dialects: ['messages'],
      ...common,
    },
    {
      name: 'openai',
      kind: 'openai',
      baseUrl: base('OPENAI_BASE_URL', OFFICIAL.openai),
      dialects: ['responses', 'chat'],
      ...common,
    },
  ];
}

/** What the owner allows the fix of this name, the gateway may do on its own. */
function policyOf(autonomy: string | undefined): FallbackPolicy {
  if (autonomy === 'off') return 'off';
  return autonomy === 'approve' || autonomy === 'suggest' ? 'ask' : 'auto';
}

// ---------------------------------------------------------------- tokens and addresses

/** 32 random bytes, made once (0600): tokens of services come from it and survive restarts. */
async function secretOf(state: string): Promise<Buffer> {
  const folder = gatewayFolder(state);
  const file = join(folder, 'secret');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // 'wx': of two processes that start at once one makes it, and both read it.
  await writeFile(file, randomBytes(32), { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return readFile(file);
}

function tokenOf(secret: Buffer, service: string): string {
  return createHmac('sha256', secret).update(service).digest('base64url').slice(0, 24);
}

/** The variables for a service as they are, or would be, set; and whether the gateway answers. */
export async function gatewayAddress(
  config: Config,
  environment: Environment,
  service: string | null,
): Promise<{ readonly variables: Readonly<Record<string, string>>; readonly answers: boolean }> {
  const { spec } = await gatewayStart(config, environment);
  const url = `http://${spec.host.includes(':') ? `[${spec.host}]` : spec.host}:${spec.port}`;
  return { variables: gatewayEnvironment(url, spec, service), answers: await answersAt(url) };
}

async function answersAt(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/health`, { signal: AbortSignal.timeout(2_000), redirect: 'error' });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * The variables that point an agent's SDKs at the gateway: one for each kind of provider that is behind it.
 *
 * @example
 * gatewayEnvironment('http://127.0.0.1:7332', spec, 'agent');   // { ANTHROPIC_BASE_URL: 'http://127.0.0.1:7332/a/…' }
 */
export function gatewayEnvironment(
  url: string,
  spec: GatewaySpec,
  service: string | null,
): Readonly<Record<string, string>> {
  const agent: Agent | undefined = spec.agents.find((one) => one.service === service);
  const base = agent ? `${url}/a/${agent.token}` : url;
  const has = (kind: Upstream['kind']): boolean => spec.upstreams.some((u) => u.kind === kind && !u.fallback);
  return {
    ...(has('anthropic') && { ANTHROPIC_BASE_URL: base }),
    ...(has('openai') && { OPENAI_BASE_URL: `${base}/v1` }),
  };
}
