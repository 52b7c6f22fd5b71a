import { chmodSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { createScratch, freePort, python, type Scratch, until } from '../testing/scratch.ts';
import { systemClock } from './clock.ts';
import type { ServiceFacts, ServiceProbe } from './contract.ts';
import { parseJlist } from './managers/pm2.ts';
import { createProcessProbe } from './processes.ts';
import { createRun } from './run.ts';
import { createServiceProbe } from './services.ts';

const processes = createProcessProbe({ clock: systemClock });
let scratch: Scratch;
let store: Store;

beforeEach(async () => {
  scratch = createScratch();
  mkdirSync(scratch.path('agent', 'data'), { recursive: true });
  store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
});
afterEach(() => scratch.close());

const facts = (more: Partial<ServiceFacts>): ServiceFacts => ({
  name: 'agent',
  directory: scratch.path('agent'),
  command: null,
  restart: null,
  health: null,
  envFile: null,
  disposable: [],
  pipIndex: null,
  npmRegistry: null,
  settleMs: 1_000,
  ...more,
});

/** Programs of the system are looked for in the scratch `bin` first: stand-ins that print what the real ones print. */
function probe(more: Partial<ServiceFacts>, dockerSocket?: string): ServiceProbe {
  const run = createRun({ home: '/root', path: [scratch.path('bin'), '/usr/bin', '/bin'] });
  return createServiceProbe({
    services: [facts(more)],
    run,
    processes,
    store,
    clock: systemClock,
    ...(dockerSocket === undefined ? {} : { dockerSocket }),
  });
}

function standIn(name: string, script: string): void {
  mkdirSync(scratch.path('bin'), { recursive: true });
  writeFileSync(scratch.path('bin', name), `#!/bin/sh\n${script}\n`);
  chmodSync(scratch.path('bin', name), 0o755);
}

const SERVER = (port: number) =>
  `import http.server; s=http.server.HTTPServer(("127.0.0.1",${port}),http.server.SimpleHTTPRequestHandler); print("up",flush=True); s.serve_forever()`;

/** The owner's control script: pid file, own session, as such scripts go. */
const CTL = (code: string) => `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$1" in
start) setsid ${python} -u -c '${code}' >>data/out.log 2>&1 </dev/null & echo $! >data/ctl.pid;;
stop) kill -TERM "$(cat data/ctl.pid)"; rm -f data/ctl.pid;;
esac
`;

async function startWithCtl(port: number): Promise<{ ctl(verb: string): Promise<void>; pid(): number }> {
  scratch.write('agent/ctl', CTL(SERVER(port)), 0o755);
  const run = createRun({ home: '/root' });
  const ctl = async (verb: string): Promise<void> => {
    const result = await run([scratch.path('agent', 'ctl'), verb], {
      cwd: scratch.path('agent'),
      timeoutMs: 10_000,
      leash: 'none',
    });
    expect(result).toMatchObject({ code: 0 });
  };
  const pid = (): number => Number(readFileSync(scratch.path('agent/data/ctl.pid'), 'utf8'));
  await ctl('start');
  scratch.later(() => {
    try {
      process.kill(pid(), 'SIGKILL');
    } catch {
      // ended by the test
    }
  });
  await until(async () => (await processes.listener(port)) !== null);
  return { ctl, pid };
}

describe('a service under the owner’s own command', () => {
  const declared = (port: number): Partial<ServiceFacts> => ({
    restart: { kind: 'command', argv: ['./ctl', 'restart'], cwd: scratch.path('agent') },
    health: { kind: 'http', url: `http://127.0.0.1:${port}/` },
    logs: [scratch.path('agent/data/*.log')],
  });

  it('is found by its port, and its crash is no deliberate stop', async () => {
    const port = await freePort();
    const { pid } = await startWithCtl(port);
    const services = probe(declared(port));
    expect(await services.state('agent')).toMatchObject({
      running: true,
      process: { pid: pid() },
      stoppedOnPurpose: false,
    });
    expect((await services.health('agent')).passed).toBe(true);
    process.kill(pid(), 'SIGSEGV');
    expect(await until(async () => (await services.state('agent')).running === false)).toBe(true);
    expect(await services.state('agent')).toMatchObject({ stoppedOnPurpose: false, process: null });
    expect((await services.health('agent')).passed).toBe(false);
  });

  it('that its owner stopped was stopped on purpose', async () => {
    const port = await freePort();
    const { ctl } = await startWithCtl(port);
    const services = probe(declared(port));
    await services.state('agent');
    await ctl('stop');
    expect(await until(async () => (await services.state('agent')).running === false)).toBe(true);
    expect(await services.state('agent')).toMatchObject({ stoppedOnPurpose: true });
  });

  it('that said goodbye was stopped on purpose, though a pid file stays', async () => {
    const port = await freePort();
    const { pid } = await startWithCtl(port);
    const services = probe(declared(port));
    await services.state('agent');
    process.kill(pid(), 'SIGKILL');
    writeFileSync(
      scratch.path('agent/data/agent.log'),
      '2026-01-01 INFO received SIGTERM from operator, shutting down\n\n',
    );
    expect(await until(async () => (await services.state('agent')).running === false)).toBe(true);
    expect((await services.state('agent')).stoppedOnPurpose).toBe(true);
  });

  it('is not the stranger that holds its port', async () => {
    const port = await freePort();
    await scratch.start([python, '-c', SERVER(port)], { ready: 'up', cwd: '/' });
    const services = probe(declared(port));
    expect(await services.state('agent')).toMatchObject({ running: 'unknown', process: null });
    writeFileSync(scratch.path('agent/data/ctl.pid'), '999999999');
    expect(await services.state('agent')).toMatchObject({ running: false, stoppedOnPurpose: false });
  });

  it('that was never seen and that nothing speaks for is left alone', async () => {
    const services = probe(declared(await freePort()));
    expect(await services.state('agent')).toMatchObject({ running: false, stoppedOnPurpose: true });
  });

  it('is not the process that was given its pid afterwards', async () => {
    const stranger = await scratch.start([process.execPath, '-e', "console.log('up'); setInterval(() => {}, 1e3)"], {
      ready: 'up',
      cwd: '/',
    });
    writeFileSync(scratch.path('agent/data/service.pid'), String(stranger.pid));
    expect(await probe(declared(await freePort())).state('agent')).toMatchObject({ running: false, process: null });
  });

  it('counts its starts', async () => {
    const port = await freePort();
    const services = probe(declared(port));
    const { ctl, pid } = await startWithCtl(port);
    expect((await services.state('agent')).recentStarts).toBe(0);
    process.kill(pid(), 'SIGKILL');
    await until(async () => (await processes.listener(port)) === null);
    await ctl('start');
    await until(async () => (await processes.listener(port)) !== null);
    expect(await services.state('agent')).toMatchObject({ running: true, recentStarts: 1 });
  });

  it('without any address is the one process that lives in its folder', async () => {
    const services = probe({ restart: { kind: 'command', argv: ['./ctl', 'restart'], cwd: scratch.path('agent') } });
    expect((await services.state('agent')).running).toBe('unknown');
    const { ctl, pid } = await startWithCtl(await freePort());
    unlinkSync(scratch.path('agent/data/ctl.pid'));
    const state = await services.state('agent');
    // A child of the test itself would not count; this one has left for a session of its own.
    expect(state).toMatchObject({ running: true });
    writeFileSync(scratch.path('agent/data/ctl.pid'), String(state.process?.pid));
    expect(pid()).toBe(state.process?.pid);
    await ctl('stop');
  });

  it('that nobody is declared to run is a job: who was seen in its folder once is not missed afterwards', async () => {
    const services = probe({ health: { kind: 'command', argv: ['/bin/true'] } });
    const job = await scratch.start(['setsid', 'sleep', '60'], { cwd: scratch.path('agent'), detached: true });
    expect((await services.state('agent')).running).toBe('unknown');
    job.child.kill('SIGKILL');
    await job.ended;
    expect((await services.state('agent')).running).toBe('unknown');
  });
});

describe('health', () => {
  it('is unknown when none is declared, or the service is not configured', async () => {
    expect((await probe({}).health('agent')).passed).toBe('unknown');
    expect((await probe({}).health('other')).passed).toBe('unknown');
    expect((await probe({}).state('other')).running).toBe('unknown');
    expect(probe({}).facts('other')).toBeNull();
  });

  it('may be a command in the service’s folder', async () => {
    scratch.write('agent/check', '#!/bin/sh\n[ -f data/ok ] || { echo "no ok file" >&2; exit 3; }\n', 0o755);
    const services = probe({ health: { kind: 'command', argv: ['./check'] } });
    expect(await services.health('agent')).toEqual({ passed: false, evidence: 'exit code 3: no ok file' });
    scratch.write('agent/data/ok', '');
    expect((await services.health('agent')).passed).toBe(true);
    expect((await probe({ health: { kind: 'command', argv: ['./none'] } }).health('agent')).passed).toBe('unknown');
  });

  it('sees the pids of the host from a command', async () => {
    scratch.write('agent/data/ctl.pid', String(process.pid));
    scratch.write('agent/check', '#!/bin/sh\nkill -0 "$(cat data/ctl.pid)"\n', 0o755);
    expect((await probe({ health: { kind: 'command', argv: ['./check'] } }).health('agent')).passed).toBe(true);
  });

  it('may be a port', async () => {
    const port = await freePort();
    const services = probe({ health: { kind: 'tcp', host: '127.0.0.1', port } });
    expect((await services.health('agent')).passed).toBe(false);
    await scratch.start([python, '-c', SERVER(port)], { ready: 'up' });
    expect((await services.health('agent')).passed).toBe(true);
  });
});

describe('a service under systemd', () => {
  const shown = (more: string) =>
    standIn('systemctl', `printf 'LoadState=loaded\\nNRestarts=0\\nNeedDaemonReload=no\\n${more}\\n'`);
  const unit = { restart: { kind: 'systemd', unit: 'agent.service' } } as const;

  it.each([
    [
      'runs',
      `MainPID=${process.pid}\\nActiveState=active\\nSubState=running\\nResult=success`,
      { running: true, stoppedOnPurpose: false },
    ],
    [
      'was stopped',
      'MainPID=0\\nActiveState=inactive\\nSubState=dead\\nResult=success',
      { running: false, stoppedOnPurpose: true },
    ],
    [
      'crashed',
      'MainPID=0\\nActiveState=failed\\nSubState=failed\\nResult=signal',
      { running: false, stoppedOnPurpose: false, supervisorGaveUp: false },
    ],
    [
      'was given up',
      'MainPID=0\\nActiveState=failed\\nSubState=failed\\nResult=start-limit-hit',
      { running: false, supervisorGaveUp: true },
    ],
    [
      'is about to be restarted',
      'MainPID=0\\nActiveState=activating\\nSubState=auto-restart\\nResult=exit-code',
      { running: 'unknown', stoppedOnPurpose: false },
    ],
  ])('%s', async (_, properties, expected) => {
    shown(properties);
    expect(await probe(unit).state('agent')).toMatchObject(expected);
  });

  it('is unknown when there is no such unit, no systemd or no plain name', async () => {
    standIn('systemctl', "printf 'LoadState=not-found\\nActiveState=inactive\\nResult=success\\n'");
    expect(await probe(unit).state('agent')).toMatchObject({ running: 'unknown', stoppedOnPurpose: false });
    standIn('systemctl', 'echo "System has not been booted with systemd" >&2; exit 1');
    expect((await probe(unit).state('agent')).evidence).toContain('has not been booted');
    for (const bad of ['*', '--host=evil', 'a/b', '']) {
      expect((await probe({ restart: { kind: 'systemd', unit: bad } }).state('agent')).running).toBe('unknown');
    }
  });
});

describe('a service under pm2', () => {
  const jlist = (status: string, pid: number) =>
    standIn(
      'pm2',
      `echo '>>>> In-memory PM2 is out-of-date'; echo '[{"name":"agent","pid":${pid},"pm2_env":{"status":"${status}"}}]'`,
    );
  const app = { restart: { kind: 'pm2', name: 'agent' } } as const;

  it.each([
    ['online', process.pid, { running: true, stoppedOnPurpose: false }],
    ['stopped', 0, { running: false, stoppedOnPurpose: true }],
    ['errored', 0, { running: false, stoppedOnPurpose: false, supervisorGaveUp: true }],
    ['launching', 0, { running: 'unknown' }],
  ])('is %s', async (status, pid, expected) => {
    jlist(status, pid);
    expect(await probe(app).state('agent')).toMatchObject(expected);
  });

  it('is unknown to pm2, or pm2 speaks nonsense', async () => {
    standIn('pm2', "echo '[]'");
    expect((await probe(app).state('agent')).running).toBe('unknown');
    expect(parseJlist('nonsense')).toEqual([]);
    expect(parseJlist('[{"name":1}]')).toEqual([]);
  });
});

describe('a service in a container', () => {
  async function engine(status: number, state: object): Promise<string> {
    const socket = scratch.path('docker.sock');
    const server = createServer((request, response) => {
      response
        .writeHead(request.url === '/containers/agent-1/json' ? status : 404)
        .end(JSON.stringify({ State: state }));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    scratch.later(() => void server.close());
    return socket;
  }
  const container = { restart: { kind: 'docker', container: 'agent-1' } } as const;
  const up = { Running: true, Status: 'running', Pid: process.pid, ExitCode: 0 };

  it.each([
    ['runs', up, { running: true, process: { pid: process.pid } }],
    [
      'was stopped',
      { ...up, Running: false, Pid: 0, Status: 'exited', ExitCode: 143 },
      { running: false, stoppedOnPurpose: true },
    ],
    [
      'crashed',
      { ...up, Running: false, Pid: 0, Status: 'exited', ExitCode: 1 },
      { running: false, stoppedOnPurpose: false },
    ],
    [
      'ran out of memory',
      { ...up, Running: false, Pid: 0, Status: 'exited', ExitCode: 137, OOMKilled: true },
      { running: false, stoppedOnPurpose: false },
    ],
  ])('%s', async (_, state, expected) => {
    expect(await probe(container, await engine(200, state)).state('agent')).toMatchObject(expected);
  });

  it('is unknown without an engine, without the container, or with an answer that says nothing', async () => {
    expect((await probe(container, scratch.path('none.sock')).state('agent')).running).toBe('unknown');
    expect((await probe(container, await engine(200, {})).state('agent')).evidence).toContain('without a state');
    rmSync(scratch.path('docker.sock'), { force: true });
    expect(
      (await probe({ restart: { kind: 'docker', container: 'other' } }, await engine(404, {})).state('agent')).evidence,
    ).toContain('no such container');
  });
});
