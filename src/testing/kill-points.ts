// Kills the real *hands* at every boundary of a plan, lets it recover, and compares the tree byte for byte:
// as before or as planned, never between, and no step carried out twice.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashedText, type Check, type Plan, type Step } from '../core/plan.ts';
import { parseAnswer } from '../hands/client.ts';
import { listBoundaries } from '../hands/journal.ts';
import type { HandsAnswer, HandsVerb } from '../hands/session.ts';
import { systemClock } from '../host/clock.ts';
import type { ServiceFacts } from '../host/contract.ts';
import { describeTree, treeDifferences } from '../host/tree.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { listSystemCalls, pointOf, somethingWasKilled, tracer, WATCH } from './system-calls.ts';

/** A small world and a plan for it. */
export interface KillScene {
  readonly name: string;
  /** Builds the world in an empty folder, the same each time, and says what is to be done in it. */
  build(
    directory: string,
    store: Store,
  ): Promise<{
    readonly steps: readonly Step[];
    /** Checks that pass once the steps are done. */
    readonly checks: readonly Check[];
    readonly service?: Partial<ServiceFacts>;
  }>;
  /** Entries of the world that may differ: caches and the like. Default: none. */
  readonly ignore?: (path: string) => boolean;
  /** Entries that differ between two worlds built alike (a git index holds times): not compared with what was planned. */
  readonly varies?: (path: string) => boolean;
}

export interface KillRow {
  readonly scene: string;
  readonly point: string;
  /** Where the recovery was killed as well; null when it was left alone. */
  readonly second: string | null;
  readonly outcome: string;
  readonly tree: 'before' | 'planned' | 'between';
  /** Steps whose effect was begun more than once. */
  readonly twice: number;
  readonly reached: boolean;
  /** Paths that are neither as before nor as planned. */
  readonly stray: readonly string[];
}

export interface KillOptions {
  readonly scene: KillScene;
  /** Compiled hands/main.js. */
  readonly program: string;
  /** `act`: everything goes well. `undo`: the proof fails, so everything is taken back. */
  readonly path: 'act' | 'undo';
  /** Boundaries to kill at. Default: all of the path. */
  readonly points?: readonly string[];
  /** Kill the recovery at this boundary too. */
  readonly second?: string;
}

/** One row per boundary. */
export async function killAtEach(options: KillOptions): Promise<readonly KillRow[]> {
  const planned = await inWorld(options, (world) => world.toTheEnd(null, null));
  const waiting = [...(options.points ?? planned.boundaries)];
  const rows: KillRow[] = [];
  const killNext = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift())
      rows.push(await killAt(options, point, planned.tree));
  };
  // Two at a time: each is a world of its own.
  await Promise.all([killNext(), killNext()]);
  return rows;
}

function killAt(options: KillOptions, point: string, planned: Tree): Promise<KillRow> {
  const { scene, second = null } = options;
  return inWorld(options, async (world) => {
    const { outcome, reached, tree } = await world.toTheEnd(point, second);
    const asBefore = treeDifferences(world.before, tree);
    const asPlanned = treeDifferences(planned, tree).filter((path) => !scene.varies?.(path));
    return {
      scene: scene.name,
      point,
      second,
      outcome,
      tree: asBefore.length === 0 ? 'before' : asPlanned.length === 0 ? 'planned' : 'between',
      twice: await world.twice(),
      reached,
      stray: asBefore.filter((path) => asPlanned.includes(path)),
    };
  });
}

/**
 * Kills *hands*, or a program it runs, at each system call of an unharmed run that changes files: deaths in the middle
 * of an effect, which no boundary covers. Needs strace.
 */
export async function killAtSystemCalls(options: KillOptions): Promise<readonly KillRow[]> {
  const planned = await inWorld(options, (world) => world.toTheEnd(null, null));
  const calls = await inWorld(options, async (world, state) => {
    await world.toTheEnd(WATCH, null);
    return listSystemCalls(traceOf(state));
  });
  const rows: KillRow[] = [];
  for (const call of calls) rows.push(await killAt(options, pointOf(call), planned.tree));
  // Threads share their work differently each time: a call that was not made this time has killed nobody.
  return rows.filter((row) => row.reached);
}

/** Where the calls of *hands* on this state folder are written. */
export const traceOf = (state: string) => `${state}.trace`;

/** The rows that break the promise; empty is what every test wants. */
export function broken(rows: readonly KillRow[]): readonly KillRow[] {
  return rows.filter(
    (row) => row.twice > 0 || !row.reached || row.tree !== (row.outcome === 'fixed' ? 'planned' : 'before'),
  );
}

/** Counts of outcomes per scene and death, for people. */
export function killTable(rows: readonly KillRow[]): string {
  const lines = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const counts = lines.get(row.scene) ?? new Map<string, number>();
    const word = `${row.outcome}, tree ${row.tree}`;
    lines.set(row.scene, counts.set(word, (counts.get(word) ?? 0) + 1));
  }
  const text = [...lines].map(
    ([scene, counts]) => `  ${scene.padEnd(34)} ${[...counts].map(([word, n]) => `${n} × ${word}`).join('; ')}`,
  );
  const between = rows.filter((row) => row.tree === 'between').length;
  const twice = rows.filter((row) => row.twice > 0).length;
  return [`kills: ${rows.length}, between: ${between}, done twice: ${twice}`, ...text].join('\n');
}

type Tree = ReadonlyMap<string, string>;

interface World {
  readonly before: Tree;
  toTheEnd(
    point: string | null,
    second: string | null,
  ): Promise<{ outcome: string; reached: boolean; tree: Tree; boundaries: readonly string[] }>;
  twice(): Promise<number>;
}

async function inWorld<T>(options: KillOptions, use: (world: World, state: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'selfheal-kill-'));
  const [directory, state] = [join(root, 'world'), join(root, 'state')];
  await mkdir(directory);
  const store = await openStore({ directory: state, clock: systemClock });
  try {
    const built = await options.scene.build(directory, store);
    const facts = { ...NO_SERVICE, directory, ...built.service };
    await store.setValue(VALUE_KEYS.services, [facts]);
    const failing: Check = { ...ALWAYS, kind: 'run', argv: ['/bin/false'], cwd: '/', timeoutMs: 5_000 };
    const plan = planOf(built.steps, options.path === 'undo' ? [...built.checks, failing] : built.checks);
    await store.savePlan(plan);
    return await use(await worldOf({ ...options, directory, state, store, plan }), state);
  } finally {
    await store.close();
    await rm(root, { recursive: true, force: true });
  }
}

async function worldOf(
  given: KillOptions & { directory: string; state: string; store: Store; plan: Plan },
): Promise<World> {
  const { directory, state, store, plan, scene, program } = given;
  const look = async () =>
    (await describeTree(directory, scene.ignore ? { skip: scene.ignore } : {})) ?? new Map<string, string>();
  const hands = (verb: HandsVerb, point: string | null) => callProgram(program, state, plan.id, verb, point);
  return {
    before: await look(),
    toTheEnd: async (point, second) => {
      let answer = await hands('act', point);
      const reached =
        point === null || answer === 'killed' || point === WATCH || (await somethingWasKilled(traceOf(state)));
      let failpoint = second;
      for (let tries = 0; tries < 4 && (answer === 'killed' || answer.kind === 'acted'); tries += 1) {
        answer = await hands(answer === 'killed' ? 'recover' : 'verify', failpoint);
        failpoint = null;
      }
      const outcome = answer !== 'killed' && answer.kind === 'finished' ? answer.outcome.kind : JSON.stringify(answer);
      return { outcome, reached, tree: await look(), boundaries: listBoundaries(plan, given.path) };
    },
    twice: async () => {
      const intents = (await store.journal(plan.id)).filter((entry) => entry.phase === 'intent');
      return intents.length - new Set(intents.map((entry) => entry.step)).size;
    },
  };
}

/** Calls the compiled *hands* once; `point` is the boundary at which it kills itself. */
export async function callProgram(
  program: string,
  state: string,
  plan: string,
  verb: HandsVerb,
  point: string | null,
  environment: Readonly<Record<string, string>> = { SELFHEAL_PATIENCE_MS: '0' },
): Promise<HandsAnswer | 'killed'> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    SELFHEAL_TEST: '1',
    SELFHEAL_FAILPOINT: `${point ?? ''}:kill`,
    ...environment,
    // Calls are counted per thread: one thread makes the count mean the same each time.
    UV_THREADPOOL_SIZE: '1',
  };
  const argv = [
    ...tracer(point, traceOf(state)),
    process.execPath,
    program,
    '--state',
    state,
    '--plan',
    plan,
    '--do',
    verb,
  ];
  const child = spawn(argv[0] as string, argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === 'SIGKILL') return 'killed';
  return parseAnswer(stdout) ?? { kind: 'died', reason: stderr };
}

const ALWAYS = { title: 'a check that never passes', proves: 'operation', failsBefore: true } as const;

const NO_SERVICE: Omit<ServiceFacts, 'directory'> = {
  name: 'agent',
  command: null,
  restart: null,
  health: null,
  envFile: null,
  disposable: [],
  pipIndex: null,
  npmRegistry: null,
  settleMs: 0,
};

/** A plan that may run at once. */
export function planOf(steps: readonly Step[], checks: readonly Check[], service = 'agent'): Plan {
  const plan = {
    id: 'plan-1',
    incident: '1',
    service,
    node: 'host',
    fix: 'kill-points',
    family: 'restore-config',
    type: 'config_error',
    title: 'a plan that is killed',
    why: 'to see what is left of it',
    facts: {},
    steps,
    checks,
    settleMs: 0,
    risk: 'reversible',
    scope: 'service',
    restart: 'none',
    resources: [`service:${service}`],
    decision: { verdict: 'run', autonomy: 'auto', reason: 'a test' },
    createdAt: Date.now(),
    expiresAt: Date.now() + 3_600_000,
    hash: '',
  } satisfies Plan;
  return { ...plan, hash: createHash('sha256').update(hashedText(plan)).digest('hex') };
}
