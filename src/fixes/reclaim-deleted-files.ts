// The disk is full of files that have been deleted and are still open: their room comes back when the holder lets go.
// Where the holder is the service itself, it is restarted; anybody else is named.

import type { ProcessInfo } from '../host/contract.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { sized, writableCheck } from './shared/disposable.ts';
import { drillService } from './shared/drill-service.ts';
import { isSame, named, treeOf } from './shared/kin.ts';
import { reasonNotToStart, restartProofs, restartStep, restartVia } from './shared/restarting.ts';
import { fullPlace } from './shared/room.ts';
import { fill, smallDisk } from './shared/small-disk.ts';

/** Held room that is worth a restart: a twentieth of the file system. */
const WORTH_SHARE = 0.05;

export default defineFix({
  name: 'reclaim-deleted-files',
  family: 'free-disk',
  title: 'Give back the room of deleted files that are still open',
  handles: ['disk_full'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 18,
  diagnose,
  drills: [
    {
      given: 'the service holds a big log that was deleted',
      needs: 'root',
      world: async (kit) => {
        await smallDisk(kit, 'data');
        const service = await drillService(kit);
        await fill(kit, 'data/big.log');
        await kit.write('hold', '');
        await service.start();
        await kit.sh(['rm', 'data/big.log']);
      },
      facts: { path: '{directory}/data/agent.log' },
      type: 'disk_full',
      expect: ['restart'],
    },
    {
      given: 'a program that is not the service holds it',
      needs: 'root',
      world: async (kit) => {
        await smallDisk(kit, 'data');
        await (await drillService(kit)).start();
        await fill(kit, 'data/big.log');
        const hold = `f = open('${kit.directory}/data/big.log'); print('held', flush=True); import time; time.sleep(600)`;
        await kit.start(['python3', '-c', hold], { ready: 'held', cwd: '/' });
        await kit.sh(['rm', 'data/big.log']);
      },
      facts: { path: '{directory}/data/agent.log' },
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'the disk has room',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      facts: {},
      type: 'disk_full',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const place = await fullPlace(probe, service, incident.facts.path);
  if (place?.of !== 'bytes') return notApplicable('no file system of the service is full');
  const worth = place.room.totalBytes * WORTH_SHARE;
  const held = (await probe.processes.deletedFiles(place.directory)).filter((file) => file.bytes >= worth);
  const biggest = held[0];
  if (!biggest) return notApplicable('no deleted file is held open there');
  const state = await probe.services.state(service.name);
  const family = state.process ? await treeOf(probe, state.process) : [];
  const isOurs = (one: ProcessInfo): boolean => family.some((member) => isSame(member, one));
  if (!isOurs(biggest.process))
    return refuse(
      `${sized(biggest.bytes)} of ${place.directory} belong to the deleted ${biggest.path}, which ${named(biggest.process)} has open: restart that`,
    );

  const via = restartVia(service);
  const objection = reasonNotToStart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  const bytes = held.filter((file) => isOurs(file.process)).reduce((sum, file) => sum + file.bytes, 0);
  return propose({
    title: `restart ${service.name}, which holds ${sized(bytes)} of deleted files`,
    why: `${place.directory} has ${sized(place.room.freeBytes)} left, and ${named(biggest.process)} has the deleted ${biggest.path} (${sized(biggest.bytes)}) open.`,
    facts: { path: place.directory, pid: biggest.process.pid },
    steps: [restartStep(service, via, state.process)],
    checks: [
      ...restartProofs(service, false),
      writableCheck(place.directory, place.room.freeBytes + Math.round(biggest.bytes / 2)),
    ],
    resources: ['host:disk'],
    needsRestart: false,
  });
}
