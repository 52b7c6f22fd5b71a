// One plan at a time per resource. A lock belongs to a plan until the plan is finished, also across the
// death of the process that took it: what is half done must not be touched by another plan.

import { lastClaim, planState, type Owner } from './journal.ts';
import { lockOwner, type HandsDeps, type Session } from './session.ts';

/** How long another plan is waited for before this one gives way. */
const WAIT_MS = 20_000;
const POLL_MS = 250;
/** Locks outlast the settle time by a day: recovery may be late, and an expired lock protects nobody. */
const SLACK_MS = 86_400_000;

/** Null when all resources of the plan are ours; else the reason why not. Sorted, so that two plans cannot block each other. */
export async function lockAll(session: Session): Promise<string | null> {
  const taken: string[] = [];
  for (const resource of [...new Set(session.plan.resources)].sort()) {
    const holder = await lockOne(session, resource);
    if (holder === null) {
      taken.push(resource);
      continue;
    }
    for (const one of taken) await session.deps.store.unlock(one, lockOwner(session.plan.id));
    return `${resource} is in use by ${holder}`;
  }
  return null;
}

async function lockOne({ deps, plan }: Session, resource: string): Promise<string | null> {
  const { store, clock, signal } = deps;
  const until = Math.max(clock.now(), plan.expiresAt) + plan.settleMs + SLACK_MS;
  const end = clock.monotonic() + WAIT_MS;
  for (;;) {
    if (await store.lock(resource, lockOwner(plan.id), until)) return null;
    const holder = (await store.locks()).find((lock) => lock.resource === resource)?.owner;
    if (holder === undefined) continue;
    if (await isForsaken(deps, holder)) await store.unlock(resource, holder);
    else if (signal.aborted || clock.monotonic() >= end) return holder;
    else await clock.sleep(POLL_MS, signal);
  }
}

/** A plan that was never claimed or is finished, or a process that is gone: it only forgot to give the lock back. */
async function isForsaken(deps: HandsDeps, holder: string): Promise<boolean> {
  const plan = /^plan:(.+)$/.exec(holder)?.[1];
  if (plan !== undefined) {
    const { name } = planState(await deps.store.journal(plan));
    return name === 'unclaimed' || (name === 'finished' && !(await deps.store.openPlans()).includes(plan));
  }
  const [pid, startTicks] = holder.split(':').map(Number);
  if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(startTicks)) return false;
  return !(await isAlive(deps, { pid: pid as number, startTicks: startTicks as number, boot: deps.self.boot }));
}

/** True while exactly this process lives. A dead one that nobody has collected yet does not. */
export async function isAlive({ probe, self }: HandsDeps, owner: Owner): Promise<boolean> {
  if (owner.boot !== self.boot) return false;
  const found = await probe.processes.process(owner.pid);
  if (found === null || found.startTicks !== owner.startTicks) return false;
  return (await probe.processes.usage(owner.pid))?.state !== 'Z';
}

/** Takes the plan for this process; the reason when somebody else has it. */
export async function claim(session: Session, verb: string): Promise<string | null> {
  const { deps, entries } = session;
  const last = lastClaim(entries);
  if (last && (await isAlive(deps, last))) return `process ${last.pid} is at it`;
  const data = { ...deps.self, verb, generation: (last?.generation ?? 0) + 1 };
  try {
    await session.write('claimed', { step: -1, phase: 'claimed', data });
    return null;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'locked') throw error;
    return 'another process took it at the same moment';
  }
}
