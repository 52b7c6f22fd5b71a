import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScratch, freePort, python, runs, type Scratch, until } from '../testing/scratch.ts';
import { systemClock } from './clock.ts';
import { isAlive, parseStat } from './proc.ts';
import { createProcessProbe, listeningSockets } from './processes.ts';

const processes = createProcessProbe({ clock: systemClock });
let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

const sleeper = [process.execPath, '-e', "console.log('up'); setInterval(() => {}, 1000)"];

describe('a process', () => {
  it('is known by pid and start time, with its program, folder and arguments', async () => {
    const { pid } = await scratch.start(sleeper, { ready: 'up' });
    const found = await processes.process(pid);
    expect(found).toMatchObject({ pid, ppid: process.pid, cwd: scratch.directory, argv: sleeper });
    expect(found?.executable).toBe((await processes.process(process.pid))?.executable);
    expect(found && (await isAlive(found))).toBe(true);
    expect(await isAlive({ pid, startTicks: (found?.startTicks ?? 0) - 1 })).toBe(false);
  });

  it('is nobody once it has ended, collected or not', async () => {
    const parent = await scratch.start(
      [
        python,
        '-c',
        'import os,time; pid=os.fork()\nif pid==0: os._exit(0)\nprint("zombie",pid,flush=True); time.sleep(60)',
      ],
      { ready: 'zombie' },
    );
    const zombie = Number(/zombie (\d+)/.exec(parent.output())?.[1]);
    expect(await until(() => !runs(zombie))).toBe(true);
    expect(await processes.process(zombie)).toBeNull();
    expect(await processes.process(2 ** 22 + 1)).toBeNull();
  });

  it('tells what it uses', async () => {
    const before = systemClock.now();
    const started = await scratch.start(
      [
        python,
        '-c',
        'import time\nheld=[open("/dev/null") for _ in range(40)]\nprint("up",flush=True)\n\nwhile time.process_time()<0.3: pass\nprint("done",flush=True); time.sleep(60)',
      ],
      { ready: 'done' },
    );
    const usage = await processes.usage(started.pid);
    expect(usage?.cpuMs).toBeGreaterThanOrEqual(200);
    expect(usage?.openFiles).toBeGreaterThanOrEqual(43);
    expect(usage?.maxOpenFiles).toBeGreaterThan(100);
    expect(usage?.residentBytes).toBeGreaterThan(1_000_000);
    expect(usage?.ioBytes).toBeGreaterThan(0);
    expect(usage?.startedAt).toBeGreaterThan(before - 100);
    expect(usage?.startedAt).toBeLessThan(systemClock.now());
  });

  it('has children', async () => {
    const { pid } = await scratch.start(sleeper, { ready: 'up' });
    expect((await processes.children(process.pid)).map((child) => child.pid)).toContain(pid);
    expect((await processes.list()).map((one) => one.pid)).toContain(pid);
  });

  it('may have any name, brackets and blanks too', () => {
    const fields = ['S', '7', ...Array(9).fill('0'), '1', '2', '3', '4', '20', '0', '1', '0', '987', '0'];
    expect(parseStat(`42 (a) b (c)) ${fields.join(' ')}`)).toEqual({
      state: 'S',
      ppid: 7,
      terminal: 0,
      cpuTicks: 10,
      startTicks: 987,
    });
    expect(parseStat('')).toBeNull();
  });
});

describe('a port', () => {
  it.each(['127.0.0.1', '::1'])('belongs to who listens on %s', async (host) => {
    const port = await freePort();
    const server = `require('node:net').createServer().listen(${port}, '${host}', () => console.log('up'))`;
    const { pid } = await scratch.start([process.execPath, '-e', server], { ready: 'up' });
    expect(await processes.listener(port)).toMatchObject({ pid });
  });

  it('belongs to the eldest of a family that shares it', async () => {
    const port = await freePort();
    const code = `import os,socket,time; s=socket.socket(); s.bind(("127.0.0.1",${port})); s.listen()\nchild=os.fork()\nif child: print("up",flush=True)\ntime.sleep(60)`;
    const { pid } = await scratch.start([python, '-c', code], { ready: 'up', detached: true });
    scratch.later(() => void process.kill(-pid, 'SIGKILL'));
    expect(await processes.listener(port)).toMatchObject({ pid });
  });

  it('is nobody’s when nothing listens, though a connection may use its number', async () => {
    expect(await processes.listener(await freePort())).toBeNull();
    const table = '  0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 77 1\n';
    expect(listeningSockets(table, 8080)).toEqual([]);
    expect(listeningSockets(table.replace(' 01 ', ' 0A '), 8080)).toEqual(['77']);
  });
});

describe('a file', () => {
  it('has holders, by descriptor or by lock, and nobody else', async () => {
    const file = scratch.write('app.db', 'x');
    scratch.write('other.db', 'x');
    expect(await processes.holders(file)).toEqual([]);
    const code = `import fcntl,time; f=open(${JSON.stringify(file)},"r+"); fcntl.lockf(f,fcntl.LOCK_EX)\nprint("up",flush=True); time.sleep(60)`;
    const { pid } = await scratch.start([python, '-c', code], { ready: 'up' });
    expect((await processes.holders(file)).map((holder) => holder.pid)).toEqual([pid]);
    expect(await processes.holders(scratch.path('other.db'))).toEqual([]);
    expect(await processes.holders(scratch.path('absent'))).toEqual([]);
    const all = [file, scratch.path('other.db'), scratch.path('absent')];
    expect(await processes.inUse(all)).toEqual(new Set([file]));
  });

  it('that was deleted shows while it is held open', async () => {
    const file = scratch.path('big.log');
    writeFileSync(file, Buffer.alloc(300_000, 1));
    const code = `import time; f=open(${JSON.stringify(file)}); print("up",flush=True); time.sleep(60)`;
    const { pid } = await scratch.start([python, '-c', code], { ready: 'up' });
    rmSync(file);
    const held = (await processes.deletedFiles(scratch.directory)).filter((one) => one.path === file);
    expect(held).toHaveLength(1);
    expect(held[0]?.process.pid).toBe(pid);
    expect(held[0]?.bytes).toBeGreaterThanOrEqual(300_000);
  });
});

describe('the host', () => {
  it('tells its load and its memory', async () => {
    expect(await processes.load()).toBeGreaterThanOrEqual(0);
    const { freeBytes, totalBytes } = await processes.availableMemory();
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThan(freeBytes);
  });
});
