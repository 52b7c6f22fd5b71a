// State of a service that selfheal runs itself, as its supervisor wrote it down.

import type { Clock } from '../../core/clock.ts';
import type { Store } from '../../store/contract.ts';
import type { ServiceFacts, ServiceState } from '../contract.ts';
import { isAlive, readBootId, readProcess } from '../proc.ts';
import { provenStart, readSupervised, STARTS_WINDOW_MS, type SupervisedRecord } from '../supervised-record.ts';
import { unknownState } from './manager.ts';

/** Between the end of a process and the supervisor's note of it lie moments: wait that long before judging. */
const NOTE_WAIT_MS = 1_000;
const NOTE_POLL_MS = 100;

export async function supervisedState(
  service: ServiceFacts,
  store: Pick<Store, 'value'>,
  clock: Clock,
): Promise<ServiceState> {
  const record = await settledRecord(service, store, clock);
  if (record === 'unreadable') return unknownState('the store cannot be read');
  if (!record) return { ...unknownState('selfheal has not started it yet'), running: false };
  const now = clock.now();
  const proven = await provenStart(store, service.name);
  const { generation } = record;
  const alive = await livesOn(record);
  return {
    running: alive,
    process: alive && generation.pid !== null ? await readProcess(generation.pid) : null,
    starts: generation.number,
    stoppedOnPurpose: !alive && (record.stoppedBy !== null || generation.ended?.deliberate === true),
    recentStarts: record.starts.filter((at) => now - at < STARTS_WINDOW_MS && at > proven).length,
    supervisorGaveUp: false,
    ...(generation.ended?.failure ? { failure: generation.ended.failure } : {}),
    evidence: describe(record, alive),
  };
}

/** The record; waits a moment for the note when the process is gone and nothing says how. */
async function settledRecord(
  service: ServiceFacts,
  store: Pick<Store, 'value'>,
  clock: Clock,
): Promise<SupervisedRecord | null | 'unreadable'> {
  const deadline = clock.monotonic() + NOTE_WAIT_MS;
  for (;;) {
    const record = await readSupervised(store, service.name).catch(() => 'unreadable' as const);
    const settled = record === null || record === 'unreadable' || record.generation.ended || (await livesOn(record));
    if (settled || clock.monotonic() > deadline) return record;
    await clock.sleep(NOTE_POLL_MS);
  }
}

async function livesOn(record: SupervisedRecord): Promise<boolean> {
  const { generation } = record;
  if (generation.ended || generation.pid === null || record.boot !== (await readBootId())) return false;
  return isAlive({ pid: generation.pid, startTicks: generation.startTicks });
}

function describe(record: SupervisedRecord, alive: boolean): string {
  const { generation } = record;
  if (alive) return `runs as pid ${generation.pid}, start ${generation.number}`;
  const end = generation.ended;
  if (!end) return `pid ${generation.pid} is gone; how it ended is not known yet`;
  if (end.failure !== null) return `could not be started: ${end.failure}`;
  if (record.stoppedBy !== null) return `stopped by ${record.stoppedBy}`;
  const how = end.signal !== null ? `by ${end.signal}` : `with exit code ${end.exitCode ?? 'unknown'}`;
  return `ended ${how} after ${Math.round(end.uptimeMs / 1000)} s${end.deliberate ? ', on purpose' : ''}`;
}
