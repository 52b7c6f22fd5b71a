import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { provenStartKey, type Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import type { SourceItem } from '../sources/contract.ts';
import { createProcessSource } from '../sources/process.ts';
import { compile } from '../testing/compiled.ts';
import { createScratch, freePort, python, runs, type Scratch, until } from '../testing/scratch.ts';
import { systemClock } from './clock.ts';
import type { SupervisedService } from './contract.ts';
import { readBootId, startTicksOf } from './proc.ts';
import { createProcessProbe } from './processes.ts';
import { createRun } from './run.ts';
import { createServiceProbe } from './services.ts';
import { createSupervisor, type SupervisorControl } from './supervisor.ts';

const run = createRun({ home: '/root' });
const processes = createProcessProbe({ clock: systemClock });
let scratch: Scratch;
let store: Store;

beforeEach(async () => {
  scratch = createScratch();
  store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
});
afterEach(() => scratch.close());

function service(command: readonly string[], more: Partial<SupervisedService> = {}): SupervisedService {
  const directory = more.directory ?? scratch.path('agent');
  mkdirSync(directory, { recursive: true });
  return {
    name: 'agent',
    directory,
    command,
    restart: null,
    health: null,
    envFile: null,
    disposable: [],
    pipIndex: null,
    npmRegistry: null,
    settleMs: 1_000,
    environment: {},
    ...more,
  };
}

const py = (code: string): readonly string[] => [python, '-u', '-c', code];
const SLEEPER = py('import time; print("up"); time.sleep(300)');

interface World {
  readonly supervisor: SupervisorControl;
  /** What it reported. */
  readonly problems: readonly string[];
  state(): ReturnType<ReturnType<typeof createServiceProbe>['state']>;
  pid(): Promise<number>;
}

function world(
  one: SupervisedService,
  environment: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
): World {
  const problems: string[] = [];
  const supervisor = createSupervisor({
    services: [one],
    problem: (message, error) => problems.push(`${message}: ${error}`),
    store,
    clock,
    run,
    stateDirectory: scratch.path('state'),
    environment: { PATH: process.env.PATH ?? '', ...environment },
  });
  scratch.later(() => supervisor.close());
  const probe = createServiceProbe({ services: [one], run, processes, store, clock: systemClock });
  return {
    supervisor,
    problems,
    state: () => probe.state('agent'),
    pid: async () => (await probe.state('agent')).process?.pid ?? -1,
  };
}

describe('a supervised program', () => {
  it('runs in its folder with the environment it would have had, and its own', async () => {
    const code = 'import os,time; print(os.getcwd(), os.environ["OUTER"], os.environ["INNER"]); time.sleep(300)';
    const { supervisor, state } = world(service(py(code), { environment: { INNER: 'own' } }), { OUTER: 'given' });
    await supervisor.startAll();
    expect(await state()).toMatchObject({ running: true, stoppedOnPurpose: false, recentStarts: 1 });
    const file = scratch.path('state', 'supervised', 'agent', '1.out');
    expect(await until(() => readFileSync(file, 'utf8') === `${scratch.path('agent')} given own\n`)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('that crashed is down until somebody restarts it, and is somebody new then', async () => {
    const { supervisor, state, pid } = world(service(SLEEPER));
    await supervisor.startAll();
    const before = await pid();
    process.kill(before, 'SIGSEGV');
    expect(await until(async () => (await state()).running === false)).toBe(true);
    expect(await state()).toMatchObject({ stoppedOnPurpose: false, process: null });
    expect((await state()).evidence).toContain('SIGSEGV');
    await supervisor.restart('agent');
    expect(await state()).toMatchObject({ running: true, recentStarts: 2 });
    expect(await pid()).not.toBe(before);
  });

  it('is in no crash loop by starts that a proven repair explains', async () => {
    const { supervisor, state, pid } = world(service(SLEEPER));
    await supervisor.startAll();
    for (let turn = 0; turn < 2; turn += 1) {
      process.kill(await pid(), 'SIGSEGV');
      expect(await until(async () => (await state()).running === false)).toBe(true);
      await supervisor.restart('agent');
    }
    expect((await state()).recentStarts).toBe(3);
    await store.setValue(provenStartKey('agent'), Date.now());
    expect((await state()).recentStarts).toBe(0);
  });

  it.each([
    ['a clean exit', py('print("done")')],
    ['TERM from a person', py('import os,signal; os.kill(os.getpid(), signal.SIGTERM)')],
    ['Ctrl-C', py('import os,signal; signal.signal(2,signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)')],
    ['TERM and the code for it', py('import sys; sys.exit(143)')],
  ])('that ended by %s was stopped on purpose', async (_, command) => {
    const { supervisor, state } = world(service(command));
    await supervisor.startAll();
    expect(await until(async () => (await state()).running === false)).toBe(true);
    expect((await state()).stoppedOnPurpose).toBe(true);
  });

  it('that cannot be started says why', async () => {
    const { supervisor, state } = world(service(['/no/such/program']));
    await supervisor.startAll();
    expect(await state()).toMatchObject({ running: false, stoppedOnPurpose: false });
    expect((await state()).evidence).toContain('ENOENT');
  });

  it('that a person stopped stays down, also when selfheal starts again', async () => {
    const one = service(SLEEPER);
    const { supervisor, state } = world(one);
    await supervisor.startAll();
    await supervisor.stop('agent', 'telegram:1');
    expect(await state()).toMatchObject({ running: false, stoppedOnPurpose: true, evidence: 'stopped by telegram:1' });
    await supervisor.close();
    const next = world(one);
    await next.supervisor.startAll();
    expect((await next.state()).running).toBe(false);
    await next.supervisor.restart('agent');
    expect((await next.state()).running).toBe(true);
  });

  it('starts again with selfheal when it was only stopped with it', async () => {
    const one = service(SLEEPER);
    const first = world(one);
    await first.supervisor.startAll();
    await first.supervisor.close();
    const second = world(one);
    await second.supervisor.startAll();
    expect((await second.state()).running).toBe(true);
  });
});

describe('when the next start cannot be prepared', () => {
  // A folder in the place of the next output file: it cannot be opened, as with no inode or descriptor left.
  const block = (): unknown => mkdirSync(scratch.path('state', 'supervised', 'agent', '2.out'));
  const unblock = (): void => rmSync(scratch.path('state', 'supervised', 'agent', '2.out'), { recursive: true });

  it('what runs goes on running, and the wish is reported as not met', async () => {
    const { supervisor, problems, state, pid } = world(service(SLEEPER));
    await supervisor.startAll();
    const before = await pid();
    block();
    const stop = new AbortController();
    const serving = supervisor.serve(stop.signal);
    await store.request({ kind: 'start-service', subject: 'agent', by: 'test', at: systemClock.now() + 1_000 });
    supervisor.wake();
    expect(await until(() => problems.length > 0)).toBe(true);
    expect(problems[0]).toMatch(/^start-service of agent could not be done: .*EISDIR/);
    expect(await pid()).toBe(before);
    expect((await state()).running).toBe(true);
    stop.abort();
    await serving;
  });

  it('what is down failed to start, which is never a stop on purpose, and can be started later', async () => {
    const { supervisor, state, pid } = world(service(SLEEPER));
    await supervisor.startAll();
    process.kill(await pid(), 'SIGKILL');
    expect(await until(async () => (await state()).running === false)).toBe(true);
    block();
    await supervisor.restart('agent');
    const after = await state();
    expect(after).toMatchObject({ running: false, stoppedOnPurpose: false });
    expect(after.evidence).toMatch(/^could not be started: .*EISDIR/);
    unblock();
    await supervisor.restart('agent');
    expect(await state()).toMatchObject({ running: true, stoppedOnPurpose: false });
  });
});

describe('requests in the store', () => {
  it('are obeyed once, and a wish that a younger start has met is not', async () => {
    const { supervisor, state, pid } = world(service(SLEEPER));
    await supervisor.startAll();
    const first = await pid();
    const stop = new AbortController();
    const serving = supervisor.serve(stop.signal);
    const ask = (kind: 'start-service' | 'stop-service', at: number) =>
      store.request({ kind, subject: 'agent', by: 'test', at });
    await ask('start-service', systemClock.now() - 60_000);
    await ask('start-service', systemClock.now() + 1);
    supervisor.wake();
    expect(await until(async () => ![first, -1].includes(await pid()))).toBe(true);
    expect((await state()).recentStarts).toBe(1);
    await ask('stop-service', systemClock.now());
    supervisor.wake();
    expect(await until(async () => (await state()).stoppedOnPurpose)).toBe(true);
    stop.abort();
    await serving;
  });
});

describe('nothing is left behind', () => {
  const STUBBORN = `
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("grandchild", "w").write(str(os.getpid()))
        time.sleep(300)
    os._exit(0)
time.sleep(300)
`;

  it('not a child that ignores TERM, nor a grandchild that left the group', async () => {
    const { supervisor, pid } = world(service(py(STUBBORN)));
    await supervisor.startAll();
    const file = scratch.path('agent', 'grandchild');
    expect(await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '')).toBe(true);
    const all = [await pid(), Number(readFileSync(file, 'utf8'))];
    expect(all.every(runs)).toBe(true);
    await supervisor.close();
    expect(await until(() => !all.some(runs))).toBe(true);
  });

  it('not a grandchild that holds the port when the service is started anew', async () => {
    const port = await freePort();
    const code = `
import os, socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", ${port})); s.listen()
s.set_inheritable(True)
if os.fork() == 0:
    os.setsid(); time.sleep(300)
print("up"); time.sleep(300)
`;
    const { supervisor, state, pid } = world(service(py(code)));
    await supervisor.startAll();
    expect(await until(async () => (await processes.listener(port)) !== null)).toBe(true);
    process.kill(await pid(), 'SIGKILL');
    expect(await until(async () => (await state()).running === false)).toBe(true);
    await supervisor.restart('agent');
    expect(await until(async () => (await processes.listener(port)) !== null)).toBe(true);
    expect(await processes.listener(port)).toMatchObject({ pid: await pid() });
  });
});

describe('after selfheal itself was killed', () => {
  // A real selfheal in miniature, in a process of its own, so that it can be killed.
  async function doomed(one: SupervisedService): Promise<{ kill(): Promise<void> }> {
    const compiled = await compile(['store/index.ts', 'host/clock.ts', 'host/run.ts', 'host/supervisor.ts']);
    scratch.later(() => compiled.remove());
    const options = { services: [one], stateDirectory: scratch.path('state'), environment: { PATH: process.env.PATH } };
    const program = await compiled.program(
      'daemon.js',
      `import { openStore } from './store/index.js';
import { systemClock as clock } from './host/clock.js';
import { createRun } from './host/run.js';
import { createSupervisor } from './host/supervisor.js';
const options = ${JSON.stringify(options)};
const store = await openStore({ directory: options.stateDirectory, clock });
const supervisor = createSupervisor({ ...options, store, clock, run: createRun({ home: '/root' }) });
await supervisor.startAll();
console.log('started');
await supervisor.serve(new AbortController().signal);
`,
    );
    const started = await scratch.start([process.execPath, program], { ready: 'started' });
    return {
      async kill() {
        process.kill(started.pid, 'SIGKILL');
        await started.ended;
      },
    };
  }

  it('the survivor is adopted, its output goes on, and its end is seen', async () => {
    const code = 'import time\nfor i in range(3000): print("line", i); time.sleep(0.02)';
    const one = service(py(code));
    const daemon = await doomed(one);
    const { supervisor, state, pid } = world(one);
    const before = await pid();
    await daemon.kill();
    expect(runs(before)).toBe(true);
    await supervisor.startAll();
    expect(await pid()).toBe(before);
    expect((await state()).recentStarts).toBe(1);
    process.kill(before, 'SIGKILL');
    expect(await until(async () => (await state()).running === false)).toBe(true);
    expect((await state()).stoppedOnPurpose).toBe(false);
  });

  it('a survivor that nobody wrote down is ended before a new one starts', async () => {
    const one = service(SLEEPER);
    const daemon = await doomed(one);
    const { supervisor, pid } = world(one);
    const before = await pid();
    await daemon.kill();
    await store.setValue('supervised:agent', null);
    await supervisor.startAll();
    expect(runs(before)).toBe(false);
    expect(runs(await pid())).toBe(true);
  });
});

describe('its output as a source', () => {
  async function collect(
    supervisor: SupervisorControl,
    enough: (items: readonly SourceItem[]) => boolean,
    cursor: SourceItem['cursor'] = null,
  ): Promise<readonly SourceItem[]> {
    const stop = new AbortController();
    const items: SourceItem[] = [];
    const source = createProcessSource({ supervisor, service: 'agent' });
    const timer = setTimeout(() => stop.abort(), 120_000);
    for await (const item of source.open({ cursor, signal: stop.signal, clock: systemClock })) {
      items.push(item.kind === 'block' ? { ...item, bytes: Uint8Array.from(item.bytes) } : item);
      if (enough(items)) break;
    }
    clearTimeout(timer);
    stop.abort();
    return items;
  }

  const text = (items: readonly SourceItem[], stream: string): string =>
    items
      .flatMap((item) => (item.kind === 'block' && item.stream === `process:agent:${stream}` ? [item] : []))
      .map((block) => Buffer.from(block.bytes).toString())
      .join('');
  const ended = (items: readonly SourceItem[]) => items.some((item) => item.kind === 'event');

  it('is two streams, their ends, and then the end of the process', async () => {
    const { supervisor } = world(
      service(
        py('import sys; print("a\\nb"); print("oops", file=sys.stderr); print("no newline", end=""); sys.exit(3)'),
      ),
    );
    await supervisor.startAll();
    const items = await collect(supervisor, ended);
    expect(text(items, 'stdout')).toBe('a\nb\nno newline');
    expect(text(items, 'stderr')).toBe('oops\n');
    expect(items.filter((item) => item.kind === 'block' && item.final)).toHaveLength(2);
    const last = items.at(-1);
    expect(last?.kind === 'event' && last.record).toMatchObject({
      level: 'error',
      service: 'agent',
      exit: { exitCode: 3, signal: null, deliberate: false },
    });
  });

  it('goes on at the cursor and gives nothing twice', async () => {
    const { supervisor } = world(service(py('import time\nfor i in range(200): print(i); time.sleep(0.002)')));
    await supervisor.startAll();
    const first = await collect(supervisor, (items) => text(items, 'stdout').includes('\n50\n'));
    const second = await collect(supervisor, ended, first.at(-1)?.cursor ?? null);
    const numbers = (text(first, 'stdout') + text(second, 'stdout')).trim().split('\n');
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
    const third = await collect(supervisor, () => true, first.at(-1)?.cursor ?? null);
    expect(third[0]?.kind === 'block' && third[0].startLine).toBe(1 + text(first, 'stdout').trim().split('\n').length);
  });

  it('is read to the end when a former selfheal died before it had done so', async () => {
    const one = service(py('print("last words")'));
    const { supervisor, state } = world(one);
    await supervisor.startAll();
    await until(async () => (await state()).running === false);
    const cursor = { generation: 1, stdout: { byte: 5, line: 1 }, stderr: { byte: 0, line: 1 }, told: false };
    await supervisor.restart('agent');
    const items = await collect(supervisor, ended, cursor);
    expect(text(items, 'stdout')).toBe('words\nlast words\n');
  });

  it('follows from one start to the next, and a deliberate stop is no error', async () => {
    const { supervisor } = world(service(SLEEPER));
    const said = (number: number) => {
      const file = scratch.path('state', 'supervised', 'agent', `${number}.out`);
      return until(() => existsSync(file) && readFileSync(file, 'utf8') === 'up\n');
    };
    await supervisor.startAll();
    await said(1);
    const reading = collect(supervisor, (items) => items.filter((item) => item.kind === 'event').length === 2);
    await supervisor.restart('agent');
    await said(2);
    await supervisor.stop('agent', 'cli:me');
    const items = await reading;
    expect(text(items, 'stdout')).toBe('up\nup\n');
    const ends = items.flatMap((item) => (item.kind === 'event' ? [item.record] : []));
    expect(ends.map((record) => [record.level, record.exit?.deliberate])).toEqual([
      ['info', true],
      ['info', true],
    ]);
  });

  it('gives the disk back what was read, while the program goes on writing', async () => {
    const code =
      'import sys\nline = "x" * 1023 + "\\n"\nfor _ in range(20 * 1024): sys.stdout.write(line)\nsys.stdout.flush()\nimport time; time.sleep(300)';
    const { supervisor } = world(service(py(code)));
    await supervisor.startAll();
    let bytes = 0;
    await collect(supervisor, (items) => {
      const last = items.at(-1);
      bytes += last?.kind === 'block' ? last.bytes.length : 0;
      (items as SourceItem[]).length = 0;
      return bytes >= 20 * 1024 * 1024;
    });
    const file = scratch.path('state', 'supervised', 'agent', '1.out');
    expect(statSync(file).size).toBe(20 * 1024 * 1024);
    expect(statSync(file).blocks * 512).toBeLessThan(14 * 1024 * 1024);
  });
});

describe.runIf(process.getuid?.() === 0)('when we are root', () => {
  // clone3(2) can ask for a pid: what chance does to a busy host in a day is done here at once.
  const WITH_PID = `
import ctypes, os, struct, sys, time
pid = (ctypes.c_int * 1)(int(sys.argv[1]))
args = struct.pack("11Q", 0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(pid), 1, 0)
child = ctypes.CDLL(None, use_errno=True).syscall(435, args, len(args))
if child == 0:
    os.setsid(); print("leads its group", flush=True); time.sleep(300); os._exit(0)
if child > 0: os.waitpid(child, 0)
sys.exit(1)
`;

  it('a stranger who got the pid of an adopted program, and leads a group, is not signalled', async () => {
    const sleeper = await scratch.start(SLEEPER, { ready: 'up', detached: true });
    const startTicks = await startTicksOf(sleeper.pid);
    const files = { stdout: scratch.path('1.out'), stderr: scratch.path('1.err') };
    const generation = {
      service: 'agent',
      number: 1,
      pid: sleeper.pid,
      startTicks,
      ...files,
      startedAt: 1,
      ended: null,
    };
    await store.setValue('supervised:agent', { generation, boot: await readBootId(), starts: [], stoppedBy: null });
    // Nobody looks whether the adopted program lives on until it is to be stopped.
    const blind: Clock = {
      ...systemClock,
      sleep: (ms, signal) => systemClock.sleep(ms === 500 ? 86_400_000 : ms, signal),
    };
    const { supervisor, pid } = world(service(SLEEPER), {}, blind);
    await supervisor.startAll();
    expect(await pid()).toBe(sleeper.pid);
    process.kill(sleeper.pid, 'SIGKILL');
    await sleeper.ended;
    const stranger = await scratch.start([python, '-c', WITH_PID, String(sleeper.pid)], { ready: 'leads its group' });
    scratch.later(() => void process.kill(sleeper.pid, 'SIGKILL'));
    await supervisor.stop('agent', 'test');
    expect(runs(sleeper.pid)).toBe(true);
    expect(runs(stranger.pid)).toBe(true);
  });

  it('the program runs as the owner of its folder', async () => {
    chmodSync(scratch.directory, 0o755);
    const one = service(
      py(
        'import os,time; print(os.getuid(), os.getgid(), os.environ["HOME"]); open("/dev/stdout","a").write("again\\n"); time.sleep(300)',
      ),
    );
    chownSync(one.directory, 65_534, 65_534);
    const { supervisor } = world(one);
    await supervisor.startAll();
    const file = scratch.path('state', 'supervised', 'agent', '1.out');
    expect(await until(() => readFileSync(file, 'utf8').includes('again'))).toBe(true);
    expect(readFileSync(file, 'utf8')).toMatch(/^65534 65534 \/nonexistent\n/);
  });
});
