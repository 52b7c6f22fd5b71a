// What an upstream is sent: the caller's own bytes wherever that is possible, else the same request in its words.

import { CallError } from './calling.ts';
import type { Upstream, Verdict } from './contract.ts';
import type { Conversation, Dialect, DialectName, JsonObject, Progress, Turn } from './dialects/contract.ts';
import { dialects } from './dialects/index.ts';
import { isObject, objectAt, parseJson, textAt } from './json.ts';
import { joined } from './http/answer.ts';
import { type Headers, header } from './limits.ts';
import { topLevel } from './top-level.ts';
import { fit } from './trim.ts';

/** A caller's request, read only as far as somebody asks. */
export class AgentRequest {
  readonly dialect: Dialect;
  /** The body as it came, piece by piece. */
  readonly pieces: readonly Buffer[];
  readonly size: number;
  readonly headers: Headers;
  #model: string | undefined;
  #wantsStream: boolean | undefined;
  #parsed: JsonObject | null | undefined;

  constructor(dialect: Dialect, pieces: readonly Buffer[], headers: Headers) {
    this.dialect = dialect;
    this.pieces = pieces;
    this.size = sizeOf(pieces);
    this.headers = headers;
  }

  /** As the caller named it; empty when it cannot be found without parsing. */
  get model(): string {
    this.#model ??= modelIn(this.pieces);
    return this.#model;
  }

  /** Read through on the first question: ask only where it matters. */
  get wantsStream(): boolean {
    this.#wantsStream ??= topLevel(joined(this.pieces), 'stream') === 'true';
    return this.#wantsStream;
  }

  #text(): string {
    return joined(this.pieces).toString('utf8');
  }

  /** The body as JSON; null when it is none. */
  get body(): JsonObject | null {
    if (this.#parsed === undefined) {
      const parsed = parseJson(this.#text());
      this.#parsed = isObject(parsed) ? parsed : null;
    }
    return this.#parsed;
  }

  /** Why nobody else may answer; null when somebody may. */
  get bound(): string | null {
    return this.body === null ? 'its body is no JSON' : this.dialect.boundTo(this.body);
  }

  /** False for answers that must have a form: two halves of two models would not. */
  get mayContinue(): boolean {
    const { body } = this;
    if (body === null) return false;
    const formats = [
      textAt(objectAt(body, 'response_format'), 'type'),
      textAt(objectAt(objectAt(body, 'text'), 'format'), 'type'),
      textAt(objectAt(objectAt(body, 'output_config'), 'format'), 'type'),
      textAt(objectAt(body, 'output_format'), 'type'),
    ];
    return formats.every((format) => format === null || format === 'text');
  }
}

/** Looked for at both ends: the SDKs write it first or last, with the long part between. */
const SCANNED = 2_048;
const MODEL_CAP = 200;
/** How deep it stands cannot be told from the end. */
const MODEL_AT_END = /"model"\s*:\s*("(?:[^"\\]|\\.){1,200}")/;

function modelIn(pieces: readonly Buffer[]): string {
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (!first || !last) return '';
  const found =
    topLevel(first.subarray(0, SCANNED), 'model', 'first') ??
    MODEL_AT_END.exec(last.toString('utf8', Math.max(0, last.length - SCANNED), last.length))?.[1];
  const model = found === undefined ? null : parseJson(found);
  return typeof model === 'string' ? model.slice(0, MODEL_CAP) : '';
}

export function sizeOf(pieces: readonly Buffer[]): number {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  return size;
}

export interface Wanted {
  readonly upstream: Upstream;
  /** Model to ask for; null: the caller's. */
  readonly model: string | null;
  /** Dialect the upstream is spoken to in. */
  readonly dialect: Dialect;
  /** Where a broken answer stands that is to be continued. */
  readonly progress: Progress | null;
  /** Tokens that fit in; null: unknown. */
  readonly contextTokens: number | null;
}

/** The bytes that go out. Throws a `CallError` when the request is no JSON and would have to be changed. */
export function bodyFor(request: AgentRequest, wanted: Wanted): readonly Buffer[] {
  const { upstream, model, dialect, progress } = wanted;
  const same = dialect.name === request.dialect.name;
  if (same && model === null && progress === null && !upstream.fallback) return request.pieces;
  const { body } = request;
  if (body === null) throw new CallError(NO_JSON);
  if (same && progress === null && !upstream.fallback) return asBytes({ ...body, model: model ?? undefined });
  let conversation: Conversation = request.dialect.readRequest(body);
  if (model !== null) conversation = { ...conversation, model };
  if (progress && progress.text !== '') conversation = continued(conversation, progress.text);
  if (wanted.contextTokens !== null) conversation = fit(conversation, wanted.contextTokens);
  return asBytes(dialect.writeRequest(conversation));
}

const NO_JSON: Verdict = {
  kind: 'invalid',
  status: null,
  code: 'invalid_request_error',
  message: 'the body of the request is no JSON object',
};

const asBytes = (body: JsonObject): readonly Buffer[] => [Buffer.from(JSON.stringify(body))];

/** Current models refuse an answer begun for them, so going on is asked for in words. */
function continued(c: Conversation, text: string): Conversation {
  const going: Turn = {
    role: 'user',
    parts: [
      {
        kind: 'text',
        text:
          'Your last answer was cut off by a connection failure. Continue it from exactly where it stopped, in the same ' +
          'style and language. Do not repeat any of it, do not comment on the interruption.',
      },
    ],
  };
  return { ...c, turns: [...c.turns, { role: 'assistant', parts: [{ kind: 'text', text }] }, going] };
}

// ---------------------------------------------------------------- headers

/** Of one connection only (RFC 9110 7.6.1), or ours to set. */
const NOT_PASSED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'content-length',
  // We look into answers, so they must not be packed.
  'accept-encoding',
]);
const KEYS = new Set(['x-api-key', 'authorization', 'api-key', 'x-goog-api-key', 'cookie']);
/** What other vendors need not know of the caller: organisation, betas, the client's own telemetry. */
const VENDOR = /^(?:anthropic-|openai-|x-stainless-|x-app$)/;

/** The caller's key goes to upstreams of his own kind that are no fallback: nobody else may see it. */
export function passesKey(upstream: Upstream, dialect: DialectName): boolean {
  return upstream.apiKey === null && !upstream.fallback && upstream.kind === kindOf(dialect);
}

export const kindOf = (dialect: DialectName): Upstream['kind'] => (dialect === 'messages' ? 'anthropic' : 'openai');

export type OutgoingHeaders = Record<string, string | readonly string[]>;

/** Headers for an upstream: the caller's, without what is not for it, with its key. */
export function headersFor(
  headers: Headers,
  upstream: Upstream,
  host: string,
  spoken: DialectName,
  asked: DialectName,
): OutgoingHeaders {
  const out: OutgoingHeaders = { host };
  const own = passesKey(upstream, asked);
  const vendor = spoken === asked && !upstream.fallback;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || NOT_PASSED.has(name)) continue;
    if (!own && KEYS.has(name)) continue;
    if (!vendor && VENDOR.test(name)) continue;
    out[name] = value;
  }
  out['accept-encoding'] = 'identity';
  if (spoken === 'messages') out['anthropic-version'] ??= '2023-06-01';
  if (upstream.apiKey !== null) {
    if (upstream.kind === 'anthropic') out['x-api-key'] = upstream.apiKey;
    else out['authorization'] = `Bearer ${upstream.apiKey}`;
  }
  return out;
}

/** The key that will be used, for the breaker's scope; empty when there is none. */
export function keyFor(headers: Headers, upstream: Upstream, asked: DialectName): string {
  if (upstream.apiKey !== null) return upstream.apiKey;
  if (!passesKey(upstream, asked)) return '';
  return header(headers, 'x-api-key') ?? header(headers, 'authorization')?.replace(/^Bearer\s+/i, '') ?? '';
}

/** Fields of an answer as they are passed on: names and values in a row, as they came, without those of the connection. */
export function passedHeaders(fields: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string;
    if (!HOP.has(name.toLowerCase())) out.push(name, fields[i + 1] as string);
  }
  return out;
}

const HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'proxy-authenticate',
  'content-length',
]);

/** A dialect that both sides can be served in: the caller's own where the upstream speaks it. */
export function dialectFor(upstream: Upstream, asked: Dialect, unspoken: ReadonlySet<DialectName>): Dialect | null {
  const spoken = upstream.dialects.filter((name) => !unspoken.has(name));
  const name = spoken.includes(asked.name) ? asked.name : spoken[0];
  return name === undefined ? null : dialects[name];
}
