// A webhook: each notification as signed JSON, after the Standard Webhooks specification
// (https://www.standardwebhooks.com), so that receivers can check it with existing libraries.

import { createHmac } from 'node:crypto';
import type { WebhookConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Notification } from '../core/notification.ts';
import type { Delivery, Notifier } from './contract.ts';
import { call, NoAnswer } from './shared/http.ts';

const TIMEOUT_MS = 10_000;
const RETRY_STATUS = new Set([408, 409, 423, 425, 429]);
/** A receiver that asks for more is asked again after an hour all the same. */
const LONGEST_WAIT_MS = 3_600_000;

/**
 * Posts `{type, id, key, incident, severity, title, body, excerpt, reason, manner, at}` with the headers `webhook-id`,
 * `webhook-timestamp` and, when a secret is configured, `webhook-signature: v1,BASE64(HMAC-SHA256(secret, id.timestamp.body))`.
 * A secret that begins with `whsec_` is base64 after it, any other is used as it is. 2xx is delivered; 408, 409, 423, 425,
 * 429, 5xx and silence are tried again, `Retry-After` is honoured; redirects are not followed.
 */
export function createWebhookNotifier(config: WebhookConfig, clock: Pick<Clock, 'now'>): Notifier {
  return {
    name: 'webhook',
    edits: false,
    send: async (notification, { signal }) => {
      const body = JSON.stringify(payloadOf(notification));
      const headers = { 'content-type': 'application/json', ...signed(config, notification.id, body, clock.now()) };
      try {
        const answer = await call(config.url, { method: 'POST', headers, body, timeoutMs: TIMEOUT_MS, signal });
        return deliveryOf(answer.status, answer.headers.get('retry-after'), clock.now());
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        return { kind: 'retry', afterMs: null, error: `webhook: ${error.message}`, doubtful: error.mayHaveArrived };
      }
    },
  };
}

function payloadOf(notification: Notification): Readonly<Record<string, unknown>> {
  const { id, key, incident, severity, title, body, excerpt, reason, manner, at } = notification;
  return {
    type: 'selfheal.notification',
    id,
    key,
    incident,
    severity,
    title,
    body,
    excerpt: excerpt ?? null,
    reason,
    manner: manner ?? 'news',
    at: new Date(at).toISOString(),
  };
}

function signed({ secret }: WebhookConfig, id: string, body: string, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (!secret) return headers;
  const signature = createHmac('sha256', keyOf(secret.reveal())).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { ...headers, 'webhook-signature': `v1,${signature}` };
}

function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
}

function deliveryOf(status: number, retryAfter: string | null, now: number): Delivery {
  if (status >= 200 && status < 300) return { kind: 'sent', externalId: null };
  const error = `webhook answered ${status}`;
  if (RETRY_STATUS.has(status) || status >= 500) return { kind: 'retry', afterMs: waitOf(retryAfter, now), error };
  return { kind: 'rejected', error };
}

/** `Retry-After` in seconds or as a date; null when there is none that makes sense. */
function waitOf(header: string | null, now: number): number | null {
  if (!header) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, LONGEST_WAIT_MS) : null;
}
