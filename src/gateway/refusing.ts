// What the gateway says itself.

import type { Refusal } from './http/door.ts';
import type { Exchange } from './http/exchange.ts';

const JSON_FIELDS = ['content-type', 'application/json'];
const REFUSED_FIELDS = [...JSON_FIELDS, 'x-should-retry', 'false'];

export function reply(exchange: Exchange, status: number, body: unknown): void {
  exchange.answer(status, JSON_FIELDS, [Buffer.from(JSON.stringify(body))]);
}

/** In the shape that SDKs of both vendors can read. */
export function refusal(status: number, message: string): Refusal {
  const body = JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message } });
  return { status, fields: REFUSED_FIELDS, body };
}

export function refuse(exchange: Exchange, status: number, message: string): void {
  const { fields, body } = refusal(status, message);
  exchange.answer(status, fields, [Buffer.from(body)]);
}

const KINDS: Readonly<Record<number, string>> = { 413: 'request_too_large', 503: 'overloaded_error' };

/** What the door says to whom it does not serve; only a full house (503) is worth another try, a second later. */
export function refusalOf(status: number, why: string): Refusal {
  const advice = status === 503 ? ['retry-after', '1', 'x-should-retry', 'true'] : ['x-should-retry', 'false'];
  const error = { type: KINDS[status] ?? 'invalid_request_error', message: `selfheal gateway: ${why}` };
  return { status, fields: [...JSON_FIELDS, ...advice], body: JSON.stringify({ type: 'error', error }) };
}
