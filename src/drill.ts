// `selfheal drill`: rehearses fixes before they are needed. A fix of the catalogue plays its drills on this machine, in small
// worlds of its own; an own fix is carried out and taken back on a copy of the owner's real service.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, type Environment } from './app.ts';
import type { DrillBegins, DrillResult } from './cli/composition.ts';
import { rehearseOnCopy } from './drill-on-copy.ts';
import type { Config, OwnFix, ServiceConfig } from './config/contract.ts';
import { drilledKey } from './engine/own-fixes.ts';
import { fixes } from './fixes/index.ts';
import { systemClock } from './host/clock.ts';
import type { Run } from './host/contract.ts';
import { listingDifferences, listTree } from './host/installed-tree.ts';
import { createRun } from './host/run.ts';
import { inFolder } from './host/services.ts';
import { openStore } from './store/index.ts';
import { canRehearse, rehearse } from './testing/rehearse.ts';

export interface DrillRequest {
  readonly config: Config | null;
  readonly environment: Environment;
  /** Names; empty: every own fix, or the whole catalogue when there is none. */
  readonly names: readonly string[];
  readonly signal: AbortSignal;
}

type DrillStep = DrillBegins | DrillResult;
type Counter = (fix: string, given: string) => DrillBegins;

/** One row before each rehearsal and one as it ends. Throws when a name is not known. */
export async function* drill(request: DrillRequest): AsyncGenerator<DrillStep> {
  const { config, environment, names, signal } = request;
  const wanted = chosen(request);
  const count = counter(wanted.map((name) => rehearsalsOf(name, request)).reduce((sum, n) => sum + n, 0));
  for (const name of wanted) {
    const mine = config?.ownFixes?.find((fix) => fix.name === name);
    if (signal.aborted) return;
    if (mine && config) yield* rehearseOwn(mine, config, environment, signal, count);
    else {
      yield* playDrills(name, environment, signal, count);
      if (config && names.length > 0) yield* rehearseOnCopies(name, config, environment, signal, count);
    }
  }
}

function chosen({ config, names }: DrillRequest): readonly string[] {
  const own = config?.ownFixes ?? [];
  const all = [...own.map((fix) => fix.name), ...fixes.map((fix) => fix.name)];
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`there is no fix named ${unknown}`);
  if (names.length > 0) return names;
  return own.length > 0 ? own.map((fix) => fix.name) : all;
}

function counter(total: number): Counter {
  let number = 0;
  return (fix, given) => ({ kind: 'begins', fix, given, number: ++number, total });
}

function rehearsalsOf(name: string, { config, names }: DrillRequest): number {
  const own = config?.ownFixes?.find((fix) => fix.name === name);
  if (own && config) return servicesOf(own, config).length;
  const fix = fixes.find((one) => one.name === name);
  return (fix?.drills.length ?? 0) + (fix?.damage && names.length > 0 ? (config?.services.length ?? 0) : 0);
}

const servicesOf = (own: OwnFix, config: Config): readonly ServiceConfig[] =>
  config.services.filter((one) => own.services === null || own.services.includes(one.name));

/** Only when the fix was named: a copy of each service may take its time. */
async function* rehearseOnCopies(
  name: string,
  config: Config,
  environment: Environment,
  signal: AbortSignal,
  count: Counter,
): AsyncGenerator<DrillStep> {
  const fix = fixes.find((one) => one.name === name);
  if (!fix?.damage) return;
  const store = await openStore({ directory: config.state, clock: systemClock });
  try {
    for (const service of config.services) {
      if (signal.aborted) return;
      const given = `a copy of ${service.name}`;
      yield count(name, given);
      const { damage, problems } = await rehearseOnCopy(fix, service, { store, environment }).catch(
        (error: unknown) => ({ damage: '', problems: [error instanceof Error ? error.message : String(error)] }),
      );
      const row = { kind: 'result', fix: name, given: damage ? `${given}: ${damage}` : given } as const;
      const nothing = [`${service.name} has nothing that could be damaged in this way`];
      if (damage === null) yield { ...row, passed: 'skipped', problems: problems.length > 0 ? problems : nothing };
      else yield { ...row, passed: problems.length === 0, problems };
    }
  } finally {
    await store.close();
  }
}

async function* playDrills(
  name: string,
  environment: Environment,
  signal: AbortSignal,
  count: Counter,
): AsyncGenerator<DrillStep> {
  const fix = fixes.find((one) => one.name === name);
  for (const one of fix?.drills ?? []) {
    if (!fix || signal.aborted) return;
    const row = { kind: 'result' as const, fix: name, given: one.given };
    yield count(name, one.given);
    if (!canRehearse(one)) yield { ...row, passed: 'skipped', problems: ['only root can build its world'] };
    else {
      const { problems } = await rehearse(fix, one, { environment }).catch((error: unknown) => ({
        problems: [error instanceof Error ? error.message : String(error)],
      }));
      yield { ...row, passed: problems.length === 0, problems };
    }
  }
}

// ---------------------------------------------------------------- own fixes

async function* rehearseOwn(
  own: OwnFix,
  config: Config,
  environment: Environment,
  signal: AbortSignal,
  count: Counter,
): AsyncGenerator<DrillStep> {
  const services = servicesOf(own, config);
  let passedAll = services.length > 0;
  for (const service of services) {
    yield count(own.name, `a copy of ${service.name}`);
    const problems = await onCopy(own, service, environment, signal);
    passedAll &&= problems.length === 0;
    yield {
      kind: 'result',
      fix: own.name,
      given: `a copy of ${service.name}`,
      passed: problems.length === 0,
      problems,
    };
  }
  const store = await openStore({ directory: config.state, clock: systemClock });
  try {
    await store.setValue(drilledKey(own.name), passedAll ? digestOf(own) : null);
  } finally {
    await store.close();
  }
}

async function onCopy(
  own: OwnFix,
  { directory, environment: declared }: ServiceConfig,
  environment: Environment,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const real = commandsOf(own).find((word) => word.includes(directory));
  if (real !== undefined)
    return [`"${real}" names the service's own folder: a copy could not be used; say it relative to it`];
  const scratch = await mkdtemp(join(tmpdir(), 'selfheal-drill-'));
  const copy = join(scratch, 'service');
  try {
    await cp(directory, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    return await carryOut(own, copy, runIn(copy, { ...environment, ...declared }, signal));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

type Command = (argv: readonly string[], timeoutMs: number) => Promise<string | null>;

/** Runs one command in the copy; null when it ended with 0, else what went wrong. */
function runIn(copy: string, environment: Environment, signal: AbortSignal): Command {
  const defined = Object.fromEntries(
    Object.entries(environment).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])),
  );
  const run: Run = createRun({ home: defined['HOME'] ?? '/', ownerEnvironment: defined });
  return async (argv, timeoutMs) => {
    const result = await run(inFolder(argv, copy), { cwd: copy, timeoutMs, leash: 'group', signal });
    if (result.code === 0) return null;
    const how =
      result.failure ?? (result.timedOut ? 'did not end in time' : `ended with ${result.code ?? result.signal}`);
    return `${argv.join(' ')} ${how}: ${(result.stderr.trim() || result.stdout.trim()).slice(-300)}`;
  };
}

/** Steps, proof and way back; the copy must be as it was in the end. */
async function carryOut(own: OwnFix, copy: string, command: Command): Promise<readonly string[]> {
  const before = await listTree(copy);
  const problems: string[] = [];
  const done: OwnFix['steps'][number][] = [];
  for (const step of own.steps) {
    const failure = await command(step.run, step.timeoutMs);
    done.unshift(step);
    if (failure === null) continue;
    problems.push(failure);
    break;
  }
  for (const check of problems.length === 0 ? own.checks : []) {
    const failure = await command(check.run, check.timeoutMs);
    if (failure !== null) problems.push(`it proves nothing: ${failure}`);
  }
  for (const { undo, timeoutMs } of done) {
    const failure = 'none' in undo ? null : await command(undo, timeoutMs);
    if (failure !== null) problems.push(`it cannot be taken back: ${failure}`);
  }
  const isTakenBack = own.steps.every(({ undo }) => !('none' in undo));
  const left = isTakenBack ? listingDifferences(before, await listTree(copy)) : [];
  return left.length === 0
    ? problems
    : [...problems, `after its undo the copy differs: ${left.slice(0, 5).join(', ')}`];
}

const commandsOf = (own: OwnFix): readonly string[] => [
  ...own.steps.flatMap(({ run, undo }) => [...run, ...('none' in undo ? [] : undo)]),
  ...own.checks.flatMap(({ run }) => run),
];
