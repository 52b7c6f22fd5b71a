// What the gateway says itself.

import type { Exchange, Refusal } from './http/door.ts';

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

/** The same, for what may be worth another try. */
export function said(status: number, type: string, message: string): Refusal {
  const fields = status === 529 ? [...JSON_FIELDS, 'retry-after', '1'] : JSON_FIELDS;
  return { status, fields, body: JSON.stringify({ type: 'error', error: { type, message } }) };
}
