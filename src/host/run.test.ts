import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createChildOutput } from './child-output.ts';
import { findProgram } from './programs.ts';
import { createRun } from './run.ts';
import type { Leash, RunOptions } from './contract.ts';

const node = process.execPath;
const isRoot = process.getuid?.() === 0;
let directory: string;
const run = createRun({ home: '/home/nobody' });

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'run-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const options = (more: Partial<RunOptions> = {}): RunOptions => ({ cwd: directory, timeoutMs: 120_000, ...more });
const script = (text: string): readonly string[] => [node, '-e', text];

/** Pid and start time of a process, or null when it is gone or a zombie. */
function alive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function until(claim: () => boolean, withinMs = 60_000): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    if (claim()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return claim();
}

describe('a program that ends by itself', () => {
  it('gives its output and its exit code', async () => {
    const result = await run(script("console.log('out'); console.error('err'); process.exit(3)"), options());
    expect(result).toMatchObject({ code: 3, signal: null, stdout: 'out\n', stderr: 'err\n', failure: null });
  });

  it.each(['namespace', 'group', 'none'] as const)('names the signal that ended it (%s)', async (leash) => {
    const result = await run(
      script("process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000)"),
      options({ leash }),
    );
    expect(result).toMatchObject({ code: null, signal: 'SIGSEGV' });
  });

  it('reads what it is given, and ends when nothing is given', async () => {
    expect((await run(['cat'], options({ input: 'hello' }))).stdout).toBe('hello');
    expect((await run(['cat'], options())).stdout).toBe('');
  });

  it('may end without reading its input', async () => {
    expect((await run(['true'], options({ input: 'x'.repeat(1_000_000) }))).code).toBe(0);
  });
});

describe('the environment', () => {
  it('is built from nothing', async () => {
    process.env.NODE_OPTIONS_CANARY = 'secret';
    const { stdout } = await run(['env'], options({ env: { GIT_TERMINAL_PROMPT: '0' } }));
    delete process.env.NODE_OPTIONS_CANARY;
    const names = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('=')[0]);
    expect(names.sort()).toEqual(['GIT_TERMINAL_PROMPT', 'HOME', 'LANG', 'LC_ALL', 'PATH', 'SELFHEAL_RUN', 'TERM']);
    expect(stdout).toContain('HOME=/home/nobody');
  });
});

describe('the environment of the owner', () => {
  const own = createRun({ home: '/home/nobody', ownerEnvironment: { PATH: '/opt/none::relative', TOKEN: 'x' } });

  it('is for his own commands only', async () => {
    expect((await own(['printenv', 'TOKEN'], options({ leash: 'group' }))).stdout).toBe('x\n');
    expect((await own(['printenv', 'TOKEN'], options({ leash: 'none' }))).stdout).toBe('x\n');
    expect((await own(['printenv', 'TOKEN'], options())).stdout).toBe('');
    const path = (await own(['printenv', 'PATH'], options({ leash: 'group' }))).stdout;
    expect(path).toBe('/opt/none:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n');
  });

  it.runIf(isRoot)('is not told to another user', async () => {
    const folder = mkdtempSync(join(directory, 'other-'));
    chmodSync(directory, 0o755);
    chownSync(folder, 65_534, 65_534);
    expect((await own(['printenv', 'TOKEN'], options({ cwd: folder, leash: 'group' }))).stdout).toBe('');
  });
});

describe('what is refused before the start', () => {
  it.each([
    ['a NUL', ['echo', 'a\0b']],
    ['a line break', ['echo', 'a\nb']],
    ['an empty command', []],
    ['a relative program', ['./evil']],
    ['an unknown program', ['no-such-program-here']],
    ['an absolute path that is no program', ['/etc/passwd']],
  ])('%s', async (_, argv) => {
    const result = await run(argv, options());
    expect(result.code).toBeNull();
    expect(result.failure).not.toBeNull();
  });

  it('a folder that is not there', async () => {
    expect((await run(['true'], options({ cwd: '/no/such/folder' }))).failure).toContain('/no/such/folder');
  });

  it('a NUL in a variable', async () => {
    expect((await run(['true'], options({ env: { A: 'b\0c' } }))).failure).not.toBeNull();
  });

  it('a call that was aborted already', async () => {
    expect((await run(['true'], options({ signal: AbortSignal.abort() }))).failure).toContain('aborted');
  });

  it('a script whose interpreter is missing', async () => {
    const file = join(directory, 'broken');
    writeFileSync(file, '#!/no/such/interpreter\n', { mode: 0o755 });
    expect((await run([file], options())).failure).toContain('broken');
  });
});

describe('the program that a name means', () => {
  it('is never taken from the current or an untrusted folder', () => {
    const bin = mkdtempSync(join(directory, 'bin-'));
    writeFileSync(join(bin, 'tool'), '#!/bin/sh\n', { mode: 0o755 });
    expect(findProgram('tool', ['', '.', bin])).toBe(join(bin, 'tool'));
    chmodSync(bin, 0o777);
    expect(findProgram('tool', [bin])).toBeNull();
    chmodSync(bin, 0o755);
    chmodSync(join(bin, 'tool'), 0o757);
    expect(findProgram('tool', [bin])).toBeNull();
  });

  it('keeps the name of a link, because a venv interpreter is one', async () => {
    const link = join(directory, 'linked');
    symlinkSync('/bin/cat', link);
    expect(findProgram(link, [])).toBe(link);
  });
});

describe('a program that will not end', () => {
  it('is asked with TERM first', async () => {
    // A shell has its trap long before the time is up, on a busy machine too.
    const tidy = ['sh', '-c', 'trap "echo tidy; exit 7" TERM; while :; do sleep 0.1; done'];
    const result = await run(tidy, options({ timeoutMs: 3_000 }));
    expect(result).toMatchObject({ timedOut: true, code: 7, stdout: 'tidy\n' });
  });

  it('ends by TERM when it has no handler, though it runs in a namespace', async () => {
    const result = await run(['sleep', '60'], options({ timeoutMs: 300 }));
    // Whatever does not end by TERM is killed.
    expect(result).toMatchObject({ timedOut: true, signal: 'SIGTERM' });
  });

  it.each(['namespace', 'group'] as const)('is killed five seconds later when it ignores TERM (%s)', async (leash) => {
    const deaf = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'];
    const result = await run(deaf, options({ timeoutMs: 2_000, leash }));
    expect(result).toMatchObject({ timedOut: true, signal: 'SIGKILL' });
    expect(result.tookMs).toBeGreaterThan(6_500);
  });

  it('ends when the caller aborts', async () => {
    const controller = new AbortController();
    const running = run(['sleep', '60'], options({ signal: controller.signal }));
    setTimeout(() => controller.abort(), 200);
    expect(await running).toMatchObject({ timedOut: false, signal: 'SIGTERM' });
  });
});

/** Leaves the group, holds stdout, and writes its pid as the host sees it. */
const STRAY = [
  "const { spawn } = require('node:child_process');",
  "const child = spawn('sleep', ['61'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });",
  "child.unref(); require('node:fs').writeFileSync('stray.pid', String(child.pid));",
].join(' ');

describe('what a program leaves behind', () => {
  it('does not delay the answer when a grandchild holds stdout', async () => {
    const result = await run(
      script(
        "require('node:child_process').spawn('sleep', ['200'], { stdio: 'inherit' }); setTimeout(() => process.exit(0), 100)",
      ),
      options(),
    );
    expect(result.code).toBe(0);
    expect(result.tookMs).toBeLessThan(150_000);
  });

  it('is ended with it, also after a setsid (group)', async () => {
    await run(script(STRAY), options({ leash: 'group' }));
    const pid = Number(readFileSync(join(directory, 'stray.pid'), 'utf8'));
    expect(await until(() => !alive(pid))).toBe(true);
  });

  it('is ended with it, also after a double fork (namespace)', async () => {
    const marker = `62.${process.pid}`;
    await run(
      script(
        `require('node:child_process').spawn('sleep', ['${marker}'], { detached: true, stdio: 'ignore' }).unref()`,
      ),
      options(),
    );
    const left = await run(['pgrep', '-f', `sleep ${marker}`], options({ leash: 'group' }));
    expect(left.stdout).toBe('');
  });

  it('lives on, and its output file with it, when the leash is off', async () => {
    const result = await run(script(STRAY + "console.log('started')"), options({ leash: 'none' }));
    const pid = Number(readFileSync(join(directory, 'stray.pid'), 'utf8'));
    expect(result).toMatchObject({ code: 0, stdout: 'started\n' });
    expect(alive(pid)).toBe(true);
    const output = readFileSync(`/proc/${pid}/fd/1`, 'utf8');
    expect(output).toBe('started\n');
    const file = (await run(['readlink', `/proc/${pid}/fd/1`], options({ leash: 'group' }))).stdout.trim();
    expect(existsSync(file)).toBe(true);
    process.kill(pid, 'SIGKILL');
    rmSync(join(file, '..'), { recursive: true });
  });
});

describe('the output', () => {
  it('keeps head and tail of a flood', async () => {
    const result = await run(
      script("console.log('first' + 'x'.repeat(300_000) + 'last')"),
      options({ outputCap: 1_000 }),
    );
    expect(result.truncated).toBe(true);
    expect(result.stdout.startsWith('first')).toBe(true);
    expect(result.stdout.endsWith('last\n')).toBe(true);
    expect(result.stdout.length).toBeLessThan(1_100);
  });

  it('loses nothing below the cap and keeps the ends above it, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{0,9}$/), { maxLength: 30 }),
        fc.integer({ min: 2, max: 60 }),
        (parts, cap) => {
          const output = createChildOutput(cap);
          const whole = parts.join('');
          for (const part of parts) output.add(Buffer.from(part));
          if (whole.length <= cap) return output.text() === whole && !output.truncated;
          const text = output.text();
          const head = whole.slice(0, Math.ceil(cap / 2));
          const tail = whole.slice(whole.length - Math.floor(cap / 2));
          return output.truncated && text.startsWith(head) && text.endsWith(tail);
        },
      ),
    );
  });
});

describe.runIf(isRoot)('when we are root', () => {
  it.each(['namespace', 'group', 'none'] as const satisfies Leash[])(
    'runs as the owner of the folder, without its groups (%s)',
    async (leash) => {
      const folder = mkdtempSync(join(directory, 'owned-'));
      chmodSync(directory, 0o755);
      chownSync(folder, 65_534, 65_534);
      const { stdout } = await run(['id'], options({ cwd: folder, leash }));
      expect(stdout).toMatch(/^uid=65534.* gid=65534\S*( groups=65534\S*)?\n$/);
      const home = await run(['printenv', 'HOME'], options({ cwd: folder, leash }));
      expect(home.stdout.trim()).not.toBe('/home/nobody');
    },
  );
});
