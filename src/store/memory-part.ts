// Memory of the host: small durable values, good copies of configurations, and wishes
// addressed to the daemon.

import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { canonicalJson } from '../core/plan.ts';
import type { GoodCopy, Request, Store } from './contract.ts';
import type { EventsTables, JournalTables } from './schema.ts';
import { durably } from './watch-part.ts';

type ValuePart = Pick<Store, 'value' | 'setValue' | 'swapValue'>;
type CopyPart = Pick<Store, 'saveGoodCopy' | 'goodCopies' | 'goodCopy' | 'proveGoodCopy'>;
type RequestPart = Pick<Store, 'request' | 'takeRequests' | 'isWaiting' | 'withdraw'>;

export function valuePart(db: Kysely<JournalTables>): ValuePart {
  const put = (key: string, data: string) => db.insertInto('memory').values({ key, data });
  const value = async <T>(key: string) => {
    const row = await db.selectFrom('memory').select('data').where('key', '=', key).executeTakeFirst();
    return row ? (JSON.parse(row.data) as T) : null;
  };
  return {
    value,
    /** Null and undefined take the value away: absent and null are the same. */
    async setValue(key, next) {
      if (isNothing(next)) return void (await db.deleteFrom('memory').where('key', '=', key).execute());
      const data = canonicalJson(next);
      await put(key, data)
        .onConflict((clash) => clash.column('key').doUpdateSet({ data }))
        .execute();
    },
    async swapValue(key, expected, next) {
      if (isNothing(expected) && isNothing(next)) return (await value(key)) === null;
      if (isNothing(expected)) {
        const placed = put(key, canonicalJson(next)).onConflict((clash) => clash.column('key').doNothing());
        return (await placed.executeTakeFirst()).numInsertedOrUpdatedRows === 1n;
      }
      const was = canonicalJson(expected);
      if (isNothing(next)) {
        const taken = db.deleteFrom('memory').where('key', '=', key).where('data', '=', was);
        return (await taken.executeTakeFirst()).numDeletedRows === 1n;
      }
      const swapped = db.updateTable('memory').set({ data: canonicalJson(next) });
      const row = await swapped.where('key', '=', key).where('data', '=', was).executeTakeFirst();
      return row.numUpdatedRows === 1n;
    },
  };
}

const isNothing = (value: unknown) => value === null || value === undefined;

export function requestPart(db: Kysely<JournalTables>): RequestPart {
  return {
    async request(request) {
      const { kind, subject, by, at } = request;
      const row = await db
        .insertInto('requests')
        .values({ kind, subject, by, at })
        .returning('id')
        .executeTakeFirstOrThrow();
      return row.id;
    },
    async takeRequests(kinds) {
      if (kinds.length === 0) return [];
      const rows = await db.deleteFrom('requests').where('kind', 'in', kinds).returningAll().execute();
      return rows.map((row) => ({ ...row }) as Request).sort((a, b) => a.id - b.id);
    },
    async isWaiting(id) {
      return (await db.selectFrom('requests').select('id').where('id', '=', id).executeTakeFirst()) !== undefined;
    },
    async withdraw(id) {
      return (await db.deleteFrom('requests').where('id', '=', id).executeTakeFirst()).numDeletedRows === 1n;
    },
  };
}

export function copyPart(db: Kysely<EventsTables>): CopyPart {
  const described = () =>
    db.selectFrom('good_copies').select(['id', 'service', 'path', 'sha256', 'mode', 'bytes', 'saved_at', 'proven_at']);
  return {
    /** The same content of the same file is kept once; saving it again renews its time and mode. */
    saveGoodCopy: ({ service, path, sha256, mode, bytes, savedAt, provenAt }, content) =>
      durably(db, async (inside) => {
        const row = {
          id: randomUUID(),
          service,
          path,
          sha256,
          mode,
          bytes,
          saved_at: savedAt,
          proven_at: provenAt,
          content,
        };
        const saved = await inside
          .insertInto('good_copies')
          .values(row)
          .onConflict((clash) =>
            clash.columns(['service', 'path', 'sha256']).doUpdateSet((eb) => ({
              mode: eb.ref('excluded.mode'),
              saved_at: eb.ref('excluded.saved_at'),
              proven_at: sql`coalesce(excluded.proven_at, good_copies.proven_at)`,
            })),
          )
          .returning(['id', 'proven_at'])
          .executeTakeFirstOrThrow();
        return toCopy({ ...row, ...saved });
      }),
    async goodCopies(service, path) {
      const rows = await described()
        .where('service', '=', service)
        .where('path', '=', path)
        // Proven ones first, the one proven last before all.
        .orderBy(sql`proven_at is null`)
        .orderBy('proven_at', 'desc')
        .orderBy('saved_at', 'desc')
        .execute();
      return rows.map(toCopy);
    },
    async goodCopy(id) {
      const row = await db.selectFrom('good_copies').selectAll().where('id', '=', id).executeTakeFirst();
      return row ? { copy: toCopy(row), content: new Uint8Array(row.content) } : null;
    },
    async proveGoodCopy(id, at) {
      await db.updateTable('good_copies').set({ proven_at: at }).where('id', '=', id).execute();
    },
  };
}

function toCopy(row: Omit<EventsTables['good_copies'], 'content'>): GoodCopy {
  return {
    id: row.id,
    service: row.service,
    path: row.path,
    sha256: row.sha256,
    mode: row.mode,
    bytes: row.bytes,
    savedAt: row.saved_at,
    provenAt: row.proven_at,
  };
}
