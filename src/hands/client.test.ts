// The engine's side of *hands*, with real processes: answers, deaths, stops and rivals.

import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashedText, type Check, type Plan, type Step } from '../core/plan.ts';
import { systemClock } from '../host/clock.ts';
import { createRun } from '../host/run.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { aPlan } from '../store/suite.ts';
import { compile, type Compiled } from '../testing/compiled.ts';
import { callHands, parseAnswer, printedAnswer, type HandsAnswer, type HandsVerb } from './client.ts';

const run = createRun({ home: tmpdir() });
const never = new AbortController().signal;

let compiled: Compiled;
let root: string;
let store: Store;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'selfheal-client-'));
  await mkdir(join(root, 'world'));
  store = await openStore({ directory: join(root, 'state'), clock: systemClock });
});
afterEach(async () => {
  await store.close();
  await rm(root, { recursive: true, force: true });
});

const call = (
  verb: HandsVerb,
  options: { env?: Record<string, string>; signal?: AbortSignal; plan?: string; deadlineMs?: number } = {},
) =>
  callHands({
    stateDirectory: join(root, 'state'),
    plan: 'p1',
    verb,
    signal: never,
    run,
    program: compiled.path('hands/main.ts'),
    ...options,
    env: { SELFHEAL_TEST: '1', SELFHEAL_PATIENCE_MS: '0', ...options.env },
  });

const world = (name: string) => join(root, 'world', name);

/** Writes a file and then, when asked for, runs a command of the owner's. */
async function store1(more: readonly Step[] = [], changes: Partial<Plan> = {}): Promise<Plan> {
  const write: Step = {
    kind: 'write-file',
    title: 'write it',
    path: world('made'),
    content: { text: 'made' },
    before: null,
    mode: 0o600,
    undo: { kind: 'restore-snapshot' },
  };
  const check: Check = {
    kind: 'run',
    title: 'it is there',
    proves: 'operation',
    failsBefore: true,
    argv: ['/usr/bin/test', '-f', world('made')],
    cwd: '/',
    timeoutMs: 10_000,
  };
  const expiresAt = Date.now() + 600_000;
  const plan = {
    ...aPlan('p1'),
    steps: [write, ...more],
    checks: [check],
    resources: ['service:agent'],
    expiresAt,
    ...changes,
  };
  const frozen = { ...plan, hash: createHash('sha256').update(hashedText(plan)).digest('hex') };
  await store.savePlan(frozen);
  await store.setValue(VALUE_KEYS.services, []);
  return frozen;
}

const sleeping = (argv: readonly string[]): Step => ({
  kind: 'run',
  title: 'take long',
  argv,
  cwd: join(root, 'world'),
  timeoutMs: 60_000,
  idempotent: false,
  undo: { kind: 'none', reason: 'it only takes long' },
});

describe('calling hands', () => {
  it('acts, proves after the settle time, and takes back when it is asked to', async () => {
    await store1();
    expect(await call('act')).toMatchObject({ kind: 'acted', evidence: [{ check: 'it is there', passed: true }] });
    expect(await readFile(world('made'), 'utf8')).toBe('made');
    expect(await call('verify')).toMatchObject({ kind: 'finished', outcome: { kind: 'fixed', plan: 'p1' } });
    expect(await store.openPlans()).toEqual([]);
    expect(await store.locks()).toEqual([]);
    expect(await call('undo')).toMatchObject({ kind: 'finished', outcome: { kind: 'rolled-back' } });
    await expect(readFile(world('made'))).rejects.toThrow('ENOENT');
  });

  it('tells of a death, and recovers', async () => {
    await store1();
    const died = await call('act', { env: { SELFHEAL_FAILPOINT: 'apply.0.after:kill' } });
    expect(died).toEqual({ kind: 'died', reason: 'hands was ended by SIGKILL without an answer' });
    expect(await call('act')).toMatchObject({ kind: 'busy' });
    expect(await call('recover')).toMatchObject({ kind: 'acted' });
    const thrown = await call('verify', { env: { SELFHEAL_FAILPOINT: 'finished.before:throw' } });
    expect(thrown).toEqual({
      kind: 'died',
      reason: 'hands ended with 3 without an answer: hands: failpoint finished.before',
    });
    expect(await call('recover')).toMatchObject({ kind: 'acted' });
    expect(await call('verify')).toMatchObject({ kind: 'finished', outcome: { kind: 'fixed' } });
  });

  it('takes back what was done when it is stopped in the middle', async () => {
    const flag = world('flag');
    await writeFile(world('long.sh'), `#!/bin/sh\ntouch ${flag}\nexec sleep 50\n`);
    await chmod(world('long.sh'), 0o755);
    await store1([sleeping([world('long.sh')])]);
    const stop = new AbortController();
    const answer = call('act', { signal: stop.signal });
    while (!(await readFile(flag).catch(() => null))) await systemClock.sleep(20);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'finished', outcome: { kind: 'rolled-back' } });
    await expect(readFile(world('made'))).rejects.toThrow('ENOENT');
  });

  it('kills what does not end, and the rest is recovered', async () => {
    await store1([sleeping(['/bin/sleep', '50'])]);
    const answer = await call('act', { deadlineMs: 3_000, env: { SELFHEAL_FAILPOINT: 'none' } });
    // Asked to stop at the deadline it still takes back what it did, and says so.
    expect(answer).toMatchObject({ kind: 'finished', outcome: { kind: 'rolled-back' } });
    await expect(readFile(world('made'))).rejects.toThrow('ENOENT');
  });

  it('lets one of two processes at the same plan act, and the other do nothing', async () => {
    await store1();
    const answers = await Promise.all([call('act'), call('act')]);
    expect(answers.map((answer) => answer.kind).sort()).toEqual(['acted', 'busy']);
    const intents = (await store.journal('p1')).filter((entry) => entry.phase === 'intent');
    expect(intents).toHaveLength(1);
  });

  it('does nothing while the pause file lies in the state folder', async () => {
    await store1();
    await writeFile(join(root, 'state/DISABLED'), '');
    expect(await call('act')).toMatchObject({ kind: 'put-off', reason: /paused by the file/ });
    await expect(readFile(world('made'))).rejects.toThrow('ENOENT');
  });

  it('masks the values of the service’s own environment file', async () => {
    await writeFile(world('.env'), 'WORD=correct-horse-battery\n');
    await writeFile(world('loud.sh'), '#!/bin/sh\necho "connecting with correct-horse-battery" >&2\nexit 1\n');
    await chmod(world('loud.sh'), 0o755);
    await store1([sleeping([world('loud.sh')])]);
    const facts = { name: 'agent', directory: join(root, 'world'), envFile: world('.env'), disposable: [] };
    await store.setValue(VALUE_KEYS.services, [facts]);
    const answer = await call('act');
    expect(answer).toMatchObject({ outcome: { kind: 'rolled-back', reason: /connecting with \[secret\]/ } });
    expect(JSON.stringify([answer, await store.journal('p1')])).not.toContain('correct-horse');
  });

  it('says what was wrong when it cannot work', async () => {
    expect(await call('act', { plan: 'p9' })).toEqual({
      kind: 'died',
      reason: 'hands ended with 3 without an answer: hands: there is no plan p9',
    });
    expect(await call('act', { plan: '../p1' })).toMatchObject({ kind: 'died', reason: /ended with 2.*usage/ });
  });
});

it('understands every answer that hands prints, and nothing else', () => {
  const outcome = { kind: 'fixed', reason: 'r', evidence: [], at: 1, plan: 'p1' } as const;
  const answers: Exclude<HandsAnswer, { kind: 'died' }>[] = [
    { kind: 'acted', evidence: [{ check: 'c', passed: 'unknown', text: 't' }] },
    { kind: 'finished', outcome },
    { kind: 'busy', reason: 'b' },
    { kind: 'put-off', reason: 'p' },
  ];
  for (const answer of answers) expect(parseAnswer(`noise\n${printedAnswer(answer)}\n`)).toEqual(answer);
  for (const text of ['', 'noise', '{}', '{"acted":false}', 'null', '[1]']) expect(parseAnswer(text)).toBeNull();
});
