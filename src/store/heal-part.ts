// Heal: plans, decisions, the journal, the ledger and locks. Everything here is on the disk
// (synchronous=FULL) before the call resolves.

import { type Kysely, sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';
import { StoreError, type Approval, type JournalEntry, type LedgerRow, type Store } from './contract.ts';
import type { JournalTables } from './schema.ts';
import { isTaken } from './sqlite.ts';

type HealPart = Pick<
  Store,
  | 'savePlan'
  | 'plan'
  | 'plansOf'
  | 'decide'
  | 'approval'
  | 'appendJournal'
  | 'journal'
  | 'openPlans'
  | 'addLedger'
  | 'ledger'
  | 'lock'
  | 'unlock'
  | 'locks'
>;
type Journal = Kysely<JournalTables>;

export function healPart(db: Journal, clock: Clock): HealPart {
  return { ...plans(db), ...journal(db), ...ledger(db), ...locks(db, clock) };
}

function plans(db: Journal): Pick<Store, 'savePlan' | 'plan' | 'plansOf' | 'decide' | 'approval'> {
  const plan = async (id: string) => {
    const row = await db.selectFrom('plans').select('data').where('id', '=', id).executeTakeFirst();
    return row ? (JSON.parse(row.data) as Plan) : null;
  };
  return {
    plan,
    async savePlan(given) {
      const { id, incident, hash, createdAt, expiresAt } = given;
      const row = { id, incident, hash, created_at: createdAt, expires_at: expiresAt, data: JSON.stringify(given) };
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('plans')
        .values(row)
        .onConflict((clash) => clash.column('id').doNothing())
        .executeTakeFirst();
      if (numInsertedOrUpdatedRows === 0n && (await plan(id))?.hash !== hash) {
        throw new Error(`plan ${id} is stored with another hash: a plan never changes`);
      }
    },
    async plansOf(incident) {
      const rows = db.selectFrom('plans').select('data').where('incident', '=', incident);
      return (await rows.orderBy('created_at').orderBy('id').execute()).map((row) => JSON.parse(row.data) as Plan);
    },
    async decide(approval) {
      const { plan: id, hash, verdict, by, at } = approval;
      const { numAffectedRows } = await sql`
        insert into approvals (plan, hash, verdict, by, at) select ${id}, ${hash}, ${verdict}, ${by}, ${at}
        where exists (select 1 from plans where id = ${id} and hash = ${hash})
        on conflict (plan) do nothing`.execute(db);
      return numAffectedRows === 1n;
    },
    async approval(id) {
      const row = await db.selectFrom('approvals').selectAll().where('plan', '=', id).executeTakeFirst();
      return row ? ({ ...row } as Approval) : null;
    },
  };
}

function journal(db: Journal): Pick<Store, 'appendJournal' | 'journal' | 'openPlans'> {
  return {
    async appendJournal(entry) {
      const row = { ...entry, data: JSON.stringify(entry.data) };
      try {
        const { seq } = await db.insertInto('journal').values(row).returning('seq').executeTakeFirstOrThrow();
        return { ...entry, seq };
      } catch (error) {
        if (!isTaken(error)) throw error;
        throw new StoreError('locked', `plan ${entry.plan} is claimed by another process`, { cause: error });
      }
    },
    async journal(plan) {
      const rows = await db.selectFrom('journal').selectAll().where('plan', '=', plan).orderBy('seq').execute();
      return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as JournalEntry['data'] }) as JournalEntry);
    },
    async openPlans() {
      const { rows } = await sql<{ plan: string }>`
        select plan from journal group by plan
        having max(case when phase = 'claimed' then seq else 0 end) > max(case when phase = 'finished' then seq else 0 end)
        order by min(seq)`.execute(db);
      return rows.map((row) => row.plan);
    },
  };
}

function ledger(db: Journal): Pick<Store, 'addLedger' | 'ledger'> {
  return {
    /** A plan has one line: taking it back later replaces its outcome. */
    async addLedger({ startedAt, outcome, ...rest }) {
      const row = { ...rest, started_at: startedAt, ended_at: outcome.at, outcome: JSON.stringify(outcome) };
      await db
        .insertInto('ledger')
        .values(row)
        .onConflict((clash) => clash.column('plan').doUpdateSet({ ended_at: row.ended_at, outcome: row.outcome }))
        .execute();
    },
    async ledger({ since, service, fix, limit }) {
      let rows = db.selectFrom('ledger').selectAll().orderBy('started_at', 'desc').orderBy('plan', 'desc');
      if (since !== undefined) rows = rows.where('started_at', '>=', since);
      if (service !== undefined) rows = rows.where('service', '=', service);
      if (fix !== undefined) rows = rows.where('fix', '=', fix);
      if (limit !== undefined) rows = rows.limit(limit);
      return (await rows.execute()).map(toLedgerRow);
    },
  };
}

function toLedgerRow(row: JournalTables['ledger']): LedgerRow {
  const { started_at, ended_at: _, outcome, ...rest } = row;
  return { ...rest, startedAt: started_at, outcome: JSON.parse(outcome) as Outcome };
}

function locks(db: Journal, clock: Clock): Pick<Store, 'lock' | 'unlock' | 'locks'> {
  return {
    async lock(resource, owner, until) {
      const { numAffectedRows } = await sql`
        insert into locks (resource, owner, until) values (${resource}, ${owner}, ${until})
        on conflict (resource) do update set owner = excluded.owner, until = excluded.until
        where locks.owner = excluded.owner or locks.until <= ${clock.now()}`.execute(db);
      return numAffectedRows === 1n;
    },
    async unlock(resource, owner) {
      await db.deleteFrom('locks').where('resource', '=', resource).where('owner', '=', owner).execute();
    },
    async locks() {
      return await db.selectFrom('locks').selectAll().orderBy('resource').execute();
    },
  };
}
