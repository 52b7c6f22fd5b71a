// What PostgreSQL and Redis say about themselves, told apart: what passes by waiting, what is counted only, and what
// a person has to decide. Their data and their safety switches are never touched.

import { type Diagnosis, defineFix, later, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';

const WAITS: readonly { readonly match: RegExp; readonly reason: string }[] = [
  {
    match: /the database system is (?:starting up|in recovery mode)|LOADING Redis is loading/i,
    reason: 'the database server is still starting',
  },
  {
    match: /deadlock detected/i,
    reason: 'the server has ended one of two transactions that waited for each other; the program has to try again',
  },
];
const DECISIONS: readonly { readonly match: RegExp; readonly advice: string; readonly next?: readonly string[] }[] = [
  {
    match: /sorry, too many clients|remaining connection slots are reserved/i,
    advice:
      'all connections of the server are taken: look for sessions that idle in a transaction (`select * from pg_stat_activity`), and use a pool',
    next: [
      `psql -c "select pid, state, now() - state_change as since, left(query, 60) from pg_stat_activity order by 3 desc"`,
      'psql -c "show max_connections"',
    ],
  },
  {
    match: /PANIC: .{0,120}No space left/i,
    advice:
      'the disk of the database server is full: make room elsewhere on it; its write-ahead log must never be deleted',
    next: ['df -h', 'du -xh --max-depth=1 /var/lib/postgresql'],
  },
  {
    match: /password authentication failed|no pg_hba\.conf entry|WRONGPASS/i,
    advice: 'the server refuses the user or the password: compare the secret with its source',
  },
  {
    match: /MISCONF Redis/i,
    advice:
      'Redis cannot save to its disk: find out why (room, owner of its folder); never switch `stop-writes-on-bgsave-error` off',
    next: ['redis-cli info persistence', 'redis-cli config get dir', 'df -h'],
  },
  {
    match: /OOM command not allowed/i,
    advice: 'Redis has reached `maxmemory`: raise it, or choose which keys may go (`maxmemory-policy`)',
    next: ['redis-cli info memory', 'redis-cli config get maxmemory-policy'],
  },
  {
    match: /relation "[^"\n]{1,80}" does not exist|Can't locate revision/i,
    advice:
      'the schema does not fit the program: a migration failed or is missing; keep the old version running and look at it',
  },
];
const LOOK_AGAIN_MS = 20_000;
const PATIENCE_MS = 300_000;

export default defineFix({
  name: 'report-database-server',
  family: 'wait-out-limit',
  title: 'Say what the database server asks for',
  handles: ['database_error', 'auth_error'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 9,
  diagnose,
  drills: [
    {
      given: 'the server is starting',
      world: (kit) => kit.write('a', ''),
      message: 'FATAL:  the database system is starting up',
      facts: {},
      type: 'database_error',
      expect: 'later',
    },
    {
      given: 'Redis cannot save',
      world: (kit) => kit.write('a', ''),
      message: 'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.',
      facts: {},
      type: 'database_error',
      expect: 'refused',
    },
    {
      given: 'a file is locked, not a server',
      world: (kit) => kit.write('a', ''),
      message: 'sqlite3.OperationalError: database is locked',
      facts: {},
      type: 'database_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, probe }: FixContext): Promise<Diagnosis> {
  const claim = claimOf(incident);
  const decision = DECISIONS.find(({ match }) => match.test(claim));
  if (decision) return refuse(decision.advice, decision.next);
  const wait = WAITS.find(({ match }) => match.test(claim));
  if (!wait) return notApplicable('no database server speaks of itself');
  const now = probe.clock.now();
  if (now - incident.firstSeen > PATIENCE_MS)
    return refuse(`${wait.reason}, for five minutes now: look at the log of the server`);
  return later(now + LOOK_AGAIN_MS, wait.reason);
}
