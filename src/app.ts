// The composition root: configuration in, a running monitor out. The command line, the library and
// the demo all start selfheal through this file; there is no second path.

import { createHash } from 'node:crypto';
import type { Config, OwnFix } from './config/contract.ts';
import type { Clock } from './core/clock.ts';
import { canonicalJson } from './core/plan.ts';
import { redact } from './core/redact.ts';
import type { ErrorDetector } from './engine/detector.ts';
import { AutoFixer, type HealingChange } from './engine/fixer.ts';
import { drilledKey, fixesOf, refusalToLoad } from './engine/own-fixes.ts';
import { Planner } from './engine/planner.ts';
import type { Fix } from './fixes/contract.ts';
import { fixes } from './fixes/index.ts';
import { callHands } from './hands/client.ts';
import { systemClock } from './host/clock.ts';
import { createMachine, type Machine } from './host/machine.ts';
import { createOperations, type Operations } from './operations.ts';
import { StoreError, VALUE_KEYS, type Store } from './store/contract.ts';
import { lockDaemon, openStore, runningDaemon, startTicksOf } from './store/index.ts';

import { collectSecrets } from './secrets.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What daemon and one-shot commands alike are built on. */
export interface Base {
  readonly config: Config;
  readonly store: Store;
  readonly clock: Clock;
  readonly machine: Machine;
  /** Made at its first use: compiling all rules takes longer than most answers. Rejects with a `ConfigError`. */
  readonly detector: () => Promise<ErrorDetector>;
  readonly planner: Planner;
  readonly fixer: AutoFixer;
  /** Masks everything that looks like a secret, and the known secrets of this host. */
  readonly redact: (text: string) => string;
  /** Sets who hears of stored changes. */
  readonly listeners: {
    changed: (change: HealingChange) => void | Promise<void>;
    problem: (message: string, error: unknown) => void;
  };
}

export interface BaseOptions {
  readonly config: Config;
  /** Environment selfheal was started with: package indexes are pinned from it, supervised programs inherit it. */
  readonly environment: Environment;
  readonly clock?: Clock;
  /** Fixes of your own, made with `defineFix`, besides the catalogue and those of the configuration. */
  readonly fixes?: readonly Fix[];
  /** Opened by the caller. Default: opened here. */
  readonly store?: Store;
}

/** Opens the store and puts the parts together. Nothing runs yet. Rejects with a `StoreError`, or when a fix must not be loaded. */
export async function createBase(options: BaseOptions): Promise<Base> {
  const { config, environment, clock = systemClock, fixes: given = [] } = options;
  const store = options.store ?? (await openStore({ directory: config.state, clock }));
  const machine = createMachine({
    services: config.services,
    node: config.node,
    store,
    clock,
    stateDirectory: config.state,
    environment,
  });
  const secrets = await collectSecrets(config, environment);
  const listeners: Base['listeners'] = { changed: () => {}, problem: () => {} };
  const all = [...fixes, ...given, ...fixesOf(config.ownFixes ?? [], { isDrilled: (own) => isDrilled(store, own) })];
  const refusal = all.map((fix) => refusalToLoad(fix, all)).find((reason) => reason !== null);
  if (refusal !== undefined) {
    await store.close();
    throw new Error(`a fix cannot be loaded: ${refusal}`);
  }
  const planner = new Planner({
    config,
    fixes: all,
    probe: machine.probe,
    store,
    clock,
    node: config.node,
    digest: sha256,
    leftToPeople: leftToPeople(config),
  });
  const fixer = new AutoFixer({
    config,
    store,
    planner,
    clock,
    owner: `${process.pid}:${startTicksOf(process.pid)}`,
    hands: (plan, verb, signal) =>
      callHands({
        stateDirectory: config.state,
        plan,
        verb,
        signal,
        run: machine.run,
        env: ownerEnvironment(environment),
      }),
    changed: (change) => listeners.changed(change),
    problem: (message, error) => listeners.problem(message, error),
  });
  return {
    config,
    store,
    clock,
    machine,
    detector: once(async () => (await import('./detector.ts')).createDetector(config, environment)),
    planner,
    fixer,
    redact: (text) => redact(text, secrets),
    listeners,
  };
}

/**
 * Operations for one-shot commands: questions are answered from the store; wishes go to the running daemon, or
 * are carried out here when there is none. Without a configuration file the services are those that the last daemon of
 * this state folder had: `selfheal run` has no file, and must be answered for all the same.
 *
 * @example
 * const operations = await openOperations({ config, environment: process.env });
 * try { console.log(await operations.health()); } finally { await operations.close(); }
 */
export async function openOperations(options: BaseOptions): Promise<Operations> {
  const { config, clock = systemClock } = options;
  const store = options.store ?? (await openStore({ directory: config.state, clock }));
  const base = await createBase({ ...options, store, config: await withKnownServices(config, store) });
  return operationsOn(base, { here: false, close: () => store.close() });
}

async function withKnownServices(config: Config, store: Store): Promise<Config> {
  if (config.file !== null || config.services.length > 0) return config;
  return { ...config, services: (await store.value<Config['services']>(VALUE_KEYS.services)) ?? [] };
}

/** The same operations on parts that are there already. */
export function operationsOn(base: Base, { here, close }: { here: boolean; close: () => Promise<void> }): Operations {
  const { config } = base;
  return createOperations({
    ...base,
    node: config.node,
    probe: base.machine.probe,
    explain: async (text) => (await base.detector()).explain(text),
    daemon: async () => {
      const daemon = here ? { pid: process.pid } : await runningDaemon(config.state);
      return { running: daemon !== null, here, pid: daemon?.pid ?? null };
    },
    alone: (work) => alone(base, work),
    changed: (change) => base.listeners.changed(change),
    close,
  });
}

/** Names of the owner's rules that say `fixable: false`. Rules that cannot be read ask for everything: nobody knows what they say. */
function leftToPeople({ rules }: Config): (rule: string) => Promise<boolean> {
  const names = once(async () => {
    const own = await (await import('./engine/user-rules.ts')).loadUserRules(rules);
    return new Set(own.filter(({ patterns }) => patterns.every(({ fixable }) => !fixable)).map(({ name }) => name));
  });
  return async (rule) =>
    rules.length > 0 &&
    (await names().then(
      (own) => own.has(rule),
      () => true,
    ));
}

/** The same promise for everybody who asks. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => (made ??= make());
}

async function isDrilled(store: Store, own: OwnFix): Promise<boolean> {
  return (await store.value<string>(drilledKey(own.name))) === digestOf(own);
}

/** Names one definition of an own fix: a changed one has to be rehearsed anew. */
export const digestOf = (own: OwnFix): string => sha256(canonicalJson(own));

/** Acts without a daemon, as the only one on this host. */
async function alone(base: Base, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const lock = await lockDaemon(base.config.state);
  if ('heldBy' in lock)
    throw new StoreError('locked', `selfheal is already at work as pid ${lock.heldBy.pid}; try again`);
  try {
    await base.store.setValue(VALUE_KEYS.services, base.config.services);
    await work(new AbortController().signal);
  } finally {
    await lock.release();
  }
}

/** The owner's commands that *hands* runs see what selfheal was started with, except what would change our own program. */
function ownerEnvironment(environment: Environment): Readonly<Record<string, string>> {
  const entries = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined || /^(NODE_|LD_|DYLD_)/.test(name) ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
