// The one way to the Bot API: grammY over the native fetch. What comes back as an error is rebuilt from
// code, method and description, with the token taken out of each.

import { Api, GrammyError, type ApiClientOptions } from 'grammy';
import type { Secret } from '../../config/secret.ts';
import { call, NoAnswer } from './http.ts';

export interface TelegramAccess {
  readonly token: Secret;
  readonly apiRoot: string;
}

/** What a failed call means, in our words. Holds no secret. */
export interface TelegramFailure {
  /** `refused`: the server said no. `silent`: no usable answer. */
  readonly kind: 'refused' | 'silent';
  /** HTTP status or error code of the server; 0 when there was no answer. */
  readonly code: number;
  /** For people and for matching, e.g. `Bad Request: chat not found`. */
  readonly description: string;
  /** What the server asked us to wait. */
  readonly retryAfterMs: number | null;
  readonly migratedTo: number | null;
  /** True when the call may have been carried out all the same. */
  readonly mayHaveArrived: boolean;
}

const SEND_TIMEOUT_MS = 20_000;
/** The server holds a long poll this long; ours waits a little longer. */
export const POLL_SECONDS = 30;
const POLL_TIMEOUT_MS = (POLL_SECONDS + 10) * 1_000;

/** Options for grammY: native fetch, one deadline per call, answers capped. */
export function clientOptions({ apiRoot }: Pick<TelegramAccess, 'apiRoot'>): ApiClientOptions {
  return {
    apiRoot: apiRoot.replace(/\/+$/, ''),
    // grammY is typed for node-fetch; what it passes is understood by the bridge below.
    fetch: bridge as unknown as NonNullable<ApiClientOptions['fetch']>,
    timeoutSeconds: (POLL_TIMEOUT_MS + 5_000) / 1_000,
  };
}

/** An API client that sends; polling is the chat's business. */
export function telegramApi(access: TelegramAccess): Api {
  return new Api(access.token.reveal(), clientOptions(access));
}

interface GrammyRequest {
  readonly method?: string;
  readonly headers?: NonNullable<RequestInit['headers']>;
  readonly body?: RequestInit['body'];
  readonly signal?: { readonly aborted: boolean; addEventListener(name: 'abort', listener: () => void): void };
}

/** grammY's signal is a look-alike that the native fetch refuses, and it expects JSON whatever comes. */
async function bridge(url: string, init: GrammyRequest): Promise<{ json(): Promise<unknown> }> {
  const stop = new AbortController();
  if (init.signal?.aborted) stop.abort();
  init.signal?.addEventListener('abort', () => stop.abort());
  const { status, text } = await call(url, {
    ...(init.method && { method: init.method }),
    ...(init.headers && { headers: init.headers }),
    ...(init.body && { body: init.body }),
    signal: stop.signal,
    timeoutMs: url.endsWith('/getUpdates') ? POLL_TIMEOUT_MS : SEND_TIMEOUT_MS,
  });
  return { json: async () => answerOf(url.slice(url.lastIndexOf('/') + 1), status, text) };
}

/** A proxy's HTML page, a portal's redirect, half or a strange answer say nothing about our call: it is tried again. */
function answerOf(method: string, status: number, text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isAnswer(method, parsed)) return parsed;
  } catch {
    // Not JSON: see below.
  }
  const code = status === 429 ? 429 : 502;
  return { ok: false, error_code: code, description: `no Bot API answer (HTTP ${status})` };
}

type Fields = Readonly<Record<string, unknown>>;

function isAnswer(method: string, answer: unknown): boolean {
  if (!isObject(answer)) return false;
  if (answer['ok'] === true) return !(method in RESULTS) || RESULTS[method]?.(answer['result']) === true;
  const { error_code: code, description, parameters } = answer;
  const wait = isObject(parameters) ? parameters['retry_after'] : undefined;
  return Number.isInteger(code) && typeof description === 'string' && (wait === undefined || Number(wait) >= 0);
}

/** What we rely on in the results that we read. */
const RESULTS: Readonly<Record<string, (result: unknown) => boolean>> = {
  sendMessage: isMessage,
  sendDocument: isMessage,
  getMe: (result) => isObject(result) && typeof result['username'] === 'string',
  getUpdates: (result) =>
    Array.isArray(result) && result.every((one) => isObject(one) && Number.isInteger(one['update_id'])),
};

function isMessage(result: unknown): boolean {
  return isObject(result) && Number.isInteger(result['message_id']);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads any error that a call through grammY can throw. */
export function failureOf(error: unknown, token: Secret): TelegramFailure {
  if (error instanceof GrammyError) {
    const { error_code: code, description, parameters } = error;
    return {
      kind: 'refused',
      code,
      description: withoutToken(String(description), token).slice(0, 300),
      retryAfterMs: typeof parameters.retry_after === 'number' ? parameters.retry_after * 1_000 : null,
      migratedTo: parameters.migrate_to_chat_id ?? null,
      mayHaveArrived: code >= 500,
    };
  }
  const inner = (error as { error?: unknown } | null)?.error ?? error;
  const silent = inner instanceof NoAnswer ? inner : null;
  return {
    kind: 'silent',
    code: 0,
    description: silent?.message ?? 'no answer (unknown)',
    retryAfterMs: null,
    migratedTo: null,
    mayHaveArrived: silent?.mayHaveArrived ?? true,
  };
}

/** Takes the bot token, and its secret half alone, out of a text. */
export function withoutToken(text: string, token: Secret): string {
  const whole = token.reveal();
  const half = whole.slice(whole.indexOf(':') + 1);
  let out = text.replaceAll(whole, '[secret]').replaceAll(encodeURIComponent(whole), '[secret]');
  if (half.length >= 8) out = out.replaceAll(half, '[secret]');
  return out;
}

/** grammY's types want the signal of its own polyfill; the real one has all that it uses. */
export function bridged(signal: AbortSignal): NonNullable<Parameters<Api['sendMessage']>[3]> {
  return signal as unknown as NonNullable<Parameters<Api['sendMessage']>[3]>;
}
