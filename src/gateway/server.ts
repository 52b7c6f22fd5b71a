// The gateway's door: a server on the loopback that agents take for their provider. It decides who may come in and
// which dialect is spoken; each conversation is then a relay's.

import { randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { gatewayFolder } from '../core/gateway.ts';
import { passAside } from './aside.ts';
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
import type { Dialect } from './dialects/contract.ts';
import { Door, type Refusal } from './http/door.ts';
import type { Exchange, RequestHead } from './http/exchange.ts';
import { Memory } from './memory.ts';
import { Recorder } from './record.ts';
import { Relay } from './relay.ts';
import { refusal, refusalOf, refuse, reply } from './refusing.ts';
import { AgentRequest } from './requesting.ts';
import { askOneWord, proveRoute } from './proof.ts';
import { Upstreams } from './upstreams.ts';

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
/** All bodies together: those that are still coming, too. */
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
  readonly #door: Door;
  readonly #upstreams: Upstreams;
  readonly #memory: Memory | null;
  readonly #recorder: Recorder | null;
  readonly #counts = { requests: 0, failovers: 0, spliced: 0, lost: 0 };
  #since = 0;
  #agents: readonly Agent[];

  private constructor(options: GatewayOptions) {
    this.#o = options;
    this.#agents = options.spec.agents;
    this.#deadlines = { ...DEADLINES, ...options.deadlines };
    this.#upstreams = new Upstreams(options.spec, options);
    const { stateDirectory } = options.spec;
    this.#memory =
      stateDirectory === null ? null : new Memory(gatewayFolder(stateDirectory), () => this.#upstreams.remember());
    this.#recorder = stateDirectory === null ? null : new Recorder(stateDirectory);
    this.#door = new Door({
      admit: (head) => this.#refusal(head),
      serve: (exchange) => this.#serve(exchange).catch((error) => this.#broke(error, exchange)),
      refuse: refusalOf,
      bodyCap: BODY_CAP,
      bodiesCap: BODIES_CAP,
      connections: CONNECTIONS,
      problem: (message, error) => options.problem?.(message, error),
    });
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
    await gateway.#door.listen(port, host, (error) => options.problem?.('the server reported', error));
    gateway.#since = options.clock.now();
    return gateway;
  }

  get url(): string {
    const { address, port, family } = this.#door.address();
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  status(): GatewayStatus {
    const now = this.#o.clock.now();
    return {
      url: this.url,
      since: this.#since,
      ...this.#counts,
      upstreams: this.#upstreams.status(now),
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
    const closed = this.#door.close();
    this.#upstreams.close();
    await closed;
    await this.#memory?.save();
  }

  // -------------------------------------------------------------- requests

  /** Looks at a head: what is not wanted is refused before its body is read. */
  #refusal(head: RequestHead): Refusal | null {
    const stranger = this.#stranger(head);
    if (stranger) return refusal(stranger.status, stranger.reason);
    const entry = this.#entry(head.url);
    if (entry === null)
      return refusal(401, 'this address needs the token of an agent: `selfheal gateway env` prints it');
    if (!/^\/(?:v\d|-\/)/.test(entry.path)) return refusal(404, 'unknown path');
    if (head.headers['content-encoding'] && dialectAt(pathOf(entry)))
      return refusal(415, 'packed requests are not understood');
    return null;
  }

  async #serve(exchange: Exchange): Promise<void> {
    const entry = this.#entry(exchange.request.url);
    if (entry === null) return exchange.destroy();
    const path = pathOf(entry);
    if (path.startsWith('/-/')) return this.#own(path, entry.path, exchange);
    this.#counts.requests += 1;
    const dialect = dialectAt(path);
    if (dialect === null || exchange.request.method !== 'POST') return this.#aside(exchange, entry);
    return this.#converse(exchange, dialect, entry);
  }

  /** Web pages and other hosts have no business here: what they send could spend the owner's money. */
  #stranger({ headers, url }: RequestHead): { readonly status: number; readonly reason: string } | null {
    if (!LOOPBACK_HOST.test(headers['host'] ?? ''))
      return { status: 421, reason: 'this server answers to loopback names only' };
    if (headers['origin'] !== undefined && !LOOPBACK_ORIGIN.test(headers['origin']))
      return { status: 403, reason: 'no calls from web pages' };
    if (headers['sec-fetch-site'] === 'cross-site') return { status: 403, reason: 'no calls from web pages' };
    return url.startsWith('/') && !url.startsWith('//') ? null : { status: 400, reason: 'expected a path' };
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

  #aside(exchange: Exchange, { path, agent }: Entry): Promise<void> {
    return passAside({
      exchange,
      path,
      upstreams: this.#upstreams,
      deadlines: this.#deadlines,
      clock: this.#o.clock,
      mayFallBack: agent === null || agent.fallback === 'auto',
    });
  }

  #converse(exchange: Exchange, dialect: Dialect, { agent, path }: Entry): Promise<void> {
    return new Relay({
      request: new AgentRequest(dialect, exchange.body, exchange.request.headers),
      path,
      caller: new Caller(exchange, dialect, this.#deadlines.pingMs),
      service: agent?.service ?? null,
      policy: agent?.fallback ?? 'auto',
      upstreams: this.#upstreams,
      deadlines: this.#deadlines,
      pauseMs: this.#o.spec.pauseMs,
      clock: this.#o.clock,
      tell: this.#tell,
      problem: (message, error) => this.#o.problem?.(message, error),
      count: this.#count,
    }).run();
  }

  /** Our own questions: is it alive, how is it, does a route work. */
  async #own(path: string, url: string, exchange: Exchange): Promise<void> {
    if (path === '/-/health') return reply(exchange, 200, { ok: true });
    if (path === '/-/status') return reply(exchange, 200, this.status());
    if (path === '/-/route') {
      const query = new URL(url, 'http://localhost').searchParams;
      const proof = await proveRoute(
        this.#upstreams,
        query.get('from') ?? '',
        query.get('to') ?? '',
        this.#deadlines,
        this.#o.clock,
      );
      return reply(exchange, proof.ok ? 200 : 503, proof);
    }
    return refuse(exchange, 404, 'unknown path');
  }

  readonly #tell = (event: GatewayEvent): void => {
    void this.#recorder?.write(event);
    this.#o.onEvent?.(event);
  };

  readonly #count = (what: 'failovers' | 'spliced' | 'lost'): void => {
    this.#counts[what] += 1;
  };

  #broke(error: unknown, exchange: Exchange): void {
    const id = randomUUID();
    this.#o.problem?.(`a request broke (${id})`, error);
    if (exchange.headSent) exchange.destroy();
    else refuse(exchange, 500, `selfheal gateway: something broke, see the log for ${id}`);
  }
}

interface Entry {
  readonly agent: Agent | null;
  readonly path: string;
}

const pathOf = ({ path }: Entry): string => {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
};

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
