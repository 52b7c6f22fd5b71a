// The gateway's door: a server on the loopback that agents take for their provider. It decides who may come in and
// which dialect is spoken; each conversation is then a relay's.

import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { gatewayFolder } from '../core/gateway.ts';
import { CallError, pathAt } from './calling.ts';
import { Caller } from './caller.ts';
import {
  type Agent,
  DEADLINES,
  type Deadlines,
  type GatewayEvent,
  type GatewaySpec,
  type GatewayStatus,
  type Route,
  type Upstream,
} from './contract.ts';
import { dialectAt } from './dialects/index.ts';
import type { Dialect, DialectName } from './dialects/contract.ts';
import { Memory } from './memory.ts';
import { Recorder } from './record.ts';
import { Relay } from './relay.ts';
import { AgentRequest, headersFor, keyFor, passedHeaders } from './requesting.ts';
import { askOneWord, proveRoute } from './proof.ts';
import { type Known, Upstreams } from './upstreams.ts';
import { verdictOf } from './verdict.ts';

export interface GatewayOptions {
  readonly spec: GatewaySpec;
  readonly clock: Clock;
  readonly deadlines?: Partial<Deadlines>;
  /** Hears of everything that is worth a line; must not throw. */
  readonly onEvent?: (event: GatewayEvent) => void;
  /** Told of bugs of ours. */
  readonly problem?: (message: string, error: unknown) => void;
  readonly random?: () => number;
}

/** Anthropic takes at most 32 MB. */
const BODY_CAP = 32 * 1024 * 1024;
/** All bodies that are under way together. */
const BODIES_CAP = 256 * 1024 * 1024;
const CONNECTIONS = 512;
const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/**
 * A running gateway.
 *
 * @example
 * const gateway = await Gateway.open({ spec, clock });
 * process.env.ANTHROPIC_BASE_URL = gateway.url;
 * await gateway.close();
 */
export class Gateway {
  readonly #o: GatewayOptions;
  readonly #deadlines: Deadlines;
  readonly #server: Server;
  readonly #upstreams: Upstreams;
  readonly #memory: Memory | null;
  readonly #recorder: Recorder | null;
  readonly #counts = { requests: 0, failovers: 0, spliced: 0, lost: 0 };
  #since = 0;
  #bodies = 0;
  #agents: readonly Agent[];

  private constructor(options: GatewayOptions) {
    this.#o = options;
    this.#agents = options.spec.agents;
    this.#deadlines = { ...DEADLINES, ...options.deadlines };
    this.#upstreams = new Upstreams(options.spec, options.random);
    const { stateDirectory } = options.spec;
    this.#memory =
      stateDirectory === null ? null : new Memory(gatewayFolder(stateDirectory), () => this.#upstreams.remember());
    this.#recorder = stateDirectory === null ? null : new Recorder(stateDirectory);
    this.#server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 120_000 }, (request, response) => {
      this.#serve(request, response).catch((error) => this.#broke(error, response));
    });
    this.#server.maxConnections = CONNECTIONS;
  }

  /** Listens. Rejects when the address is taken or is not of this machine only. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    await gateway.#recorder?.prepare(options.spec.agents.map(({ service }) => service));
    const remembered = await gateway.#memory?.load();
    if (remembered) gateway.#upstreams.recall(remembered);
    gateway.#upstreams.onChange = () => gateway.#memory?.changed();
    const { host, port } = options.spec;
    if (!LOOPBACK_HOST.test(host.includes(':') ? `[${host}]` : host))
      throw new Error(`${host} is not an address of this machine only`);
    await new Promise<void>((resolve, reject) => {
      gateway.#server.once('error', reject);
      gateway.#server.listen(port, host, resolve);
    });
    gateway.#server.on('error', (error) => options.problem?.('the server reported', error));
    gateway.#since = options.clock.now();
    return gateway;
  }

  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  status(): GatewayStatus {
    const now = this.#o.clock.now();
    return {
      url: this.url,
      since: this.#since,
      ...this.#counts,
      upstreams: this.#upstreams.status(),
      routes: this.#upstreams.routes.filter((route) => route.until > now),
    };
  }

  setRoutes(routes: readonly Route[]): void {
    this.#upstreams.setRoutes(routes);
  }

  setUpstreams(upstreams: readonly Upstream[]): void {
    this.#upstreams.replace(upstreams);
  }

  setAgents(agents: readonly Agent[]): void {
    this.#agents = agents;
  }

  /** Asks the upstreams that are to be kept warm for one word each. */
  async warm(): Promise<void> {
    const warm = this.#upstreams.all.filter(({ upstream }) => upstream.keepWarm);
    await Promise.all(warm.map((known) => askOneWord(this.#upstreams, known, this.#deadlines, this.#o.clock)));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    this.#upstreams.close();
    await closed;
    await this.#memory?.save();
  }

  // -------------------------------------------------------------- requests

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#stranger(request);
    if (refusal) return refuse(response, refusal.status, refusal.reason);
    const entry = this.#entry(request.url ?? '');
    if (entry === null)
      return refuse(response, 401, 'this address needs the token of an agent: `selfheal gateway env` prints it');
    const path = entry.path.split('?', 1)[0] as string;
    if (path.startsWith('/-/')) return this.#own(path, entry.path, response);
    if (!/^\/v\d/.test(path)) return refuse(response, 404, 'unknown path');
    this.#counts.requests += 1;
    const dialect = dialectAt(path);
    if (dialect === null || request.method !== 'POST') return this.#through(request, response, entry);
    return this.#converse(request, response, dialect, entry);
  }

  /** Web pages and other hosts have no business here: what they send could spend the owner's money. */
  #stranger({ headers, url }: IncomingMessage): { readonly status: number; readonly reason: string } | null {
    if (!LOOPBACK_HOST.test(headers.host ?? ''))
      return { status: 421, reason: 'this server answers to loopback names only' };
    if (headers.origin !== undefined && !LOOPBACK_ORIGIN.test(headers.origin))
      return { status: 403, reason: 'no calls from web pages' };
    if (headers['sec-fetch-site'] === 'cross-site') return { status: 403, reason: 'no calls from web pages' };
    return url?.startsWith('/') === true && !url.startsWith('//') ? null : { status: 400, reason: 'expected a path' };
  }

  /** The agent behind a path, and the path without its token; null when the token is missing or wrong. */
  #entry(url: string): Entry | null {
    const found = /^\/a\/([\w-]{8,128})(\/.*)$/.exec(url);
    if (!found) {
      // Our own questions spend at most one word, and only along a route that a plan has set.
      const open = !this.#o.spec.tokenRequired || url.startsWith('/-/');
      return open ? { agent: this.#onlyAgent(), path: url } : null;
    }
    const agent = this.#agents.find(({ token }) => sameText(token, found[1] ?? ''));
    return agent ? { agent, path: found[2] ?? '/' } : null;
  }

  /** Who calls without a token is the only agent there is, or nobody we know. */
  #onlyAgent(): Agent | null {
    return this.#agents.length === 1 ? (this.#agents[0] ?? null) : null;
  }

  async #converse(
    request: IncomingMessage,
    response: ServerResponse,
    dialect: Dialect,
    { agent, path }: Entry,
  ): Promise<void> {
    const body = await this.#body(request, response, dialect);
    if (body === null) return;
    this.#bodies += body.length;
    try {
      const caller = new Caller(request, response, dialect, this.#deadlines.pingMs);
      await new Relay({
        request: new AgentRequest(dialect, body, request.headers),
        path,
        caller,
        service: agent?.service ?? null,
        policy: agent?.fallback ?? 'auto',
        upstreams: this.#upstreams,
        deadlines: this.#deadlines,
        pauseMs: this.#o.spec.pauseMs,
        clock: this.#o.clock,
        tell: (event) => this.#tell(event),
        count: (what) => {
          this.#counts[what] += 1;
        },
      }).run();
    } finally {
      this.#bodies -= body.length;
    }
  }

  /** Reads the request whole, so that it can be sent again; null when it was refused. */
  async #body(request: IncomingMessage, response: ServerResponse, dialect: Dialect): Promise<Buffer | null> {
    const said = (status: number, type: string, message: string): null => {
      const headers = {
        'content-type': 'application/json',
        connection: 'close',
        ...(status === 529 && { 'retry-after': '1' }),
      };
      response.writeHead(status, headers).end(JSON.stringify(dialect.errorBody({ status, type, message })));
      return null;
    };
    if (Number(request.headers['content-length'] ?? 0) > BODY_CAP)
      return said(413, 'request_too_large', 'the request is larger than 32 MiB');
    if (this.#bodies > BODIES_CAP)
      return said(529, 'overloaded_error', 'selfheal gateway: too many large requests at a time');
    if (request.headers['content-encoding'])
      return said(415, 'invalid_request_error', 'packed requests are not understood');
    const body = await readBody(request);
    return body === 'too-large' ? said(413, 'request_too_large', 'the request is larger than 32 MiB') : body;
  }

  /** Everything that is no conversation (models, token counts, files): to the first upstream of its kind, untouched. */
  async #through(request: IncomingMessage, response: ServerResponse, { path }: Entry): Promise<void> {
    const spoken: DialectName =
      /^\/v1\/(?:messages|complete)/.test(path) || request.headers['anthropic-version'] ? 'messages' : 'chat';
    const body = await readBody(request);
    if (body === 'too-large') return refuse(response, 413, 'the request is larger than 32 MiB');
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the caller has gone')));
    const known = this.#firstOf(spoken);
    if (known === null) return refuse(response, 404, `no upstream speaks ${spoken}`);
    try {
      await this.#pipe(known, request, response, body, path, spoken, gone.signal);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof CallError)) throw error;
      if (response.headersSent) response.destroy();
      else refuse(response, error.verdict.kind === 'timeout' ? 504 : 502, error.message);
    }
  }

  #firstOf(spoken: DialectName): Known | null {
    const kind = spoken === 'messages' ? 'anthropic' : 'openai';
    return this.#upstreams.all.find(({ upstream }) => upstream.kind === kind && !upstream.fallback) ?? null;
  }

  async #pipe(
    known: Known,
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    path: string,
    spoken: DialectName,
    signal: AbortSignal,
  ): Promise<void> {
    const { upstream, place } = known;
    const headers = headersFor(request.headers, upstream, place.host, spoken, spoken);
    if (body.length > 0) headers['content-length'] = String(body.length);
    const answer = await this.#upstreams.lines.call({
      place,
      method: request.method ?? 'GET',
      path: pathAt(place, path),
      headers,
      body: body.length > 0 ? body : null,
      connectMs: this.#deadlines.connectMs,
      headMs: this.#deadlines.wholeMs,
      signal,
    });
    const now = this.#o.clock.now();
    this.#upstreams.readQuotas(known, answer.headers, now);
    if (answer.statusCode === 429) this.#limitedAside(known, request, spoken, answer, now);
    response.writeHead(answer.statusCode ?? 502, passedHeaders(answer.rawHeaders, true));
    answer.on('error', () => response.destroy());
    answer.on('close', () => answer.complete || response.destroy());
    answer.pipe(response);
  }

  /** A side call that meets a limit says nothing about a model, but about the key where the head names a time. */
  #limitedAside(
    known: Known,
    request: IncomingMessage,
    spoken: DialectName,
    answer: IncomingMessage,
    now: number,
  ): void {
    const verdict = verdictOf({ status: 429, headers: answer.headers, body: null }, now);
    const key = keyFor(request.headers, known.upstream, spoken);
    this.#upstreams.failed(known, this.#upstreams.target(known, key, 'aside'), verdict, now);
  }

  /** Our own questions: is it alive, how is it, does a route work. */
  async #own(path: string, url: string, response: ServerResponse): Promise<void> {
    if (path === '/-/health') return reply(response, 200, { ok: true });
    if (path === '/-/status') return reply(response, 200, this.status());
    if (path === '/-/route') {
      const query = new URL(url, 'http://localhost').searchParams;
      const proof = await proveRoute(
        this.#upstreams,
        query.get('from') ?? '',
        query.get('to') ?? '',
        this.#deadlines,
        this.#o.clock,
      );
      return reply(response, proof.ok ? 200 : 503, proof);
    }
    return refuse(response, 404, 'unknown path');
  }

  #tell(event: GatewayEvent): void {
    void this.#recorder?.write(event);
    this.#o.onEvent?.(event);
  }

  #broke(error: unknown, response: ServerResponse): void {
    const id = randomUUID();
    this.#o.problem?.(`a request broke (${id})`, error);
    if (response.headersSent) response.destroy();
    else refuse(response, 500, `selfheal gateway: something broke, see the log for ${id}`);
  }
}

interface Entry {
  readonly agent: Agent | null;
  readonly path: string;
}

function readBody(request: IncomingMessage): Promise<Buffer | 'too-large'> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_CAP) {
        request.pause();
        resolve('too-large');
      } else chunks.push(chunk);
    });
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** In the shape that SDKs of both vendors can read. */
function refuse(response: ServerResponse, status: number, message: string): void {
  const headers = { 'content-type': 'application/json', connection: 'close', 'x-should-retry': 'false' };
  response
    .writeHead(status, headers)
    .end(JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message } }));
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
