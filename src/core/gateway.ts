// What daemon, hands and gateway agree on without knowing each other: names of stored values and of files.

/** Sends what would go to one upstream of the gateway to another one, until then (epoch milliseconds). */
export interface ModelRoute {
  readonly from: string;
  readonly to: string;
  readonly until: number;
  /** Plan that set it. */
  readonly plan: string;
}

/** How much of a provider's quota is used, as it last said itself. */
export interface ModelQuota {
  /** The provider's own word: `requests`, `tokens`, `unified-5h`, … */
  readonly dimension: string;
  /** Share, 0 to 1. */
  readonly used: number;
  /** When it begins anew, epoch milliseconds; null: the provider does not say. */
  readonly resetAt: number | null;
  /** When nothing will be left if spending goes on like this, before it begins anew; null: that is not to be expected. */
  readonly exhaustedAt: number | null;
}

/** An upstream as the gateway last told of it. */
export interface ModelUpstream {
  readonly name: string;
  /** Whose interface it has: `anthropic` or `openai`. */
  readonly kind: string;
  readonly fallback: boolean;
  readonly model: string | null;
  readonly open: readonly { readonly kind: string; readonly until: number; readonly message: string }[];
  readonly answered: number;
  readonly lastAnswerAt: number | null;
  readonly quotas: readonly ModelQuota[];
}

/** The gateway as it last told of itself: the stored value `gateway`. */
export interface GatewayReport {
  readonly url: string;
  readonly at: number;
  readonly requests: number;
  readonly failovers: number;
  readonly spliced: number;
  readonly lost: number;
  readonly upstreams: readonly ModelUpstream[];
}

/** Folder of the gateway in the state folder. */
export const gatewayFolder = (state: string): string => `${state}/gateway`;

/** File with what the gateway tells about the calls of one service, which is watched like a log; null: of nobody we know. */
export function gatewayRecord(state: string, service: string | null): string {
  return `${gatewayFolder(state)}/record/${service ?? 'nobody'}.log`;
}

/** Name of the model that selfheal runs itself, among the upstreams. */
export const EMBEDDED_UPSTREAM = 'embedded';

/** The package that runs it: optional, and the owner's to install. */
export const MODEL_RUNTIME = '@fugood/llama.node';
