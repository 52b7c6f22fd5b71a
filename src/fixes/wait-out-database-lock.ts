// A SQLite database is locked. Writers take turns, so a moment later it mostly is free; who holds it longer is named,
// and only a leftover of the very same service is ended.

import type { Check } from '../core/plan.ts';
import type { Probe, ProcessInfo, ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { isLeftover, isSame, named, treeOf } from './shared/kin.ts';

const SPEAKS_OF_LOCK = /database (?:table )?is locked|SQLITE_(?:BUSY|LOCKED)/i;
const DATABASES = ['*.db', '*.sqlite', '*.sqlite3', '*/*.db', '*/*.sqlite', '*/*.sqlite3'] as const;
/** Longer than the usual busy timeouts of programs (SQLite's drivers wait five seconds by default, if at all). */
const WAIT_MS = 8_000;
/** Somebody who holds a lock that long will not let go by himself soon. */
const PATIENCE_MS = 600_000;

export default defineFix({
  name: 'wait-out-database-lock',
  family: 'wait-out-limit',
  title: 'Wait until a locked database is free',
  handles: ['database_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 32,
  diagnose,
  drills: [
    {
      given: 'another program holds the lock for a few seconds more',
      // Nearly as long as it is waited for: a busy host needs a while before it looks.
      world: (kit) => lockedDatabase(kit, WAIT_MS / 1000 - 1),
      message: 'sqlite3.OperationalError: database is locked',
      facts: {},
      type: 'database_error',
      expect: ['wait'],
    },
    {
      given: 'the log names a database that is not of the service',
      world: (kit) => kit.write('a', ''),
      message: 'sqlite3.OperationalError: database is locked',
      facts: { path: '/var/lib/other/app.db' },
      type: 'database_error',
      expect: 'not-applicable',
    },
    {
      given: 'a server is meant, not a file',
      world: (kit) => kit.write('a', ''),
      message: 'FATAL:  sorry, too many clients already',
      facts: {},
      type: 'database_error',
      expect: 'not-applicable',
    },
  ],
});

async function lockedDatabase(kit: DrillKit, seconds: number): Promise<void> {
  const hold = `import sqlite3, time\nd = sqlite3.connect('data/app.db', isolation_level=None); d.execute('create table t (a)')\nd.execute('begin immediate'); print('locked', flush=True); time.sleep(${seconds}); d.execute('rollback'); d.close()`;
  await kit.write('data/x', '');
  await kit.write('hold.py', hold);
  await kit.start(['python3', 'hold.py'], { ready: 'locked' });
}

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { incident, service, probe } = context;
  if (!SPEAKS_OF_LOCK.test(claimOf(incident))) return notApplicable('the log does not speak of a lock');
  const path = await databaseOf(context);
  if (path === null) return notApplicable('which database of the service is meant is not known');
  const strangers = await holdersBeside(probe, service, path);
  const leftover = strangers.find((one) => one.isLeftover)?.process;
  if (leftover) return endLeftover(path, leftover, service);
  const now = probe.clock.now();
  const holder = strangers[0]?.process;
  if (now - incident.firstSeen > PATIENCE_MS)
    return refuse(
      holder
        ? `${named(holder)} has had ${path} open for ten minutes of locks: end it, or let it commit`
        : `${path} has been locked again and again for ten minutes by the service itself: use WAL mode and a busy timeout`,
    );
  return propose({
    title: `wait until ${path} is free`,
    why: holder
      ? `${named(holder)} has ${path} open beside ${service.name}.`
      : `Nobody beside ${service.name} has ${path} open.`,
    facts: { path, ...(holder ? { pid: holder.pid } : {}) },
    steps: [
      {
        kind: 'wait',
        title: `wait ${WAIT_MS / 1000} s`,
        until: now + WAIT_MS,
        undo: { kind: 'none', reason: 'a wait changes nothing' },
      },
    ],
    checks: [unlocked(path)],
    resources: [],
    needsRestart: false,
  });
}

/** The file the log names, or the only database there is. */
async function databaseOf({ incident, service, probe }: FixContext): Promise<string | null> {
  const claimed = incident.facts.path;
  if (claimed !== undefined) {
    const path = await probe.files.inside(service.directory, claimed);
    return path !== null && (await probe.files.status(path)).kind === 'file' ? path : null;
  }
  const found = await probe.files.glob(service.directory, DATABASES);
  return found.length === 1 ? (found[0] ?? null) : null;
}

interface Holder {
  readonly process: ProcessInfo;
  readonly isLeftover: boolean;
}

async function holdersBeside(probe: Probe, service: ServiceFacts, path: string): Promise<readonly Holder[]> {
  const state = await probe.services.state(service.name);
  const family = state.process ? await treeOf(probe, state.process) : [];
  const holders = await probe.processes.holders(path);
  const beside = holders.filter((holder) => !family.some((one) => isSame(one, holder)));
  // Without a present process nobody can say who is left over from whom.
  return Promise.all(
    beside.map(async (process) => ({
      process,
      isLeftover: state.process !== null && (await isLeftover(probe, service, state, process)),
    })),
  );
}

function endLeftover(path: string, process: ProcessInfo, service: ServiceFacts): Diagnosis {
  return propose({
    title: `end a leftover of ${service.name} that holds ${path}`,
    why: `${named(process)} has ${path} open: the program, folder and user of ${service.name}, and not its present process.`,
    facts: { path, pid: process.pid },
    steps: [
      {
        kind: 'end-process',
        title: `end ${named(process)}`,
        pid: process.pid,
        startTicks: process.startTicks,
        executable: process.executable ?? '',
        undo: {
          kind: 'none',
          reason: 'an ended process cannot be brought back; SQLite takes back what it had not committed',
        },
      },
    ],
    checks: [unlocked(path)],
    resources: [`path:${path}`],
    needsRestart: false,
    mustAsk: 'it may be in the middle of writing',
  });
}

const unlocked = (path: string): Check => ({
  kind: 'sqlite-unlocked',
  title: `a write can be begun on ${path}`,
  proves: 'operation',
  failsBefore: true,
  path,
});
