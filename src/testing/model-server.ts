// Stand-ins for model providers, over the wire and strict: they refuse what the real ones refuse, write streams in the
// shapes that the real ones were seen to write, and misbehave on demand in the ways that real ones were seen to.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { answerFrames, answerWhole, errorBody, errorFrame, type FakeSaying, type FakeDialect } from './model-shapes.ts';
import { objectionTo } from './model-strictness.ts';

export type { FakeDialect, FakeSaying } from './model-shapes.ts';

/** How one request is treated. */
export type FakeBehaviour =
  | { readonly kind: 'answer'; readonly saying?: FakeSaying }
  /** An error status with the provider's envelope. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly type?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
      /** Body instead of the envelope. */
      readonly body?: unknown;
    }
  /** 200, the head of the stream, then an error event before any content. */
  | { readonly kind: 'error-first'; readonly type?: string }
  /** 200, some content, then an error event. */
  | {
      readonly kind: 'error-within';
      readonly type?: string;
      readonly message?: string;
      readonly saying?: FakeSaying;
      readonly after?: number;
    }
  /** 200, so many frames, then the connection is cut. */
  | { readonly kind: 'cut'; readonly saying?: FakeSaying; readonly after?: number }
  /** 200, so many frames, then a clean end without the terminal event. */
  | { readonly kind: 'short'; readonly saying?: FakeSaying; readonly after?: number }
  /** 200, so many frames, then nothing more while the connection stays. */
  | { readonly kind: 'stall'; readonly saying?: FakeSaying; readonly after?: number }
  /** Only pings after the head. */
  | { readonly kind: 'pings' }
  /** The request is read and never answered. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'page' };

export interface FakeModelCall {
  readonly dialect: FakeDialect;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  readonly body: Record<string, unknown>;
  /** Why a real provider would have refused it; null for a proper request. */
  readonly objection: string | null;
  readonly at: number;
}

export interface FakeModelOptions {
  readonly dialects: readonly FakeDialect[];
  /** The key it accepts; null: any, or none. */
  readonly key?: string | null;
  /** Treatment of the next request. Default: it answers. */
  readonly behave?: (call: FakeModelCall, index: number) => FakeBehaviour;
  readonly saying?: FakeSaying;
  /** Headers of good answers. */
  readonly headers?: Readonly<Record<string, string>>;
}

const PATHS: Readonly<Record<string, FakeDialect>> = {
  '/v1/messages': 'messages',
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'responses',
};

const HELLO: FakeSaying = { text: ['Hello', ' from', ' the', ' fake.'] };

/** A provider on the loopback. Close it when done. */
export class FakeModelServer {
  readonly calls: FakeModelCall[] = [];
  readonly #options: FakeModelOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Replaces the treatment of requests from now on. */
  behave: (call: FakeModelCall, index: number) => FakeBehaviour;

  private constructor(options: FakeModelOptions) {
    this.#options = options;
    this.behave = options.behave ?? (() => ({ kind: 'answer' }));
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async open(options: FakeModelOptions): Promise<FakeModelServer> {
    const fake = new FakeModelServer(options);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  /** Without a version, as for Anthropic; OpenAI's clients add `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const path = (request.url ?? '').split('?', 1)[0] as string;
    const bytes = await bytesOf(request);
    const dialect = PATHS[path];
    if (path === '/v1/models') return json(response, 200, { data: [{ id: 'fake-model' }] });
    if (dialect === undefined || !this.#options.dialects.includes(dialect) || request.method !== 'POST')
      return json(response, 404, errorBody(dialect ?? 'chat', 'not_found_error', 'Not found'));
    const body = parse(bytes);
    const objection = this.#refusedKey(request) ?? objectionTo(dialect, body, request.headers);
    const call: FakeModelCall = { dialect, path, headers: request.headers, bytes, body, objection, at: Date.now() };
    this.calls.push(call);
    if (objection) {
      const status = objection.startsWith('key') ? 401 : 400;
      const type = status === 401 ? 'authentication_error' : 'invalid_request_error';
      return json(response, status, errorBody(dialect, type, objection));
    }
    this.#treat(call, this.behave(call, this.calls.length - 1), response);
  }

  #refusedKey({ headers }: IncomingMessage): string | null {
    const { key = null } = this.#options;
    if (key === null) return null;
    const given = headers['x-api-key'] ?? headers.authorization?.replace(/^Bearer /, '');
    return given === key ? null : `key: invalid x-api-key or bearer token`;
  }

  #treat(call: FakeModelCall, how: FakeBehaviour, response: ServerResponse): void {
    const { dialect } = call;
    const saying = ('saying' in how ? how.saying : undefined) ?? this.#options.saying ?? HELLO;
    const streamed = call.body['stream'] === true;
    const model = String(call.body['model']);
    switch (how.kind) {
      case 'answer':
        return streamed
          ? this.#stream(response, answerFrames(dialect, saying, model), 'end')
          : json(response, 200, answerWhole(dialect, saying, model), this.#options.headers);
      case 'error':
        return json(
          response,
          how.status,
          how.body ?? errorBody(dialect, how.type ?? 'api_error', how.message ?? 'scripted'),
          how.headers,
        );
      case 'error-first':
        return this.#stream(
          response,
          [...answerFrames(dialect, saying, model).slice(0, 1), errorFrame(dialect, how.type)],
          'end',
        );
      case 'error-within': {
        const frames = answerFrames(dialect, saying, model);
        return this.#stream(
          response,
          [...frames.slice(0, how.after ?? 4), errorFrame(dialect, how.type, how.message)],
          'end',
        );
      }
      case 'cut':
      case 'short':
      case 'stall': {
        if (!streamed) return cutWhole(response, answerWhole(dialect, saying, model), how.kind);
        const frames = answerFrames(dialect, saying, model).slice(0, how.after ?? 4);
        return this.#stream(response, frames, how.kind === 'cut' ? 'cut' : how.kind === 'short' ? 'end' : 'open');
      }
      case 'pings':
        return this.#pings(response, dialect);
      case 'silence':
        return;
      case 'reset':
        response.socket?.resetAndDestroy();
        return;
      case 'page':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in to the hotel network</html>');
    }
  }

  #stream(response: ServerResponse, frames: readonly string[], then: 'end' | 'cut' | 'open'): void {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...this.#options.headers });
    for (const frame of frames) response.write(frame);
    if (then === 'end') response.end();
    // Everything written must be on its way before the line is cut.
    if (then === 'cut') response.write('', () => setImmediate(() => response.socket?.destroy()));
  }

  #pings(response: ServerResponse, dialect: FakeDialect): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const ping = dialect === 'messages' ? 'event: ping\ndata: {"type": "ping"}\n\n' : ': keep-alive\n\n';
    const timer = setInterval(() => response.write(ping), 20);
    response.on('close', () => clearInterval(timer));
  }
}

function cutWhole(response: ServerResponse, body: unknown, how: 'cut' | 'short' | 'stall'): void {
  const bytes = Buffer.from(JSON.stringify(body));
  if (how === 'short') {
    // Its end is that of the connection, and comes too early.
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    response.end(bytes.subarray(0, bytes.length / 2));
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.write(
    bytes.subarray(0, bytes.length / 2),
    () => how !== 'stall' && setImmediate(() => response.socket?.destroy()),
  );
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_fake', ...headers });
  response.end(JSON.stringify(body));
}
