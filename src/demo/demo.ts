// `selfheal demo`: breaks two real agents in six ways each and lets the ordinary monitor heal them,
// with nothing simulated. Needs no network beyond the loopback and leaves nothing behind.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentDetail } from '../answers.ts';
import type { Config, GatewayConfig, ServiceConfig } from '../config/contract.ts';
import type { ServiceFacts } from '../host/contract.ts';
import { systemClock } from '../host/clock.ts';
import { createRun } from '../host/run.ts';
import { SelfHealingMonitor } from '../monitor.ts';
import type { Log } from '../telemetry/log.ts';
import { createDrillKit, type DrillWorld } from '../testing/create-drill-kit.ts';
import { acts, type Act } from './acts.ts';
import { Providers } from './provider.ts';
import { healedAfterMs, tell, type Paint, type Scene } from './story.ts';
import { nodeAgent, openWorld, prepareAgent, pythonAgent, type AgentKind, type World } from './world.ts';

export interface DemoOptions {
  /** Folder with the example agents. */
  readonly examples: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly print: (line: string) => void;
  readonly paint: Paint;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface DemoResult {
  readonly healed: number;
  readonly faults: number;
  readonly tookMs: number;
  readonly scenes: readonly { readonly agent: string; readonly title: string; readonly healedAfterMs: number | null }[];
}

const SETTLE_MS = 1_000;
const CHECK_INTERVAL_MS = 1_000;
/** A scene that is not over by then has failed. It takes ten seconds; a machine that is busy gets a minute. */
const SCENE_MS = 60_000;

/** Plays all acts, both agents side by side. Resolves with what was healed; everything it made is gone then. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const began = systemClock.monotonic();
  const { print, paint } = options;
  print(paint.bold('selfheal demo: two small agents, six faults each, everything real'));
  print(
    paint.dim(
      '  preparing a Python agent (venv, pip index) and a Node agent (node_modules, npm registry), each with a git upstream',
    ),
  );
  const stage = await Stage.open(options);
  try {
    print(paint.dim(`  ready after ${seconds(systemClock.monotonic() - began)}; selfheal watches both from now on`));
    print('');
    const scenes = (await Promise.all(stage.kinds.map((kind) => stage.play(kind)))).flat();
    const healed = scenes.filter((s) => s.healedAfterMs !== null).length;
    const tookMs = systemClock.monotonic() - began;
    const sum = `healed ${healed} of ${scenes.length} faults in ${seconds(tookMs)}`;
    print(healed === scenes.length ? paint.good(sum) : paint.bad(sum));
    return { healed, faults: scenes.length, tookMs, scenes };
  } finally {
    await stage.close();
  }
}

class Stage {
  readonly kinds: readonly AgentKind[] = [pythonAgent, nodeAgent];
  readonly #options: DemoOptions;
  readonly #folder: string;
  readonly #worlds = new Map<string, DrillWorld>();
  #monitor: SelfHealingMonitor | null = null;
  #providers: Providers | null = null;
  #number = 0;

  private constructor(options: DemoOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  static async open(options: DemoOptions): Promise<Stage> {
    const stage = new Stage(options, await mkdtemp(join(tmpdir(), 'selfheal-demo-')));
    try {
      await stage.#prepare();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Plays every act with one agent, one after the other, and prints each story when it is over. */
  async play(kind: AgentKind): Promise<DemoResult['scenes']> {
    const world = this.#world(kind);
    const results: DemoResult['scenes'][number][] = [];
    for (const act of acts) {
      if (this.#options.signal.aborted) break;
      await this.#healthy(kind);
      const scene = await this.#scene(kind, act, world);
      const detail = await this.#end(kind, act, scene.brokeAt);
      this.#number += 1;
      const verdict = (await act.judge?.(world)) ?? null;
      for (const line of tell({ ...scene, number: this.#number, verdict }, detail, this.#options.paint))
        this.#options.print(line);
      const healed = verdict?.ok === false ? null : healedAfterMs(scene.brokeAt, detail);
      results.push({ agent: kind.name, title: act.title, healedAfterMs: healed });
    }
    return results;
  }

  async close(): Promise<void> {
    await this.#monitor?.stop();
    for (const world of this.#worlds.values()) await world.close();
    await this.#providers?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #prepare(): Promise<void> {
    const run = createRun({ home: this.#folder });
    const services = await Promise.all(
      this.kinds.map(async (kind) => {
        const world = createDrillKit({ run, name: kind.name });
        this.#worlds.set(kind.name, world);
        return serviceOf(await prepareAgent(kind, world, this.#options.examples));
      }),
    );
    this.#providers = await Providers.open(this.kinds);
    this.#monitor = new SelfHealingMonitor({
      config: demoConfig(join(this.#folder, 'state'), services, this.#providers.gateway()),
      environment: this.#options.environment,
      log: this.#options.log,
    });
    await this.#monitor.start();
  }

  async #scene(kind: AgentKind, act: Act, world: World): Promise<Omit<Scene, 'number' | 'verdict'>> {
    const brokeAt = Date.now();
    return { agent: kind.name, title: act.title, directory: world.directory, brokeAt, broke: await act.play(world) };
  }

  /** The incident of the act, once it has an end; null when nothing was noticed in time. */
  async #end(kind: AgentKind, act: Act, since: number): Promise<IncidentDetail | null> {
    const { operations } = this.#running();
    const deadline = Date.now() + SCENE_MS;
    for (;;) {
      const all = await operations.incidents({ all: true });
      const found = all.filter(
        (i) => i.service === kind.name && act.types.includes(i.type) && Date.parse(i.lastSeen) >= since,
      );
      // One fault may be reported as several problems: the story is that of the one that was acted on.
      const ends = found.filter((i) => i.state === 'needs-human' || (i.state === 'resolved' && i.outcome !== null));
      const told = ends[0] ?? found[0];
      if (ends.length > 0 || Date.now() > deadline || this.#options.signal.aborted)
        return told ? operations.incident(told.id) : null;
      await systemClock.sleep(100, this.#options.signal);
    }
  }

  /** An act begins when the agent is well: its last repair is over and its configuration is proven good. */
  async #healthy(kind: AgentKind): Promise<void> {
    const { operations } = this.#running();
    for (let i = 0; i < 100 && !this.#options.signal.aborted; i++) {
      const service = (await operations.status()).services.find((s) => s.name === kind.name);
      if (service?.health.passed === true) break;
      await systemClock.sleep(100, this.#options.signal);
    }
    await systemClock.sleep(CHECK_INTERVAL_MS * 2.5, this.#options.signal);
  }

  #world(kind: AgentKind): World {
    const world = this.#worlds.get(kind.name);
    if (!world) throw new Error(`no world was made for ${kind.name}`);
    const provider = this.#providers?.of(kind.name);
    if (!provider) throw new Error('the providers are not there');
    return openWorld(kind, world, this.#running().operations, provider);
  }

  #running(): SelfHealingMonitor {
    if (!this.#monitor) throw new Error('the monitor is not running');
    return this.#monitor;
  }
}

/** The policy of a person who lets everything run that can be undone. */
function serviceOf(facts: ServiceFacts): ServiceConfig {
  return {
    ...facts,
    settleMs: SETTLE_MS,
    logs: [],
    journald: null,
    docker: null,
    configFiles: [join(facts.directory, 'settings.json')],
    idle: false,
    fixes: { 'sync-git': 'auto' },
    environment: { PYTHONDONTWRITEBYTECODE: '1' },
  };
}

function demoConfig(state: string, services: readonly ServiceConfig[], gateway: GatewayConfig): Config {
  return {
    file: null,
    node: 'demo',
    enabled: true,
    autoFix: true,
    checkIntervalMs: CHECK_INTERVAL_MS,
    maxAutoFixAttempts: 3,
    notifyOnFix: false,
    notifyOnCritical: false,
    autoFixTypes: null,
    state,
    services,
    telegram: null,
    webhook: null,
    quietHours: null,
    digestIntervalMs: 3_600_000,
    dashboard: null,
    gateway,
    rules: [],
    severities: {},
    limits: { changesPerHour: 100, changesPerDay: 100, restartsPerHour: 100 },
  };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
