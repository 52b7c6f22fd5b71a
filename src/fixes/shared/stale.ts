// Proof that a file which names a process is stale: the process is gone, or its pid was given to somebody else after
// the file had been written.

import type { MoveStep } from '../../core/plan.ts';
import type { FileStatus, Probe } from '../../host/contract.ts';
import { named } from './kin.ts';

/** A pid in a small file: alone, `pid=4711`, or `"pid": 4711`. */
const PID = /^\s*(\d{1,10})\s*$|\bpid["']?\s*[=:]\s*["']?(\d{1,10})\b/im;
const MAX_BYTES = 4_096;
/** Start times and file times come from different clocks. */
const SLACK_MS = 2_000;

export type Staleness =
  | {
      readonly kind: 'stale';
      readonly pid: number;
      readonly why: string;
      readonly status: FileStatus;
      readonly sha256: string;
    }
  | { readonly kind: 'held'; readonly why: string }
  /** No file, or one that names nobody. */
  | { readonly kind: 'unclear'; readonly why: string };

/** Judges by the machine: the file's own text, /proc, and who has the file open. */
export async function staleness(probe: Probe, path: string): Promise<Staleness> {
  const status = await probe.files.status(path);
  const [text, sha256] = await Promise.all([probe.files.text(path, MAX_BYTES), probe.files.sha256(path)]);
  if (status.kind !== 'file' || text === null || sha256 === null)
    return { kind: 'unclear', why: `${path} is no small plain file` };
  const match = PID.exec(text);
  const pid = Number(match?.[1] ?? match?.[2] ?? Number.NaN);
  if (!Number.isInteger(pid) || pid < 2) return { kind: 'unclear', why: `${path} does not name a process` };
  const [holder] = await probe.processes.holders(path);
  if (holder) return { kind: 'held', why: `${named(holder)} has ${path} open` };
  const process = await probe.processes.process(pid);
  if (!process)
    return { kind: 'stale', pid, status, sha256, why: `${path} names pid ${pid}, and there is no such process` };
  const usage = await probe.processes.usage(pid);
  if (usage && usage.startedAt > status.modifiedAt + SLACK_MS)
    return {
      kind: 'stale',
      pid,
      status,
      sha256,
      why: `${path} names pid ${pid}, a number that ${named(process)} was given after the file had been written`,
    };
  return { kind: 'held', why: `${path} names ${named(process)}, which lives` };
}

/** Moves it aside, beside where it was. Never deletes. */
export function moveAside(path: string, found: Extract<Staleness, { kind: 'stale' }>): MoveStep {
  return {
    kind: 'move',
    title: `move ${path} aside`,
    from: path,
    to: `${path}.stale-{plan}`,
    before: found.sha256,
    inode: found.status.inode,
    undo: { kind: 'restore-snapshot' },
  };
}
