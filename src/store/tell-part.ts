// Tell: the outbox. A notification is stored with its reason before anybody tries to send it.

import type { Kysely, Selectable } from 'kysely';
import type { Notification } from '../core/notification.ts';
import type { OutboxRow, Store } from './contract.ts';
import type { EventsTables } from './schema.ts';

type TellPart = Pick<Store, 'enqueue' | 'dueOutbox' | 'updateOutbox' | 'lastSent' | 'outbox'>;

/** Channel of a notification that no channel wants: it is still kept and shown. */
const NOBODY = 'none';

export function tellPart(db: Kysely<EventsTables>): TellPart {
  return {
    /** Twice the same notification on the same channel is stored once. */
    async enqueue(notification, channels, withheld) {
      const state = withheld || channels.length === 0 ? ('withheld' as const) : ('pending' as const);
      const row = {
        id: notification.id,
        key: notification.key,
        at: notification.at,
        state,
        tries: 0,
        not_before: notification.at,
        data: JSON.stringify(notification),
      };
      await db
        .insertInto('outbox')
        .values((channels.length === 0 ? [NOBODY] : channels).map((channel) => ({ ...row, channel })))
        .onConflict((clash) => clash.columns(['id', 'channel']).doNothing())
        .execute();
    },
    async dueOutbox(channel, now, limit) {
      const rows = db.selectFrom('outbox').selectAll().where('channel', '=', channel).where('state', '=', 'pending');
      return (await rows.where('not_before', '<=', now).orderBy('seq').limit(limit).execute()).map(toRow);
    },
    async updateOutbox({ id, channel, state, tries, notBefore, externalId, error }) {
      await db
        .updateTable('outbox')
        .set({ state, tries, not_before: notBefore, external_id: externalId, error })
        .where('id', '=', id)
        .where('channel', '=', channel)
        .execute();
    },
    async lastSent(channel, key) {
      const row = await db
        .selectFrom('outbox')
        .selectAll()
        .where('channel', '=', channel)
        .where('key', '=', key)
        .where('state', '=', 'sent')
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toRow(row) : null;
    },
    async outbox({ since, limit }) {
      let rows = db.selectFrom('outbox').selectAll().orderBy('seq', 'desc');
      if (since !== undefined) rows = rows.where('at', '>=', since);
      if (limit !== undefined) rows = rows.limit(limit);
      return (await rows.execute()).map(toRow);
    },
  };
}

function toRow(row: Selectable<EventsTables['outbox']>): OutboxRow {
  return {
    notification: JSON.parse(row.data) as Notification,
    channel: row.channel,
    state: row.state as OutboxRow['state'],
    tries: row.tries,
    notBefore: row.not_before,
    externalId: row.external_id,
    error: row.error,
  };
}
