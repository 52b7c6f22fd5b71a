// The owner's chat of the built program: a real daemon, a real log, a Bot API on the loopback, and a kill
// in between.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { FakeTelegram } from '../src/testing/telegram.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const OWNER = 1001;
/** What must not reach the chat, by whatever way a log brings it there. */
const CANARY = 'qX7vRm2LpZ9tKd4W';
const BROKEN = `ERROR agent: could not start, password=${CANARY}
Traceback (most recent call last):
  File "/srv/agent/main.py", line 3, in <module>
    import wordtrim  # postgres://app:${CANARY}@db/main, Authorization: Bearer ${CANARY}
ModuleNotFoundError: No module named 'wordtrim'
INFO agent: giving up
`;

let folder: string;
let api: FakeTelegram;
let daemon: ChildProcess | null = null;
let printed = '';

beforeAll(() => {
  execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' });
}, 600_000);
beforeEach(async () => {
  // A token that no other process on this machine can have.
  const token = `4243:AA${randomBytes(20).toString('hex')}`;
  api = await FakeTelegram.start({ token, chats: [OWNER], limit: { count: 100, windowMs: 1_000 } });
  folder = await mkdtemp(join(tmpdir(), 'selfheal-chat-'));
  await mkdir(join(folder, 'logs'));
  await writeFile(join(folder, 'logs/agent.log'), 'INFO agent: started\n');
  await writeFile(join(folder, '.env'), `TELEGRAM_BOT_TOKEN=${api.token}\n`, { mode: 0o600 });
  await writeFile(
    join(folder, 'selfheal.yaml'),
    `services: {agent: {directory: ., logs: [logs/*.log]}}
telegram: {token: "\${TELEGRAM_BOT_TOKEN}", allowed_users: [${OWNER}], chat: ${OWNER}, api_root: "${api.url}"}
`,
  );
  printed = '';
});
afterEach(async () => {
  await end('SIGKILL');
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const environment = { PATH: process.env['PATH'], HOME: folder, DEBUG: 'grammy*' };
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), 'watch'], { cwd: folder, env: environment });
  daemon = child;
  const ready = new Promise<void>((resolve, reject) => {
    const heard = (text: Buffer) => {
      printed += text;
      if (printed.includes('selfheal ready')) resolve();
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.once('exit', () => reject(new Error(`it ended before it was ready: ${printed}`)));
  });
  await ready;
}

async function end(signal: NodeJS.Signals): Promise<number | null> {
  const child = daemon;
  daemon = null;
  if (!child || child.exitCode !== null) return child?.exitCode ?? null;
  child.kill(signal);
  await once(child, 'exit');
  return child.exitCode;
}

async function answerTo(text: string, has: string): Promise<string> {
  const before = api.sent().length;
  api.say(text);
  const answer = () =>
    api
      .sent()
      .slice(before)
      .find((message) => message.text.includes(has));
  await api.until(() => answer() !== undefined);
  return answer()?.text ?? '';
}

async function commandLines(): Promise<string> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(processes.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return lines.join('\n');
}

/** A person at a real terminal (util-linux `script`): types the next line as soon as its question stands there. */
async function atTerminal(argv: readonly string[], lines: readonly (readonly [RegExp, string])[]): Promise<string> {
  const command = [process.execPath, join(root, 'dist/cli.js'), ...argv].map((word) => `'${word}'`).join(' ');
  const environment = { PATH: process.env['PATH'], HOME: folder, TERM: 'xterm' };
  const child = spawn('script', ['-qec', `stty cols 100 rows 40; exec ${command}`, '/dev/null'], {
    cwd: folder,
    env: environment,
  });
  daemon = child;
  let from = 0;
  printed = '';
  const left = [...lines];
  child.stdout.on('data', (text: Buffer) => {
    printed += text;
    for (;;) {
      const [question, answer] = left[0] ?? [];
      const found = question?.exec(printed.slice(from));
      if (!found) return;
      from += found.index + found[0].length;
      left.shift();
      child.stdin.write(`${answer}\r`);
    }
  });
  await once(child, 'exit');
  daemon = null;
  return left.length === 0 ? printed : `unanswered: ${left.map(String).join()}\n${printed}`;
}

it('guides a newcomer at a terminal from the token to a first message', async () => {
  await rm(join(folder, 'selfheal.yaml'));
  await rm(join(folder, '.env'));
  const wizard = atTerminal(
    ['init', '--telegram-api-root', api.url],
    [
      [/Name of the service/, ''],
      [/Its log files/, ''],
      [/How is it restarted/, ''],
      [/How to see that it works/, ''],
      [/Tell you on Telegram/, ''],
      [/Token of your bot/, 'nonsense'],
      [/not a bot token[^]*Token of your bot/, api.token],
    ],
  );
  await api.until(() => api.callsOf('getUpdates').length > 0);
  api.say('hello', { user: 666 });
  api.say('/start 000000', { user: 666 });
  const code = await vi.waitUntil(() => /start=(\d{6})/.exec(printed)?.[1], { timeout: 30_000 });
  api.say(`/start ${code}`, { user: OWNER });
  const seen = await wizard;
  expect(seen).not.toContain('unanswered');
  expect(api.sent(OWNER)[0]?.text).toMatch(/^🩺 selfheal on /);
  expect(seen).not.toContain(api.token);
  expect(await readFile(join(folder, '.env'), 'utf8')).toBe(`TELEGRAM_BOT_TOKEN=${api.token}\n`);
  expect(await readFile(join(folder, 'selfheal.yaml'), 'utf8')).toContain(`allowed_users: [${OWNER}]`);
});

it('answers its owner, tells of what broke, and tells it once although it is killed', async () => {
  await start();
  await api.until(() => api.commands.length > 0);
  expect(await answerTo('health check', 'Health Check Results')).toContain('Errors (last 30min): 0');
  await appendFile(join(folder, 'logs/agent.log'), BROKEN);
  const cards = () => api.sent().filter((message) => /#1 agent · import_error/.test(message.text));
  await api.until(() => cards().length > 0);
  expect(await answerTo('incidents', 'Open incidents')).toContain('#1 agent import_error');
  await answerTo('incident 1', 'State:');
  await answerTo('logs 1', 'What incident #1');
  await answerTo('plan 1', 'lan for #1');
  await answerTo('why 1', 'Because:');
  expect(JSON.stringify(api.messages)).not.toContain(CANARY);
  expect(await commandLines()).not.toContain(api.token);
  await end('SIGKILL');
  printed = '';
  await start();
  expect(await answerTo('pause for the night', 'Paused')).toContain('✅');
  expect(await answerTo('status', 'Paused by')).toContain(`user ${OWNER}`);
  // One more may have followed, about what became of it; never the same again.
  const titles = cards().map(({ text, past }) => (past[0] ?? text).split('\n')[0]);
  expect(new Set(titles).size).toBe(titles.length);
  await api.down();
  expect(await end('SIGTERM')).toBe(0);
  expect(printed).not.toContain(api.token.slice(5));
});
