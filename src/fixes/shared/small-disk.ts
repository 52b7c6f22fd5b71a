// A file system of a few hundred kilobytes, for drills of full disks. Only root can make one.

import type { DrillKit } from '../../testing/drill-kit.ts';

/** Mounts it at `folder` of the drill's service; unmounted after the drill. */
export async function smallDisk(kit: DrillKit, folder: string, options = 'size=512k'): Promise<void> {
  await kit.sh(['mkdir', '-p', folder]);
  await kit.sh(['mount', '-t', 'tmpfs', '-o', `mode=755,${options}`, 'tmpfs', folder]);
  kit.later(async () => {
    await kit.sh(['umount', '-l', folder]);
  });
}

/** Writes until nothing more fits. */
export async function fill(kit: DrillKit, file: string): Promise<void> {
  await kit.sh(['dd', 'if=/dev/zero', `of=${file}`, 'bs=4k', 'status=none'], { mayFail: true });
}

/** Makes a file of this many kilobytes that is some days old. */
export async function oldFile(kit: DrillKit, file: string, kilobytes: number, days: number): Promise<void> {
  await kit.sh(['dd', 'if=/dev/zero', `of=${file}`, 'bs=1k', `count=${kilobytes}`, 'status=none']);
  await kit.sh(['touch', '-d', `${days} days ago`, file]);
}
