// One plan at a time per resource. A lock belongs to a plan until the plan is finished, also across the
// death of the process that took it: what is half done must not be touched by another plan.

import { lastClaim, planState, type Owner } from './journal.ts';
import type { Store } from '../store/contract.ts';
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
    const holder = (await lockOne(session, resource)) ?? (await lockOneOnHost(session, resource));
    taken.push(resource);
    if (holder === null) continue;
    for (const one of taken) await session.deps.store.unlock(one, lockOwner(session.plan.id));
    await session.releaseHost();
    return `${resource} is in use by ${holder}`;
  }
  return null;
}

/** Who has what the plan needs, after a fair wait; null when nobody does. Looks only: nothing is taken, nothing written. */
export async function obstacle(session: Session): Promise<string | null> {
  const { clock, signal } = session.deps;
  const end = clock.monotonic() + WAIT_MS;
  for (;;) {
    const found = await obstacleNow(session);
    if (found === null || signal.aborted || clock.monotonic() >= end) return found;
    await clock.sleep(POLL_MS, signal);
  }
}

async function obstacleNow({ deps, plan }: Session): Promise<string | null> {
  const { store, clock, lockOnHost } = deps;
  const locks = await store.locks();
  for (const resource of [...new Set(plan.resources)].sort()) {
    const rivals = locks.filter((lock) => rivalOf(resource, [lock], lockOwner(plan.id), clock.now()) !== undefined);
    for (const { owner } of rivals) if (!(await isForsaken(deps, owner))) return `${resource} is in use by ${owner}`;
    const release = lockOnHost ? await lockOnHost(resource) : async () => {};
    if (release === null) return `${resource} is in use by another selfheal on this host`;
    await release();
  }
  return null;
}

/** Against daemons with a store of their own. What a dead process held is free again at once. */
async function lockOneOnHost(session: Session, resource: string): Promise<string | null> {
  const { lockOnHost, clock, signal } = session.deps;
  const end = clock.monotonic() + WAIT_MS;
  for (;;) {
    const release = lockOnHost ? await lockOnHost(resource) : async () => {};
    if (release !== null) {
      session.holdOnHost(release);
      return null;
    }
    if (signal.aborted || clock.monotonic() >= end) return 'another selfheal on this host';
    await clock.sleep(POLL_MS, signal);
  }
}

async function lockOne({ deps, plan }: Session, resource: string): Promise<string | null> {
  const { store, clock, signal } = deps;
  const until = Math.max(clock.now(), plan.expiresAt) + plan.settleMs + SLACK_MS;
  const end = clock.monotonic() + WAIT_MS;
  for (;;) {
    const isOurs = await store.lock(resource, lockOwner(plan.id), until);
    const rival = rivalOf(resource, await store.locks(), isOurs ? lockOwner(plan.id) : null, clock.now());
    if (rival === undefined) {
      if (isOurs) return null;
      continue;
    }
    // What contains it, or lies in it, is another's: ours is given back, so that two who wait cannot block each other.
    if (isOurs) await store.unlock(resource, lockOwner(plan.id));
    if (await isForsaken(deps, rival.owner)) await store.unlock(rival.resource, rival.owner);
    else if (signal.aborted || clock.monotonic() >= end) return rival.owner;
    else await clock.sleep(POLL_MS, signal);
  }
}

type Lock = Awaited<ReturnType<Store['locks']>>[number];

/** The lock that stands against ours: on the same resource, or on a folder around it or something below it. */
function rivalOf(resource: string, locks: readonly Lock[], self: string | null, now: number): Lock | undefined {
  return locks.find((lock) => lock.owner !== self && lock.until > now && overlap(lock.resource, resource));
}

/** Paths overlap when one is the other or a folder above it; anything else only when equal. */
export function overlap(a: string, b: string): boolean {
  if (a === b) return true;
  if (!a.startsWith('path:') || !b.startsWith('path:')) return false;
  return a.startsWith(`${b.replace(/\/+$/, '')}/`) || b.startsWith(`${a.replace(/\/+$/, '')}/`);
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

/** The living process that has the plan; null when there is none. */
export async function rivalAt({ deps, entries }: Session): Promise<string | null> {
  const last = lastClaim(entries);
  return last && (await isAlive(deps, last)) ? `process ${last.pid} is at it` : null;
}

/** Takes the plan for this process; the reason when somebody else has it. */
export async function claim(session: Session, verb: string): Promise<string | null> {
  const rival = await rivalAt(session);
  if (rival !== null) return rival;
  const generation = (lastClaim(session.entries)?.generation ?? 0) + 1;
  const data = { ...session.deps.self, verb, generation };
  try {
    await session.write('claimed', { step: -1, phase: 'claimed', data });
    return null;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'locked') throw error;
    return 'another process took it at the same moment';
  }
}
