// One trial: a world is built, selfheal watches it, the fault is made and shows itself, and when everything has come to
// rest the machine is judged. The time that counts runs from the fault's first sign to the verified recovery.

import { Daemon } from './daemon.mjs';
import { isAsking, isFixed, isLeft, judge, told } from './judge.mjs';
import { makeNoise } from './noise.mjs';
import { Harm, Miss, sleep, World } from './world.mjs';

const DEADLINE_MS = { heal: 90_000, ask: 100_000, leave: 60_000, control: 14_000 };
/** After everything has come to rest: what is done late is seen, too. */
const AFTERWARDS_MS = 2_500;
const POLL_MS = 800;

/** @returns {Promise<object>} one row of the report; never rejects. */
export async function tryFault(fault, { scale, keep }) {
  const row = { id: fault.id, group: fault.group, kind: fault.kind, what: fault.what, verdict: 'error', reason: '' };
  let world;
  let daemon;
  let hush = () => {};
  try {
    world = await World.open(fault);
    await fault.build(world);
    daemon = new Daemon(world);
    await daemon.start();
    await fault.warm?.(world);
    if (!fault.quiet) hush = makeNoise(world);
    await fault.breakIt?.(world);
    world.mark();
    world.brokenAt = Date.now();
    await fault.show?.(world);
    const seen = await watch(world, daemon, scale);
    await sleep(AFTERWARDS_MS);
    const incidents = await daemon.incidents();
    const works = fault.works ? await fault.works(world) : null;
    hush();
    const clean = fault.judgeRunning ? true : await daemon.stop();
    row.incidents = incidents.map(({ type, state, outcome, fix, reason }) => ({
      type,
      state,
      outcome: outcome?.kind ?? null,
      fix,
      reason,
    }));
    row.messages = told(world);
    await judge(world, daemon, { incidents, works, asked: seen.asked, clean });
    row.verdict = 'pass';
    const healed = incidents.find(isFixed);
    if (healed) row.seconds = (Date.parse(healed.outcome.at) - (seen.approvedAt ?? world.brokenAt)) / 1000;
  } catch (error) {
    row.verdict = error instanceof Harm ? 'harm' : error instanceof Miss ? 'miss' : 'error';
    row.reason = row.verdict === 'error' ? String(error.stack) : error.message;
    row.falseFixed = error.falseFixed === true;
  } finally {
    hush();
    await daemon?.stop();
    await world?.close({ keep });
    if (keep) row.folder = world?.root;
  }
  return row;
}

/** Looks on until all has come to rest or the time is over, and approves what asks where the fault says so. */
async function watch(world, daemon, scale) {
  const { fault } = world;
  const deadline = Date.now() + (fault.deadlineMs ?? DEADLINE_MS[fault.kind]) * scale;
  const approved = new Set();
  let approvedAt = null;
  let asked = false;
  while (Date.now() < deadline) {
    const incidents = await daemon.incidents();
    for (const incident of incidents.filter(isAsking)) {
      asked = true;
      if (fault.kind !== 'ask' || approved.has(incident.id)) continue;
      const early = world.changes();
      if (early.length > 0) throw new Harm(`acted before it was approved: ${early.slice(0, 4).join(', ')}`);
      approved.add(incident.id);
      approvedAt ??= Date.now();
      await daemon.approve(incident);
    }
    if (fault.kind !== 'control' && (await atRest(fault, incidents, approved))) break;
    await sleep(POLL_MS);
  }
  return { asked, approvedAt };
}

async function atRest(fault, incidents, approved) {
  if (incidents.length === 0) return false;
  if (fault.kind === 'leave' && fault.waits) return false;
  return incidents.every(
    (i) => i.state === 'resolved' || i.state === 'silenced' || (isLeft(i) && !(isAsking(i) && approved.has(i.id))),
  );
}
