// The daemon's side of the gateway's process: starts it, keeps it, stores what it tells of itself, and tells it
// which routes plans have set.

import { fileURLToPath } from 'node:url';
import type { Config } from './config/contract.ts';
import type { Clock } from './core/clock.ts';
import type { GatewayReport, ModelRoute } from './core/gateway.ts';
import { advance, type Incident } from './core/incident.ts';
import type { GatewayEvent, GatewayStatus, Route } from './gateway/contract.ts';
import { type Environment, gatewayEnvironment, gatewayStart, type GatewayStart } from './gateway/spec.ts';
import { keepWorker } from './host/worker.ts';
import { VALUE_KEYS, type Store } from './store/contract.ts';
import type { Log } from './telemetry/log.ts';

export type ToGateway =
  | ({ readonly kind: 'start'; readonly routes: readonly Route[] } & GatewayStart)
  | { readonly kind: 'routes'; readonly routes: readonly Route[] };

export type FromGateway =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'status'; readonly status: GatewayStatus }
  | { readonly kind: 'event'; readonly event: GatewayEvent }
  | { readonly kind: 'problem'; readonly text: string };

export interface GatewayWorkerOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly store: Pick<Store, 'value' | 'setValue' | 'incidents' | 'saveIncident' | 'addTimeline'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Hears of incidents that are over because a provider answers again. */
  readonly changed: (incident: Incident) => void | Promise<void>;
  /** Compiled `gateway-main.js`. Default: the one of this build. */
  readonly program?: string;
}

export interface GatewayWorker {
  /** Null when it does not listen: agents are then left as they are. */
  readonly url: string | null;
  /** Variables for a supervised service; empty when the gateway does not listen. */
  environment(service: string): Readonly<Record<string, string>>;
  /** Looks at the stored routes again. */
  lookAtRoutes(): Promise<void>;
  close(): Promise<void>;
}

/** Longest wait for it to listen. */
const READY_MS = 10_000;

/** Starts it and waits until it listens, or cannot: an agent is only pointed at a port that answers. */
export async function startGatewayWorker(options: GatewayWorkerOptions): Promise<GatewayWorker> {
  const { store, clock, log } = options;
  let start = await gatewayStart(options.config, options.environment);
  let routes = await storedRoutes(store, clock.now());
  let url: string | null = null;
  let settle = (): void => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const heard = (message: FromGateway): void => {
    switch (message.kind) {
      case 'ready':
        url = message.url;
        // A restarted gateway must be found where its agents were told.
        start = { ...start, spec: { ...start.spec, port: Number(new URL(url).port) } };
        return settle();
      case 'failed':
        log.error('the gateway does not listen', { reason: message.reason });
        return settle();
      case 'status':
        store.setValue(VALUE_KEYS.gateway, reportOf(message.status, clock.now())).catch(() => {});
        return;
      case 'event':
        if (message.event.kind === 'restored')
          noteReturn(options, message.event).catch((error) => log.error('a return could not be noted', { error }));
        return;
      case 'problem':
        log.error('the gateway reports a problem', { text: message.text });
    }
  };
  const worker = keepWorker({
    program: options.program ?? mainProgram(),
    hello: () => ({ kind: 'start', ...start, routes }) satisfies ToGateway,
    onMessage: (message) => heard(message as FromGateway),
    onEnd: (how, waitMs) => log.error('the gateway is started again', { how, waitMs }),
    clock,
    env: certificates(options.environment),
  });
  const patience = new AbortController();
  await Promise.race([settled, clock.sleep(READY_MS, patience.signal)]);
  patience.abort();
  return {
    get url() {
      return url;
    },
    environment: (service) => (url === null ? {} : gatewayEnvironment(url, start.spec, service)),
    lookAtRoutes: async () => {
      const now = await storedRoutes(store, clock.now());
      if (JSON.stringify(now) === JSON.stringify(routes)) return;
      routes = now;
      worker.send({ kind: 'routes', routes } satisfies ToGateway);
    },
    close: async () => {
      await worker.close();
      await store.setValue(VALUE_KEYS.gateway, null).catch(() => {});
    },
  };
}

/** Where a company's own certificates are; nothing else of our environment is its business. */
function certificates(environment: Environment): Readonly<Record<string, string>> {
  const names = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

async function storedRoutes(store: Pick<Store, 'value'>, now: number): Promise<readonly ModelRoute[]> {
  const stored = (await store.value<readonly ModelRoute[]>(VALUE_KEYS.routes)) ?? [];
  return stored.filter((route) => route.until > now);
}

type Restored = Extract<GatewayEvent, { kind: 'restored' }>;

/** The story of each incident that the gateway has told gets its end; what nobody has healed is over by itself. */
async function noteReturn(options: GatewayWorkerOptions, { upstream, downMs, at }: Restored): Promise<void> {
  const { store, changed } = options;
  const recent = await store.incidents({ since: at - downMs - RETURN_SLACK_MS, limit: 200 });
  const told = recent.filter(
    (i) => i.samples.some((s) => s.source.includes('/gateway/record/')) && i.message.includes(` ${upstream} `),
  );
  for (const incident of told) {
    const text = `${upstream} answers again after ${Math.round(downMs / 1000)} s`;
    await store.addTimeline({ incident: incident.id, at, kind: 'restored', text });
    if (incident.state.name !== 'open' && incident.state.name !== 'needs-human') continue;
    const over = advance(incident, { kind: 'cleared', at, by: 'itself', reason: text, cause: null, outcome: null });
    if (over && (await store.saveIncident(over))) await changed(over);
  }
}

const RETURN_SLACK_MS = 60_000;

function reportOf(status: GatewayStatus, at: number): GatewayReport {
  return {
    url: status.url,
    at,
    requests: status.requests,
    failovers: status.failovers,
    spliced: status.spliced,
    lost: status.lost,
    upstreams: status.upstreams.map(({ name, kind, fallback, model, open, answered, lastAnswerAt, quotas }) => ({
      name,
      kind,
      fallback,
      model,
      open: open.map((o) => ({ kind: o.kind, until: o.until, message: o.message })),
      answered,
      lastAnswerAt,
      quotas,
    })),
  };
}

/** Beside this file in a build; in dist/ when the sources themselves are run, by a test runner. */
function mainProgram(): string {
  const compiled = import.meta.url.endsWith('.js');
  return fileURLToPath(new URL(compiled ? './gateway-main.js' : '../dist/gateway-main.js', import.meta.url));
}
