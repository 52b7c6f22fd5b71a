// The wire of the fake Bot API: how requests are read, what is refused at once and in which words, and how
// answers are written.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { EntityError, parseHtml, parseMarkdownV2, type Entity } from './telegram-entities.ts';

export type Params = Record<string, unknown>;

export interface FakeButton {
  readonly text: string;
  readonly callback_data?: string;
  readonly url?: string;
}

/** A message as the chat shows it now. */
export interface FakeMessage {
  readonly messageId: number;
  readonly chat: number;
  /** The bot's own, or a person's. */
  readonly fromBot: boolean;
  readonly at: number;
  text: string;
  entities: readonly Entity[];
  /** As it was sent, before parsing. */
  raw: string;
  parseMode: string | null;
  buttons: readonly (readonly FakeButton[])[];
  readonly silent: boolean;
  document: { readonly name: string; readonly content: string } | null;
  /** Texts it has shown before, oldest first. */
  readonly past: string[];
  deleted: boolean;
}

export const TEXT_LIMIT = 4096;
export const CAPTION_LIMIT = 1024;

export class ApiFailure extends Error {
  readonly status: number;
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  constructor(status: number, description: string, parameters?: Readonly<Record<string, unknown>>) {
    super(description);
    this.status = status;
    this.parameters = parameters;
  }
}

export const bad = (description: string) => new ApiFailure(400, `Bad Request: ${description}`);
export interface Formatted {
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly raw: string;
  readonly parseMode: string | null;
}

export const NO_TEXT: Formatted = { text: '', entities: [], raw: '', parseMode: null };

interface Upload {
  readonly name: string;
  readonly content: string;
}

export function isUpload(value: unknown): value is Upload {
  return typeof value === 'object' && value !== null && 'content' in value && 'name' in value;
}

export async function readParams(request: IncomingMessage): Promise<Params> {
  const query = Object.fromEntries(new URL(request.url ?? '/', 'http://fake').searchParams);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const type = request.headers['content-type'] ?? '';
  if (type.includes('json')) return { ...query, ...(JSON.parse(body.toString('utf8') || '{}') as Params) };
  if (type.includes('form')) return { ...query, ...readForm(body, type) };
  return query;
}

/** Multipart after RFC 7578. Written out, because the parser of fetch refuses an unquoted file name, which the Bot API takes. */
function readForm(body: Buffer, type: string): Params {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (!boundary) throw bad('boundary is missing');
  const params: Params = {};
  const files = new Map<string, Upload>();
  // One byte is one character here, so that positions hold for any content.
  for (const part of body.toString('latin1').split(`--${boundary}`).slice(1, -1)) {
    const at = part.indexOf('\r\n\r\n');
    const head = part.slice(0, at);
    const content = Buffer.from(part.slice(at + 4, -2), 'latin1').toString('utf8');
    const name = /;\s*name="?([^";\r\n]+)"?/i.exec(head)?.[1] ?? '';
    const file = /;\s*filename="?([^";\r\n]+)"?/i.exec(head)?.[1];
    if (file === undefined) params[name] = content;
    else files.set(name, { name: file, content });
  }
  for (const [name, upload] of files) params[name] = upload;
  for (const [name, value] of Object.entries(params)) {
    const attached = typeof value === 'string' ? /^attach:\/\/(.+)$/.exec(value) : null;
    if (attached) params[name] = files.get(attached[1] as string);
  }
  return params;
}

/** The server has other words for an edit that is too long than for a message. */
export function readText(p: Params, name: 'text' | 'caption', limit: number, tooLong?: string): Formatted {
  const raw = typeof p[name] === 'string' ? (p[name] as string) : '';
  const parsed = parse(raw, String(p.parse_mode ?? ''));
  const text = parsed.text.trim();
  if (!text && name === 'text') throw bad('message text is empty');
  if (text.length > limit)
    throw bad(tooLong ?? (name === 'text' ? 'message is too long' : 'message caption is too long'));
  return { text, entities: parsed.entities, raw, parseMode: p.parse_mode ? String(p.parse_mode) : null };
}

function parse(raw: string, mode: string): { text: string; entities: readonly Entity[] } {
  try {
    if (mode === '') return { text: raw, entities: [] };
    if (mode.toLowerCase() === 'html') return parseHtml(raw);
    if (mode.toLowerCase() === 'markdownv2') return parseMarkdownV2(raw);
  } catch (error) {
    if (error instanceof EntityError) throw bad(error.message);
    throw error;
  }
  throw bad('unsupported parse_mode');
}

export function readButtons(p: Params): FakeMessage['buttons'] {
  const rows = markupOf(p)?.inline_keyboard ?? [];
  for (const button of rows.flat()) {
    if (!button.text) throw bad('inline keyboard button text is empty');
    const { callback_data: data } = button;
    if (data !== undefined && (!data || Buffer.byteLength(data) > 64)) throw bad('BUTTON_DATA_INVALID');
    if (data === undefined && !button.url)
      throw bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard");
  }
  return rows;
}

function markupOf(p: Params): { inline_keyboard?: FakeButton[][] } | undefined {
  if (typeof p.reply_markup !== 'string') return p.reply_markup as { inline_keyboard?: FakeButton[][] } | undefined;
  try {
    return JSON.parse(p.reply_markup) as { inline_keyboard?: FakeButton[][] };
  } catch {
    throw bad("can't parse reply keyboard markup JSON object");
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function describe(status: number, retryAfter?: number): string {
  if (status === 429) return `Too Many Requests: retry after ${retryAfter ?? 1}`;
  if (status === 401) return 'Unauthorized';
  if (status === 403) return 'Forbidden: bot was blocked by the user';
  return status >= 500 ? 'Internal Server Error' : 'Bad Request';
}

export function person(id: number): Params {
  return { id, is_bot: false, first_name: `user${id}` };
}

export function chatObject(id: number): Params {
  return id < 0 ? { id, type: 'supergroup', title: `group${id}` } : { id, type: 'private', first_name: `user${id}` };
}

export function publicMessage(message: FakeMessage): Params {
  return {
    message_id: message.messageId,
    date: Math.floor(message.at / 1000),
    chat: chatObject(message.chat),
    from: message.fromBot ? { id: 4242, is_bot: true, first_name: 'selfheal' } : person(message.chat),
    ...(message.text && { text: message.text, entities: message.entities }),
    ...(message.document && { document: { file_id: 'f', file_unique_id: 'f', file_name: message.document.name } }),
    ...(message.buttons.length > 0 && { reply_markup: { inline_keyboard: message.buttons } }),
  };
}
