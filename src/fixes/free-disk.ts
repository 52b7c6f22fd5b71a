// The disk is full. What the owner has declared disposable goes, oldest first and no more than is needed; nothing
// else ever does.

import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import {
  choose,
  diedOfIt,
  type Disposable,
  disposablesOn,
  removal,
  sized,
  writableCheck,
} from './shared/disposable.ts';
import { type FullPlace, fullPlace } from './shared/room.ts';
import { fill, oldFile, smallDisk } from './shared/small-disk.ts';

/** Room to win: a tenth of the file system, but no more than a gigabyte. */
const TARGET_SHARE = 0.1;
const TARGET_BYTES = 1024 ** 3;
/** Part of the winnings that must really be free afterwards: the service goes on writing meanwhile. */
const PROVEN_SHARE = 0.5;

export default defineFix({
  name: 'free-disk',
  family: 'free-disk',
  title: 'Make room on a full disk',
  handles: ['disk_full'],
  risk: 'risky',
  scope: 'service',
  autonomy: 'approve',
  order: 22,
  diagnose,
  drills: [
    {
      given: 'old rotated logs are declared disposable, and the disk is full',
      needs: 'root',
      world: async (kit) => {
        await fullDisk(kit);
        kit.service({ disposable: ['data/*.log.*'] });
      },
      facts: { path: '{directory}/data/agent.log' },
      type: 'disk_full',
      expect: ['remove-files'],
    },
    {
      given: 'the disk is full, and nothing on it is disposable',
      needs: 'root',
      world: fullDisk,
      facts: { path: '{directory}/data/agent.log' },
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'the only disposable file is being written by somebody',
      needs: 'root',
      world: async (kit) => {
        await smallDisk(kit, 'data');
        await oldFile(kit, 'data/agent.log.1', 100, 3);
        const hold = "f = open('data/agent.log.1'); print('held', flush=True); import time; time.sleep(600)";
        await kit.start(['python3', '-c', hold], { ready: 'held' });
        await fill(kit, 'data/agent.log');
        kit.service({ disposable: ['data/*.log.*'] });
      },
      facts: {},
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'the log says the disk is full, and there is plenty of room',
      world: async (kit) => {
        await kit.write('data/agent.log.1', 'x');
        await kit.sh(['touch', '-d', '3 days ago', 'data/agent.log.1']);
        kit.service({ disposable: ['data/*.log.*'] });
      },
      facts: { path: '{directory}/data/agent.log' },
      type: 'disk_full',
      expect: 'not-applicable',
    },
  ],
});

async function fullDisk(kit: DrillKit): Promise<void> {
  await smallDisk(kit, 'data');
  for (const days of [1, 2, 3]) await oldFile(kit, `data/agent.log.${days}`, 40, days);
  await oldFile(kit, 'data/state.db', 40, 9);
  await fill(kit, 'data/agent.log');
}

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const place = await fullPlace(probe, service, incident.facts.path);
  if (place === null) return notApplicable('no file system of the service is full now');
  if (place.of === 'entries') return notApplicable('bytes are left: it is file entries that have run out');
  const wanted = Math.min(place.room.totalBytes * TARGET_SHARE, TARGET_BYTES);
  const isEnough = (chosen: readonly Disposable[]): boolean => place.room.freeBytes + total(chosen) >= wanted;
  const chosen = await choose(probe, await disposablesOn(probe, service, place), isEnough);
  if (total(chosen) === 0) return refuse(await advice(place, probe));
  const free = place.room.freeBytes + Math.round(Math.min(total(chosen), wanted) * PROVEN_SHARE);
  return propose({
    title: `remove ${chosen.length} files (${sized(total(chosen))}) that you have declared disposable`,
    why: `${place.directory} has ${sized(place.room.freeBytes)} of ${sized(place.room.totalBytes)} left. Oldest first, from ${chosen[0]?.path ?? ''}; nobody has them open.`,
    facts: { path: place.directory },
    steps: [removal(chosen)],
    checks: [writableCheck(place.directory, free)],
    resources: ['host:disk', `path:${place.directory}`],
    needsRestart: await diedOfIt(probe, service),
  });
}

const total = (files: readonly Disposable[]): number => files.reduce((sum, file) => sum + file.bytes, 0);

async function advice(place: FullPlace, probe: FixContext['probe']): Promise<string> {
  const held = (await probe.processes.deletedFiles(place.directory)).reduce((sum, file) => sum + file.bytes, 0);
  const hint = held > place.room.totalBytes / 20 ? ` ${sized(held)} belong to deleted files that are still open.` : '';
  return `${place.directory} is full, and nothing on it that is declared \`disposable\` can go.${hint} Look with \`du -x -d2\`.`;
}
