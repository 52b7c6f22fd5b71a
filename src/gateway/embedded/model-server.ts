// The embedded model as a server of its own process: Chat Completions for whoever has the token, one question at a
// time. The model is loaded for the first one.

import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { MODEL_RUNTIME } from '../../core/gateway.ts';
import type { EmbeddedSpec } from './contract.ts';
import { type Asked, complete, TooLong } from './completing.ts';
import { type LoadedModel, loadModel } from './runtime.ts';

export interface ModelServerOptions extends EmbeddedSpec {
  readonly name: string;
  /** Null: for everybody. */
  readonly token: string | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Called whenever nothing has been asked for `idleMs`. */
  readonly idle: () => void;
}

const BODY_CAP = 32 * 1024 * 1024;

/** Give it connections, or let it listen. */
export function modelServer(options: ModelServerOptions): Server {
  const asking = new Asking(options);
  return createServer((request, response) => {
    response.on('error', () => {});
    asking.take(request, response).catch((error: unknown) => sayError(response, error, options));
  });
}

class Asking {
  readonly #o: ModelServerOptions;
  #model: Promise<LoadedModel> | null = null;
  /** The last question in the row. */
  #turn: Promise<void> = Promise.resolve();
  #open = 0;
  #idle: NodeJS.Timeout;

  constructor(options: ModelServerOptions) {
    this.#o = options;
    this.#idle = setTimeout(options.idle, options.idleMs);
  }

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token, name, contextTokens, now } = this.#o;
    if (token !== null && !isSame(request.headers.authorization ?? '', `Bearer ${token}`))
      return say(response, 401, errorOf('authentication_error', 'this model answers its gateway only'));
    if (request.url === '/props')
      return say(response, 200, { default_generation_settings: { n_ctx: contextTokens }, model_alias: name });
    if (request.url === '/v1/models') return say(response, 200, { data: [{ id: name, owned_by: 'llamacpp' }] });
    if (request.url !== '/v1/chat/completions' || request.method !== 'POST')
      return say(response, 404, errorOf('not_found_error', 'File Not Found', 404));
    clearTimeout(this.#idle);
    this.#open += 1;
    try {
      const asked = JSON.parse(await bodyOf(request)) as Asked;
      await this.#inTurn(async () => {
        if (!response.destroyed)
          await complete(asked, response, { model: await this.#loaded(), name, contextTokens, now });
      });
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#idle = setTimeout(this.#o.idle, this.#o.idleMs);
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** What could not be loaded is tried again with the next question. */
  #loaded(): Promise<LoadedModel> {
    this.#model ??= loadModel(this.#o).catch((error: unknown) => {
      this.#model = null;
      throw error;
    });
    return this.#model;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_CAP) throw new Error('the request is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sayError(response: ServerResponse, error: unknown, { model, contextTokens }: EmbeddedSpec): void {
  // Half an answer cannot be ended honestly.
  if (response.headersSent) return void response.destroy();
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof TooLong)
    return say(response, 400, {
      error: { code: 400, message, type: 'exceed_context_size_error', n_ctx: contextTokens },
    });
  const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
  const why = isMissing ? `the package ${MODEL_RUNTIME} is not installed` : `${model}: ${message}`;
  say(response, 500, errorOf('server_error', `the embedded model cannot answer: ${why}`));
}

const errorOf = (type: string, message: string, code = 500): object => ({ error: { code, message, type } });

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
