// Proof of a route: is the first choice unable to answer, or sent elsewhere, and does the other one really answer? The
// other one is asked for one word, unless it has just answered somebody.

import type { Clock } from '../core/clock.ts';
import { CallError, pathAt } from './calling.ts';
import type { Deadlines } from './contract.ts';
import { readAll } from './http/answer.ts';
import { dialects } from './dialects/index.ts';
import { headersFor } from './requesting.ts';
import type { Known, Upstreams } from './upstreams.ts';

export interface RouteProof {
  readonly ok: boolean;
  readonly said: string;
}

/** An answer this fresh is proof enough. */
const FRESH_MS = 30_000;
const ANSWER_CAP = 64 * 1024;

/** True when a route leads from `from` to `to`, and `to` answers. */
export async function proveRoute(
  upstreams: Upstreams,
  from: string,
  to: string,
  deadlines: Deadlines,
  clock: Clock,
): Promise<RouteProof> {
  if (upstreams.routeFrom(from, clock.now()) !== to) return { ok: false, said: `no route leads from ${from} to ${to}` };
  const known = upstreams.named(to);
  if (known === null) return { ok: false, said: `there is no upstream ${to}` };
  const age = clock.now() - (known.lastAnswerAt ?? 0);
  if (age < FRESH_MS) return { ok: true, said: `${to} answered ${Math.round(age / 1000)} s ago` };
  return askOneWord(upstreams, known, deadlines, clock);
}

/** A real, small request; what comes back counts as an answer. */
export async function askOneWord(
  upstreams: Upstreams,
  known: Known,
  deadlines: Deadlines,
  clock: Clock,
): Promise<RouteProof> {
  const { upstream, place } = known;
  const dialect = dialects[upstream.dialects[0] ?? 'chat'];
  const body = Buffer.from(
    JSON.stringify(
      dialect.writeRequest({
        model: upstream.model ?? '',
        system: null,
        turns: [{ role: 'user', parts: [{ kind: 'text', text: 'Say ok.' }] }],
        tools: [],
        toolChoice: null,
        parallelTools: true,
        maxTokens: 16,
        temperature: null,
        topP: null,
        stop: [],
        stream: false,
      }),
    ),
  );
  const headers = headersFor({}, upstream, place.host, dialect.name, dialect.name);
  headers['content-type'] = 'application/json';
  headers['content-length'] = String(body.length);
  try {
    const response = await upstreams.lines.call({
      place,
      method: 'POST',
      path: pathAt(place, dialect.path),
      headers,
      body: [body],
      connectMs: deadlines.connectMs,
      headMs: deadlines.firstMs,
      signal: AbortSignal.timeout(deadlines.firstMs),
    });
    await readAll(response, ANSWER_CAP, deadlines.firstMs);
    const ok = response.status === 200;
    if (ok) known.lastAnswerAt = clock.now();
    return { ok, said: `${upstream.name} answered HTTP ${response.status}` };
  } catch (error) {
    return { ok: false, said: error instanceof CallError ? error.message : `${upstream.name} did not answer` };
  }
}
