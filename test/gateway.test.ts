// The gateway as a citizen: the built program supervises an agent, points it at the gateway, and heals a rate limit
// without the agent ever seeing an error.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { FakeModelServer } from '../src/testing/model-server.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist/cli.js');
const AGENT = `
import { appendFileSync } from 'node:fs';
const base = process.env.ANTHROPIC_BASE_URL;
appendFileSync('base.txt', base + ' ' + process.env.OPENAI_BASE_URL);
for (;;) {
  const response = await fetch(base + '/v1/messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'sk-ant-key-of-the-agent', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] }),
  }).catch((error) => ({ status: String(error), text: async () => '' }));
  appendFileSync('answers.txt', response.status + ' ' + (await response.text()) + '\\n');
  await new Promise((resolve) => setTimeout(resolve, 200));
}
`;

let folder = '';
let [primary, local]: [FakeModelServer, FakeModelServer] = [] as never;
const running = new Set<ChildProcess>();

beforeAll(() => {
  execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' });
}, 600_000);
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selfheal-gateway-'));
  primary = await FakeModelServer.open({ dialects: ['messages'], saying: { text: ['the primary'] } });
  local = await FakeModelServer.open({ dialects: ['messages'], saying: { text: ['the local model'] } });
  writeFileSync(join(folder, 'agent.mjs'), AGENT);
  writeFileSync(
    join(folder, 'selfheal.yaml'),
    `services:
  agent: {directory: ., command: [node, agent.mjs], settle: 2s}
gateway:
  listen: 127.0.0.1:0
  pause: 0s
  token_required: true
  upstreams:
    - {name: primary, kind: anthropic, base_url: "${primary.url}"}
    - {name: local, kind: anthropic, base_url: "${local.url}", model: tiny, fallback: true}
`,
  );
});
afterEach(async () => {
  for (const child of running) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  running.clear();
  await Promise.all([primary.close(), local.close()]);
  rmSync(folder, { recursive: true, force: true });
});

function start(
  argv: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly ready: Record<string, string> }> {
  const child = spawn(process.execPath, [program, ...argv], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  running.add(child);
  return new Promise((resolve) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n'))
        resolve({ child, ready: JSON.parse(text.split('\n', 1)[0] ?? '') as Record<string, string> });
    });
  });
}

const ask = (argv: readonly string[]): unknown[] => {
  const result = execFileSync('sh', ['-c', '"$@" || true', 'sh', process.execPath, program, ...argv, '--json'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder },
    encoding: 'utf8',
  });
  return result.trim() === ''
    ? []
    : result
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
};

/** Kills the gateway's process, a child of the monitor. */
function killGateway({ pid }: ChildProcess): void {
  const found = execFileSync('pgrep', ['-P', String(pid), '-f', 'gateway-main'], { encoding: 'utf8' });
  process.kill(Number(found.trim().split('\n')[0]), 'SIGKILL');
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

it('heals a rate limit of a supervised agent, tells it as an incident, and notes the return', {
  timeout: 240_000,
}, async () => {
  let isLimited = true;
  primary.behave = () =>
    isLimited
      ? { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '600' } }
      : { kind: 'answer' };
  const { child, ready } = await start(['watch', '--json']);
  expect(ready['gateway']).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const row = await until(() => {
    const [first] = ask(['incidents', '--all']) as { state: string }[];
    return first?.state === 'resolved' ? first : undefined;
  });
  expect(row).toMatchObject({
    service: 'agent',
    type: 'rate_limit',
    fix: 'fallback-model',
    outcome: { kind: 'fixed' },
  });
  expect(read('base.txt')).toMatch(new RegExp(`^${ready['gateway']}/a/[\\w-]{24} undefined$`));
  const route = { from: 'primary', to: 'local' };
  expect(ask(['status'])[0]).toMatchObject({ gateway: { url: ready['gateway'], lost: 0 }, routes: [route] });
  expect(primary.calls).toHaveLength(1);

  ask(['rollback', '1']);
  expect(ask(['status'])[0]).toMatchObject({ routes: [] });
  isLimited = false;
  // A new process may look once before the time is over.
  killGateway(child);
  await until(() => (read('answers.txt').includes('the primary') ? true : undefined));
  const answers = read('answers.txt').trim().split('\n');
  expect(answers.some((line) => line.includes('the local model'))).toBe(true);
  expect(answers.filter((line) => /^[45]\d\d/.test(line))).toEqual([]);
  await until(() => {
    const { timeline } = (ask(['incident', '1'])[0] ?? { timeline: [] }) as { timeline: { kind: string }[] };
    return timeline.some((entry) => entry.kind === 'restored') ? true : undefined;
  });
  expect(read('.selfheal/gateway/record/agent.log')).not.toContain('sk-ant');
  expect(read('.selfheal/gateway/memory.json')).not.toContain('sk-ant');
  expect(statSync(join(folder, '.selfheal/gateway')).mode & 0o777).toBe(0o700);
});

it('comes back on its address when its process is killed', async () => {
  const { child, ready } = await start(['watch', '--json']);
  await until(() => (primary.calls.length > 0 ? true : undefined));
  killGateway(child);
  const before = primary.calls.length;
  await until(() => (primary.calls.length > before + 2 ? true : undefined));
  expect((await fetch(`${ready['gateway']}/-/health`)).status).toBe(200);
});

it('stands alone, and prints what points agents at it', async () => {
  const { ready } = await start(['gateway', '--json']);
  expect(ready).toMatchObject({ event: 'ready', gateway: expect.stringMatching(/^http:/) as string });
  const [variables] = ask(['gateway', 'env']) as Record<string, string>[];
  const token = /\/a\/([\w-]+)$/.exec(variables?.['ANTHROPIC_BASE_URL'] ?? '')?.[1];
  const post = (base: string) =>
    fetch(`${base}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] }),
    });
  expect((await post(`${ready['gateway']}/a/${token}`)).status).toBe(200);
  expect((await post(ready['gateway'] ?? '')).status).toBe(401);
});
