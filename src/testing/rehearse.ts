// Rehearses a fix against a small real world: the fix must see what the drill expects, its steps must
// make the failed operation work, and undoing them must leave every byte as it was.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Facts } from '../core/facts.ts';
import type { Incident } from '../core/incident.ts';
import type { Check, Step } from '../core/plan.ts';
import type { Diagnosis, Drill, Fix, Proposal } from '../fixes/contract.ts';
import { systemClock } from '../host/clock.ts';
import type { CheckContext, CheckRunner, Effect, EffectContext, Snapshot } from '../host/contract.ts';
import { listingDifferences, listTree } from '../host/installed-tree.ts';
import { createMachine, type Machine } from '../host/machine.ts';
import { createDrillKit, type DrillWorld } from './create-drill-kit.ts';
import { effectContext } from './effect-context.ts';

/** What came of a rehearsal. */
export interface Rehearsal {
  readonly fix: string;
  readonly given: string;
  readonly diagnosis: Diagnosis;
  /** What went otherwise than it should; empty when the fix is fit for use. */
  readonly problems: readonly string[];
}

export interface RehearsalOptions {
  /** Environment of the rehearsal. Default: HOME and PATH of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

/** What a log is taken to say. Absent: as the drill has it. */
export interface Claim {
  readonly facts?: Facts;
  readonly message?: string;
  /** Is given the names of the facts that the fix reads, and `message` when it reads the text. */
  readonly reads?: Set<string>;
}

/** A drill's world with the eyes and hands of a real host on it. */
export interface OpenDrill {
  readonly world: DrillWorld;
  readonly machine: Machine;
  /** Asks the fix about what the drill claims, or about another claim. */
  diagnose(fix: Fix, claim?: Claim): Promise<Diagnosis>;
  /** A folder for the snapshots of steps, outside the world. */
  readonly snapshots: string;
  close(): Promise<void>;
}

/** True when this process may build the drill's world. */
export function canRehearse(drill: Drill): boolean {
  return drill.needs !== 'root' || process.getuid?.() === 0;
}

/** Builds the world of a drill. Close it when done. */
export async function openDrill(drill: Drill, options: RehearsalOptions = {}): Promise<OpenDrill> {
  const { clock = systemClock, environment = { HOME: process.env.HOME, PATH: process.env.PATH } } = options;
  const state = await mkdtemp(join(tmpdir(), 'selfheal-drill-'));
  const bare = createMachine({ ...blank(state, clock), environment, services: [] });
  const world = createDrillKit({ run: bare.run });
  const close = async () => {
    await world.close();
    await rm(state, { recursive: true, force: true });
  };
  try {
    await drill.world(world.kit);
  } catch (error) {
    await close();
    throw error;
  }
  const services = [world.service()];
  const store = { ...blank(state, clock).store, value: world.values.value, setValue: world.values.setValue };
  const found = createMachine({ ...blank(state, clock), store, environment, services });
  // A world of its own has a load of its own: what else this machine does must not change what a fix sees.
  const processes = { ...found.probe.processes, load: async () => 0 };
  const machine = { ...found, probe: { ...found.probe, processes, ...copiesOf(world) } };
  const incident = (claim: Claim) => incidentOf(drill, world, claim);
  return {
    world,
    machine,
    snapshots: join(state, 'snapshots'),
    diagnose: (fix, claim = {}) =>
      fix.diagnose({ incident: incident(claim), service: world.service(), probe: machine.probe }),
    close,
  };
}

/** A host without memory. */
function blank(stateDirectory: string, clock: Clock) {
  const values = new Map<string, unknown>();
  const store = {
    value: async <T>(key: string) => (values.get(key) ?? null) as T | null,
    setValue: async (key: string, value: unknown) => void values.set(key, value),
    goodCopies: async () => [],
    goodCopy: async () => null,
  };
  return { node: 'drill', store, clock, stateDirectory };
}

function copiesOf(world: DrillWorld) {
  return {
    goodCopies: (service: string, path: string) => world.goodCopies(service, path),
    goodCopyText: async (id: string) => {
      const content = await world.goodCopyContent(id);
      return content === null ? null : Buffer.from(content).toString('utf8');
    },
  };
}

/** `{directory}` in a fact stands for the folder of the drill's service. */
function placed(facts: Facts, directory: string): Facts {
  return Object.fromEntries(
    Object.entries(facts).map(([k, v]) => [k, typeof v === 'string' ? v.replaceAll('{directory}', directory) : v]),
  );
}

function incidentOf(drill: Drill, world: DrillWorld, claim: Claim): Incident {
  const now = Date.now();
  const facts = placed(claim.facts ?? drill.facts, world.kit.directory);
  const incident: Incident = {
    id: '1',
    service: world.service().name,
    node: 'drill',
    type: drill.type,
    severity: 'high',
    state: { name: 'open', notBefore: now },
    rule: 'drill',
    fingerprint: { version: 1, kind: 'drill', place: 'drill', template: drill.given },
    message: (claim.message ?? drill.message ?? drill.given).replaceAll('{directory}', world.kit.directory),
    facts: claim.reads ? watched(facts, claim.reads) : facts,
    fixable: true,
    trusted: true,
    count: 1,
    firstSeen: now,
    lastSeen: now,
    samples: [],
    attempts: 0,
    plan: null,
    fix: null,
    outcome: null,
    reason: 'a drill',
    causedBy: null,
    symptoms: [],
    revision: 1,
  };
  return claim.reads ? watched(incident, claim.reads, ['message', 'samples']) : incident;
}

/** The same object, noting which of its properties are asked for. */
function watched<T extends object>(object: T, reads: Set<string>, only?: readonly string[]): T {
  const note = (key: string | symbol) => {
    if (typeof key === 'string' && (only === undefined || only.includes(key))) reads.add(key);
  };
  return new Proxy(object, {
    get(target, key, receiver) {
      note(key);
      return Reflect.get(target, key, receiver) as unknown;
    },
    has(target, key) {
      note(key);
      return Reflect.has(target, key);
    },
    ownKeys(target) {
      for (const key of Object.keys(target)) note(key);
      return Reflect.ownKeys(target);
    },
  });
}

/**
 * Runs one drill of one fix, steps and undo included.
 *
 * @example
 * const { problems } = await rehearse(fix, fix.drills[0]);
 */
export async function rehearse(fix: Fix, drill: Drill, options: RehearsalOptions = {}): Promise<Rehearsal> {
  const open = await openDrill(drill, options);
  try {
    const diagnosis = await open.diagnose(fix);
    const problems = expectationProblems(drill, diagnosis);
    if (problems.length === 0 && diagnosis.kind === 'proposal') {
      problems.push(...proposalFlaws(diagnosis.proposal));
      problems.push(...(await carryOut(open, diagnosis.proposal)));
    }
    return { fix: fix.name, given: drill.given, diagnosis, problems };
  } finally {
    await open.close();
  }
}

function expectationProblems(drill: Drill, diagnosis: Diagnosis): string[] {
  const got = diagnosis.kind === 'proposal' ? diagnosis.proposal.steps.map((step) => step.kind) : diagnosis.kind;
  if (JSON.stringify(got) === JSON.stringify(drill.expect)) return [];
  const why = diagnosis.kind === 'proposal' ? diagnosis.proposal.why : diagnosis.reason;
  return [`expected ${JSON.stringify(drill.expect)}, got ${JSON.stringify(got)}: ${why}`];
}

/** What a plan must have before anybody may be asked about it. */
export function proposalFlaws(proposal: Proposal): string[] {
  const flaws: string[] = [];
  const proving = proposal.checks.filter((check) => check.proves === 'operation');
  if (proving.length === 0) flaws.push('no check proves the failed operation');
  if (!proving.some((check) => check.failsBefore || PROOF_OF_LIFE.has(check.kind))) {
    flaws.push('no operation check fails before, runs the service anew, or asks for its health');
  }
  for (const step of proposal.steps) {
    if (step.undo.kind === 'none' && step.undo.reason.trim() === '') flaws.push(`${step.title}: no undo and no reason`);
    if (step.title.trim() === '') flaws.push(`a ${step.kind} step has no title`);
  }
  return flaws;
}

const PROOF_OF_LIFE: ReadonlySet<Check['kind']> = new Set(['running-anew', 'health', 'time-passed']);

/** Applies the steps, tries the checks, undoes everything, and compares. */
export async function carryOut(open: OpenDrill, proposal: Proposal): Promise<string[]> {
  if (proposal.steps.some(needsDaemon)) return [];
  const problems: string[] = [];
  const before = await listWorld(open);
  const since = open.machine.probe.clock.now();
  for (const check of proposal.checks.filter((c) => c.failsBefore)) {
    const { passed, evidence } = await runCheck(open, check, since);
    if (passed === true) problems.push(`passes before anything was done: ${evidence}`);
  }
  const done: Applied[] = [];
  for (const [index, step] of proposal.steps.entries()) done.push(await applyStep(open, step, index));
  problems.push(...done.flatMap((applied) => applied.problem ?? []));
  for (const check of proposal.checks) {
    const { passed, evidence } = await runCheck(open, check, since);
    if (passed !== true && check.kind !== 'untried')
      problems.push(`not proven afterwards: ${check.title}: ${evidence}`);
  }
  for (const applied of done.reverse()) problems.push(...(await undoStep(open, applied)));
  const reversible = proposal.steps.every((step) => step.undo.kind !== 'none');
  if (reversible) problems.push(...listingDifferences(before, await listWorld(open)).map((d) => `after undo: ${d}`));
  return problems;
}

/** A restart through the supervisor needs the running daemon: proven by its own tests. */
function needsDaemon(step: Step): boolean {
  return step.kind === 'restart' && step.via.kind === 'supervised';
}

/** Repositories prove themselves: their objects and notes of rescued work stay on purpose, and so does what an undo puts aside. */
function listWorld(open: OpenDrill) {
  return listTree(open.world.root, { skip: (path) => /(?:^|\/|\.)git$|\.selfheal-undone-/.test(path) });
}

async function runCheck({ machine }: OpenDrill, check: Check, since: number) {
  // The list is typed by kind; a lookup by kind gives the runner for this very check.
  const runner = machine.checks.find((r) => r.kind === check.kind) as unknown as CheckRunner | undefined;
  if (runner === undefined) return { passed: 'unknown', evidence: `no runner for ${check.kind}` } as const;
  const { run, probe } = machine;
  const context: CheckContext = { run, probe, clock: probe.clock, signal: new AbortController().signal, since };
  return runner.run(check, context);
}

interface Applied {
  readonly step: Step;
  readonly effect: Effect;
  readonly snapshot: Snapshot;
  readonly context: EffectContext;
  readonly problem?: string;
}

async function applyStep({ machine, world, snapshots }: OpenDrill, step: Step, index: number): Promise<Applied> {
  // As above: found by the kind of this very step.
  const effect = machine.effects.find((e) => e.kind === step.kind) as unknown as Effect | undefined;
  if (effect === undefined) throw new Error(`no effect for ${step.kind}`);
  const { run, probe } = machine;
  const context = await effectContext({
    world,
    run,
    clock: probe.clock,
    snapshots,
    services: probe.services,
    step: index,
  });
  const snapshot = JSON.parse(JSON.stringify(await effect.snapshot(step, context))) as Snapshot;
  const applied = { step, effect, snapshot, context };
  try {
    await effect.apply(step, snapshot, context);
  } catch (error) {
    return { ...applied, problem: `${step.title}: ${error instanceof Error ? error.message : String(error)}` };
  }
  const seen = await effect.probe(step, snapshot, context);
  // What a command has done only its own check can tell.
  return seen === 'done' || step.kind === 'run'
    ? applied
    : { ...applied, problem: `${step.title}: done, and yet it looks ${seen}` };
}

async function undoStep(
  { machine }: OpenDrill,
  { step, effect, snapshot, context }: Applied,
): Promise<readonly string[]> {
  if (step.undo.kind === 'run') {
    const { argv, cwd } = step.undo;
    const { code, stderr } = await machine.run(argv, { cwd, timeoutMs: 60_000, leash: 'group' });
    return code === 0 ? [] : [`${step.title}: its way back failed: ${stderr.slice(-200)}`];
  }
  if (step.undo.kind !== 'restore-snapshot') return [];
  await effect.undo(step, snapshot, context);
  const differences = await effect.differences(step, snapshot, context);
  return differences.map((difference) => `${step.title}: after undo ${difference}`);
}
