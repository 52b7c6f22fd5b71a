// A SQLite database is damaged. Every further write and every restart can make it worse, so nothing is done in place:
// the owner hears how to save it on a copy.

import { commandLine } from '../core/wording.ts';
import { type Diagnosis, defineFix, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';

const DAMAGED =
  /disk image is malformed|file is not a database|SQLITE_(?:CORRUPT|NOTADB)|file is encrypted or is not a database/i;

export default defineFix({
  name: 'report-corrupt-database',
  family: 'quarantine-state',
  title: 'Say how to save a damaged database',
  handles: ['database_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 3,
  diagnose,
  drills: [
    {
      given: 'the service reads a damaged database',
      world: (kit) => kit.write('data/app.db', 'SQLite format 3\0 and nothing more'),
      message: 'sqlite3.DatabaseError: database disk image is malformed',
      facts: { path: '{directory}/data/app.db' },
      type: 'database_error',
      expect: 'refused',
    },
    {
      given: 'the database is only locked',
      world: (kit) => kit.write('data/app.db', ''),
      message: 'sqlite3.OperationalError: database is locked',
      facts: { path: '{directory}/data/app.db' },
      type: 'database_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  if (!DAMAGED.test(claimOf(incident))) return notApplicable('the log does not speak of damage');
  const claimed = incident.facts.path;
  const path = claimed === undefined ? null : await probe.files.inside(service.directory, claimed);
  const file = path ?? 'the database';
  const rescue = (name: string): readonly string[] => [
    commandLine(['fuser', '-v', name]),
    `mkdir -m 700 rescue && cp -p ${commandLine([name])}* rescue/`,
    `cd rescue && sqlite3 ${commandLine([name.slice(name.lastIndexOf('/') + 1)])} .recover | sqlite3 recovered.db`,
  ];
  return refuse(
    `${file} is damaged. Stop what writes to it and do not restart anything; copy it together with its -wal and -shm files, recover the copy (sqlite3 COPY ".recover" | sqlite3 NEW), compare the row counts, and only then put it in place.`,
    path === null ? undefined : rescue(path),
  );
}
