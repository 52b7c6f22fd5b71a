// One request to one upstream, until the head of its answer. No library: node:http is as fast here as any, and a
// gateway that sees every key should drag nothing in.

import {
  Agent as HttpAgent,
  type IncomingMessage,
  type OutgoingMessage,
  request as httpRequest,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Upstream, Verdict } from './contract.ts';
import { brokenBy } from './verdict.ts';

/** An upstream's address, taken apart once. */
export interface Place {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number;
  /** `host:port` as the `host` header says it. */
  readonly host: string;
  /** Path before that of the dialect; empty or beginning with a slash. */
  readonly base: string;
}

export interface Outgoing {
  readonly place: Place;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer | null;
  readonly connectMs: number;
  readonly headMs: number;
  readonly signal: AbortSignal;
}

/** A call that brought no answer. */
export class CallError extends Error {
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    super(verdict.message);
    this.name = 'CallError';
    this.verdict = verdict;
  }
}

export function placeOf({ baseUrl }: Pick<Upstream, 'baseUrl'>): Place {
  const url = new URL(baseUrl);
  const secure = url.protocol === 'https:';
  return {
    secure,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port ? Number(url.port) : secure ? 443 : 80,
    host: url.host,
    base: url.pathname.replace(/\/+$/, ''),
  };
}

/** OpenAI's addresses end with the version that paths of callers begin with; it is not said twice. */
export function pathAt({ base }: Place, path: string): string {
  if (base === '' || !/^\/v\d/.test(path)) return `${base}${path}`;
  return /\/v\d[\w.]*(?:\/openai)?$|\/openai$/.test(base)
    ? `${base}${path.replace(/^\/v\d[\w.]*/, '')}`
    : `${base}${path}`;
}

/** Connections to all upstreams. Close it when done. */
export class Lines {
  readonly #http = new HttpAgent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' });
  readonly #https = new HttpsAgent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' });

  /** Resolves with the head of the answer. Rejects with a `CallError`, or when the signal aborts. */
  async call(outgoing: Outgoing): Promise<IncomingMessage> {
    try {
      return await this.#once(outgoing, true);
    } catch (error) {
      // The other side had closed a kept connection the moment we used it: nothing was asked yet.
      if (!(error instanceof StaleLine)) throw error;
      return this.#once(outgoing, false);
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #once(outgoing: Outgoing, kept: boolean): Promise<IncomingMessage> {
    const { place, signal } = outgoing;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const options: RequestOptions = {
        host: place.hostname,
        port: place.port,
        method: outgoing.method,
        path: outgoing.path,
        headers: outgoing.headers as Record<string, string>,
        // Only TLS names its server; Node would work it out for every request.
        ...(place.secure ? {} : { servername: '' }),
        agent: kept ? (place.secure ? this.#https : this.#http) : false,
      };
      const request = place.secure ? httpsRequest(options) : httpRequest(options);
      const give = (error: Error): void => {
        done();
        request.destroy();
        reject(error);
      };
      const late = (what: string, ms: number) =>
        give(new CallError(brokenBy('timeout', what, `${place.host}: no ${what} within ${ms / 1000} s`)));
      const head = setTimeout(() => late('answer', outgoing.headMs), outgoing.headMs);
      let connect: NodeJS.Timeout | null = null;
      const abort = (): void => give(signal.reason as Error);
      const done = (): void => {
        clearTimeout(head);
        if (connect) clearTimeout(connect);
        signal.removeEventListener('abort', abort);
      };
      signal.addEventListener('abort', abort);
      request.on('socket', (socket) => {
        if (!socket.connecting) return;
        connect = setTimeout(() => late('connection', outgoing.connectMs), outgoing.connectMs);
        socket.once(place.secure ? 'secureConnect' : 'connect', () => connect && clearTimeout(connect));
      });
      request.on('response', (response) => {
        done();
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        const code = error.code ?? 'transport';
        const isStale = kept && request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
        give(isStale ? new StaleLine() : new CallError(brokenBy('transport', code, `${place.host}: ${error.message}`)));
      });
      endWith(request, outgoing.body);
    });
  }
}

/** Up to here head and body go out as one text, in one write: latin1 stands for bytes. */
const ONE_WRITE = 16 * 1024;

/** Ends a message with these bytes, as cheaply as Node allows. */
export function endWith(message: OutgoingMessage, body: Buffer | null): void {
  if (body === null || body.length === 0) message.end();
  else if (body.length <= ONE_WRITE) message.end(body.toString('latin1'), 'latin1');
  else message.end(body);
}

class StaleLine extends Error {}

/** Reads a whole body of at most `cap` bytes; what is longer is cut and the rest is not waited for. Rejects with a `CallError`. */
export function readAll(response: IncomingMessage, cap: number, withinMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (error: CallError | null): void => {
      clearTimeout(timer);
      response.removeAllListeners('data');
      response.on('error', () => {});
      if (error) {
        response.destroy();
        reject(error);
      } else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    };
    const timer = setTimeout(
      () => finish(new CallError(brokenBy('timeout', 'body', `the answer did not end within ${withinMs / 1000} s`))),
      withinMs,
    );
    response.on('data', (chunk: Buffer) => {
      chunks.push(size + chunk.length > cap ? chunk.subarray(0, cap - size) : chunk);
      size += chunk.length;
      if (size <= cap) return;
      response.destroy();
      finish(null);
    });
    response.once('end', () => finish(response.complete ? null : cut()));
    response.once('error', () => finish(cut()));
    response.once('close', () => finish(response.complete ? null : cut()));
  });
}

const cut = (): CallError => new CallError(brokenBy('transport', 'cut', 'the answer was cut off'));
