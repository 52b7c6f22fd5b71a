// The whole line on real programs, as a newcomer sees it first: twelve faults in two agents, from the log line to the proof.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'selfheal-stage-'));

beforeAll(() => void execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' }), 600_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('the demo heals twelve of twelve faults, proves each, and leaves nothing behind', async () => {
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), 'demo'], {
    env: { PATH: process.env['PATH'], HOME: scratch, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(said).toContain('healed 12 of 12 faults');
  expect(said.match(/end {5}fixed/g)).toHaveLength(12);
  // A restart has no way back, and says so.
  expect(said.match(/undo {4}selfheal rollback/g)).toHaveLength(10);
  expect(said.match(/undo {4}none: /g)).toHaveLength(2);
  expect(said.match(/came to ✓ the agent has: The capital of France is Paris, on the Seine\./g)).toHaveLength(2);
  expect(said).not.toContain('✗');
  expect(code).toBe(0);
  expect(readdirSync(scratch).filter((name) => name.startsWith('selfheal'))).toEqual([]);
  expect(() => process.kill(-(child.pid as number), 0)).toThrow();
}, 400_000);
