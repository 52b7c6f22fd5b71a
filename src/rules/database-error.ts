// A database cannot be reached, is locked, damaged or refuses the statement.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'database-error',
  type: 'database_error',
  severity: 'high',
  patterns: [
    { match: /database is locked/, confidence: 0.95, because: 'SQLITE_BUSY' },
    {
      match: /database disk image is malformed|file is not a database/,
      confidence: 0.97,
      severity: 'critical',
      fixable: false,
      because: 'SQLITE_CORRUPT and SQLITE_NOTADB',
    },
    {
      on: 'exception',
      match: /(?:sqlite3|psycopg2?|asyncpg|pymysql|sqlalchemy|mysql|redis|pymongo)[\w.]*\.\w*(?:Error|Exception)\b/,
      confidence: 0.92,
      because: 'drivers of databases',
    },
    {
      match:
        /too many clients already|deadlock detected|the database system is starting up|relation "[^"\n]+" does not exist|MISCONF Redis|OOM command not allowed/,
      confidence: 0.94,
      because: 'PostgreSQL and Redis',
    },
    { match: /\bORA-\d{5}\b|\bSQLSTATE\[/, confidence: 0.93, because: 'Oracle and PDO' },
  ],
  matches: [
    { text: '2026-01-05 10:00:00,123 ERROR [store] sqlite3.OperationalError: database is locked' },
    { text: 'FATAL:  sorry, too many clients already' },
    { text: '2026-01-05 10:00:00,123 ERROR [store] sqlite3.DatabaseError: database disk image is malformed' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [store] database opened' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "database is locked"' },
    { text: '2026-01-05 10:00:00,123 INFO [store] deadlocks=0' },
  ],
});
