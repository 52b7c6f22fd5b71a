// SelfHealingMonitor: the daemon as a class. It holds the host's lock, runs the three flows (watch,
// heal, tell) until it is stopped, and closes everything in reverse order.

import { setMaxListeners } from 'node:events';
import { basename, join } from 'node:path';
import { createBase, operationsOn, type Base, type Environment } from './app.ts';
import type { Config } from './config/contract.ts';
import { loadConfig } from './config/load.ts';
import type { Clock } from './core/clock.ts';
import type { Incident } from './core/incident.ts';
import { createGoodCopies } from './engine/good-copies.ts';
import { Incidents } from './engine/incidents.ts';
import { type Chore, HOUR_MS, KEEP_MS, sweep } from './engine/sweep.ts';
import { createTelling, type Notice, type Telling } from './engine/telling.ts';
import { WatchFlow } from './engine/watch.ts';
import type { GatewayWorker } from './gateway-worker.ts';
import type { Fix } from './fixes/contract.ts';
import { Flows } from './flows.ts';
import { systemClock } from './host/clock.ts';
import { sweepKeptOutput } from './host/kept-output.ts';
import { createSupervisor, type SupervisorControl } from './host/supervisor.ts';
import type { Notifier } from './notifiers/contract.ts';
import type { Operations } from './operations.ts';
import { createJournalStarter } from './host/journal.ts';
import { createSources } from './sources/index.ts';
import { StoreError, VALUE_KEYS, type Store } from './store/contract.ts';
import {
  backUpStore,
  dropBallast,
  keepBallast,
  lastBackUpAt,
  lockDaemon,
  openSoundStore,
  pruneSnapshots,
  watchStore,
} from './store/index.ts';
import { Teardown } from './teardown.ts';
import { silentLog, type Log } from './telemetry/log.ts';

export interface MonitorOptions {
  /** Default: found as the command line finds it, starting in the working directory. */
  readonly config?: Config;
  /** Seconds between sweeps; beats the configuration. Detection itself is live. */
  readonly checkInterval?: number;
  /** False: detect and ask only; beats the configuration. */
  readonly autoFixEnabled?: boolean;
  /** Environment supervised programs inherit. Default: that of this process. */
  readonly environment?: Environment;
  /** Default: silent. */
  readonly log?: Log;
  /** Fixes of your own, made with `defineFix`. One without drills is refused: `start` rejects then. */
  readonly fixes?: readonly Fix[];
  /** Who is told besides the channels of the configuration. */
  readonly notifiers?: readonly Notifier[];
  /** Gets every byte a supervised program writes, for a person who watches. */
  readonly echo?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;
  readonly clock?: Clock;
  /** Called after every stored change of an incident. What it throws is logged. */
  readonly onChange?: (incident: Incident) => void;
}

/** Where a started monitor can be reached. */
export interface Ready {
  readonly pid: number;
  readonly dashboard: string | null;
  readonly gateway: string | null;
}

/** Longest wait for sources that never say that they follow: five seconds. */
const READY_MS = 5_000;

/**
 * @example
 * const monitor = new SelfHealingMonitor({ checkInterval: 300, autoFixEnabled: true });
 * await monitor.start();
 * console.log(await monitor.operations.health());
 * await monitor.stop();
 */
export class SelfHealingMonitor {
  readonly #options: MonitorOptions;
  readonly #environment: Environment;
  readonly #log: Log;
  readonly #teardown = new Teardown();
  readonly #stopping = new AbortController();
  #operations: Operations | null = null;

  constructor(options: MonitorOptions = {}) {
    this.#options = options;
    this.#environment = options.environment ?? process.env;
    this.#log = options.log ?? silentLog;
    // Each flow, source and service waits for this one signal: their number is no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** The same questions and wishes as on the command line. Throws before `start`. */
  get operations(): Operations {
    if (!this.#operations) throw new Error('the monitor is not started yet: await start() first');
    return this.#operations;
  }

  /**
   * Takes the host's lock, opens everything and resolves once all sources are followed. Rejects with a `StoreError`
   * (`locked` when another monitor runs on this state folder); then nothing is left open.
   */
  async start(): Promise<Ready> {
    try {
      return await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops all flows, stores what was read, ends supervised programs and closes. Further calls share the first. */
  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#teardown.run((name, error) => this.#log.error('something did not close', { name, error }));
  }

  /** Wiring only, in the order in which things must exist: long, straight, and backwards again in `stop`. */
  async #start(): Promise<Ready> {
    const config = await this.#configuration();
    const log = this.#log;
    await this.#lock(config);
    const clock = this.#options.clock ?? systemClock;
    const { store, moved } = await this.#store(config, clock);
    const { fixes } = this.#options;
    const base = await createBase({ config, environment: this.#environment, clock, store, ...(fixes && { fixes }) });
    const { machine } = base;
    await store.setValue(VALUE_KEYS.services, config.services);
    await store.setValue(VALUE_KEYS.blind, {});
    const flows = new Flows({ store, clock, log, teardown: this.#teardown, signal: this.#stopping.signal });

    const telling = await this.#telling(base);
    if (moved.length > 0) void telling.notice(storeWasDamaged(config, moved, clock.now()));
    base.listeners.problem = (message, error) => log.error(message, { error });
    base.listeners.changed = ({ incident }) => this.#heard(incident, telling);
    this.#operations = operationsOn(base, { here: true, close: async () => {} });

    const gateway = config.gateway && (await this.#gateway(base, telling));
    const supervisor = this.#supervisor(base, gateway);
    const ring = await watchStore(config.state, () => {
      base.fixer.wake();
      supervisor.wake();
      gateway?.lookAtRoutes().catch((error) => log.error('routes could not be read', { error }));
    });
    this.#teardown.add('doorbell', () => ring.close());

    const copies = createGoodCopies({ store, files: machine.probe.files, git: machine.probe.git, clock });
    flows.start('good copies', (signal) =>
      sweep(
        {
          config,
          store,
          clock,
          keep: (service) => copies.look(service),
          problem: (message, error) => log.warn(message, { error }),
          chores: upkeep(config.state, store, clock),
        },
        signal,
      ),
    );
    flows.start('telling', (signal) => telling.run(signal));
    flows.start('healing', (signal) => base.fixer.run(signal));
    await this.#watch(base, flows, telling, supervisor);
    await supervisor.startAll();
    flows.start('supervisor', (signal) => supervisor.serve(signal));
    await this.#chat(base, this.#operations);
    return { pid: process.pid, dashboard: null, gateway: gateway?.url ?? null };
  }

  async #configuration(): Promise<Config> {
    const { config, checkInterval, autoFixEnabled } = this.#options;
    const found = config ?? (await loadConfig({ cwd: process.cwd(), environment: this.#environment }));
    return {
      ...found,
      ...(checkInterval === undefined ? {} : { checkIntervalMs: checkInterval * 1000 }),
      ...(autoFixEnabled === undefined ? {} : { autoFix: autoFixEnabled }),
    };
  }

  async #lock({ state }: Config): Promise<void> {
    const lock = await lockDaemon(state);
    if ('heldBy' in lock)
      throw new StoreError(
        'locked',
        `selfheal already runs here, as pid ${lock.heldBy.pid} with the state folder ${state}; \`selfheal status\` asks it, ` +
          'and another state folder (`--state`) lets a second one run beside it',
      );
    this.#teardown.add('lock', () => lock.release());
  }

  /** A damaged store is set aside, loudly, and healing waits for a person; watching and asking go on. */
  async #store({ state }: Config, clock: Clock): Promise<{ readonly store: Store; readonly moved: readonly string[] }> {
    const { store, moved } = await openSoundStore({ directory: state, clock });
    this.#teardown.add('store', () => store.close());
    if (moved.length > 0)
      this.#log.error(
        'the store was damaged and was set aside; nothing is healed until you look and `selfheal resume`',
        {
          moved,
          copies: `${state}/backups`,
        },
      );
    return { store, moved };
  }

  /** Channels are loaded when they are configured: the client of Telegram alone is a megabyte of code. */
  async #telling(base: Base): Promise<Telling> {
    const { config, store, clock } = base;
    const notifiers = [...(this.#options.notifiers ?? [])];
    if (config.telegram) {
      const [{ createTelegramNotifier }, { createTelegramMemory }] = await Promise.all([
        import('./notifiers/telegram.ts'),
        import('./chat/memory.ts'),
      ]);
      notifiers.push(createTelegramNotifier(config.telegram, createTelegramMemory(store, clock)));
    }
    if (config.webhook) {
      const { createWebhookNotifier } = await import('./notifiers/webhook.ts');
      notifiers.push(createWebhookNotifier(config.webhook, clock));
    }
    return createTelling({
      store: base.store,
      notifiers,
      config,
      clock: base.clock,
      log: (message, fields) => this.#log.info(message, fields),
    });
  }

  /** Started before the agents: they are pointed at it only when it answers. */
  async #gateway({ config, store, clock }: Base, telling: Telling): Promise<GatewayWorker> {
    const changed = (incident: Incident) => this.#heard(incident, telling);
    const means = { config, store, clock, environment: this.#environment, log: this.#log };
    const { startGatewayWorker } = await import('./gateway-worker.ts');
    const gateway = await startGatewayWorker({ ...means, changed });
    this.#teardown.add('gateway', () => gateway.close());
    return gateway;
  }

  #supervisor(base: Base, gateway: GatewayWorker | null): SupervisorControl {
    const { config } = base;
    const services = config.services.flatMap(({ command, ...s }) => {
      if (!command) return [];
      return [{ ...s, command, environment: { ...gateway?.environment(s.name), ...s.environment } }];
    });
    const supervisor = createSupervisor({
      services,
      store: base.store,
      clock: base.clock,
      run: base.machine.run,
      stateDirectory: config.state,
      environment: Object.fromEntries(
        Object.entries(this.#environment).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])),
      ),
      problem: (message, error) => this.#log.error(message, { error }),
    });
    this.#teardown.add('supervised programs', () => supervisor.close());
    return supervisor;
  }

  async #watch(base: Base, flows: Flows, telling: Telling, supervisor: SupervisorControl): Promise<void> {
    const { config, store, clock } = base;
    const { echo } = this.#options;
    const log = this.#log;
    const flow = new WatchFlow({
      sources: createSources(config, {
        supervisor,
        run: base.machine.run,
        journal: createJournalStarter(),
        services: base.machine.probe.services,
        ...(echo ? { echo } : {}),
      }),
      detector: await base.detector(),
      incidents: new Incidents({
        store,
        clock,
        node: config.node,
        redact: base.redact,
        roleOf: (service) => config.services.find(({ name }) => name === service)?.role,
      }),
      store,
      clock,
      changed: async (changes) => {
        base.fixer.wake();
        for (const { incident } of changes) await this.#heard(incident, telling);
      },
      sight: (stream, lost) => flows.sight(stream, lost),
      problem: (message, error) => {
        log.error(message, { error });
        // Given up for the next try. It is put aside again once there is plenty of room.
        if (error instanceof StoreError && error.code === 'full') dropBallast(config.state).catch(() => {});
      },
    });
    const following = new Promise<void>((resolve) => {
      flows.start('watching', (signal) => flow.run(signal, resolve));
    });
    await Promise.race([following, clock.sleep(READY_MS, this.#stopping.signal)]);
  }

  async #chat(base: Base, operations: Operations): Promise<void> {
    const { config } = base;
    if (!config.telegram) return;
    const { startTelegramChat } = await import('./chat/telegram.ts');
    const chat = await startTelegramChat({
      config: config.telegram,
      operations,
      store: base.store,
      clock: base.clock,
      log: (message, fields) => this.#log.info(message, fields),
      signal: this.#stopping.signal,
    });
    this.#teardown.add('chat', () => chat.stop());
  }

  async #heard(incident: Incident, telling: Telling): Promise<void> {
    try {
      this.#options.onChange?.(incident);
    } catch (error) {
      this.#log.error('onChange threw', { error, incident: incident.id });
    }
    await telling.told(incident);
  }
}

/** What was known is set aside: a person must hear of it wherever they are. */
function storeWasDamaged({ node, state }: Config, moved: readonly string[], now: number): Notice {
  const files = moved.map((path) => basename(path)).join(', ');
  return {
    key: `damaged-store:${now}`,
    severity: 'critical',
    title: `🧯 ${node}: my memory was damaged`,
    body: [
      'I began a new one and have set the old one aside. I watch and answer, and change nothing until you send "resume".',
      `Set aside: ${files}`,
      `Copies of better days: ${join(state, 'backups')}`,
    ].join('\n'),
    urgency: 'now',
    reason: 'critical: at once',
  };
}

const DAY_MS = 24 * HOUR_MS;

/** How the store is looked after while the daemon runs. */
function upkeep(state: string, store: Store, clock: Clock): readonly Chore[] {
  const folder = { directory: state, clock };
  return [
    { otherwise: 'no room could be put aside', everyMs: 0, work: () => keepBallast(state) },
    {
      otherwise: 'old snapshots could not be removed',
      everyMs: HOUR_MS,
      work: () => pruneSnapshots(state, store, clock.now() - KEEP_MS),
    },
    {
      otherwise: 'what killed runs have left could not be removed',
      everyMs: HOUR_MS,
      work: async () => sweepKeptOutput(clock.now()),
    },
    {
      otherwise: 'the store could not be copied',
      everyMs: HOUR_MS,
      // The age of the copies counts, not our own: a daemon that is started every night copies once a day too.
      work: async () => {
        if (clock.now() - (await lastBackUpAt(state)) >= DAY_MS) await backUpStore(folder);
      },
    },
  ];
}
