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

/** As configured, own dialect before others, fallbacks last, each behind the one that a route sends its requests to. `meant` would answer on a good day. */
export function orderOf(
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

/** Null when it cannot answer this request. What is bound to the first choice goes nowhere else (`mayBeBound`: it need not be looked at). */
export function candidateOf(known: Known, { request, upstreams }: Choosing, mayBeBound: boolean): Candidate | null {
  const { upstream } = known;
  const dialect = dialectFor(upstream, request.dialect, known.unspoken);
  if (dialect === null) return null;
  // Another vendor does not know the model that the caller names.
  const isForeign = upstream.kind !== kindOf(request.dialect.name) || upstream.fallback;
  if (isForeign && upstream.model === null) return null;
  // Only parsed once somebody else is to be asked.
  if (!mayBeBound && request.bound !== null) return null;
  const key = keyFor(request.headers, upstream, request.dialect.name);
  const target = upstreams.target(known, key, upstream.model ?? request.model);
  return { known, dialect, model: upstream.model, target };
}
