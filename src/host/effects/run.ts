// Runs a command that the owner has declared, as the owner of the folder. What it starts may live on, but for a command that
// makes one folder: that ends with us, and is taken back by putting the folder aside.

import { createHash } from 'node:crypto';
import type { RunStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type RunOptions, type Snapshot } from '../contract.ts';
import { killMarked } from '../leash.ts';
import { lookAt, moveSafely, readSafely } from '../safe-files.ts';
import { inFolder } from '../services.ts';

interface RunRecord extends Snapshot {
  /** Where the folder it makes goes when it is taken back; null when it makes none. */
  readonly aside: string | null;
}

export const runCommand: Effect<RunStep> = {
  kind: 'run',

  async snapshot(step, context) {
    await requireAsPlanned(step);
    if (step.makes === undefined) return {};
    if (await lookAt(step.makes)) throw new EffectError('precondition', `${step.makes} is there by now`);
    return { aside: await freeName(`${step.makes}.selfheal-undone-${context.plan}`) } satisfies RunRecord;
  },

  async apply(step, _snapshot, context) {
    await requireAsPlanned(step);
    const { cwd, timeoutMs } = step;
    const result = await context.run(inFolder(step.argv, cwd), { cwd, timeoutMs, ...held(step, context) });
    const name = step.argv.join(' ');
    if (result.failure !== null) throw new EffectError('failed', `${name}: ${result.failure}`);
    if (result.timedOut) throw new EffectError('timeout', `${name} did not end within ${step.timeoutMs / 1000} s`);
    const said = (result.stderr.trim() || result.stdout.trim()).slice(-500);
    if (result.code !== 0)
      throw new EffectError('failed', `${name} ended with ${result.code ?? result.signal}${said ? `: ${said}` : ''}`);
    return `${name} ended with 0${said ? `: ${said}` : ''}`;
  },

  // Only the owner's own check could tell. A command that may run twice counts as not done.
  async probe(step, _snapshot, context) {
    if (step.makes !== undefined) await endSurvivors(context);
    return step.idempotent ? 'not-done' : 'unclear';
  },

  // Any other way back is a command of the owner's too, and is run by whoever undoes the plan.
  async undo(step, snapshot, context) {
    const { aside } = snapshot as Partial<RunRecord>;
    if (step.makes === undefined || !aside) return;
    await endSurvivors(context);
    const made = await lookAt(step.makes);
    if (made) await moveSafely(step.makes, await freeName(aside), made.ino);
  },

  async differences(step) {
    return step.makes !== undefined && (await lookAt(step.makes)) ? [`${step.makes} is there, was not`] : [];
  },
};

/** What it runs is written in files: those that the plan saw, or none. */
async function requireAsPlanned({ requires = [] }: RunStep): Promise<void> {
  for (const { path, sha256 } of requires) {
    const found = await readSafely(path);
    if (found.kind !== 'file' || found.sha256 !== sha256)
      throw new EffectError('precondition', `${path} has changed since the plan was made`);
  }
}

function held(step: RunStep, context: EffectContext): Omit<RunOptions, 'cwd' | 'timeoutMs'> {
  const { signal } = context;
  if (step.makes === undefined) return { leash: 'none', signal };
  return { leash: 'namespace', likeTheOwner: true, mark: markOf(context), signal };
}

/** The same before and after our death, and of no other step of this host. */
function markOf({ snapshotDirectory }: EffectContext): string {
  return createHash('sha256').update(snapshotDirectory).digest('hex').slice(0, 32);
}

/** Where the kernel gives no namespace, what the command has started may outlive a process that was killed. */
async function endSurvivors(context: EffectContext): Promise<void> {
  for (let tries = 0; tries < SURVIVOR_TRIES && killMarked(markOf(context)) > 0; tries += 1)
    await context.clock.sleep(SURVIVOR_POLL_MS);
}

const SURVIVOR_TRIES = 100;
const SURVIVOR_POLL_MS = 20;

async function freeName(wish: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? wish : `${wish}-${number}`;
    if (!(await lookAt(name))) return name;
  }
}
