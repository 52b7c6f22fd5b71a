// A strict fake of the Telegram Bot API over real HTTP: what the real server refuses, this one refuses in
// the same words. The scripting side (`say`, `press`, `fault`, `down`) plays the people and the bad network.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ApiFailure,
  bad,
  CAPTION_LIMIT,
  chatObject,
  describe,
  isUpload,
  NO_TEXT,
  person,
  publicMessage,
  readButtons,
  readParams,
  readText,
  sendJson,
  TEXT_LIMIT,
  type FakeMessage,
  type Formatted,
  type Params,
} from './telegram-wire.ts';

export type { FakeButton, FakeMessage } from './telegram-wire.ts';

export interface FakeCall {
  readonly at: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** HTTP status of the answer; 0 when the connection was cut. */
  status: number;
  error: string | null;
}

/** What goes wrong with one call. `cut` after means: done, but the answer never arrives. */
export type FakeFault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number; readonly description?: string }
  | { readonly kind: 'html'; readonly status: number }
  | { readonly kind: 'body'; readonly status: number; readonly body: string }
  | { readonly kind: 'redirect'; readonly to: string }
  | { readonly kind: 'cut'; readonly when: 'before' | 'after' }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'endless' };

export interface FakePress {
  readonly id: string;
  /** Texts of `answerCallbackQuery`, in order. */
  readonly answers: string[];
}

export interface FakeTelegramOptions {
  /** Default: a token in the right form that belongs to nobody. */
  readonly token?: string;
  /** Chats that the bot can write to. Default: the private chat of user 1001. Negative: groups. */
  readonly chats?: readonly number[];
  /** Sends and edits per window before 429. Default 20 in 10 s, about what the real server bears in one chat. */
  readonly limit?: { readonly count: number; readonly windowMs: number };
  /** Epoch milliseconds, for message dates. Default: the real clock. */
  readonly now?: () => number;
}

const CALLBACK_LIFE_MS = 60_000;

/**
 * Starts a fake Bot API on a free loopback port.
 *
 * @example
 * const api = await FakeTelegram.start({ chats: [1001] });
 * api.say('health check', { user: 1001 });
 * await api.until(() => api.sent().length > 0);
 * await api.close();
 */
export class FakeTelegram {
  readonly token: string;
  readonly calls: FakeCall[] = [];
  readonly messages: FakeMessage[] = [];
  readonly commands: { command: string; description: string }[] = [];
  /** Chats whose owner has blocked the bot. */
  readonly blocked = new Set<number>();
  /** Groups that became supergroups, with their new ids. */
  readonly migrated = new Map<number, number>();
  /** Decides what goes wrong with a call; nothing by default. */
  fault: (call: FakeCall) => FakeFault | undefined = () => undefined;
  /** A webhook that somebody else has set: polling is refused while it stands. */
  webhook = '';

  readonly #options: Required<FakeTelegramOptions>;
  readonly #presses = new Map<string, FakePress & { readonly at: number }>();
  readonly #chats: Set<number>;
  #server: Server | null = null;
  #port = 0;
  #updates: (Params & { readonly update_id: number })[] = [];
  #nextUpdate = 700_001;
  #nextMessage = 1001;
  #allowed: readonly string[] | null = null;
  #poll: { readonly give: () => void; readonly refuse: (error: Error) => void } | null = null;
  #waiting = new Set<() => void>();
  #spent: number[] = [];

  private constructor(options: FakeTelegramOptions) {
    this.token = options.token ?? '4242:AAFakeFakeFakeFakeFakeFakeFakeFake_12';
    this.#chats = new Set(options.chats ?? [1001]);
    this.#options = {
      token: this.token,
      chats: [...this.#chats],
      limit: options.limit ?? { count: 20, windowMs: 10_000 },
      now: options.now ?? Date.now,
    };
  }

  static async start(options: FakeTelegramOptions = {}): Promise<FakeTelegram> {
    const fake = new FakeTelegram(options);
    await fake.up();
    return fake;
  }

  /** Root to configure as `api_root`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens (again), on the same port after `down`. Everything said and sent so far is kept. */
  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Stops listening and cuts every connection: refused from now on. */
  async down(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async close(): Promise<void> {
    await this.down();
    this.#waiting.clear();
  }

  /** The bot's messages, oldest first, in one chat or all. */
  sent(chat?: number): readonly FakeMessage[] {
    return this.messages.filter((m) => m.fromBot && !m.deleted && (chat === undefined || m.chat === chat));
  }

  /** True while somebody waits for updates in a long poll. */
  get polled(): boolean {
    return this.#poll !== null;
  }

  /** Calls of a method that reached the server. */
  callsOf(method: string): readonly FakeCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  /** Resolves once `condition` holds; it is asked again after each call and each new update. */
  async until(condition: () => boolean, timeoutMs = 30_000): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`the fake Bot API waited ${timeoutMs} ms in vain: ${condition.toString()}`));
      }, timeoutMs);
      this.#waiting.add(look);
    });
  }

  /** A person writes. `extra` is merged into the message, for forwards, other bots and the like. */
  say(
    text: string,
    options: { readonly user?: number; readonly chat?: number; readonly at?: number; readonly extra?: Params } = {},
  ): number {
    const user = options.user ?? 1001;
    const chat = options.chat ?? user;
    const message = this.#remember({ chat, fromBot: false, text, raw: text, entities: [], parseMode: null });
    this.push({
      message: {
        message_id: message.messageId,
        date: Math.floor((options.at ?? this.#options.now()) / 1000),
        from: person(user),
        chat: chatObject(chat),
        text,
        ...options.extra,
      },
    });
    return message.messageId;
  }

  /** A person presses a button of a message. `data` replaces what the button holds, as a forger would. */
  press(
    message: FakeMessage,
    label: string,
    options: { readonly user?: number; readonly data?: string } = {},
  ): FakePress {
    const button = message.buttons.flat().find((b) => b.text === label);
    const data = options.data ?? button?.callback_data;
    if (data === undefined) throw new Error(`message ${message.messageId} has no button ${label}`);
    const press = { id: String(9_000_000_000 + this.#presses.size), answers: [], at: this.#options.now() };
    this.#presses.set(press.id, press);
    this.push({
      callback_query: {
        id: press.id,
        from: person(options.user ?? 1001),
        message: publicMessage(message),
        chat_instance: '1',
        data,
      },
    });
    return press;
  }

  /** Queues a raw update, as the Bot API would send it: `unasked` also of a kind that nobody asked for. Returns its id. */
  push(update: Params, id?: number, unasked?: 'unasked'): number {
    const kind = Object.keys(update)[0] ?? '';
    const update_id = id ?? this.#nextUpdate++;
    if (!unasked && this.#allowed && !this.#allowed.includes(kind)) return update_id;
    this.#updates.push({ update_id, ...update });
    this.#poll?.give();
    this.#changed();
    return update_id;
  }

  // ---------------------------------------------------------------- over HTTP

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = /^\/bot([^/]+)\/(\w+)$/.exec(new URL(request.url ?? '/', 'http://fake').pathname);
    const params = await readParams(request).catch(() => ({}));
    const call: FakeCall = { at: Date.now(), method: path?.[2] ?? '', params, status: 0, error: null };
    this.calls.push(call);
    this.#changed();
    const fault = this.fault(call);
    if (fault && (await this.#misbehave(fault, response))) return this.#changed();
    const answer = path?.[1] === this.token ? await this.#answer(call, request) : unauthorized(call);
    if (fault?.kind === 'cut') request.socket.destroy();
    else sendJson(response, call.status, answer);
    this.#changed();
  }

  /** Plays the fault; true when the call ends here. */
  async #misbehave(fault: FakeFault, response: ServerResponse): Promise<boolean> {
    switch (fault.kind) {
      case 'status':
        sendJson(response, fault.status, {
          ok: false,
          error_code: fault.status,
          description: fault.description ?? describe(fault.status, fault.retryAfter),
          ...(fault.retryAfter !== undefined && { parameters: { retry_after: fault.retryAfter } }),
        });
        return true;
      case 'html':
        response.writeHead(fault.status, { 'content-type': 'text/html' }).end('<html><h1>Bad Gateway</h1></html>');
        return true;
      case 'body':
        response.writeHead(fault.status, { 'content-type': 'application/json' }).end(fault.body);
        return true;
      case 'redirect':
        response.writeHead(302, { location: fault.to }).end();
        return true;
      case 'hang':
        return true;
      case 'endless':
        response.writeHead(200, { 'content-type': 'application/json' });
        flood(response);
        return true;
      case 'cut':
        if (fault.when === 'before') response.socket?.destroy();
        return fault.when === 'before';
      case 'slow':
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        return false;
    }
  }

  async #answer(call: FakeCall, request: IncomingMessage): Promise<unknown> {
    try {
      const result = await this.#method(call.method, call.params as Params, request);
      call.status = 200;
      return { ok: true, result };
    } catch (error) {
      const failure = error instanceof ApiFailure ? error : new ApiFailure(500, 'Internal Server Error');
      call.status = failure.status;
      call.error = failure.message;
      const { status, message, parameters } = failure;
      return { ok: false, error_code: status, description: message, ...(parameters && { parameters }) };
    }
  }

  async #method(method: string, p: Params, request: IncomingMessage): Promise<unknown> {
    switch (method.toLowerCase()) {
      case 'getme':
        return { id: 4242, is_bot: true, first_name: 'selfheal', username: 'selfheal_bot', can_join_groups: true };
      case 'getupdates':
        return this.#getUpdates(p, request);
      case 'sendmessage':
        return this.#send(p, readText(p, 'text', TEXT_LIMIT), null);
      case 'senddocument':
        return this.#sendDocument(p);
      case 'editmessagetext':
        return this.#edit(p, readText(p, 'text', TEXT_LIMIT, 'MESSAGE_TOO_LONG'));
      case 'editmessagereplymarkup':
        return this.#edit(p, null);
      case 'deletemessage':
        this.#ownMessage(p, 'delete').deleted = true;
        return true;
      case 'answercallbackquery':
        return this.#answerCallback(p);
      case 'setmycommands':
        this.commands.splice(0, Infinity, ...((p.commands ?? []) as typeof this.commands));
        return true;
      case 'getmycommands':
        return this.commands;
      case 'getwebhookinfo':
        return { url: this.webhook, has_custom_certificate: false, pending_update_count: this.#updates.length };
      case 'deletewebhook':
        this.webhook = '';
        return true;
      case 'getchat':
        return chatObject(this.#chat(p));
      case 'sendchataction':
      case 'setmydescription':
      case 'setmyshortdescription':
      case 'setchatmenubutton':
        return true;
      default:
        throw new ApiFailure(404, 'Not Found: method not found');
    }
  }

  /** Long polling: at most one poller, `offset` confirms everything before it. */
  #getUpdates(p: Params, request: IncomingMessage): Promise<unknown> {
    if (this.webhook)
      throw new ApiFailure(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
      );
    this.#poll?.refuse(
      new ApiFailure(
        409,
        'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
      ),
    );
    if (Array.isArray(p.allowed_updates)) this.#allowed = p.allowed_updates as string[];
    this.#confirm(p.offset === undefined ? null : Number(p.offset));
    const take = () => this.#updates.slice(0, Math.min(Number(p.limit) || 100, 100));
    if (this.#updates.length > 0) return Promise.resolve(take());
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        request.socket.off('close', end);
        if (this.#poll === poll) this.#poll = null;
      };
      const give = () => {
        end();
        resolve(take());
      };
      const timer = setTimeout(give, Math.min(Number(p.timeout) || 0, 50) * 1000);
      const refuse = (error: Error) => {
        end();
        reject(error);
      };
      const poll = { give, refuse };
      this.#poll = poll;
      this.#changed();
      request.socket.once('close', end);
    });
  }

  #confirm(offset: number | null): void {
    if (offset === null) return;
    this.#updates =
      offset < 0 ? this.#updates.slice(offset) : this.#updates.filter((update) => update.update_id >= offset);
  }

  #send(p: Params, text: Formatted, document: FakeMessage['document']): unknown {
    const chat = this.#chat(p);
    const buttons = readButtons(p);
    this.#mayReply(p, chat);
    this.#spend(chat);
    const message = this.#remember({
      chat,
      fromBot: true,
      ...text,
      buttons,
      silent: p.disable_notification === true || p.disable_notification === 'true',
      document,
    });
    return publicMessage(message);
  }

  #mayReply(p: Params, chat: number): void {
    const to = p.reply_parameters as { message_id?: number; allow_sending_without_reply?: boolean } | undefined;
    if (!to || to.allow_sending_without_reply) return;
    if (!this.messages.some((m) => m.messageId === to.message_id && m.chat === chat && !m.deleted))
      throw bad('message to be replied not found');
  }

  #sendDocument(p: Params): unknown {
    const document = p.document;
    if (!isUpload(document)) throw bad('there is no document in the request');
    if (!document.content) throw bad('file must be non-empty');
    const caption = p.caption === undefined ? NO_TEXT : readText(p, 'caption', CAPTION_LIMIT);
    return this.#send(p, caption, document);
  }

  #edit(p: Params, text: Formatted | null): unknown {
    const message = this.#ownMessage(p, 'edit');
    if (text && message.document) throw bad('there is no text in the message to edit');
    const buttons = readButtons(p);
    const next = text ?? message;
    const same = JSON.stringify([next.text, next.entities, buttons]);
    if (same === JSON.stringify([message.text, message.entities, message.buttons]))
      throw bad(
        'message is not modified: specified new message content and reply markup are exactly the same as a current ' +
          'content and reply markup of the message',
      );
    this.#spend(message.chat);
    if (text) {
      message.past.push(message.text);
      Object.assign(message, text);
    }
    message.buttons = buttons;
    return publicMessage(message);
  }

  #ownMessage(p: Params, verb: 'edit' | 'delete'): FakeMessage {
    const chat = this.#chat(p);
    const id = Number(p.message_id);
    if (!Number.isInteger(id) || id <= 0) throw bad('message identifier is not specified');
    const message = this.messages.find((m) => m.messageId === id && m.chat === chat && !m.deleted);
    if (!message) throw bad(`message to ${verb} not found`);
    if (!message.fromBot) throw bad(`message can't be ${verb}${verb === 'edit' ? 'ed' : 'd'}`);
    return message;
  }

  #answerCallback(p: Params): unknown {
    const press = this.#presses.get(String(p.callback_query_id));
    if (!press || this.#options.now() - press.at > CALLBACK_LIFE_MS)
      throw bad('query is too old and response timeout expired or query ID is invalid');
    const text = String(p.text ?? '');
    if (text.length > 200) throw bad('MESSAGE_TOO_LONG');
    press.answers.push(text);
    return true;
  }

  #chat(p: Params): number {
    const id = Number(p.chat_id);
    const moved = this.migrated.get(id);
    if (moved !== undefined)
      throw new ApiFailure(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
        migrate_to_chat_id: moved,
      });
    if (p.chat_id === undefined || p.chat_id === '') throw bad('chat_id is empty');
    if (!this.#chats.has(id)) throw bad('chat not found');
    if (this.blocked.has(id)) throw new ApiFailure(403, 'Forbidden: bot was blocked by the user');
    return id;
  }

  #spend(_chat: number): void {
    const { count, windowMs } = this.#options.limit;
    const now = Date.now();
    this.#spent = this.#spent.filter((at) => now - at < windowMs);
    if (this.#spent.length >= count) {
      const retryAfter = Math.max(1, Math.ceil(((this.#spent[0] as number) + windowMs - now) / 1000));
      throw new ApiFailure(429, describe(429, retryAfter), { retry_after: retryAfter });
    }
    this.#spent.push(now);
  }

  #remember(message: Pick<FakeMessage, 'chat' | 'fromBot'> & Formatted & Partial<FakeMessage>): FakeMessage {
    const kept: FakeMessage = {
      messageId: this.#nextMessage++,
      at: this.#options.now(),
      buttons: [],
      silent: false,
      document: null,
      past: [],
      deleted: false,
      ...message,
    };
    this.messages.push(kept);
    return kept;
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}

function unauthorized(call: FakeCall): unknown {
  call.status = 401;
  call.error = 'Unauthorized';
  return { ok: false, error_code: 401, description: 'Unauthorized' };
}

/** An answer without end, as fast as the other side reads it. */
function flood(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const write = () => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', write);
  };
  write();
}
