import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfheal-demo-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function runDemo(): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [program, 'demo'], { cwd: folder, env: { ...process.env, TMPDIR: folder } });
  let output = '';
  child.stdout.on('data', (bytes) => {
    output += bytes;
  });
  child.stderr.on('data', (bytes) => {
    output += bytes;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

it('heals five faults in each of two real agents, tells how, and leaves nothing behind', {
  timeout: 240_000,
}, async () => {
  const { code, output } = await runDemo();

  expect(output).toMatch(/healed 10 of 10 faults/);
  expect(code).toBe(0);
  for (const word of ['broke', 'seen', 'found', 'did', 'checked', 'fixed', 'undo']) expect(output).toContain(word);
  expect(await readdir(folder)).toEqual([]);
});
