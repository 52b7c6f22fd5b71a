// Everything that is no conversation (models, counts of tokens, files): to the first upstream of its kind, untouched. What
// only asks may be asked elsewhere when that one cannot answer; what changes something is sent once.

import type { Clock } from '../core/clock.ts';
import { CallError, pathAt } from './calling.ts';
import type { Deadlines, Upstream } from './contract.ts';
import type { DialectName } from './dialects/contract.ts';
import { dialects } from './dialects/index.ts';
import type { Answer } from './http/answer.ts';
import { joined } from './http/answer.ts';
import type { Exchange } from './http/exchange.ts';
import { isObject, parseJson } from './json.ts';
import { refuse } from './refusing.ts';
import { headersFor, keyFor, passedHeaders, sizeOf } from './requesting.ts';
import { tokensOf } from './trim.ts';
import type { Known, Upstreams } from './upstreams.ts';
import { verdictOf } from './verdict.ts';

export interface AsideOptions {
  readonly exchange: Exchange;
  /** Path and query without the agent's token. */
  readonly path: string;
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  /** May a fallback answer? */
  readonly mayFallBack: boolean;
}

const COUNT = /^\/v1\/messages\/count_tokens(?:\?|$)/;

/** Resolves when the caller has his answer, or has gone. */
export async function passAside(options: AsideOptions): Promise<void> {
  const { exchange, path } = options;
  const spoken = spokenAt(path, exchange);
  const asked = candidates(options, spoken);
  const [first] = asked;
  if (!first) return refuse(exchange, 404, `no upstream speaks ${spoken}`);
  let failure: { readonly status: number; readonly message: string } | null = null;
  for (const known of asked) {
    try {
      const answer = await call(options, known, spoken);
      const isLast = known === asked.at(-1) && !COUNT.test(path);
      // What a fallback does not know, it may only not know.
      const isGood = answer.status < 400 || (known === first && answer.status < 500 && answer.status !== 429);
      if (isLast || isGood) return await passed(answer, exchange, known === first ? null : known);
      failure = { status: answer.status, message: `${known.upstream.name} answered HTTP ${answer.status}` };
      answer.destroy();
    } catch (error) {
      if (exchange.gone.aborted) return;
      if (!(error instanceof CallError)) throw error;
      failure = { status: error.verdict.kind === 'timeout' ? 504 : 502, message: error.message };
    }
  }
  if (COUNT.test(path) && options.mayFallBack && countHere(exchange)) return;
  refuse(exchange, failure?.status ?? 502, failure?.message ?? 'nobody answers');
}

function spokenAt(path: string, { request }: Exchange): DialectName {
  return /^\/v1\/(?:messages|complete)/.test(path) || request.headers['anthropic-version'] ? 'messages' : 'chat';
}

/** The first of its kind; for what only asks, also the others, fallbacks last. */
function candidates({ upstreams, exchange, path, mayFallBack }: AsideOptions, spoken: DialectName): readonly Known[] {
  const kind: Upstream['kind'] = spoken === 'messages' ? 'anthropic' : 'openai';
  const firsts = upstreams.all.filter(({ upstream }) => upstream.kind === kind && !upstream.fallback);
  const onlyAsks = exchange.request.method === 'GET' || exchange.request.method === 'HEAD' || COUNT.test(path);
  if (!onlyAsks) return firsts.slice(0, 1);
  const fallbacks = mayFallBack ? upstreams.all.filter(({ upstream }) => upstream.fallback) : [];
  return [...firsts, ...fallbacks.filter(({ upstream }) => upstream.dialects.includes(spoken))];
}

async function call(
  { exchange, path, upstreams, deadlines, clock }: AsideOptions,
  known: Known,
  spoken: DialectName,
): Promise<Answer> {
  const { upstream, place } = known;
  const { request, body } = exchange;
  const headers = headersFor(request.headers, upstream, place.host, spoken, spoken);
  if (body.length > 0) headers['content-length'] = String(sizeOf(body));
  const answer = await upstreams.lines.call({
    place,
    method: request.method,
    path: pathAt(place, path),
    headers,
    body,
    connectMs: deadlines.connectMs,
    headMs: deadlines.wholeMs,
    signal: exchange.gone,
  });
  const now = clock.now();
  upstreams.readQuotas(known, answer.headers, now);
  if (answer.status === 429) {
    // It says nothing about a model, but about the key where the head names a time.
    const verdict = verdictOf({ status: 429, headers: answer.headers, body: null }, now);
    const target = upstreams.target(known, keyFor(request.headers, upstream, spoken), 'aside');
    upstreams.failed(known, target, verdict, now, null);
  }
  return answer;
}

/** An answer as it comes, with the length it announces; marked when it is not of the first choice. */
function passed(answer: Answer, exchange: Exchange, other: Known | null): Promise<void> {
  const length = answer.headers['content-length'];
  const marks = other === null ? [] : ['x-selfheal-upstream', other.upstream.name.replace(/[^\x20-\x7e]/g, '?')];
  exchange.open(
    answer.status,
    [...passedHeaders(answer.fields), ...marks],
    // A length beside chunks is not the length of what is handed on.
    /^\d{1,15}$/.test(length ?? '') && answer.headers['transfer-encoding'] === undefined ? Number(length) : null,
  );
  return new Promise((resolve) => {
    const left = (): void => {
      answer.destroy();
      resolve();
    };
    if (exchange.gone.aborted) return left();
    exchange.gone.addEventListener('abort', left);
    answer.read({
      data: (bytes) => {
        if (exchange.write(bytes)) return;
        answer.pause();
        exchange.onceDrained(() => answer.resume());
      },
      ended: (error) => {
        exchange.gone.removeEventListener('abort', left);
        if (error) exchange.destroy();
        else exchange.end();
        resolve();
      },
    });
  });
}

/** A count that nobody makes is estimated, on the safe side: agents only ask whether a prompt still fits. */
function countHere(exchange: Exchange): boolean {
  const body = parseJson(joined(exchange.body).toString('utf8'));
  if (!isObject(body)) return false;
  const tokens = tokensOf(dialects.messages.readRequest(body));
  const fields = ['content-type', 'application/json', 'x-selfheal-upstream', 'estimate'];
  exchange.answer(200, fields, [Buffer.from(JSON.stringify({ input_tokens: tokens }))]);
  return true;
}
