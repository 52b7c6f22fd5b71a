// Watch: incidents, the cursors that led to them, and their story. A commit takes both or neither.

import { CompiledQuery, type Kysely, sql } from 'kysely';
import type { Incident } from '../core/incident.ts';
import { StoreError, type Cursor, type Store, type WatchCommit } from './contract.ts';
import type { EventsTables } from './schema.ts';

type WatchPart = Pick<
  Store,
  | 'cursor'
  | 'commitWatch'
  | 'incidentByFingerprint'
  | 'incident'
  | 'incidents'
  | 'nextIncidentId'
  | 'saveIncident'
  | 'mergeFingerprint'
  | 'unmergeFingerprint'
  | 'merges'
  | 'addTimeline'
  | 'timeline'
>;
type Events = Kysely<EventsTables>;

export function watchPart(db: Events): WatchPart {
  return {
    async cursor(source) {
      const row = await db.selectFrom('cursors').select('data').where('source', '=', source).executeTakeFirst();
      return row ? (JSON.parse(row.data) as Cursor) : null;
    },
    async commitWatch({ incidents, cursors, removed = [] }) {
      await db.transaction().execute(async (inside) => {
        if (!(await swapIncidents(inside, incidents)) || !(await removeIncidents(inside, removed))) {
          throw new StoreError('locked', 'an incident was changed by another process: read it again and go on');
        }
        await saveCursors(inside, cursors);
      });
    },
    async incidentByFingerprint(service, place) {
      const row = await db
        .selectFrom('incidents')
        .select('data')
        .where('service', '=', service)
        .where((eb) =>
          eb.or([
            eb('place', '=', place),
            eb(
              'id',
              '=',
              eb.selectFrom('merges').select('incident').where('service', '=', service).where('place', '=', place),
            ),
          ]),
        )
        // A merge by hand says more than equal text; then the latest.
        .orderBy(sql`place = ${place}`)
        .orderBy('first_seen', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toIncident(row) : null;
    },
    async incident(id) {
      const row = await db.selectFrom('incidents').select('data').where('id', '=', id).executeTakeFirst();
      return row ? toIncident(row) : null;
    },
    async incidents({ states, service, since, limit }) {
      let rows = db.selectFrom('incidents').select('data').orderBy('last_seen', 'desc').orderBy('id', 'desc');
      if (states) rows = rows.where('state', 'in', states);
      if (service !== undefined) rows = rows.where('service', '=', service);
      if (since !== undefined) rows = rows.where('last_seen', '>=', since);
      if (limit !== undefined) rows = rows.limit(limit);
      return (await rows.execute()).map(toIncident);
    },
    async nextIncidentId() {
      const row = await db
        .insertInto('counters')
        .values({ name: 'incident', value: 1 })
        .onConflict((clash) => clash.column('name').doUpdateSet({ value: sql`value + 1` }))
        .returning('value')
        .executeTakeFirstOrThrow();
      return String(row.value);
    },
    saveIncident: (incident) => durably(db, (inside) => swapIncidents(inside, [incident])),
    async mergeFingerprint(service, place, incident) {
      await db
        .insertInto('merges')
        .values({ service, place, incident })
        .onConflict((clash) => clash.columns(['service', 'place']).doUpdateSet({ incident }))
        .execute();
    },
    async unmergeFingerprint(service, place) {
      const { numDeletedRows } = await db
        .deleteFrom('merges')
        .where('service', '=', service)
        .where('place', '=', place)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
    merges: () => db.selectFrom('merges').select(['service', 'place', 'incident']).execute(),
    async addTimeline(entry) {
      await db.insertInto('timeline').values(entry).execute();
    },
    async timeline(incident) {
      return await db
        .selectFrom('timeline')
        .select(['incident', 'at', 'kind', 'text'])
        .where('incident', '=', incident)
        .orderBy('seq')
        .execute();
    },
  };
}

/**
 * Runs `work` so that its commit, and all before it, are on the disk when it resolves. The connection
 * stays reserved meanwhile: nobody else commits in between with the other setting.
 */
export async function durably<T>(db: Events, work: (inside: Events) => Promise<T>): Promise<T> {
  return await db.connection().execute(async (connection) => {
    await sql`pragma synchronous = full`.execute(connection);
    try {
      return await work(connection);
    } finally {
      await sql`pragma synchronous = normal`.execute(connection);
    }
  });
}

const toIncident = (row: { data: string }): Incident => JSON.parse(row.data) as Incident;

/** One incident to be stored, and the revision that must be there now (0: none may be). */
interface Swap {
  readonly base: number;
  readonly incident: Incident;
}

/** False when any of them was changed meanwhile; the caller's transaction must then be rolled back. */
async function swapIncidents(db: Events, incidents: readonly Incident[]): Promise<boolean> {
  const swaps = swapsOf(incidents);
  if (swaps === null) return false;
  for (const swap of swaps) {
    const { numAffectedRows } = await db.executeQuery(swap.base === 0 ? insertion(swap) : replacement(swap));
    if (numAffectedRows !== 1n) return false;
  }
  return true;
}

/** False when any of them was changed meanwhile. */
async function removeIncidents(db: Events, removed: NonNullable<WatchCommit['removed']>): Promise<boolean> {
  for (const { id, revision } of removed) {
    const { numDeletedRows } = await db
      .deleteFrom('incidents')
      .where('id', '=', id)
      .where('revision', '=', revision)
      .executeTakeFirst();
    if (numDeletedRows !== 1n) return false;
  }
  return true;
}

/** Successive revisions of one incident become one swap; null when they do not follow each other. */
function swapsOf(incidents: readonly Incident[]): readonly Swap[] | null {
  const swaps = new Map<string, Swap>();
  for (const incident of incidents) {
    const earlier = swaps.get(incident.id);
    if (earlier && earlier.incident.revision !== incident.revision - 1) return null;
    swaps.set(incident.id, { base: earlier?.base ?? incident.revision - 1, incident });
  }
  return [...swaps.values()];
}

// Finished texts: compiling each of 500 rows with kysely costs more than writing it.
const INSERT = `insert into incidents (service, place, state, first_seen, last_seen, revision, data, id)
  values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing`;
const REPLACE = `update incidents set service = ?, place = ?, state = ?, first_seen = ?, last_seen = ?, revision = ?, data = ?
  where id = ? and revision = ?`;

const insertion = ({ incident }: Swap) => CompiledQuery.raw(INSERT, columns(incident));
const replacement = ({ incident, base }: Swap) => CompiledQuery.raw(REPLACE, [...columns(incident), base]);

const columns = (incident: Incident) => [
  incident.service,
  incident.fingerprint.place,
  incident.state.name,
  incident.firstSeen,
  incident.lastSeen,
  incident.revision,
  JSON.stringify(incident),
  incident.id,
];

async function saveCursors(
  db: Events,
  cursors: readonly { readonly source: string; readonly cursor: Cursor }[],
): Promise<void> {
  if (cursors.length === 0) return;
  const latest = new Map(cursors.map(({ source, cursor }) => [source, JSON.stringify(cursor)]));
  await db
    .insertInto('cursors')
    .values([...latest].map(([source, data]) => ({ source, data })))
    .onConflict((clash) => clash.column('source').doUpdateSet((eb) => ({ data: eb.ref('excluded.data') })))
    .execute();
}
