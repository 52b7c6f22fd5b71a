// A lock file of the service was left behind by a process that is no more, and everybody waits for it. It is moved
// aside once its own text and /proc have shown that its holder is gone; locks of git are left to the fix for those.

import type { Incident } from '../core/incident.ts';
import type { Probe, ServiceFacts } from '../host/contract.ts';
import { type Diagnosis, defineFix, later, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { NOBODY } from './shared/drill-service.ts';
import { claimOf } from './shared/claims.ts';
import { healthCheck } from './shared/health-check.ts';
import { moveAside, staleness } from './shared/stale.ts';

const LOCK_FILE = /\.(?:lock|lck)$/;
const LOOK_AGAIN_MS = 30_000;

export default defineFix({
  name: 'clear-stale-session-lock',
  family: 'clear-stale-lock',
  title: 'Move a stale lock file aside',
  handles: ['timeout', 'service_crash', 'database_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 28,
  diagnose,
  drills: [
    {
      given: 'the holder of a session lock is gone',
      world: (kit) => kit.write('data/sessions/a.jsonl.lock', `{"pid": ${NOBODY}, "at": 1}`),
      facts: { path: '{directory}/data/sessions/a.jsonl.lock', pid: NOBODY },
      type: 'timeout',
      expect: ['move'],
    },
    {
      given: 'the log gives no path as such, and one lock of the service stands in its text',
      world: (kit) => kit.write('data/session.lock', `${NOBODY}\n`),
      message: 'TimeoutError: session file locked (timeout 500ms): pid=4194303 data/session.lock',
      facts: {},
      type: 'timeout',
      expect: ['move'],
    },
    {
      given: 'the pid in the lock was given to somebody else afterwards',
      world: async (kit) => {
        const other = await kit.start(['python3', '-c', "print('up', flush=True); import time; time.sleep(600)"], {
          ready: 'up',
          cwd: '/',
        });
        await kit.write('data/a.lock', `pid=${other.pid}\n`);
        await kit.sh(['touch', '-d', '1 hour ago', 'data/a.lock']);
      },
      facts: { path: 'data/a.lock' },
      type: 'timeout',
      expect: ['move'],
    },
    {
      given: 'the holder lives',
      world: async (kit) => {
        const other = await kit.start(['python3', '-c', "print('up', flush=True); import time; time.sleep(600)"], {
          ready: 'up',
          cwd: '/',
        });
        await kit.write('data/a.lock', `${other.pid}\n`);
      },
      facts: { path: 'data/a.lock' },
      type: 'timeout',
      expect: 'later',
    },
    {
      given: 'somebody has the lock file open, though the pid in it is gone',
      world: async (kit) => {
        await kit.write('data/a.lock', `${NOBODY}\n`);
        const hold = "f = open('data/a.lock'); print('held', flush=True); import time; time.sleep(600)";
        await kit.start(['python3', '-c', hold], { ready: 'held' });
      },
      facts: { path: 'data/a.lock' },
      type: 'timeout',
      expect: 'later',
    },
    {
      given: 'the lock names nobody, so nothing can be shown',
      world: (kit) => kit.write('data/a.lock', ''),
      facts: { path: 'data/a.lock' },
      type: 'timeout',
      expect: 'refused',
    },
    {
      given: 'the log names a lock outside of the service’s folder',
      world: (kit) => kit.write('a.lock', String(NOBODY)),
      facts: { path: '/var/lib/dpkg/lock' },
      type: 'timeout',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const claimed = incident.facts.path ?? (await mentionedLock(incident, service, probe));
  if (claimed === null || !LOCK_FILE.test(claimed)) return notApplicable('the log names no lock file');
  const path = await probe.files.inside(service.directory, claimed);
  if (path === null || path.includes('/.git/')) return notApplicable('the lock is not one of the service’s own');
  if ((await probe.files.status(path)).kind === 'absent') return notApplicable(`${path} is not there any more`);
  const found = await staleness(probe, path);
  if (found.kind === 'held') return later(probe.clock.now() + LOOK_AGAIN_MS, found.why);
  if (found.kind === 'unclear') return refuse(`${found.why}: whether it is stale cannot be shown`);
  const health = await probe.services.health(service.name);
  return propose({
    title: `move ${path} aside`,
    why: `${found.why}. Nobody has the file open.`,
    facts: { path, pid: found.pid },
    steps: [moveAside(path, found)],
    checks: [
      { kind: 'file-absent', title: 'the lock is gone', proves: 'operation', failsBefore: true, path },
      ...healthCheck(service.name, health.passed),
    ],
    resources: [`path:${path}`],
    needsRestart: false,
  });
}

/** Where the log gives no path as such: the one lock file of the service whose name stands in the text. */
async function mentionedLock(incident: Incident, service: ServiceFacts, probe: Probe): Promise<string | null> {
  const text = claimOf(incident);
  const files = (await probe.files.glob(service.directory, ['*', '*/*'])).filter((file) => LOCK_FILE.test(file));
  const mentioned = files.filter((file) => text.includes(file.slice(service.directory.length + 1)));
  return mentioned.length === 1 ? (mentioned[0] ?? null) : null;
}
