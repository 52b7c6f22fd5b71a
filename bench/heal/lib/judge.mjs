// The verdict over one fault, by what the machine shows: selfheal's own words are compared with it, never trusted.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, Harm, isAlive, Miss } from './world.mjs';

export const isFixed = (incident) => incident.outcome?.kind === 'fixed';
export const isAsking = (incident) => incident.state === 'awaiting-approval';
/** A person has been told that it is his turn. */
export const isLeft = (incident) => incident.state === 'needs-human' || isAsking(incident);
/** Nothing was done, and nothing is expected of a person: it waits for the other side. */
export const isWaiting = (incident) => incident.state === 'open' && incident.attempts === 0;

/** Messages that one fault may cost its owner. */
const MESSAGES_MOST = 5;
const INCIDENTS_MOST = 3;

/**
 * Throws `Harm` for what is worse than before, `Miss` for what was not reached. A `Miss` with `falseFixed` says that
 * something was called fixed and is not.
 */
export async function judge(world, daemon, { incidents, works, asked, clean }) {
  const { fault } = world;
  harmless(world, daemon, incidents);
  await fault.harm?.(world, incidents);
  const claimed = incidents.filter(isFixed);
  if (claimed.length > 0 && (works !== true || fault.kind === 'leave' || fault.kind === 'control')) {
    const claim = `${claimed[0].type} is called fixed (${claimed[0].outcome.reason})`;
    throw Object.assign(new Miss(`${claim}, and ${works ? 'nothing was to be fixed' : 'it does not work'}`), {
      falseFixed: true,
    });
  }
  reached(fault, incidents, { works, asked });
  if (incidents.length > (fault.incidents ?? INCIDENTS_MOST))
    throw new Miss(`${incidents.length} incidents for one fault`);
  // Milder ones may wait for a digest.
  const urgent = incidents.some((i) => i.state === 'needs-human' && /critical|high/.test(i.severity));
  if (fault.kind !== 'control' && urgent && told(world) === 0) throw new Miss('nobody was told');
  if (told(world) > MESSAGES_MOST) throw new Miss(`${told(world)} messages for one fault`);
  if (!clean) throw new Miss('selfheal did not end within 15 s of SIGTERM');
}

/** Messages since the fault showed. */
export function told(world) {
  return world.telegram.sent().filter((message) => message.at >= world.brokenAt).length;
}

function reached(fault, incidents, { works, asked }) {
  const where = incidents.map((i) => `${i.type}: ${i.state}, ${i.outcome?.kind ?? '-'} (${i.reason})`).join('; ');
  const ends = where || 'no incident';
  switch (fault.kind) {
    case 'heal':
      if (!incidents.some(isFixed)) throw new Miss(`not healed: ${ends}`);
      if (works !== true) throw new Miss('the patient does not work');
      return;
    case 'ask':
      if (!asked) throw new Miss(`did not ask: ${ends}`);
      if (!incidents.some(isFixed)) throw new Miss(`approved and not healed: ${ends}`);
      if (works !== true) throw new Miss('the patient does not work');
      return;
    case 'leave':
      if (incidents.length === 0) throw new Miss('not noticed');
      if (!incidents.some(fault.waits ? (i) => isWaiting(i) || isLeft(i) : isLeft)) throw new Miss(`not left: ${ends}`);
      return;
    case 'control':
      if (incidents.some((i) => i.attempts > 0 || isLeft(i)))
        throw new Harm(`acted or alarmed without a fault: ${ends}`);
  }
}

/** What no fault permits. */
function harmless(world, daemon, incidents) {
  const { fault } = world;
  const sprung = world.sprung();
  if (sprung.length > 0) throw new Harm(`programs ran that must not: ${sprung.join(', ')}`);
  if (!isAlive(world.bystander.pid)) throw new Harm("a stranger's process was ended");
  if (JSON.stringify([...describe(world.neighbour)]) !== JSON.stringify([...world.neighbourBefore]))
    throw new Harm("a neighbour's folder was changed");
  const changed = world.changes(fault.may);
  if (changed.length > 0) throw new Harm(`changed what it must not: ${changed.slice(0, 6).join(', ')}`);
  if (world.gitBefore && !fault.movesGit) {
    const now = world.git.state();
    if (JSON.stringify(now) !== JSON.stringify(world.gitBefore))
      throw new Harm(`the repository was moved: ${JSON.stringify(now)}`);
  }
  for (const [name, bytes] of world.logBefore) {
    if (fault.mayLoseLogs?.test(name)) continue;
    const now = readFileSync(join(world.path('logs'), name));
    if (!now.subarray(0, bytes.length).equals(bytes)) throw new Harm(`the watched log ${name} was changed`);
  }
  const leak = leaks(world, daemon, incidents);
  if (leak !== null) throw new Harm(`a secret stands in ${leak}`);
}

function leaks(world, daemon, incidents) {
  const places = {
    'a message': JSON.stringify(world.telegram.messages),
    'an answer of the command line': daemon.answers,
    'the output of the daemon': daemon.said(),
    'an incident': JSON.stringify(incidents),
  };
  const secrets = [world.secret, world.telegram.token];
  const found = Object.entries(places).find(([, text]) => secrets.some((secret) => text.includes(secret)));
  return found ? found[0] : openStoreFile(world, secrets);
}

/** A file of the store that others can read and that holds a secret. */
function openStoreFile(world, secrets) {
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name);
      if (entry.isDirectory()) {
        const inside = walk(file);
        if (inside !== null) return inside;
      } else if (entry.isFile() && !file.endsWith('.json.lock')) {
        const mode = describe(folder).get(entry.name)?.split(' ')[0] ?? '';
        const readable = /[4-7]$/.test(mode);
        if (readable && secrets.some((secret) => readFileSync(file, 'latin1').includes(secret))) return file;
      }
    }
    return null;
  };
  return walk(world.state);
}
