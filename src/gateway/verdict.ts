// What an error of a provider means. Status, type, code and details are read together: no single one of them is
// enough (429 is a limit of a minute, a spent budget or a too long prompt; 400 may be an empty account).

import { redact } from '../core/redact.ts';
import { oneLine } from '../core/visible.ts';
import type { Verdict } from './contract.ts';
import type { Json } from './dialects/contract.ts';
import { isObject, listAt, numberAt, objectAt, textAt } from './json.ts';
import { type Headers, readyAt } from './limits.ts';

const MESSAGE_KEPT = 200;

const SPENT =
  /insufficient_quota|credit_balance|spend_limit|billing_hard_limit|usage_limit_exceeded|payment_required|exceeded your current quota|credit balance is too low|enforced_spend|insufficient balance|specified (?:api )?usage limits/i;
const TOO_LONG =
  /context_length_exceeded|exceed_context_size|prompt is too long|maximum context length|context (?:size|window|length)|too many tokens|long context requests/i;
const BUSY =
  /overloaded|server_is_overloaded|slow_down|capacity exceeded|server busy|UNAVAILABLE|loading model|no available (?:capacity|server)|engine is currently/i;
const LIMIT = /rate_?limit|too many requests|RESOURCE_EXHAUSTED|Throttling|quota/i;

export interface Failure {
  /** Null for an error inside a stream. */
  readonly status: number | null;
  readonly headers: Headers;
  /** Parsed, or the text of a body that is no JSON. */
  readonly body: Json;
}

/** Reads an error answer, or an error event of a stream. `now` is epoch milliseconds. */
export function verdictOf({ status, headers, body }: Failure, now: number): Verdict {
  const { code, message, all } = wordsOf(body);
  const base = { status, code: code || (status === null ? 'error' : `http_${status}`), message: tidy(message) };
  const until = readyAt(headers, body, now);
  if (SPENT.test(all) || status === 402 || spentForToday(body)) return { ...base, kind: 'exhausted', until };
  if (TOO_LONG.test(all) && (status === null || (status >= 400 && status < 500)))
    return { ...base, kind: 'too-long', contextTokens: contextOf(body) };
  if (status === 529 || status === 498 || (BUSY.test(all) && status !== 400))
    return { ...base, kind: 'overloaded', until };
  if (status === 429 || (LIMIT.test(code) && (status === null || status >= 400)))
    return { ...base, kind: 'limited', until };
  if (status === 401 || status === 403 || /authentication_error|permission_error|invalid_api_key/.test(code))
    return { ...base, kind: 'auth' };
  if (status === 503) return { ...base, kind: 'overloaded', until };
  if (status === 404 || status === 405 || status === 501)
    return { ...base, kind: /model/i.test(all) ? 'invalid' : 'unsupported' };
  if (status === 408 || status === 504 || /timeout_error/.test(code)) return { ...base, kind: 'timeout' };
  if (status !== null && status >= 400 && status < 500 && status !== 409) return { ...base, kind: 'invalid' };
  return { ...base, kind: 'server' };
}

/** A connection that failed: refused, reset, cut, or silent beyond its deadline. */
export function brokenBy(kind: 'transport' | 'timeout', code: string, message: string): Verdict {
  return { kind, status: null, code, message: tidy(message) };
}

/** Everything an error says, in the envelopes of Anthropic, OpenAI, Google, Mistral, Ollama and proxies. */
function wordsOf(body: Json): { readonly code: string; readonly message: string; readonly all: string } {
  if (typeof body === 'string') return { code: '', message: body, all: body.slice(0, 4_000) };
  const error = isObject(body) ? body['error'] : undefined;
  const inner = isObject(error) ? error : isObject(body) ? body : {};
  const details = objectAt(inner, 'details');
  const codes = [
    textAt(details, 'error_code'),
    textAt(inner, 'type') === 'invalid_request_error' ? null : textAt(inner, 'type'),
    textAt(inner, 'code'),
    textAt(inner, 'status'),
    textAt(inner, 'type'),
  ];
  const message = textAt(inner, 'message') ?? (typeof error === 'string' ? error : '');
  const words = codes.filter((c): c is string => c !== null && c !== 'error');
  return { code: words[0] ?? '', message, all: [...words, message].join(' ').slice(0, 4_000) };
}

/** Google names the quota that is spent: one of a day, or one of nothing, does not come back by waiting a minute. */
function spentForToday(body: Json): boolean {
  return listAt(objectAt(body, 'error'), 'details').some((detail) =>
    listAt(detail, 'violations').some(
      (v) => /PerDay/.test(textAt(v, 'quotaId') ?? '') || textAt(v, 'quotaValue') === '0',
    ),
  );
}

/** The size of the context, where the server names it (llama.cpp as `n_ctx`). */
function contextOf(body: Json): number | null {
  const error = objectAt(body, 'error');
  const named = numberAt(error, 'n_ctx');
  if (named !== null) return named;
  const said = /(?:maximum context length is|context (?:size|window|length)[^\d]{0,20}|> )(\d{3,7})/i.exec(
    textAt(error, 'message') ?? '',
  );
  return said ? Number(said[1]) : null;
}

const tidy = (text: string): string => oneLine(redact(text, []), MESSAGE_KEPT);
