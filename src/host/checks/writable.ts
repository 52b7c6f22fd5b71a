// A file can really be written in a folder, as the folder's owner, and enough room is left: made, synced, removed.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';

const WRITE_MS = 20_000;
/** More than the few bytes that some file systems keep inside the inode. */
const PROBE_BYTES = 64 * 1024;

export const writable: CheckRunner<CheckOf<'writable'>> = {
  kind: 'writable',
  async run({ directory, freeBytes }, { run, probe, signal, clock }) {
    const room = await probe.files.room(directory);
    if (!room) return { passed: 'unknown', evidence: `the file system of ${directory} cannot be looked at` };
    if (room.readOnly) return { passed: false, evidence: `${directory} is mounted read-only` };
    if (room.freeBytes < freeBytes)
      return { passed: false, evidence: `${room.freeBytes} bytes are free in ${directory}, wanted ${freeBytes}` };
    const file = `${directory}/.selfheal-write-${clock.now().toString(36)}`;
    const written = await run(
      ['dd', 'if=/dev/zero', `of=${file}`, `bs=${PROBE_BYTES}`, 'count=1', 'conv=fsync,excl', 'status=none'],
      { cwd: '/', asOwnerOf: directory, timeoutMs: WRITE_MS, signal },
    );
    await run(['rm', '-f', '--', file], { cwd: '/', asOwnerOf: directory, timeoutMs: WRITE_MS });
    if (written.failure !== null) return { passed: 'unknown', evidence: written.failure };
    if (written.code !== 0)
      return { passed: false, evidence: written.stderr.trim().slice(0, 200) || 'it could not be written' };
    return { passed: true, evidence: `${PROBE_BYTES} bytes were written in ${directory}; ${room.freeBytes} are free` };
  },
};
