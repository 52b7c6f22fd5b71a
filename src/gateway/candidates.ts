// Who could answer a request, best first.

import type { Target } from './breaker.ts';
import type { FallbackPolicy } from './contract.ts';
import type { Dialect } from './dialects/contract.ts';
import { type AgentRequest, dialectFor, keyFor, kindOf } from './requesting.ts';
import type { Known, Upstreams } from './upstreams.ts';

/** An upstream that may be asked, in the order of preference. */
export interface Candidate {
  readonly known: Known;
  readonly dialect: Dialect;
  readonly model: string | null;
  readonly target: Target;
}

export interface Choosing {
  readonly request: AgentRequest;
  readonly upstreams: Upstreams;
  readonly policy: FallbackPolicy;
}

/**
 * Who could answer, best first. What is bound to its provider goes to the first choice or nowhere, whoever waits and wherever a route
 * leads; whether it is, is only read once somebody else is to be asked. `meant` would answer on a good day.
 */
export function candidatesOf(
  choosing: Choosing,
  now: number,
): { readonly candidates: Iterable<Candidate>; readonly meant: Known | null } {
  const { order, meant } = orderOf(choosing, now);
  const able = order.flatMap((known) => candidateOf(known, choosing) ?? []);
  const home = able.find(({ known }) => known === meant) ?? able[0];
  return { candidates: mayBeAsked(able, home, choosing.request), meant };
}

function* mayBeAsked(able: readonly Candidate[], home: Candidate | undefined, request: AgentRequest) {
  for (const candidate of able) if (candidate === home || request.bound === null) yield candidate;
}

/** As configured, own dialect before others, fallbacks last, each behind the one that a route sends its requests to. */
function orderOf(
  { upstreams, request, policy }: Choosing,
  now: number,
): { readonly order: readonly Known[]; readonly meant: Known | null } {
  const kind = kindOf(request.dialect.name);
  const all = upstreams.all.filter(({ upstream }) => !upstream.fallback);
  const firsts = [...all.filter((k) => k.upstream.kind === kind), ...all.filter((k) => k.upstream.kind !== kind)];
  const fallbacks = policy === 'auto' ? upstreams.all.filter(({ upstream }) => upstream.fallback) : [];
  const order = new Set<Known>();
  for (const known of [...firsts, ...fallbacks]) {
    const to = upstreams.routeFrom(known.upstream.name, now);
    const routed = to === null ? null : upstreams.named(to);
    if (routed) order.add(routed);
    order.add(known);
  }
  return { order: [...order], meant: firsts[0] ?? null };
}

/** Null when it cannot answer this request. */
function candidateOf(known: Known, { request, upstreams }: Choosing): Candidate | null {
  const { upstream } = known;
  const dialect = dialectFor(upstream, request.dialect, known.unspoken);
  if (dialect === null) return null;
  // Another vendor does not know the model that the caller names.
  const isForeign = upstream.kind !== kindOf(request.dialect.name) || upstream.fallback;
  if (isForeign && upstream.model === null) return null;
  const key = keyFor(request.headers, upstream, request.dialect.name);
  const target = upstreams.target(known, key, upstream.model ?? request.model);
  return { known, dialect, model: upstream.model, target };
}
