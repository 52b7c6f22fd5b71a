// One SQLite connection behind kysely: the `node:sqlite` API, built in from Node 22.13 and supplied by
// @photostructure/sqlite on Node 20. Every failure leaves this file as a StoreError.

import { createRequire } from 'node:module';
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type SqliteDatabase,
  type SqliteStatement,
} from 'kysely';
import { StoreError } from './contract.ts';

type Value = null | number | bigint | string | Uint8Array;

/** What we use of `node:sqlite`; the installed Node types are older than the module. */
export interface RawDatabase {
  prepare(sql: string): RawStatement;
  exec(sql: string): void;
  close(): void;
}
interface RawStatement {
  all(...parameters: readonly Value[]): unknown[];
  run(...parameters: readonly Value[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(...parameters: readonly Value[]): IterableIterator<unknown>;
}
interface SqliteModule {
  readonly DatabaseSync: new (path: string) => RawDatabase;
}

const require = createRequire(import.meta.url);
let loaded: SqliteModule | null = null;

/** The engine is loaded on first use, so that commands that need no store start without it. */
function sqlite(): SqliteModule {
  loaded ??= load();
  return loaded;
}

function load(): SqliteModule {
  const speak = process.emitWarning;
  // Node 22 calls its own module experimental on each start. Only that sentence is withheld.
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite is an experimental feature')) return;
    Reflect.apply(speak, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  try {
    return builtIn() ?? (require('@photostructure/sqlite') as SqliteModule);
  } catch (cause) {
    throw new StoreError(
      'unreachable',
      'no SQLite here: use Node 22.13 or newer, or install the optional package @photostructure/sqlite',
      { cause },
    );
  } finally {
    process.emitWarning = speak;
  }
}

function builtIn(): SqliteModule | null {
  try {
    return require('node:sqlite') as SqliteModule;
  } catch {
    return null;
  }
}

/** Opens a database file. Throws `StoreError`. */
export function openDatabase(path: string): RawDatabase {
  return attempt(path, () => new (sqlite().DatabaseSync)(path));
}

/** Runs one statement outside kysely and returns its rows, for pragmas and maintenance. */
export function query(database: RawDatabase, path: string, sql: string): readonly Record<string, unknown>[] {
  return attempt(path, () => database.prepare(sql).all() as Record<string, unknown>[]);
}

/** Runs `work` and turns what SQLite throws into a `StoreError` that names the file. */
export function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storeError(path, error);
  }
}

const CODES: Readonly<Record<number, StoreError['code']>> = {
  3: 'unreachable', // PERM
  5: 'locked', // BUSY
  6: 'locked', // LOCKED
  8: 'unreachable', // READONLY
  10: 'io', // IOERR
  11: 'corrupt', // CORRUPT
  13: 'full', // FULL
  14: 'unreachable', // CANTOPEN
  26: 'corrupt', // NOTADB
};

/** The fallback package leaves the number out where `prepare` fails; its sentences are SQLite's own. */
const SENTENCES: readonly (readonly [string, StoreError['code']])[] = [
  ['not a database', 'corrupt'],
  ['malformed', 'corrupt'],
  ['is locked', 'locked'],
  ['disk is full', 'full'],
  ['disk I/O error', 'io'],
  ['unable to open', 'unreachable'],
  ['readonly database', 'unreachable'],
];

/** The StoreError for what SQLite threw; anything else (a bug of ours) passes unchanged. */
function storeError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  const number = (error as { errcode?: unknown }).errcode;
  const code =
    (typeof number === 'number' ? CODES[number & 0xff] : undefined) ??
    SENTENCES.find(([sentence]) => error.message.includes(sentence))?.[1];
  return code === undefined ? error : new StoreError(code, `${path}: ${error.message}`, { cause: error });
}

/** True when SQLite refused a row that another row forbids (a unique key was taken). */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && /UNIQUE constraint failed/.test(error.message);
}

// ---------------------------------------------------------------- kysely on top of it

const STATEMENTS_KEPT = 200;

/** Prepared statements by their text: kysely compiles the same texts again and again. */
class Statements implements SqliteDatabase {
  readonly #database: RawDatabase;
  readonly #path: string;
  readonly #kept = new Map<string, SqliteStatement>();
  #open = true;

  constructor(database: RawDatabase, path: string) {
    this.#database = database;
    this.#path = path;
  }

  prepare(sql: string): SqliteStatement {
    const kept = this.#kept.get(sql);
    if (kept) return kept;
    const statement = this.#wrap(sql);
    if (this.#kept.size < STATEMENTS_KEPT) this.#kept.set(sql, statement);
    return statement;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#kept.clear();
    this.#fold();
    this.#database.close();
  }

  /**
   * Moves the log into the file now. SQLite does it when the last connection closes, but the fallback package
   * keeps the connection half open until its statements are collected. Nobody is waited for.
   */
  #fold(): void {
    try {
      this.#database.exec('pragma busy_timeout = 0; pragma wal_checkpoint(truncate)');
    } catch {
      // Another process reads: the log stays for it, nothing is lost.
    }
  }

  #wrap(sql: string): SqliteStatement {
    const path = this.#path;
    const raw = attempt(path, () => this.#database.prepare(sql));
    const values = (parameters: readonly unknown[]) => parameters as readonly Value[];
    return {
      // `columns()` would tell, but came with Node 22.16; our statements are all our own.
      reader: /^\s*(select|with|pragma|explain)\b/i.test(sql) || /\breturning\b/i.test(sql),
      all: (parameters) => attempt(path, () => raw.all(...values(parameters))),
      run: (parameters) => attempt(path, () => raw.run(...values(parameters))),
      iterate: (parameters) => attempt(path, () => raw.iterate(...values(parameters))),
    };
  }
}

/** Takes the write lock at `begin`: a lock that is only wanted later cannot be waited for in WAL mode. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/** SQLite can take back a `create table`; kysely does not count on it unless it is told. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class NodeSqliteDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;
  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
  }
  override createDriver(): ImmediateDriver {
    return new ImmediateDriver({ database: this.#database });
  }
  override createAdapter(): TransactionalAdapter {
    return new TransactionalAdapter();
  }
}

/** A kysely dialect for one open database, and the `close` that works whether kysely was used or not. */
export function dialectOf(database: RawDatabase, path: string): { dialect: SqliteDialect; close: () => void } {
  const statements = new Statements(database, path);
  return { dialect: new NodeSqliteDialect(statements), close: () => statements.close() };
}
