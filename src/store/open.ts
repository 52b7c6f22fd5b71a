// Opens the store of one host: a private folder with two database files, joined behind one interface.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { StoreError, type Store } from './contract.ts';
import { ring } from './doorbell.ts';
import { openFile, type StoreFile } from './file.ts';
import { healPart } from './heal-part.ts';
import { copyPart, requestPart, valuePart } from './memory-part.ts';
import { EVENTS_MIGRATIONS, JOURNAL_MIGRATIONS, type EventsTables, type JournalTables } from './schema.ts';
import { tellPart } from './tell-part.ts';
import { watchPart } from './watch-part.ts';

export const EVENTS_FILE = 'events.db';
export const JOURNAL_FILE = 'journal.db';

export interface OpenOptions {
  /** The state folder; made with mode 0700 when it is missing, and narrowed to it when it is wider. */
  readonly directory: string;
  readonly clock: Clock;
  /** Set by the daemon at its start: reads every page of both files first. Default false. */
  readonly verify?: boolean;
}

/**
 * The store in `directory`. Several processes may have it open. Throws `StoreError`: `newer-schema` when a later
 * program wrote it, `corrupt` when a file is damaged (see `openSoundStore`), `unreachable`, `full`, `io`, `locked`.
 *
 * @example
 * const store = await openStore({ directory: '/var/lib/selfheal', clock });
 * try { console.log(await store.incidents({ limit: 10 })); } finally { await store.close(); }
 */
export async function openStore({ directory, clock, verify = false }: OpenOptions): Promise<Store> {
  await makeFolder(directory);
  const events = await openFile<EventsTables>({
    path: join(directory, EVENTS_FILE),
    synchronous: 'NORMAL',
    migrations: EVENTS_MIGRATIONS,
    clock,
    verify,
  });
  try {
    const journal = await openFile<JournalTables>({
      path: join(directory, JOURNAL_FILE),
      synchronous: 'FULL',
      migrations: JOURNAL_MIGRATIONS,
      clock,
      verify,
    });
    return assemble(directory, clock, events, journal);
  } catch (error) {
    await events.close();
    throw error;
  }
}

async function makeFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    // Inside somebody's repository this folder must never be committed, nor stand in the way of a pull.
    await writeFile(join(directory, '.gitignore'), '*\n', { flag: 'wx', mode: 0o600 }).catch(() => undefined);
  } catch (cause) {
    throw new StoreError('unreachable', `the state folder ${directory} cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function assemble(
  directory: string,
  clock: Clock,
  events: StoreFile<EventsTables>,
  journal: StoreFile<JournalTables>,
): Store {
  const store = {
    ...watchPart(events.db),
    ...healPart(journal.db, clock),
    ...tellPart(events.db),
    ...valuePart(journal.db),
    ...requestPart(journal.db),
    ...copyPart(events.db),
    prune: (before: number) => prune(events.db, journal.db, before),
    close: async () => {
      await events.close();
      await journal.close();
    },
  } satisfies Store;
  return { ...store, ...ringing(store, directory) };
}

/** The writes that another process may be waiting for. */
type Ringing = Pick<Store, 'saveIncident' | 'decide' | 'setValue' | 'swapValue' | 'request'>;

function ringing(store: Ringing, directory: string): Ringing {
  const rung = async <T>(written: Promise<T>): Promise<T> => {
    const answer = await written;
    if (answer !== false) await ring(directory);
    return answer;
  };
  return {
    saveIncident: (incident) => rung(store.saveIncident(incident)),
    decide: (approval) => rung(store.decide(approval)),
    setValue: (key, value) => rung(store.setValue(key, value)),
    swapValue: (key, expected, value) => rung(store.swapValue(key, expected, value)),
    request: (request) => rung(store.request(request)),
  };
}

/** Good copies of a file that are kept whatever their age. */
const COPIES_KEPT = 3;

/** Journal, ledger, decisions and everything that is still open stay; plans stay as long as a journal or a decision needs them. */
async function prune(events: Kysely<EventsTables>, journal: Kysely<JournalTables>, before: number): Promise<number> {
  const counts = [
    await sql`delete from timeline where at < ${before} and incident in (
      select id from incidents where state = 'resolved' and last_seen < ${before})`.execute(events),
    // What a person merged others into stays: else they would come apart by themselves.
    await sql`delete from incidents where state = 'resolved' and last_seen < ${before}
      and id not in (select incident from merges)`.execute(events),
    await sql`delete from merges where incident not in (select id from incidents)`.execute(events),
    await sql`delete from outbox where state <> 'pending' and at < ${before}`.execute(events),
    await sql`delete from good_copies where saved_at < ${before} and coalesce(proven_at, 0) < ${before} and id not in (
      select id from (select id, row_number() over (
        partition by service, path order by proven_at is null, proven_at desc, saved_at desc) as rank
        from good_copies) where rank <= ${COPIES_KEPT})`.execute(events),
    await sql`delete from plans where expires_at < ${before}
      and id not in (select plan from journal) and id not in (select plan from approvals)`.execute(journal),
  ];
  return counts.reduce((sum, { numAffectedRows }) => sum + Number(numAffectedRows ?? 0), 0);
}
