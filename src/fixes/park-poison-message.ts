// One message of a queue of files fails each time it is taken up, and keeps the others waiting: put it beside the queue,
// where a person can look at it. It is not worked on then, so this always asks.

import { type Diagnosis, defineFix, type FixContext, later, notApplicable, propose, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { untried } from './shared/health-check.ts';

/** One failure may be anybody's fault; the same message three times is its own. */
const LEAST = 3;
const SETTLE_MS = 3_000;
/** Folders in which files wait to be worked on. */
const QUEUE = /^(?:queue|jobs?|inbox|incoming|pending|spool|tasks?|messages)$/;
const NAMED = /(?<path>[\w./-]{1,200}\.(?:json|ya?ml|msg|txt|eml))\b/g;

export default defineFix({
  name: 'park-poison-message',
  family: 'quarantine-state',
  title: 'Put a message aside that fails every time',
  handles: ['unknown', 'type_error', 'attribute_error', 'service_crash', 'syntax_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'approve',
  order: 62,
  diagnose,
  drills: [
    {
      given: 'one job stops the worker each time',
      world: async (kit) => {
        await kit.write('queue/81.json', '{"amount": null}');
        await kit.write('queue/82.json', '{"amount": 3}');
        await kit.sh(['touch', '-d', '1 hour ago', 'queue/81.json']);
        kit.service({ health: { kind: 'command', argv: ['sh', '-c', '! grep -q null queue/*.json'] } });
      },
      facts: {},
      message: 'attempt 3, attempt 4, attempt 5: queue/81.json failed: TypeError: unsupported operand',
      type: 'type_error',
      expect: ['make-folder', 'move'],
    },
    {
      given: 'it failed for the first time',
      world: (kit) => kit.write('queue/81.json', '{"amount": null}'),
      facts: {},
      message: 'queue/81.json failed: TypeError: unsupported operand',
      type: 'type_error',
      expect: 'not-applicable',
    },
    {
      given: 'the file that is named lies in no queue',
      world: (kit) => kit.write('data/81.json', '{}'),
      facts: {},
      message: 'attempt 5: data/81.json failed',
      type: 'unknown',
      expect: 'not-applicable',
    },
    {
      given: 'the queue is the whole folder of the service, so that its neighbour is not the service’s',
      world: async (kit) => {
        await kit.sh(['sh', '-c', 'mkdir -p jobs && echo "{}" >jobs/81.json && touch -d "1 hour ago" jobs/81.json']);
        kit.service({ directory: `${kit.directory}/jobs` });
      },
      facts: {},
      message: 'attempt 5: 81.json failed',
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'the folder for such messages leads out of the service’s',
      world: async (kit) => {
        await kit.write('queue/81.json', '{}');
        await kit.sh(['touch', '-d', '1 hour ago', 'queue/81.json']);
        await kit.sh(['sh', '-c', 'mkdir ../elsewhere && ln -s ../elsewhere dead-letter']);
      },
      facts: {},
      message: 'attempt 5: queue/81.json failed',
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'somebody is at work on it',
      world: async (kit) => {
        await kit.write('queue/81.json', '{}');
        await kit.sh(['touch', '-d', '1 hour ago', 'queue/81.json']);
        const hold = 'f = open("queue/81.json"); print("up", flush=True); import time; time.sleep(600)';
        await kit.start(['python3', '-c', hold], { ready: 'up' });
      },
      facts: {},
      message: 'attempt 5: queue/81.json failed',
      type: 'unknown',
      expect: 'later',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const text = claimOf(incident);
  const names = [...new Set([...text.matchAll(NAMED)].map((match) => match.groups?.['path'] ?? ''))];
  const queued: string[] = [];
  for (const name of names.slice(0, 10)) {
    const path = await probe.files.inside(service.directory, name);
    const folder = path?.split('/').at(-2);
    if (path !== null && folder !== undefined && QUEUE.test(folder)) queued.push(path);
  }
  const [path, another] = queued;
  if (path === undefined) return notApplicable('no file of a queue is named');
  if (another !== undefined)
    return refuse(`several messages fail (${path}, ${another}): it is not the fault of one of them`);
  if (Math.max(incident.count, attemptOf(text)) < LEAST) return notApplicable(`it has not failed ${LEAST} times yet`);
  const status = await probe.files.status(path);
  const before = status.kind === 'file' && status.links === 1 ? await probe.files.sha256(path) : null;
  if (before === null) return notApplicable(`${path} is no file any more`);
  const now = probe.clock.now();
  const [holder] = await probe.processes.holders(path);
  if (now - status.modifiedAt < SETTLE_MS || holder)
    return later(now + SETTLE_MS, holder ? `pid ${holder.pid} has ${path} open` : `${path} was written a moment ago`);
  const queue = path.slice(0, path.lastIndexOf('/'));
  const parked = `${queue.slice(0, queue.lastIndexOf('/'))}/dead-letter`;
  const place = (await probe.files.status(parked)).kind;
  if ((await probe.files.inside(service.directory, parked)) !== parked || !['absent', 'directory'].includes(place))
    return refuse(`${path} fails every time, and ${parked} is no folder of ${service.name}: put it aside by hand`);
  const health = (await probe.services.health(service.name)).passed;
  const undo = { kind: 'restore-snapshot' } as const;
  return propose({
    title: `put ${path} aside, which fails every time`,
    why: `${countOf(incident.count, text)}, and ${path} waits in a queue. It goes to ${parked} as it is.`,
    facts: { path },
    steps: [
      ...(place === 'directory'
        ? []
        : [{ kind: 'make-folder', title: `make ${parked}`, undo, path: parked, mode: 0o755 } as const]),
      {
        kind: 'move',
        title: `move ${path} to ${parked}`,
        undo,
        from: path,
        to: `${parked}/${path.slice(queue.length + 1)}`,
        before,
        inode: status.inode,
      },
    ],
    checks: [
      { kind: 'file-absent', title: 'the message is out of the queue', proves: 'operation', failsBefore: true, path },
      health === false
        ? {
            kind: 'health',
            title: `${service.name} is healthy`,
            proves: 'operation',
            failsBefore: true,
            service: service.name,
          }
        : untried('the rest of the queue'),
    ],
    resources: [`path:${queue}`],
    needsRestart: false,
    mustAsk: 'the message is not worked on then, and what it asks for is left undone',
  });
}

/** What was counted here, and apart from it what only the log says. */
function countOf(seen: number, text: string): string {
  const counted = `${seen} ${seen === 1 ? 'failure was' : 'failures were'} seen`;
  const claimed = attemptOf(text);
  return claimed > seen ? `${counted} (the log says ${claimed}, which was not counted here)` : counted;
}

/** The highest count that the text itself gives: `attempt 5`, `retry 3`, `failed 4 times`. */
function attemptOf(text: string): number {
  const counts = [...text.matchAll(/\b(?:attempt|retry|try|failed)\s+#?(\d{1,3})\b/gi)].map(([, count]) =>
    Number(count),
  );
  return Math.max(0, ...counts);
}
