// The hostile lines of hostile-path.long.test.ts again, with the kernel as the witness: strace writes down every program
// that is executed while they are worked on, by whomever. None of them is the attacker's, and none hears of his words.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { canTrace } from './testing/system-calls.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'selfheal-trace-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Programs that fixes look at the machine with, what holds them on a leash, and the test runner itself. */
const KNOWN =
  /^(?:node|git|git-[a-z-]+|python3?(?:\.\d+)?|unshare|setpriv|timeout|true|prlimit|setsid|env|sh|systemctl|journalctl|docker|pm2|ss|df|getent|ldconfig(?:\.real)?|uname|gcc|ld|vitest|esbuild|strace)$/;
const OF_ATTACKER = /evil|canary|neighbour|link\.json/;

interface Executed {
  readonly program: string;
  readonly line: string;
}

async function executed(trace: string): Promise<readonly Executed[]> {
  const lines = (await readFile(trace, 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const program = /execve\("([^"]*)"/.exec(line)?.[1];
    // A name that is looked for along PATH and is not there was not executed.
    return program === undefined || line.includes(' = -1 ') ? [] : [{ program, line }];
  });
}

it.skipIf(!canTrace())(
  'no program of an attacker is executed, and no program is given his words',
  async () => {
    const trace = join(folder, 'trace');
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const tests = [process.execPath, vitest, 'run', '-c', 'vitest.long.config.ts', 'src/hostile-path'];
    const options = ['-f', '--seccomp-bpf', '-qq', '-s', '4096', '-e', 'trace=execve', '-o', trace];
    const child = spawn('strace', [...options, '--', ...tests], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = (await once(child, 'close')) as [number | null];
    const all = await executed(trace);
    const programs = [...new Set(all.map(({ program }) => basename(program)))].sort();
    console.log(`${all.length} programs were executed: ${programs.join(', ')}`);
    expect(code).toBe(0);
    expect(all.length).toBeGreaterThan(100);
    expect(all.filter(({ line }) => OF_ATTACKER.test(line)).map(({ line }) => line)).toEqual([]);
    expect(programs.filter((name) => !KNOWN.test(name))).toEqual([]);
  },
  1_800_000,
);
