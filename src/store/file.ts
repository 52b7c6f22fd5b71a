// One database file: made private, in WAL mode, checked, and brought to the schema of this program.
// Several processes may open it at the same moment.

import { chmod, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join, basename } from 'node:path';
import { Kysely, Migrator, sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { StoreError } from './contract.ts';
import type { Migrations } from './schema.ts';
import { dialectOf, openDatabase, query, type RawDatabase } from './sqlite.ts';

/** How long a connection waits for another process that writes, in milliseconds. */
const BUSY_MS = 5_000;

export interface StoreFile<Tables> {
  readonly path: string;
  readonly db: Kysely<Tables>;
  close(): Promise<void>;
}

export interface FileOptions {
  readonly path: string;
  readonly synchronous: 'NORMAL' | 'FULL';
  readonly migrations: Migrations;
  readonly clock: Clock;
  /** Read every page first. */
  readonly verify: boolean;
}

/** Opens, checks and migrates. Throws `StoreError`: `newer-schema`, `corrupt`, `unreachable`, `locked`, `full`, `io`. */
export async function openFile<Tables>(options: FileOptions): Promise<StoreFile<Tables>> {
  const { path } = options;
  await makePrivate(path);
  const database = openDatabase(path);
  const { dialect, close } = dialectOf(database, path);
  const db = new Kysely<Tables>({ dialect });
  try {
    await prepare(database, options);
    if (options.verify) verify(database, path);
    await migrate(db, database, options);
  } catch (error) {
    close();
    throw error;
  }
  return {
    path,
    db,
    close: async () => {
      await db.destroy();
      close();
    },
  };
}

/** Made empty with 0600 first: SQLite gives the `-wal` and `-shm` beside it the same mode. */
async function makePrivate(path: string): Promise<void> {
  try {
    // 'wx' never opens a file that exists: closing such a handle would drop SQLite's own locks on it.
    const handle = await open(path, 'wx', 0o600);
    await handle.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new StoreError('unreachable', `${path} cannot be made: ${(error as Error).message}`, { cause: error });
  }
}

async function prepare(database: RawDatabase, { path, synchronous, clock }: FileOptions): Promise<void> {
  query(database, path, `pragma busy_timeout = ${BUSY_MS}`);
  await patiently(clock, () => query(database, path, 'pragma journal_mode = wal'));
  query(database, path, `pragma synchronous = ${synchronous}`);
  // Memory-mapped reads turn an I/O error into a crash of the whole process.
  query(database, path, 'pragma mmap_size = 0');
}

/** Turning WAL on may answer "busy" at once while another process does the same: a few tries settle it. */
async function patiently(clock: Clock, work: () => void): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'locked' || tries >= 50) throw error;
    }
    await clock.sleep(20);
  }
}

/** Reads every page. Throws `corrupt` with what SQLite found. */
function verify(database: RawDatabase, path: string): void {
  const found = query(database, path, 'pragma integrity_check(5)').map((row) => String(Object.values(row)[0]));
  if (found.length === 1 && found[0] === 'ok') return;
  throw new StoreError(
    'corrupt',
    `${path} is damaged: ${found.join('; ')}. The next start of \`selfheal watch\` sets it aside`,
  );
}

/** Number of the schema a file has; 0 for a fresh one. */
function versionOf(database: RawDatabase, path: string): number {
  return Number(query(database, path, 'pragma user_version')[0]?.['user_version'] ?? 0);
}

async function migrate<Tables>(db: Kysely<Tables>, database: RawDatabase, options: FileOptions): Promise<void> {
  const { path, migrations, clock } = options;
  const wanted = Object.keys(migrations).length;
  const found = versionOf(database, path);
  if (found > wanted) {
    throw new StoreError(
      'newer-schema',
      `${path} was written by a newer selfheal (schema ${found}, this program knows ${wanted}): update this program`,
    );
  }
  if (found === wanted) return;
  if (found > 0) await backupFile(path, `v${found}-${clock.now()}`);
  await runMigrations(db as Kysely<unknown>, migrations, path);
}

/** All missing migrations in one transaction: the file is at the old schema or at the new one, never between. */
async function runMigrations(db: Kysely<unknown>, migrations: Migrations, path: string): Promise<void> {
  const numbered = Object.fromEntries(
    Object.entries(migrations).map(([name, migration], index) => [
      name,
      {
        up: async (inside: Kysely<unknown>) => {
          await migration.up(inside);
          await sql.raw(`pragma user_version = ${index + 1}`).execute(inside);
        },
      },
    ]),
  );
  const migrator = new Migrator({ db, provider: { getMigrations: async () => numbered } });
  const { error } = await migrator.migrateToLatest();
  if (error instanceof StoreError) throw error;
  if (error !== undefined) throw new StoreError('io', `${path} could not be brought up to date`, { cause: error });
}

/**
 * Writes a consistent copy to `backups/` beside the file, also while others write. Returns its path.
 *
 * @example await backupFile('/var/lib/selfheal/journal.db', '2026-10-07');
 */
export async function backupFile(path: string, label: string): Promise<string> {
  const folder = join(dirname(path), 'backups');
  const target = join(folder, `${basename(path, '.db')}-${label}.db`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await rm(target, { force: true });
  const database = openDatabase(path);
  try {
    query(database, path, `pragma busy_timeout = ${BUSY_MS}`);
    query(database, path, `vacuum into '${target.replaceAll("'", "''")}'`);
    await chmod(target, 0o600);
    return target;
  } catch (error) {
    await rm(target, { force: true }); // half a copy is none, and it takes room
    throw error;
  } finally {
    database.close();
  }
}

/** What is wrong with a database file; null when it is sound. Reads every page. */
export function damageOf(path: string): string | null {
  let database: RawDatabase | null = null;
  try {
    database = openDatabase(path);
    query(database, path, `pragma busy_timeout = ${BUSY_MS}`);
    verify(database, path);
    return null;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return error.message;
    throw error;
  } finally {
    database?.close();
  }
}
