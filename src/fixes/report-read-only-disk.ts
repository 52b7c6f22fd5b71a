// A file system has become read-only, or a device answers with errors: the kernel protects what is left. Nothing that
// writes may touch it, and no restart helps.

import { commandLine } from '../core/wording.ts';
import { type Diagnosis, defineFix, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { placesOf } from './shared/room.ts';
import { smallDisk } from './shared/small-disk.ts';

const DEVICE_ERROR = /\bblk_update_request: I\/O error\b|\bBuffer I\/O error on dev\b|\bEIO\b|\[Errno 5\]/;

export default defineFix({
  name: 'report-read-only-disk',
  family: 'free-disk',
  title: 'Say that a disk cannot be written',
  handles: ['disk_full', 'permission_error', 'database_error', 'unknown'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 4,
  diagnose,
  drills: [
    {
      given: 'the data folder lies on a file system that is read-only',
      needs: 'root',
      world: async (kit) => {
        await smallDisk(kit, 'data');
        await kit.sh(['mount', '-o', 'remount,ro', 'data']);
      },
      facts: { path: '{directory}/data/state.db' },
      type: 'permission_error',
      expect: 'refused',
    },
    {
      given: 'the kernel reports errors of the device',
      world: (kit) => kit.write('a', ''),
      message: 'blk_update_request: I/O error, dev vda, sector 12345',
      facts: {},
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'everything can be written',
      world: (kit) => kit.write('data/a', ''),
      facts: { path: '{directory}/data/a' },
      type: 'permission_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  if (DEVICE_ERROR.test(claimOf(incident)))
    return refuse(
      'the device itself answers with errors: stop what writes much, save what matters, and look at `dmesg` and `smartctl`',
      ['dmesg --level=err,warn --ctime | tail -n 40', 'lsblk -o NAME,MODEL,MOUNTPOINTS', 'sudo smartctl --scan'],
    );
  for (const directory of await placesOf(probe, service, incident.facts.path)) {
    const room = await probe.files.room(directory);
    if (room?.readOnly)
      return refuse(
        `${directory} is on a file system that is mounted read-only, as the kernel does after errors: look at \`dmesg\` before anything is mounted anew`,
        [commandLine(['findmnt', '-T', directory]), 'dmesg --level=err,warn --ctime | tail -n 40'],
      );
  }
  return notApplicable('every file system of the service can be written');
}
