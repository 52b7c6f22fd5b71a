// Looks at the network without being led by a log: names are looked up, but connections go to this host
// and to configured peers only, never to an address that a text has named.

import { lookup } from 'node:dns/promises';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, isIP } from 'node:net';
import type { CheckResult } from '../core/plan.ts';
import type { NetworkProbe } from './contract.ts';
import { readText } from './proc.ts';

export interface NetworkProbeOptions {
  /** Addresses of the configuration: URLs, or `host:port`. Only these and the loopback are ever connected to. */
  readonly peers: readonly string[];
  /** For one attempt, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
}

/** Where a peer listens. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const TIMEOUT_MS = 5_000;
/** Labels of letters, digits, hyphens and underscores, at most 253 characters: RFC 1123 and what is seen in practice. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*\.?$/i;

export function createNetworkProbe(options: NetworkProbeOptions): NetworkProbe {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const peers = options.peers.flatMap((peer) => endpointOf(peer) ?? []);
  const allowed = (host: string): boolean => isLoopback(host) || peers.some((peer) => peer.host === bare(host));
  return {
    resolves: (host) => resolves(host, timeoutMs),
    tcp: async (host, port) => (allowed(host) ? tryTcp(host, port, timeoutMs) : notOurs(host)),
    async http(url) {
      const endpoint = endpointOf(url);
      if (!endpoint || !allowed(endpoint.host)) return { ...notOurs(url), status: null };
      return fetchStatus(url, timeoutMs);
    },
    offline: () => isOffline(peers, timeoutMs),
  };
}

/** Host and port of a URL or of `host:port`; null when it is neither. */
export function endpointOf(text: string): Endpoint | null {
  const [, host, port] = /^([^/]+):(\d{1,5})$/.exec(text) ?? [];
  if (host !== undefined) return { host: bare(host), port: Number(port) };
  try {
    const url = new URL(text);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
    return { host: bare(url.hostname), port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) };
  } catch {
    return null;
  }
}

/** True for this host by name or address. */
export function isLoopback(host: string): boolean {
  const name = bare(host);
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '').toLowerCase();
}

function notOurs(what: string): CheckResult {
  return { passed: 'unknown', evidence: `${what} is neither this host nor in the configuration: not contacted` };
}

async function resolves(host: string, timeoutMs: number): Promise<CheckResult> {
  if (isIP(bare(host))) return { passed: true, evidence: `${host} is an address` };
  if (!HOST_NAME.test(host)) return { passed: 'unknown', evidence: 'not a host name' };
  const answer = await within(lookup(host, { all: true }), timeoutMs);
  if (answer.kind === 'late') return { passed: false, evidence: `${host}: no answer within ${timeoutMs / 1000} s` };
  if (answer.kind === 'failed') return { passed: false, evidence: `${host}: ${answer.code}` };
  return {
    passed: true,
    evidence: `${host} resolves to ${answer.value
      .map((one) => one.address)
      .slice(0, 3)
      .join(', ')}`,
  };
}

type Answer<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'late' };

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<Answer<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer<T>>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'late' }), timeoutMs);
  });
  const answer = work.then(
    (value): Answer<T> => ({ kind: 'value', value }),
    (error: unknown): Answer<T> => ({ kind: 'failed', code: codeOf(error) }),
  );
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** `ECONNREFUSED`, `CERT_HAS_EXPIRED`, …: what the kernel or TLS says, without addresses or URLs. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : 'failed';
}

function tryTcp(host: string, port: number, timeoutMs: number): Promise<CheckResult> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return Promise.resolve({ passed: 'unknown', evidence: `${port} is not a port` });
  const name = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host: bare(host), port });
    const settle = (result: CheckResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () =>
      settle({ passed: false, evidence: `${name}: no answer within ${timeoutMs / 1000} s` }),
    );
    socket.once('connect', () => settle({ passed: true, evidence: `${name} accepts connections` }));
    socket.once('error', (error) => settle({ passed: false, evidence: `${name}: ${codeOf(error)}` }));
  });
}

/** Status of a GET; redirects are answers, not orders. The body is not read. */
export function fetchStatus(url: string, timeoutMs: number): Promise<CheckResult & { readonly status: number | null }> {
  return new Promise((resolve) => {
    let call: ClientRequest | undefined;
    const settle = (result: CheckResult, status: number | null = null): void => {
      clearTimeout(timer);
      call?.destroy();
      resolve({ ...result, status });
    };
    const timer = setTimeout(
      () => settle({ passed: false, evidence: `no answer within ${timeoutMs / 1000} s` }),
      timeoutMs,
    );
    try {
      const send = url.startsWith('https:') ? httpsRequest : httpRequest;
      call = send(url, { agent: false, headers: { connection: 'close', 'user-agent': 'selfheal' } });
    } catch (error) {
      return settle({ passed: 'unknown', evidence: `not a usable address: ${codeOf(error)}` });
    }
    call.once('response', (response) => {
      const status = response.statusCode ?? 0;
      settle({ passed: status >= 200 && status < 400, evidence: `answers with status ${status}` }, status);
    });
    call.on('error', (error) => settle({ passed: false, evidence: codeOf(error) }));
    call.end();
  });
}

async function isOffline(peers: readonly Endpoint[], timeoutMs: number): Promise<boolean> {
  const remote = peers.filter((peer) => !isLoopback(peer.host));
  // A health probe on the loopback answers without any network: it only counts where there is nothing else to ask.
  if (await hasAnswer(remote.length > 0 ? remote : peers, timeoutMs)) return false;
  if (!(await hasDefaultRoute())) return true;
  if (remote.length === 0) return false; // nothing to judge by
  const names = remote.filter((peer) => !isIP(peer.host));
  const resolved = await Promise.all(names.map((peer) => resolves(peer.host, timeoutMs)));
  return !resolved.some((result) => result.passed === true);
}

async function hasAnswer(peers: readonly Endpoint[], timeoutMs: number): Promise<boolean> {
  const answers = await Promise.all(peers.map((peer) => tryTcp(peer.host, peer.port, timeoutMs)));
  return answers.some((answer) => answer.passed === true);
}

/** An IPv4 or IPv6 route to everywhere, on an interface that is up. */
async function hasDefaultRoute(): Promise<boolean> {
  const [v4, v6] = await Promise.all([readText('/proc/net/route'), readText('/proc/net/ipv6_route')]);
  const fours = (v4 ?? '')
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'));
  const sixes = (v6 ?? '').split('\n').map((line) => line.split(/\s+/));
  const up = (flags: string | undefined): boolean => (Number.parseInt(flags ?? '0', 16) & 1) === 1;
  const toAll4 = fours.some((f) => f[1] === '00000000' && f[7] === '00000000' && up(f[3]));
  const toAll6 = sixes.some((f) => /^0{32}$/.test(f[0] ?? '') && f[1] === '00' && f[9] !== 'lo' && up(f[8]));
  return toAll4 || toAll6;
}
