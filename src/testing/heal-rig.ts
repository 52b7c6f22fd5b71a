// Planner, fixer and *hands* on a real store, a real machine and real files, with a clock that leaps: what the guards
// promise is shown by what becomes of a file, not by what they say.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Incident } from '../core/incident.ts';
import type { Check, Step } from '../core/plan.ts';
import { AutoFixer, type HandsVerb } from '../engine/fixer.ts';
import { Planner } from '../engine/planner.ts';
import { defineFix, propose, type Fix } from '../fixes/contract.ts';
import { runHands } from '../hands/hands.ts';
import type { HandsDeps } from '../hands/session.ts';
import { createMachine } from '../host/machine.ts';
import { readBootId, startTicksOf } from '../host/proc.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { sampleConfig, sampleIncident, sampleService } from './samples.ts';

/** So long only deadlines sleep: they end by their signal. */
const DEADLINE_MS = 60_000;

/** Sleeping takes no time but counts as if it had. */
export class LeapClock implements Clock {
  #now = Date.now();
  now = (): number => this.#now;
  monotonic = (): number => this.#now;
  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (ms < DEADLINE_MS) return this.advance(ms);
    await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
  };
  advance(ms: number): void {
    this.#now += Math.max(0, ms);
  }
}

export interface HealRigOptions {
  readonly config?: Partial<Config>;
  /** Changes of each service, by its name; folders are relative to the rig's. Default: one service, `agent`. */
  readonly services?: Readonly<Record<string, Partial<ServiceConfig>>>;
  readonly fixes?: (rig: HealRig) => readonly Fix[];
  /** Store of another daemon on the same folders. Default: a state folder of its own. */
  readonly root?: string;
  /** State folder of a process that went before: its store, and the files as it left them. Default: a new one. */
  readonly state?: string;
}

/** What became of the one file that `mend` writes. */
export class HealRig {
  readonly root: string;
  readonly state: string;
  readonly clock = new LeapClock();
  readonly store: Store;
  readonly config: Config;
  /** Calls of *hands*, as `verb plan`. */
  readonly calls: string[] = [];
  /** Called at each boundary of *hands* with its name. */
  reach: (point: string) => Promise<void> = async () => {};
  lockOnHost: HandsDeps['lockOnHost'];
  fixer: AutoFixer;
  readonly #owned: boolean;
  readonly #fixes: readonly Fix[];
  readonly #signal = new AbortController().signal;

  private constructor(store: Store, root: string, state: string, options: HealRigOptions) {
    this.store = store;
    this.root = root;
    this.state = state;
    this.#owned = options.root === undefined;
    this.config = configFor(this, options);
    this.#fixes = options.fixes?.(this) ?? [this.mend()];
    this.fixer = this.createFixer();
  }

  static async open(options: HealRigOptions = {}): Promise<HealRig> {
    const root = options.root ?? mkdtempSync(join(tmpdir(), 'selfheal-heal-rig-'));
    const state = options.state ?? mkdtempSync(join(root, 'state-'));
    const store = await openStore({ directory: state, clock: { now: Date.now } as Clock });
    const rig = new HealRig(store, root, state, options);
    await store.setValue(VALUE_KEYS.services, rig.config.services);
    return rig;
  }

  async close(): Promise<void> {
    await this.store.close();
    if (this.#owned) rmSync(this.root, { recursive: true, force: true });
  }

  /** A daemon that was started anew on the same store. */
  createFixer(): AutoFixer {
    const { config, store, clock } = this;
    const machine = this.#machine();
    const planner = new Planner({
      config,
      store,
      clock,
      fixes: this.#fixes,
      probe: machine.probe,
      node: 'host',
      digest: sha256,
    });
    return new AutoFixer({
      config,
      store,
      planner,
      clock,
      owner: `${process.pid}:${startTicksOf(process.pid)}`,
      changed: () => {},
      hands: async (plan, verb) => {
        this.calls.push(`${verb} ${plan}`);
        return this.hands(plan, verb);
      },
    });
  }

  /** One call of *hands* as it would run in a process of its own. */
  async hands(plan: string, verb: HandsVerb): ReturnType<typeof runHands> {
    const deps: HandsDeps = {
      ...this.#machine(),
      store: this.store,
      stateDirectory: this.state,
      clock: this.clock,
      signal: this.#signal,
      self: { pid: process.pid, startTicks: Number.NaN, boot: await readBootId() },
      digest: sha256,
      snapshotFolder: async (id, step) => {
        const folder = join(this.state, 'snapshots', id, String(step));
        await mkdir(folder, { recursive: true, mode: 0o700 });
        return folder;
      },
      reach: (point) => this.reach(point),
      secrets: [],
      patienceMs: 0,
      ...(this.lockOnHost ? { lockOnHost: this.lockOnHost } : {}),
    };
    // Each call counts as a process that has ended: nobody alive holds the plan afterwards.
    return runHands({ ...deps, self: { ...deps.self, startTicks: this.calls.length } }, plan, verb);
  }

  #machine() {
    const { config, store, clock, state } = this;
    return createMachine({
      services: config.services,
      node: 'host',
      store,
      clock,
      stateDirectory: state,
      environment: process.env,
    });
  }

  folder(service = 'agent'): string {
    const found = this.config.services.find((one) => one.name === service);
    if (!found) throw new Error(`${service} is no service of this rig`);
    return found.directory;
  }

  /** The file that is broken until `mend` has written it. */
  content(service = 'agent'): string {
    return readFileSync(join(this.folder(service), 'app.env'), 'utf8');
  }

  breakFile(service = 'agent'): void {
    writeFileSync(join(this.folder(service), 'app.env'), BROKEN);
  }

  isMended = (service = 'agent'): boolean => this.content(service) === MENDED;

  /** Stores an incident as the watch flow would. */
  async incident(changes: Partial<Incident> = {}): Promise<string> {
    const id = await this.store.nextIncidentId();
    const now = this.clock.now();
    const base = sampleIncident({ id, type: 'config_error', firstSeen: now, lastSeen: now });
    await this.store.saveIncident({ ...base, state: { name: 'open', notBefore: now }, ...changes });
    return id;
  }

  step(id: string, options: { readonly requestedByPerson?: boolean } = {}): Promise<Incident | null> {
    return this.fixer.step(id, this.#signal, options);
  }

  /** Steps until nothing is due, letting the time pass that each step waits for. */
  async toTheEnd(id: string, most = 12): Promise<Incident> {
    for (let turn = 0; turn < most; turn += 1) {
      const incident = await this.step(id);
      if (!incident) throw new Error(`there is no incident ${id}`);
      if (incident.state.name === 'open') this.clock.advance(incident.state.notBefore - this.clock.now());
      else if (incident.state.name === 'verifying') this.clock.advance(incident.state.quietUntil - this.clock.now());
      else return incident;
    }
    throw new Error(`incident ${id} does not come to an end`);
  }

  /** Writes the file anew, and proves it by what is in it. `helps` false: a further proof never passes. */
  mend(changes: Partial<Fix> & { readonly helps?: boolean; readonly before?: Step; readonly also?: Check } = {}): Fix {
    const { helps = true, before, also, ...rest } = changes;
    return defineFix({
      name: 'mend',
      family: 'restore-config',
      title: 'Write the file anew',
      handles: ['config_error', 'database_error'],
      risk: 'reversible',
      scope: 'service',
      autonomy: 'auto',
      order: 10,
      drills: [],
      ...rest,
      diagnose: async ({ service }) => {
        const path = join(service.directory, 'app.env');
        const step: Step = {
          kind: 'write-file',
          title: 'write app.env anew',
          path,
          content: { text: MENDED },
          before: sha256(readFileSync(path, 'utf8')),
          mode: 0o600,
          undo: { kind: 'restore-snapshot' },
        };
        return propose({
          title: 'write app.env anew',
          why: 'it is broken',
          facts: {},
          steps: before ? [before, step] : [step],
          checks: [
            {
              kind: 'file-parses',
              title: 'app.env has its key',
              proves: 'operation',
              failsBefore: true,
              path,
              format: 'env',
              keys: ['KEY'],
            },
            ...(helps ? [] : [NEVER]),
            ...(also ? [also] : []),
          ],
          resources: [],
          needsRestart: false,
        });
      },
    });
  }
}

export const BROKEN = '# nothing is left\n';
export const MENDED = 'KEY=value\n';
const NEVER: Check = {
  kind: 'run',
  title: 'it never helps',
  proves: 'operation',
  failsBefore: false,
  argv: ['/bin/false'],
  cwd: '/',
  timeoutMs: 5_000,
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function configFor(rig: HealRig, { config, state, services = { agent: {} } }: HealRigOptions): Config {
  return sampleConfig({
    state: rig.state,
    services: Object.entries(services).map(([name, changes]) => serviceFor(rig, name, changes, state === undefined)),
    ...config,
  });
}

function serviceFor(rig: HealRig, name: string, changes: Partial<ServiceConfig>, isNew: boolean): ServiceConfig {
  const directory = resolve(rig.root, changes.directory ?? name);
  const service = sampleService({ name, ...changes, directory });
  mkdirSync(service.directory, { recursive: true });
  if (isNew) writeFileSync(join(service.directory, 'app.env'), BROKEN, { mode: 0o600 });
  return service;
}
