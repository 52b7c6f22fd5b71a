// Model servers on this machine: which one listens there, what it has loaded, how much fits in, what it speaks. Only
// the loopback is ever asked, briefly, and answers are small or cut.

import type { Clock } from '../core/clock.ts';
import { CallError, type Place, pathAt, placeOf } from './calling.ts';
import type { Upstream } from './contract.ts';
import type { DialectName, Json } from './dialects/contract.ts';
import { joined, readAll } from './http/answer.ts';
import { Lines } from './http/lines.ts';
import { listAt, numberAt, objectAt, parseJson, textAt } from './json.ts';

export type ServerName = 'ollama' | 'llama.cpp' | 'lm-studio' | 'vllm' | 'other';

/** A model server that answered. */
export interface LocalServer {
  readonly server: ServerName;
  /** Its models, what is loaded first. */
  readonly models: readonly string[];
  readonly contextTokens: number | null;
  readonly dialects: readonly DialectName[];
}

/** Where the four listen unless told otherwise. */
const USUAL: Readonly<Partial<Record<ServerName, number>>> = {
  ollama: 11434,
  'llama.cpp': 8080,
  'lm-studio': 1234,
  vllm: 8000,
};

const ASK_MS = 1_500;
const ANSWER_CAP = 1024 * 1024;
/** Ollama's context when nobody has set one (its FAQ); what does not fit it drops without a word. */
const OLLAMA_CONTEXT = 4_096;

/**
 * Asks the server behind an address of this machine what it is; null when nobody there serves models.
 *
 * @example
 * const found = await inspect('http://127.0.0.1:11434', lines);
 */
export async function inspect(baseUrl: string, lines: Lines): Promise<LocalServer | null> {
  const place = { ...placeOf({ baseUrl }), base: '' };
  const ask = (path: string): Promise<Json> => answerOf(lines, place, path);
  return (await ollama(ask)) ?? (await llamaCpp(ask)) ?? (await lmStudio(ask)) ?? (await openaiLike(ask));
}

type Ask = (path: string) => Promise<Json>;

async function ollama(ask: Ask): Promise<LocalServer | null> {
  const tags = await ask('/api/tags');
  const models = listAt(tags, 'models').flatMap((model) => textAt(model, 'name') ?? []);
  if (models.length === 0) return null;
  const running = listAt(await ask('/api/ps'), 'models');
  const loaded = running.flatMap((model) => textAt(model, 'name') ?? []);
  const version = textAt(await ask('/api/version'), 'version') ?? '0.0.0';
  return {
    server: 'ollama',
    models: [...new Set([...loaded, ...models])],
    contextTokens: numberAt(running[0] ?? null, 'context_length') ?? OLLAMA_CONTEXT,
    // Messages since 0.14 (January 2026), Responses since 0.13.3.
    dialects: isAtLeast(version, [0, 14]) ? ['chat', 'messages', 'responses'] : ['chat'],
  };
}

async function llamaCpp(ask: Ask): Promise<LocalServer | null> {
  const props = await ask('/props');
  const settings = objectAt(props, 'default_generation_settings');
  if (Object.keys(settings).length === 0) return null;
  const listed = listAt(await ask('/v1/models'), 'data').flatMap((model) => textAt(model, 'id') ?? []);
  const alias = textAt(props, 'model_alias');
  return {
    server: 'llama.cpp',
    models: listed.length > 0 ? listed : [alias ?? 'default'],
    contextTokens: numberAt(settings, 'n_ctx'),
    // Older builds do not know the last two: they answer 404, and are asked in another one from then on.
    dialects: ['chat', 'messages', 'responses'],
  };
}

async function lmStudio(ask: Ask): Promise<LocalServer | null> {
  const data = listAt(await ask('/api/v0/models'), 'data').filter((m) =>
    ['llm', 'vlm'].includes(textAt(m, 'type') ?? ''),
  );
  if (data.length === 0) return null;
  const loaded = data.filter((model) => textAt(model, 'state') === 'loaded');
  const first = loaded[0] ?? data[0] ?? null;
  return {
    server: 'lm-studio',
    models: [...loaded, ...data.filter((m) => !loaded.includes(m))].flatMap((model) => textAt(model, 'id') ?? []),
    contextTokens: numberAt(first, 'loaded_context_length') ?? numberAt(first, 'max_context_length'),
    dialects: ['chat', 'messages', 'responses'],
  };
}

async function openaiLike(ask: Ask): Promise<LocalServer | null> {
  const data = listAt(await ask('/v1/models'), 'data');
  const models = data.flatMap((model) => textAt(model, 'id') ?? []);
  if (models.length === 0) return null;
  const isVllm = data.some((model) => textAt(model, 'owned_by') === 'vllm');
  return {
    server: isVllm ? 'vllm' : 'other',
    models,
    contextTokens: numberAt(data[0] ?? null, 'max_model_len'),
    dialects: isVllm ? ['chat', 'messages', 'responses'] : ['chat'],
  };
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

/** Null for everything that is no JSON answer with status 200. */
async function answerOf(lines: Lines, place: Place, path: string): Promise<Json> {
  try {
    const response = await lines.call({
      place,
      method: 'GET',
      path: pathAt(place, path),
      headers: { host: place.host, accept: 'application/json' },
      body: null,
      connectMs: ASK_MS,
      headMs: ASK_MS,
      signal: AbortSignal.timeout(2 * ASK_MS),
    });
    const body = joined(await readAll(response, ANSWER_CAP, ASK_MS));
    return response.status === 200 ? parseJson(body.toString('utf8')) : null;
  } catch (error) {
    if (error instanceof CallError || (error as Error).name === 'TimeoutError') return null;
    throw error;
  }
}

// ---------------------------------------------------------------- what it means for the chain

export interface DiscoveryOptions {
  /** As configured. */
  readonly upstreams: readonly Upstream[];
  /** Look at the usual ports, too. */
  readonly discover: boolean;
  /** Our own address, which is no model server. */
  readonly ownPort: number;
  readonly ports?: readonly number[];
}

/** The configured upstreams with what their servers say, and the servers that were found besides. */
export async function discovered(options: DiscoveryOptions): Promise<readonly Upstream[]> {
  const lines = new Lines();
  try {
    const configured = await Promise.all(options.upstreams.map((upstream) => completed(upstream, lines)));
    if (!options.discover) return configured;
    const taken = new Set(configured.filter(isLocal).map((upstream) => placeOf(upstream).port));
    const ports = (options.ports ?? Object.values(USUAL)).filter(
      (port) => port !== options.ownPort && !taken.has(port),
    );
    const found = await Promise.all(ports.map((port) => foundAt(port, lines)));
    return withOwnNames(
      configured,
      found.filter((upstream) => upstream !== null),
    );
  } finally {
    lines.close();
  }
}

/** A name that the owner has given to somebody else is not taken twice. */
function withOwnNames(configured: readonly Upstream[], found: readonly Upstream[]): readonly Upstream[] {
  const taken = new Set(configured.map(({ name }) => name));
  const free = (upstream: Upstream): string =>
    taken.has(upstream.name) ? `${upstream.name}-${placeOf(upstream).port}` : upstream.name;
  return [...configured, ...found.map((upstream) => ({ ...upstream, name: free(upstream) }))];
}

export function isLocal({ baseUrl }: Pick<Upstream, 'baseUrl'>): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(placeOf({ baseUrl }).hostname);
}

/** Fills in what the configuration leaves open; a remote upstream is never asked. */
async function completed(upstream: Upstream, lines: Lines): Promise<Upstream> {
  if (!isLocal(upstream) || (upstream.model !== null && upstream.contextTokens !== null)) return upstream;
  const server = await inspect(upstream.baseUrl, lines);
  if (server === null) return upstream;
  return {
    ...upstream,
    model: upstream.model ?? (upstream.fallback ? (server.models[0] ?? null) : null),
    contextTokens: upstream.contextTokens ?? server.contextTokens,
  };
}

/** The same for the same place, whoever else listens: limits and tries go by name, and outlive a restart. */
function nameOf(server: ServerName, port: number): string {
  if (USUAL[server] === port) return server;
  return `${server === 'other' ? 'local' : server}-${port}`;
}

async function foundAt(port: number, lines: Lines): Promise<Upstream | null> {
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  const server = await inspect(baseUrl, lines);
  if (server === null) return null;
  return {
    name: nameOf(server.server, port),
    kind: 'openai',
    baseUrl,
    apiKey: null,
    model: server.models[0] ?? null,
    fallback: true,
    dialects: server.dialects,
    contextTokens: server.contextTokens,
    concurrency: 1,
    keepWarm: false,
  };
}

/** Looks again and again until the signal aborts: servers come and go. */
export async function keepDiscovering(
  options: DiscoveryOptions & {
    readonly clock: Clock;
    readonly everyMs: number;
    readonly found: (upstreams: readonly Upstream[]) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    options.found(await discovered(options));
    await options.clock.sleep(options.everyMs, signal);
  }
}
