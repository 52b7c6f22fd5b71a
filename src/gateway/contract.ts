// What the parts of the gateway say to each other: where requests can go, what went wrong there, and what is told.

import type { ModelQuota } from '../core/gateway.ts';
import type { DialectName } from './dialects/contract.ts';

/** Who may answer when the first choice cannot. `ask`: only after a person has approved the switch. */
export type FallbackPolicy = 'auto' | 'ask' | 'off';

export interface Upstream {
  readonly name: string;
  readonly kind: 'anthropic' | 'openai';
  /** Without a slash at its end; of OpenAI's kind usually with `/v1`. */
  readonly baseUrl: string;
  /** Null: the caller's own key is passed on, but only to an upstream of the caller's kind that is no fallback. */
  readonly apiKey: string | null;
  /** Null: the model that the caller names. */
  readonly model: string | null;
  readonly fallback: boolean;
  /** Dialects it speaks, best first. */
  readonly dialects: readonly DialectName[];
  /** Tokens that fit into its context; null when nobody knows. */
  readonly contextTokens: number | null;
  /** Requests it is given at a time; null: as many as come. */
  readonly concurrency: number | null;
  /** Asked for a word every few minutes, so that it stays loaded. */
  readonly keepWarm: boolean;
}

/** Somebody who calls: the token stands in the path of his base URL, `/a/TOKEN`. */
export interface Agent {
  readonly service: string;
  readonly token: string;
  readonly fallback: FallbackPolicy;
}

export interface Deadlines {
  readonly connectMs: number;
  /** Until the head of a streamed answer. */
  readonly headMs: number;
  /** Until the head of an answer that comes at once: the whole generation. */
  readonly wholeMs: number;
  /** Until the first content of a stream; pings are none. */
  readonly firstMs: number;
  /** Between two pieces of content. */
  readonly stallMs: number;
  /** Between the terminal event of a stream and the end of the upstream's message. */
  readonly drainMs: number;
  /** Nothing was sent to a waiting caller for so long: a ping goes out. */
  readonly pingMs: number;
}

export const DEADLINES: Deadlines = {
  connectMs: 5_000,
  headMs: 60_000,
  wholeMs: 600_000,
  firstMs: 120_000,
  stallMs: 90_000,
  drainMs: 5_000,
  pingMs: 10_000,
};

export interface GatewaySpec {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly upstreams: readonly Upstream[];
  readonly agents: readonly Agent[];
  /** True: who calls without a token of an agent is refused. */
  readonly tokenRequired: boolean;
  /** Limits that are over sooner are waited out instead of being answered by somebody else, in milliseconds. */
  readonly pauseMs: number;
  /** The state folder, for what must survive a restart and for the record of what happened. Null: nothing survives. */
  readonly stateDirectory: string | null;
}

/** What went wrong at an upstream. `until` is epoch milliseconds; null: it did not say. */
export type Verdict = {
  readonly status: number | null;
  /** The provider's own word: `rate_limit_error`, `insufficient_quota`, `ECONNRESET`. */
  readonly code: string;
  /** One line for people, without secrets, capped. */
  readonly message: string;
} & (
  | { readonly kind: 'limited' | 'overloaded' | 'exhausted'; readonly until: number | null }
  | { readonly kind: 'too-long'; readonly contextTokens: number | null }
  /** The request itself is wrong: nobody else would take it. */
  | { readonly kind: 'invalid' }
  /** The path is unknown there: this dialect is not spoken. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'auth' | 'transport' | 'timeout' | 'server' }
);
export type VerdictKind = Verdict['kind'];

/** A route that a plan has set: what would go to `from` goes to `to`, until then. */
export interface Route {
  readonly from: string;
  readonly to: string;
  readonly until: number;
}

/** What the gateway tells: it goes into the record of its service, which is watched like any log. */
export type GatewayEvent = { readonly at: number; readonly service: string | null } & (
  | {
      readonly kind: 'failover';
      readonly from: string;
      /** Null: nobody could answer. */
      readonly to: string | null;
      readonly verdict: Verdict;
      /** Seconds until the first one is asked again. */
      readonly waitSec: number | null;
      /** How far the answer had come. */
      readonly moment: 'before' | 'within';
    }
  | { readonly kind: 'paused'; readonly upstream: string; readonly verdict: Verdict; readonly waitSec: number }
  | { readonly kind: 'restored'; readonly upstream: string; readonly downMs: number }
);

/** Share of a quota as a provider states it in the head of an answer. */
export interface QuotaReading {
  /** `requests`, `tokens`, `input-tokens`, `output-tokens`, `unified-5h`, … */
  readonly dimension: string;
  readonly limit: number | null;
  readonly remaining: number | null;
  /** 0 to 1, where the provider gives only that. */
  readonly utilisation: number | null;
  readonly resetAt: number | null;
}

export interface UpstreamStatus {
  readonly name: string;
  readonly kind: Upstream['kind'];
  readonly address: string;
  readonly model: string | null;
  readonly fallback: boolean;
  /** Closed breakers are left out. */
  readonly open: readonly {
    readonly scope: string;
    readonly kind: VerdictKind;
    readonly since: number;
    readonly until: number;
    readonly message: string;
  }[];
  readonly answered: number;
  readonly failed: number;
  readonly lastAnswerAt: number | null;
  readonly quotas: readonly ModelQuota[];
}

export interface GatewayStatus {
  readonly url: string;
  readonly since: number;
  readonly requests: number;
  /** Requests that somebody else answered than was meant to. */
  readonly failovers: number;
  /** Streams that broke in the middle and were finished elsewhere. */
  readonly spliced: number;
  /** Requests that nobody could answer. */
  readonly lost: number;
  readonly upstreams: readonly UpstreamStatus[];
  readonly routes: readonly Route[];
}
