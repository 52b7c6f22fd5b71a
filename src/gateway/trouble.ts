// What the agent is told when nobody can answer: what went wrong, and when it is worth another try.

import type { Breakers } from './breaker.ts';
import type { Candidate } from './candidates.ts';
import type { Verdict } from './contract.ts';
import type { Trouble } from './dialects/contract.ts';

export interface Refusal {
  readonly from: Candidate;
  readonly verdict: Verdict;
  /** The answer as it came, for the agent when nobody else can help. */
  readonly answer: {
    readonly status: number;
    readonly headers: readonly string[];
    readonly body: readonly Buffer[];
  } | null;
}

/** SDKs obey a stated wait up to here and hammer beyond it. */
const OBEYED_SEC = 60;

/** How long a candidate is left alone; `until` is now for one that may be asked. */
export interface Wait {
  readonly name: string;
  readonly until: number;
  /** Null: it may be asked. */
  readonly why: string | null;
}

export function waitsOf(candidates: Iterable<Candidate>, breakers: Breakers, now: number): readonly Wait[] {
  return [...candidates].map(({ known, target }) => {
    const wait = breakers.peek(target, now);
    return { name: known.upstream.name, until: wait?.until ?? now, why: wait?.breaker.message ?? null };
  });
}

export function troubleOf(refusal: Refusal | null, waits: readonly Wait[]): Trouble {
  const waiting = waits.flatMap(({ name, until, why }) =>
    why === null ? [] : [`${name} waits until ${new Date(until).toISOString()} (${why})`],
  );
  const said = refusal ? `${refusal.from.known.upstream.name}: ${refusal.verdict.message || refusal.verdict.code}` : '';
  const nobody = 'no model upstream can answer now';
  const message = `selfheal gateway: ${[nobody, said, ...waiting].filter(Boolean).join('; ')}`.slice(0, 600);
  const kind = refusal?.verdict.kind ?? (waiting.length > 0 ? 'limited' : 'server');
  return { ...TROUBLES[kind], message };
}

/** Headers that keep SDKs from hammering: seconds until the first candidate may be asked again, rounded up. */
export function adviceOf(waits: readonly Wait[], now: number): readonly string[] {
  const first = Math.min(...waits.map(({ until }) => until));
  const waitSec = waits.length === 0 ? null : Math.max(1, Math.ceil((first - now) / 1000));
  return [
    ...(waitSec === null ? [] : ['retry-after', String(waitSec)]),
    ...['x-should-retry', String(waitSec !== null && waitSec <= OBEYED_SEC)],
  ];
}

/** Fields of an upstream's error without its own advice, which ours replaces. */
export const withoutAdvice = (fields: readonly string[]): readonly string[] =>
  fields.filter((_, i, all) => !ADVICE.test(all[i - (i % 2)] ?? ''));

const ADVICE = /^(?:retry-after|retry-after-ms|x-should-retry|content-length)$/i;

const TROUBLES: Readonly<Record<Verdict['kind'], Omit<Trouble, 'message'>>> = {
  limited: { status: 429, type: 'rate_limit_error' },
  overloaded: { status: 529, type: 'overloaded_error' },
  exhausted: { status: 429, type: 'rate_limit_error' },
  'too-long': { status: 400, type: 'invalid_request_error' },
  invalid: { status: 400, type: 'invalid_request_error' },
  unsupported: { status: 404, type: 'not_found_error' },
  auth: { status: 401, type: 'authentication_error' },
  transport: { status: 503, type: 'api_error' },
  timeout: { status: 504, type: 'timeout_error' },
  server: { status: 503, type: 'api_error' },
};
