// Kills the real *hands* in the worlds of the fixes' own drills: files, repositories, venvs, processes and routes
// are compared with what they were and with what an unharmed run makes of them.

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ModelRoute } from '../core/gateway.ts';
import type { Check, Plan, Step } from '../core/plan.ts';
import type { Drill, Fix } from '../fixes/contract.ts';
import { isOutstanding, listBoundaries, type StepState, stepStates } from '../hands/journal.ts';
import type { HandsVerb } from '../hands/session.ts';
import { systemClock } from '../host/clock.ts';
import { treeDifferences } from '../host/tree.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { changes, type Look, lookAround, processesBelow, settled, touchedBy, WRITTEN_ANEW } from './kill-looks.ts';
import { callProgram, planOf, traceOf } from './kill-points.ts';
import { type OpenDrill, openDrill } from './rehearse.ts';
import {
  listSystemCalls,
  pointOf,
  removeTrace,
  somethingWasKilled,
  spread,
  type SystemCall,
  WATCH,
} from './system-calls.ts';

/** `act`: everything goes well. `undo`: a check fails after the last step, so everything is taken back. */
export type KillPath = 'act' | 'undo';

/** How a world was found after a death and its recovery. */
export interface DrillKill {
  readonly fix: string;
  readonly given: string;
  readonly path: KillPath;
  /** The boundary; null for the run that nobody killed. */
  readonly point: string | null;
  readonly outcome: string;
  /** `kept`: as before, but for steps that have no way back and say so. */
  readonly state: 'before' | 'planned' | 'kept' | 'between';
  /** Steps whose effect was begun more than once, and starts beyond the first. */
  readonly twice: number;
  readonly reached: boolean;
  /** Entries that are neither as before nor as planned. */
  readonly stray: readonly string[];
}

export interface DrillKillOptions {
  readonly fix: Fix;
  readonly drill: Drill;
  /** Compiled hands/main.js. */
  readonly program: string;
  readonly path: KillPath;
  /** Boundaries to kill at. Default: all of the path. */
  readonly points?: (all: readonly string[]) => readonly string[];
  /** Kills at so many system calls instead, from the whole length of an unharmed run. Needs strace. Default: none. */
  readonly systemCalls?: number;
}

/** Drills of a fix that end in steps and can be carried out without a running daemon. */
export function proposingDrills(fix: Fix): readonly Drill[] {
  return fix.drills.filter((drill) => Array.isArray(drill.expect));
}

/**
 * One row per boundary, and one for the run that nobody killed, which stands first.
 *
 * @example
 * const rows = await killDrill({ fix, drill, program, path: 'act' });
 * console.log(drillKillTable(rows));
 */
export async function killDrill(options: DrillKillOptions): Promise<readonly DrillKill[]> {
  const stage = await openStage(options.drill);
  try {
    const unharmed = await attempt(options, stage, null);
    const reference = { ...unharmed, isRebuilt: stage.isRebuilt };
    const rows = [rowOf(options, null, unharmed, reference)];
    for (const point of await pointsOf(options, stage, unharmed)) {
      rows.push(rowOf(options, point, await attempt(options, stage, point), reference));
    }
    // Threads share their work differently each time: a call that was not made this time has killed nobody.
    return options.systemCalls === undefined ? rows : rows.filter((row) => row.reached);
  } finally {
    await stage.close();
  }
}

async function pointsOf(options: DrillKillOptions, stage: Stage, unharmed: Attempt): Promise<readonly string[]> {
  const all = listBoundaries(unharmed.plan, options.path);
  if (options.systemCalls === undefined) return options.points?.(all) ?? all;
  const { calls } = await attempt(options, stage, WATCH);
  return spread(calls, options.systemCalls).map(pointOf);
}

/** True when all that the fix does to this world can be told by files: a service that is started would be traced too. */
export function isOfFiles(drill: Drill): boolean {
  return !(drill.expect as readonly Step['kind'][]).some((kind) => BEYOND_FILES.has(kind));
}

/** The rows that break the promise: as before or as planned, never between, nothing twice. */
export function brokenKills(rows: readonly DrillKill[]): readonly DrillKill[] {
  const isKept = (row: DrillKill) => {
    if (row.outcome === 'fixed') return row.state === 'planned';
    // When a program that *hands* runs is killed, a check may be left open, or a step be refused.
    const ends = row.point?.startsWith('system-call') ? ['rolled-back', 'refused', 'inconclusive'] : ['rolled-back'];
    return ends.includes(row.outcome) && row.state !== 'between';
  };
  return rows.filter((row) => !isKept(row) || row.twice > 0 || !row.reached);
}

/** One line per fix and path. */
export function drillKillTable(rows: readonly DrillKill[]): string {
  const keys = [...new Set(rows.map((row) => `${row.fix} ${row.path}`))];
  const head = `${'fix'.padEnd(28)} path  kills  planned  before  kept  between  twice  unreached`;
  const lines = keys.map((key) => {
    const own = rows.filter((row) => `${row.fix} ${row.path}` === key && row.point !== null);
    const count = (state: DrillKill['state']) => String(own.filter((row) => row.state === state).length);
    const twice = own.filter((row) => row.twice > 0).length;
    const unreached = own.filter((row) => !row.reached).length;
    const [fix = '', path = ''] = key.split(' ');
    return [
      fix.padEnd(28),
      path.padEnd(4),
      String(own.length).padStart(6),
      count('planned').padStart(8),
      count('before').padStart(7),
      count('kept').padStart(5),
      count('between').padStart(8),
      String(twice).padStart(6),
      String(unreached).padStart(10),
    ].join(' ');
  });
  return [head, ...lines].join('\n');
}

// ---------------------------------------------------------------- the world of a drill, again and again

interface Stage {
  /** True when each attempt gets a world of its own, with other ports, times and pids. */
  readonly isRebuilt: boolean;
  /** The world as the drill has made it. */
  fresh(): Promise<OpenDrill>;
  close(): Promise<void>;
}

/** Steps whose effect is more than files: what they end or start does not come back by copying. */
const BEYOND_FILES: ReadonlySet<Step['kind']> = new Set(['restart', 'end-process', 'route-model', 'wait']);

/**
 * A world of files is built once and put back in place from a copy, under the same absolute paths (a venv that moved
 * would be another one). A world with processes or a file system of its own is built anew each time.
 */
async function openStage(drill: Drill): Promise<Stage> {
  const first = await openDrill(drill);
  const { root } = first.world;
  const isRebuilt =
    drill.needs === 'root' ||
    (drill.expect as readonly Step['kind'][]).some((kind) => BEYOND_FILES.has(kind)) ||
    (await processesBelow(root)).length > 0;
  if (isRebuilt) return rebuilding(drill, first);
  const copy = await mkdtemp(join(tmpdir(), 'selfheal-stage-'));
  await sh('cp', ['-a', `${root}/.`, copy]);
  return {
    isRebuilt,
    fresh: async () => {
      for (const name of await readdir(root)) await rm(join(root, name), { recursive: true, force: true });
      await sh('cp', ['-a', `${copy}/.`, root]);
      return first;
    },
    close: async () => {
      await first.close();
      await rm(copy, { recursive: true, force: true });
    },
  };
}

function rebuilding(drill: Drill, first: OpenDrill): Stage {
  let open: OpenDrill | null = first;
  let isUsed = false;
  return {
    isRebuilt: true,
    fresh: async () => {
      if (open && !isUsed) {
        isUsed = true;
        return open;
      }
      await open?.close();
      open = null;
      open = await openDrill(drill);
      return open;
    },
    close: async () => open?.close(),
  };
}

const sh = promisify(execFile);

// ---------------------------------------------------------------- one life and death

interface Attempt {
  readonly plan: Plan;
  readonly before: Look;
  readonly after: Look;
  readonly outcome: string;
  readonly reached: boolean;
  readonly twice: number;
  /** Of a watched run. */
  readonly calls: readonly SystemCall[];
  /** True for entries that were changed by a step that has no way back. */
  readonly hasNoWayBack: (entry: string) => boolean;
}

const PLAN = 'plan-1';
const FAILING: Check = {
  kind: 'run',
  title: 'a check that never passes',
  proves: 'operation',
  failsBefore: true,
  argv: ['/bin/false'],
  cwd: '/',
  timeoutMs: 5_000,
};

/** Another plan of this host may hold a resource (the disk) for a while; and what only lasts seconds may be over too soon. */
const PUT_OFF_TRIES = 6;
const TOO_EARLY_OR_LATE = /"kind":"(?:put-off|busy)"|^not-applicable$/;

async function attempt(options: DrillKillOptions, stage: Stage, point: string | null): Promise<Attempt> {
  for (let tries = 1; ; tries += 1) {
    const made = await attemptOnce(options, stage, point);
    if (tries === PUT_OFF_TRIES || !TOO_EARLY_OR_LATE.test(made.outcome)) return made;
  }
}

async function attemptOnce(options: DrillKillOptions, stage: Stage, point: string | null): Promise<Attempt> {
  const open = await stage.fresh();
  const { path, program } = options;
  const state = await mkdtemp(join(tmpdir(), 'selfheal-kill-'));
  const store = await openStore({ directory: state, clock: systemClock });
  try {
    const starts = join(state, 'starts');
    const plan = await frozen(options, open, store, starts);
    const told = tellGateway(open, store);
    const ran = await processesBelow(open.world.root);
    const look = () => lookAround(open, store, ran);
    const before = await look();
    const hands = (verb: HandsVerb, failpoint: string | null) =>
      callProgram(program, state, PLAN, verb, failpoint, {
        HOME: process.env['HOME'] ?? '/',
        ...(path === 'undo' && { SELFHEAL_PATIENCE_MS: '0' }),
      });
    let answer = await hands('act', point);
    const reached = point === null || answer === 'killed' || (await somethingWasKilled(traceOf(state)));
    for (let tries = 0; tries < 4 && (answer === 'killed' || answer.kind === 'acted'); tries += 1) {
      answer = await hands(answer === 'killed' ? 'recover' : 'verify', null);
    }
    await told.stop();
    const entries = await store.journal(PLAN);
    const states = stepStates(entries, plan.steps.length);
    const intents = entries.filter((entry) => entry.phase === 'intent');
    const begun = (await readFile(starts, 'utf8').catch(() => '')).split('\n').length - 1;
    const restarts = plan.steps.filter((step) => step.kind === 'restart').length;
    // What the plan had started is started once more when its files are back.
    const isAgain = (step: number) => plan.steps[step]?.kind === 'restart';
    const again = entries.filter((entry) => entry.phase === 'undo-intent' && isAgain(entry.step)).length;
    return {
      plan,
      before,
      after: await (stage.isRebuilt ? settled(look) : look()),
      outcome: answer !== 'killed' && answer.kind === 'finished' ? answer.outcome.kind : JSON.stringify(answer),
      reached,
      calls: await listSystemCalls(traceOf(state)),
      twice: intents.length - new Set(intents.map((entry) => entry.step)).size + Math.max(0, begun - restarts - again),
      hasNoWayBack: touchedBy(
        plan.steps.filter(
          (step, i) => step.kind === 'wait' || (step.undo.kind === 'none' && hasBegun(states[i] as StepState)),
        ),
        open.world.root,
      ),
    };
  } finally {
    await store.close();
    await rm(state, { recursive: true, force: true });
    await removeTrace(traceOf(state));
  }
}

const hasBegun = (state: StepState): boolean => isOutstanding(state) || state.name === 'undone';

/** Diagnoses in this very world and freezes what the fix proposes, with every start counted in a file. */
async function frozen(options: DrillKillOptions, open: OpenDrill, store: Store, starts: string): Promise<Plan> {
  const { fix, drill, path } = options;
  const diagnosis = await open.diagnose(fix);
  if (diagnosis.kind !== 'proposal') throw new Error(`${fix.name}, ${drill.given}: ${diagnosis.reason}`);
  const { proposal } = diagnosis;
  const { world } = open;
  const service = world.service();
  const steps: Step[] = [];
  for (const step of proposal.steps) steps.push(counted(await withStoredCopy(step, open, store), starts));
  await store.setValue(VALUE_KEYS.services, [service]);
  await store.setValue(VALUE_KEYS.gateway, await world.values.value(VALUE_KEYS.gateway));
  const checks = path === 'undo' ? [...proposal.checks, FAILING] : proposal.checks;
  const plan = planOf(steps, checks, service.name);
  await store.savePlan(plan);
  return plan;
}

/** The drill keeps its good copies in memory; *hands* looks for them in the store. */
async function withStoredCopy(step: Step, { world }: OpenDrill, store: Store): Promise<Step> {
  const id = /"copy":"([^"]+)"/.exec(JSON.stringify(step))?.[1];
  if (step.kind !== 'write-file' || id === undefined) return step;
  const known = (await world.goodCopies(world.service().name, step.path)).find((copy) => copy.id === id);
  const content = await world.goodCopyContent(id);
  if (!known || content === null) throw new Error(`the drill has no copy ${id}`);
  const stored = await store.saveGoodCopy(known, content);
  return JSON.parse(JSON.stringify(step).replaceAll(`"copy":"${id}"`, `"copy":"${stored.id}"`)) as Step;
}

function counted(step: Step, starts: string): Step {
  if (step.kind !== 'restart' || step.via.kind !== 'command') return step;
  const argv = ['/bin/sh', '-c', 'echo >>"$0"; exec "$@"', starts, ...step.via.argv];
  return { ...step, via: { ...step.via, argv } };
}

/** The drill's gateway lives in this process: it is told what *hands* has stored, as the daemon would be. */
function tellGateway({ world }: OpenDrill, store: Store): { stop: () => Promise<void> } {
  const tell = async () => {
    const routes = await store.value<readonly ModelRoute[]>(VALUE_KEYS.routes);
    const known = await world.values.value<readonly ModelRoute[]>(VALUE_KEYS.routes);
    if (JSON.stringify(routes) !== JSON.stringify(known)) await world.values.setValue(VALUE_KEYS.routes, routes);
  };
  let last = Promise.resolve();
  const timer = setInterval(() => void (last = last.then(tell)), 50);
  return {
    stop: async () => {
      clearInterval(timer);
      await last;
    },
  };
}

// ---------------------------------------------------------------- what it has come to

interface Reference {
  readonly before: Look;
  readonly after: Look;
  readonly isRebuilt: boolean;
}

function rowOf(options: DrillKillOptions, point: string | null, made: Attempt, reference: Reference): DrillKill {
  const { fix, drill, path } = options;
  const { outcome, reached, twice } = made;
  const notBefore = treeDifferences(made.before, made.after);
  const left = notBefore.filter((entry) => !made.hasNoWayBack(entry));
  const notPlanned = fromPlanned(made, reference);
  // What an unharmed run of `undo` ends with is no plan: there everything has to be as before.
  const isPlanned = path === 'act' && notPlanned.length === 0;
  const state = stateOf(outcome, isPlanned, notBefore.length === 0, left.length === 0);
  const stray = [
    ...left.map((entry) => `not as before: ${entry}`),
    ...notPlanned.map((entry) => `not as planned: ${entry}`),
  ];
  const row = { fix: fix.name, given: drill.given, path, point, outcome, state, twice, reached };
  return { ...row, stray: state === 'between' ? stray : [] };
}

/** A plan that only waits leaves everything as it was: then the outcome says which of both is meant. */
function stateOf(outcome: string, isPlanned: boolean, isBefore: boolean, isKept: boolean): DrillKill['state'] {
  if (isPlanned && (outcome === 'fixed' || !isBefore)) return 'planned';
  if (isBefore) return 'before';
  return isKept ? 'kept' : 'between';
}

/** Entries that are not as an unharmed run has left them. */
function fromPlanned({ before, after }: Attempt, reference: Reference): readonly string[] {
  const different = reference.isRebuilt
    ? treeDifferences(changes(reference.before, reference.after), changes(before, after))
    : treeDifferences(reference.after, after);
  return different.filter((entry) => !WRITTEN_ANEW.test(entry));
}
