// Everything the gateway knows about its upstreams: where they are, whether they may be asked, what they last said.

import { createHash } from 'node:crypto';
import type { ModelQuota } from '../core/gateway.ts';
import { Breakers, type OpenBreaker, type Target } from './breaker.ts';
import { type Place, placeOf } from './calling.ts';
import type { GatewaySpec, QuotaReading, Route, Upstream, UpstreamStatus, Verdict } from './contract.ts';
import type { DialectName } from './dialects/contract.ts';
import { exhaustedAt, usedOf } from './forecast.ts';
import { Lines } from './http/lines.ts';
import type { Stop } from './http/stop.ts';
import { type Headers, quotasOf } from './limits.ts';
import { Slots } from './slots.ts';

/** One upstream with what was learned about it. */
export interface Known {
  /** As it is now: a look at its server may have told more of it. */
  upstream: Upstream;
  readonly place: Place;
  readonly slots: Slots;
  /** Dialects it turned out not to speak. */
  readonly unspoken: Set<DialectName>;
  /** Context it turned out to have, where the configuration does not say. */
  contextTokens: number | null;
  answered: number;
  failed: number;
  lastAnswerAt: number | null;
  quotas: readonly QuotaReading[];
}

/** A quota as it was stated at some time: what a forecast is made of. */
export interface QuotaSample extends QuotaReading {
  readonly upstream: string;
  readonly at: number;
}

/** What survives a restart. */
export interface Remembered {
  readonly version: 1;
  readonly breakers: readonly OpenBreaker[];
  readonly quotas: readonly QuotaSample[];
}

const SAMPLE_EVERY_MS = 10_000;
const SAMPLES_KEPT = 1_000;
const HASHES_KEPT = 200;

export interface UpstreamsOptions {
  readonly random?: (() => number) | undefined;
  /** Told of bugs of ours. */
  readonly problem?: ((message: string, error: unknown) => void) | undefined;
}

export class Upstreams {
  readonly breakers: Breakers;
  readonly lines: Lines;
  #known: Known[] = [];
  #routes: readonly Route[] = [];
  #samples: QuotaSample[] = [];
  readonly #sampledAt = new Map<string, number>();
  readonly #hashes = new Map<string, string>();
  #changed: Array<() => void> = [];
  /** Called when something that must survive has changed. */
  onChange: () => void = () => {};

  constructor(spec: Pick<GatewaySpec, 'upstreams'>, options: UpstreamsOptions = {}) {
    const { random, problem } = options;
    this.lines = new Lines(problem && { problem });
    this.breakers = new Breakers(random);
    this.replace(spec.upstreams);
  }

  get all(): readonly Known[] {
    return this.#known;
  }

  get routes(): readonly Route[] {
    return this.#routes;
  }

  named(name: string): Known | null {
    return this.#known.find(({ upstream }) => upstream.name === name) ?? null;
  }

  /** Takes in a new list (a local server was found); what is known of the others stays. */
  replace(upstreams: readonly Upstream[]): void {
    this.#known = upstreams.map((upstream) => {
      const before = this.#known.find(
        (k) => k.upstream.name === upstream.name && k.upstream.baseUrl === upstream.baseUrl,
      );
      if (before === undefined) return blank(upstream);
      // The same one: requests that are on their way count and learn on it.
      before.upstream = upstream;
      return before;
    });
  }

  setRoutes(routes: readonly Route[]): void {
    this.#routes = routes;
    this.#wake();
  }

  /** Where a plan has sent what would go to `name`. */
  routeFrom(name: string, now: number): string | null {
    return this.#routes.find((route) => route.from === name && route.until > now)?.to ?? null;
  }

  target(known: Known, key: string, model: string): Target {
    return { upstream: known.upstream.name, key: this.#hash(key), model };
  }

  /** Keys are told apart by a hash that says nothing about them. */
  #hash(key: string): string {
    const made = this.#hashes.get(key);
    if (made !== undefined) return made;
    const hash =
      key === '' ? 'none' : createHash('sha256').update(`selfheal gateway\0${key}`).digest('hex').slice(0, 12);
    if (this.#hashes.size >= HASHES_KEPT) this.#hashes.clear();
    this.#hashes.set(key, hash);
    return hash;
  }

  /** An answer has begun: takes its quotas in. Returns what was open until now. */
  succeeded(known: Known, target: Target, now: number, ticket: number): OpenBreaker | null {
    known.answered += 1;
    known.lastAnswerAt = now;
    const was = this.breakers.succeeded(target, ticket);
    if (was) this.#wake();
    return was;
  }

  /** `ticket` null: of a request that had not asked whether it may. */
  failed(known: Known, target: Target, verdict: Verdict, now: number, ticket: number | null): OpenBreaker | null {
    known.failed += 1;
    const open = this.breakers.failed(target, verdict, now, ticket);
    this.#wake();
    return open;
  }

  readQuotas(known: Known, headers: Headers, now: number): void {
    const quotas = quotasOf(headers, now);
    if (quotas.length === 0) return;
    known.quotas = quotas;
    for (const quota of quotas) {
      const name = `${known.upstream.name} ${quota.dimension}`;
      if (now - (this.#sampledAt.get(name) ?? 0) < SAMPLE_EVERY_MS) continue;
      this.#sampledAt.set(name, now);
      this.#samples.push({ ...quota, upstream: known.upstream.name, at: now });
      if (this.#samples.length > SAMPLES_KEPT) this.#samples = this.#samples.slice(-SAMPLES_KEPT);
      this.onChange();
    }
  }

  /** Resolves at the next change of a breaker or route, or after `ms`. */
  async changed(ms: number, signal: Stop): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#changed = this.#changed.filter((call) => call !== done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, Math.min(ms, 2 ** 31 - 1)));
      signal.addEventListener('abort', done);
      this.#changed.push(done);
    });
  }

  #wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const call of waiting) call();
    this.onChange();
  }

  remember(): Remembered {
    return { version: 1, breakers: this.breakers.open(), quotas: this.#samples };
  }

  recall(remembered: Remembered): void {
    this.breakers.restore(remembered.breakers);
    this.#samples = remembered.quotas.slice(-SAMPLES_KEPT);
  }

  status(now: number): readonly UpstreamStatus[] {
    const open = this.breakers.open();
    return this.#known.map(({ upstream, answered, failed, lastAnswerAt, quotas, place }) => ({
      name: upstream.name,
      kind: upstream.kind,
      address: `${place.secure ? 'https' : 'http'}://${place.host}${place.base}`,
      model: upstream.model,
      fallback: upstream.fallback,
      open: open
        .filter(({ scope }) => scope === upstream.name || scope.startsWith(`${upstream.name} key `))
        .map(({ scope, kind, since, until, message }) => ({ scope, kind, since, until, message })),
      answered,
      failed,
      lastAnswerAt,
      quotas: quotas.flatMap((reading) => this.#quota(upstream.name, reading, now)),
    }));
  }

  #quota(upstream: string, reading: QuotaReading, now: number): ModelQuota[] {
    const used = usedOf(reading);
    const { dimension, resetAt } = reading;
    // What was said of a window that is over says nothing about the next one.
    if (used === null || (resetAt !== null && resetAt <= now)) return [];
    const series = this.#samples.filter((s) => s.upstream === upstream && s.dimension === dimension);
    return [{ dimension, used, resetAt, exhaustedAt: exhaustedAt(series, now) }];
  }

  close(): void {
    this.lines.close();
  }
}

function blank(upstream: Upstream): Known {
  return {
    upstream,
    place: placeOf(upstream),
    slots: new Slots(upstream.concurrency),
    unspoken: new Set(),
    contextTokens: null,
    answered: 0,
    failed: 0,
    lastAnswerAt: null,
    quotas: [],
  };
}
