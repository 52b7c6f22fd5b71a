// The tables of the two database files and the numbered migrations that make them. A migration is
// never edited once it was released: a new one is added below it.

import { type Generated, type Kysely, type Migration, sql } from 'kysely';

/** `events.db`: what was seen and told. `synchronous=NORMAL`, except where a commit says otherwise. */
export interface EventsTables {
  incidents: {
    id: string;
    service: string;
    place: string;
    state: string;
    first_seen: number;
    last_seen: number;
    revision: number;
    data: string;
  };
  merges: { service: string; place: string; incident: string };
  cursors: { source: string; data: string };
  counters: { name: string; value: number };
  timeline: { seq: Generated<number>; incident: string; at: number; kind: string; text: string };
  outbox: {
    seq: Generated<number>;
    id: string;
    channel: string;
    key: string;
    at: number;
    state: string;
    tries: number;
    not_before: number;
    external_id: string | null;
    error: string | null;
    data: string;
  };
  good_copies: {
    id: string;
    service: string;
    path: string;
    sha256: string;
    mode: number;
    bytes: number;
    saved_at: number;
    proven_at: number | null;
    content: Uint8Array;
  };
}

/** `journal.db`: what is stored before acting. `synchronous=FULL` on every connection. */
export interface JournalTables {
  plans: { id: string; incident: string; hash: string; created_at: number; expires_at: number; data: string };
  journal: { seq: Generated<number>; plan: string; step: number; phase: string; at: number; data: string };
  approvals: { plan: string; hash: string; verdict: string; by: string; at: number };
  ledger: {
    plan: string;
    incident: string;
    service: string;
    fix: string;
    family: string;
    started_at: number;
    ended_at: number;
    outcome: string;
  };
  locks: { resource: string; owner: string; until: number };
  memory: { key: string; data: string };
  requests: { id: Generated<number>; kind: string; subject: string; by: string; at: number };
}

export type Migrations = Readonly<Record<string, Migration>>;

/** Runs the statements one by one. They are text because the text is the schema that people will read. */
async function statements(db: Kysely<unknown>, texts: readonly string[]): Promise<void> {
  for (const text of texts) await sql.raw(text).execute(db);
}

const EVENTS_1 = [
  `create table incidents (
    id text primary key, service text not null, place text not null, state text not null,
    first_seen integer not null, last_seen integer not null, revision integer not null, data text not null) strict`,
  'create index incidents_place on incidents (service, place)',
  'create index incidents_state on incidents (state, last_seen)',
  `create table merges (
    service text not null, place text not null, incident text not null, primary key (service, place)) strict, without rowid`,
  'create table cursors (source text primary key, data text not null) strict, without rowid',
  'create table counters (name text primary key, value integer not null) strict, without rowid',
  `create table timeline (
    seq integer primary key autoincrement, incident text not null, at integer not null, kind text not null,
    text text not null) strict`,
  'create index timeline_incident on timeline (incident, seq)',
  `create table outbox (
    seq integer primary key autoincrement, id text not null, channel text not null, key text not null,
    at integer not null, state text not null, tries integer not null, not_before integer not null,
    external_id text, error text, data text not null, unique (id, channel)) strict`,
  'create index outbox_due on outbox (channel, state, not_before)',
  'create index outbox_key on outbox (channel, key, seq)',
  `create table good_copies (
    id text primary key, service text not null, path text not null, sha256 text not null, mode integer not null,
    bytes integer not null, saved_at integer not null, proven_at integer, content blob not null,
    unique (service, path, sha256)) strict`,
] as const;

const JOURNAL_1 = [
  `create table plans (
    id text primary key, incident text not null, hash text not null, created_at integer not null,
    expires_at integer not null, data text not null) strict`,
  'create index plans_incident on plans (incident, created_at)',
  `create table journal (
    seq integer primary key autoincrement, plan text not null, step integer not null, phase text not null,
    at integer not null, data text not null) strict`,
  'create index journal_plan on journal (plan, seq)',
  // Two processes that claim the same plan at the same moment: exactly one row goes in.
  `create unique index journal_claim on journal (plan, coalesce(json_extract(data, '$.generation'), 1))
    where phase = 'claimed'`,
  `create table approvals (
    plan text primary key, hash text not null, verdict text not null, by text not null, at integer not null) strict`,
  `create table ledger (
    plan text primary key, incident text not null, service text not null, fix text not null, family text not null,
    started_at integer not null, ended_at integer not null, outcome text not null) strict`,
  'create index ledger_started on ledger (started_at)',
  'create table locks (resource text primary key, owner text not null, until integer not null) strict',
  'create table memory (key text primary key, data text not null) strict',
  `create table requests (
    id integer primary key autoincrement, kind text not null, subject text not null, by text not null,
    at integer not null) strict`,
] as const;

/** Migration N of a file leaves `user_version` at N: that number is how an older program knows a newer file. */
export const EVENTS_MIGRATIONS: Migrations = { '001-tables': { up: (db) => statements(db, EVENTS_1) } };
export const JOURNAL_MIGRATIONS: Migrations = { '001-tables': { up: (db) => statements(db, JOURNAL_1) } };
