// A crash tore the last line of a JSON-lines file: drop only that partial record. The whole file as it was is kept beside it,
// so not a byte is lost.

import type { FileStatus, Probe } from '../host/contract.ts';
import {
  type Damage,
  type ServiceCopy,
  type Diagnosis,
  defineFix,
  type FixContext,
  later,
  notApplicable,
  propose,
  refuse,
} from './contract.ts';
import { healthCheck } from './shared/health-check.ts';

const READER = `import json
print(sum(json.loads(line)["id"] for line in open("data/sessions.jsonl")))
`;

export default defineFix({
  name: 'repair-torn-jsonl',
  family: 'quarantine-state',
  title: 'Cut a torn last record off a JSON-lines file',
  handles: ['config_error', 'syntax_error', 'database_error', 'service_crash', 'unknown'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 28,
  diagnose,
  damage,
  drills: [
    {
      given: 'the last record of a session file is cut off',
      world: async (kit) => {
        await kit.write('main.py', READER);
        await kit.write('data/sessions.jsonl', '{"id": 1}\n{"id": 2}\n{"id": 3, "te', 0o600);
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.sh(['touch', '-d', '1 minute ago', 'data/sessions.jsonl']);
      },
      facts: { exception: 'JSONDecodeError' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'the log names the file, and nothing else can be asked',
      world: async (kit) => {
        await kit.write('state/queue.jsonl', '{"id": 1}\n{"id"');
        await kit.sh(['touch', '-d', '1 minute ago', 'state/queue.jsonl']);
      },
      facts: { path: '{directory}/state/queue.jsonl' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'a record in the middle is broken, too',
      world: async (kit) => {
        await kit.write('data/sessions.jsonl', '{"id": 1}\n{"id\n{"id": 3, "te');
        await kit.sh(['touch', '-d', '1 minute ago', 'data/sessions.jsonl']);
      },
      facts: { path: 'data/sessions.jsonl' },
      type: 'config_error',
      expect: 'refused',
    },
    {
      given: 'the record is being written this very moment',
      world: (kit) => kit.write('data/sessions.jsonl', '{"id": 1}\n{"id": 2, "te'),
      facts: { path: 'data/sessions.jsonl' },
      type: 'config_error',
      expect: 'later',
    },
    {
      given: 'a process has the file open',
      world: async (kit) => {
        await kit.write('data/sessions.jsonl', '{"id": 1}\n{"id": 2, "te');
        const hold = "import time; f = open('data/sessions.jsonl', 'a'); print('held', flush=True); time.sleep(600)";
        await kit.start(['python3', '-c', hold], { ready: 'held' });
        await kit.sh(['touch', '-d', '1 minute ago', 'data/sessions.jsonl']);
      },
      facts: { path: 'data/sessions.jsonl' },
      type: 'config_error',
      expect: 'later',
    },
    {
      given: 'every record is whole',
      world: (kit) => kit.write('data/sessions.jsonl', '{"id": 1}\n{"id": 2}'),
      facts: { path: 'data/sessions.jsonl' },
      type: 'config_error',
      expect: 'not-applicable',
    },
  ],
});

const SETTLE_MS = 3_000;
const HELD_MS = 30_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** Looked into when the log names none. */
const MOST_FILES = 50;
const PATTERNS = ['*', 'data/**/*', 'state/**/*', 'var/**/*', 'sessions/**/*', 'memory/**/*'].flatMap((base) => [
  `${base}.jsonl`,
  `${base}.ndjson`,
]);

type Torn =
  | {
      readonly kind: 'tail';
      readonly path: string;
      readonly status: FileStatus;
      readonly sha256: string;
      readonly bytes: number;
    }
  | { readonly kind: 'more'; readonly path: string; readonly line: number };

/** Ends a file of records in the middle of one. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  for (const path of (await probe.files.glob(service.directory, ['*.jsonl', '*/*.jsonl', '*/*/*.jsonl'])).slice(
    0,
    20,
  )) {
    const text = await probe.files.text(path);
    if (text === null || !text.endsWith('\n') || !probe.files.parse(text, 'jsonl').ok) continue;
    await kit.write(path, `${text}{"torn": `);
    await kit.sh(['touch', '-d', '1 hour ago', '--', path]);
    const message = `json.decoder.JSONDecodeError: Expecting value in ${path}`;
    return { what: `the last record of ${path} is torn`, type: 'config_error', facts: { path }, message };
  }
  return null;
}

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const found: Torn[] = [];
  for (const path of await candidates(context)) {
    const torn = await examine(probe, path);
    if (torn) found.push(torn);
  }
  const more = found.find((torn) => torn.kind === 'more');
  if (more?.kind === 'more')
    return refuse(`${more.path} is broken in line ${more.line}, not only at its end: a person should look`);
  const [torn, another] = found.filter((one) => one.kind === 'tail');
  if (torn === undefined) return notApplicable('no JSON-lines file of the service has a torn last record');
  if (another !== undefined)
    return refuse(`${torn.path} and ${another.path} are both torn: a person should look for the cause`);
  const now = probe.clock.now();
  if (now - torn.status.modifiedAt < SETTLE_MS) return later(now + SETTLE_MS, `${torn.path} was written a moment ago`);
  const [holder] = await probe.processes.holders(torn.path);
  if (holder)
    return later(now + HELD_MS, `process ${holder.pid} has ${torn.path} open and may still finish the record`);
  const health = (await probe.services.health(service.name)).passed;
  const { path, sha256, bytes, status } = torn;
  return propose({
    title: `cut the torn last record off ${path}`,
    why: `The last ${status.bytes - bytes} bytes of ${path} are the beginning of a record that was never finished; all records before it are whole.`,
    facts: { path },
    steps: [
      {
        kind: 'write-file',
        title: `cut ${status.bytes - bytes} bytes off ${path}; the file as it is stays beside it`,
        undo: { kind: 'restore-snapshot' },
        path,
        content: { firstBytes: bytes },
        before: sha256,
        mode: status.mode,
        keepAs: `${path.slice(path.lastIndexOf('/') + 1)}.selfheal-torn-{plan}`,
      },
    ],
    checks: [
      {
        kind: 'file-parses',
        title: 'every record is whole',
        proves: 'operation',
        failsBefore: true,
        path,
        format: 'jsonl',
        keys: [],
      },
      ...healthCheck(service.name, health),
    ],
    resources: [`path:${path}`],
    needsRestart: service.command !== null || service.restart !== null,
  });
}

async function candidates({ incident, service, probe }: FixContext): Promise<readonly string[]> {
  const named = incident.facts.path ?? incident.facts.file;
  const claimed = named === undefined ? null : await probe.files.inside(service.directory, named);
  if (claimed !== null && /\.(?:jsonl|ndjson)$/.test(claimed)) return [claimed];
  return (await probe.files.glob(service.directory, PATTERNS)).slice(0, MOST_FILES);
}

/** Null when it is whole, or no text that we may read. */
async function examine({ files }: Probe, path: string): Promise<Torn | null> {
  const [status, sha256, text] = await Promise.all([
    files.status(path),
    files.sha256(path),
    files.text(path, MAX_BYTES),
  ]);
  if (text === null || sha256 === null) return null;
  const parsed = files.parse(text, 'jsonl');
  if (parsed.ok) return null;
  const end = text.lastIndexOf('\n') + 1;
  const whole = text.slice(0, end);
  const before = files.parse(whole, 'jsonl');
  // A cut through a letter shows as U+FFFD; in what is kept there must be none, or its bytes could not be counted.
  if (!before.ok || whole.includes('\uFFFD')) return { kind: 'more', path, line: before.ok ? 1 : (before.line ?? 1) };
  return { kind: 'tail', path, status, sha256, bytes: new TextEncoder().encode(whole).length };
}
