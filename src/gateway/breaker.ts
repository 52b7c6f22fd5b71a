// Who is asked and who is left alone for a while. One breaker per provider, key and model; a refused key and a
// broken connection close more than one model. State machine without a clock of its own.

import type { Verdict, VerdictKind } from './contract.ts';

/** What a request to an upstream depends on. */
export interface Target {
  readonly upstream: string;
  /** Hash of the key; never the key. */
  readonly key: string;
  readonly model: string;
}

export interface OpenBreaker {
  readonly scope: string;
  readonly kind: VerdictKind;
  readonly message: string;
  readonly since: number;
  readonly until: number;
  /** The provider itself named the time. */
  readonly stated: boolean;
  /** Times it opened again without having been closed: its wait doubles. */
  readonly times: number;
}

/** `probe`: exactly this request may try; it must report how it went. `ticket` tells what happened before it was asked, and what after. */
export type Permission =
  | { readonly kind: 'go' | 'probe'; readonly ticket: number }
  | { readonly kind: 'wait'; readonly until: number; readonly breaker: OpenBreaker };

interface State {
  failures: number[];
  open: OpenBreaker | null;
  /** Ticket of the look that is under way. */
  probing: number | null;
  /** Ticket of the last failure. */
  failedAt: number;
  /** Read from a file of an earlier run: one look is allowed before its time. */
  restored: boolean;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
/** Single failures are healed without leaving the upstream: two within a minute open the breaker. */
const TOLERATED = 2;
const WINDOW_MS = 60 * SECOND;
/** Waits without a hint, doubled each time up to the second figure. */
const LADDER: Readonly<Partial<Record<VerdictKind, readonly [number, number]>>> = {
  limited: [5 * SECOND, 600 * SECOND],
  overloaded: [10 * SECOND, 300 * SECOND],
  exhausted: [HOUR, 6 * HOUR],
  auth: [60 * SECOND, HOUR],
  transport: [2 * SECOND, 60 * SECOND],
  timeout: [10 * SECOND, 300 * SECOND],
  server: [5 * SECOND, 120 * SECOND],
};
const AT_ONCE: ReadonlySet<VerdictKind> = new Set(['limited', 'overloaded', 'exhausted', 'auth']);
/** More scopes than any host has; the oldest go. */
const SCOPE_CAP = 500;
const JITTER = 0.1;

export class Breakers {
  readonly #states = new Map<string, State>();
  readonly #random: () => number;
  /** Counts permissions and failures, in their order. */
  #tickets = 0;

  /** `random` gives 0 to 1, for the jitter of guessed waits. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** May this target be asked now? A granted probe is taken: `failed` or `succeeded` must follow, or `abandoned`. */
  ask(target: Target, now: number): Permission {
    const open = scopesOf(target).flatMap((scope) => {
      const state = this.#states.get(scope);
      return state?.open ? [{ state, open: state.open }] : [];
    });
    const closed = open.find(({ state, open: o }) => state.probing !== null || (now < o.until && !state.restored));
    if (closed) return { kind: 'wait', until: Math.max(closed.open.until, now), breaker: closed.open };
    const ticket = ++this.#tickets;
    if (open.length === 0) return { kind: 'go', ticket };
    for (const { state } of open) [state.probing, state.restored] = [ticket, false];
    return { kind: 'probe', ticket };
  }

  /** When it could be asked, without taking a probe. */
  peek(target: Target, now: number): { readonly until: number; readonly breaker: OpenBreaker } | null {
    const waits = scopesOf(target).flatMap((scope) => {
      const state = this.#states.get(scope);
      return state?.open && (state.open.until > now || state.probing !== null) && !state.restored ? [state.open] : [];
    });
    const last = waits.sort((a, b) => b.until - a.until)[0];
    return last ? { until: last.until, breaker: last } : null;
  }

  /** Takes a failure in; returns the breaker when it is open now. `ticket` null: of a request that had not asked. */
  failed(target: Target, verdict: Verdict, now: number, ticket: number | null): OpenBreaker | null {
    const scope = scopeOf(target, verdict.kind);
    this.abandoned(target, ticket);
    if (scope === null) return null;
    const state = this.#state(scope);
    state.failedAt = ++this.#tickets;
    state.failures = [...state.failures.filter((at) => now - at < WINDOW_MS), now].slice(-5);
    const isDue = AT_ONCE.has(verdict.kind) || state.open !== null || state.failures.length >= TOLERATED;
    if (!isDue) return null;
    state.open = this.#opened(scope, state.open, verdict, now);
    return state.open;
  }

  #opened(scope: string, before: OpenBreaker | null, verdict: Verdict, now: number): OpenBreaker {
    const stated = 'until' in verdict ? verdict.until : null;
    // Failures that were under way when it opened say the same thing once more: the ladder goes up per look.
    const times = before === null ? 1 : before.until > now ? before.times : before.times + 1;
    const guessed = now + this.#guess(verdict.kind, times);
    const until = stated ?? guessed;
    return {
      scope,
      kind: verdict.kind,
      message: `${verdict.code}: ${verdict.message}`,
      stated: stated !== null,
      since: before?.since ?? now,
      // A later, shorter hint never shortens what was stated before.
      until: Math.max(until, before && before.until > now ? before.until : 0),
      times,
    };
  }

  #guess(kind: VerdictKind, times: number): number {
    const [first, most] = LADDER[kind] ?? [5 * SECOND, 120 * SECOND];
    const wait = Math.min(first * 2 ** Math.min(times - 1, 20), most);
    return Math.round(wait * (1 + JITTER * this.#random()));
  }

  /** Takes a success in; returns what was open until now. Who was asked before the last failure says nothing about what came after it. */
  succeeded(target: Target, ticket: number): OpenBreaker | null {
    let was: OpenBreaker | null = null;
    for (const scope of scopesOf(target)) {
      const state = this.#states.get(scope);
      if (state === undefined) continue;
      if (state.failedAt > ticket) {
        // The look is over all the same: the next one must be possible.
        if (state.probing === ticket) state.probing = null;
        continue;
      }
      was ??= state.open;
      this.#states.delete(scope);
    }
    return was;
  }

  /** The probe ended without telling anything: the caller went away. */
  abandoned(target: Target, ticket: number | null): void {
    for (const scope of scopesOf(target)) {
      const state = this.#states.get(scope);
      if (state && state.probing === ticket) state.probing = null;
    }
  }

  /** All open breakers, for status and for the file. */
  open(): readonly OpenBreaker[] {
    return [...this.#states.values()].flatMap((state) => (state.open ? [state.open] : []));
  }

  /** Takes in what an earlier run had open. Its wait goes on, but one look is allowed at once. */
  restore(breakers: readonly OpenBreaker[]): void {
    for (const open of breakers.slice(-SCOPE_CAP))
      this.#states.set(open.scope, { failures: [], open, probing: null, failedAt: 0, restored: true });
  }

  #state(scope: string): State {
    const known = this.#states.get(scope);
    if (known) return known;
    if (this.#states.size >= SCOPE_CAP) this.#states.delete(this.#states.keys().next().value ?? '');
    const state: State = { failures: [], open: null, probing: null, failedAt: 0, restored: false };
    this.#states.set(scope, state);
    return state;
  }
}

function scopesOf({ upstream, key, model }: Target): readonly string[] {
  return [upstream, `${upstream} key ${key}`, `${upstream} key ${key} ${model}`];
}

/** What a failure says something about; null when it says nothing about the upstream. */
function scopeOf(target: Target, kind: VerdictKind): string | null {
  const [upstream, key, model] = scopesOf(target) as [string, string, string];
  switch (kind) {
    case 'transport':
      return upstream;
    case 'auth':
      return key;
    case 'limited':
    case 'overloaded':
    case 'exhausted':
    case 'timeout':
    case 'server':
      return model;
    case 'too-long':
    case 'invalid':
    case 'unsupported':
      return null;
  }
}
