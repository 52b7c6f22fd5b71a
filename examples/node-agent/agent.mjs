// A small agent that can fall ill: it greets, reports, updates itself and asks its model.
//
//   node agent.mjs            works until it is stopped, one task file at a time
//   node agent.mjs --check    does each kind of work once; exit 0 means healthy

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { greeting } from 'friendly'; // pinned in package-lock.json
import { Report } from './report.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const tasks = join(here, 'tasks');
const log = (level, text) => console.log(`${new Date().toISOString()} ${level} [agent] ${text}`);

function work(task) {
  const settings = JSON.parse(readFileSync(join(here, 'settings.json'), 'utf8'));
  if (task === 'report') return new Report(settings.title).summary(settings.items);
  if (task === 'update') return update();
  if (task === 'ask') return ask('What is the capital of France?');
  return greeting(settings.name);
}

/** Asks its model, and writes down the answer as it comes. */
async function ask(question) {
  const body = { model: 'big-model', max_tokens: 100, stream: true, messages: [{ role: 'user', content: question }] };
  const answer = await fetch(`${process.env.ANTHROPIC_BASE_URL}/v1/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'x-api-key': process.env.ANTHROPIC_API_KEY ?? 'none',
    },
    body: JSON.stringify(body),
  });
  let text = '';
  for (const line of (await answer.text()).split('\n')) {
    const event = line.startsWith('data: ') ? JSON.parse(line.slice(6)) : {};
    if (event.type === 'error') throw new Error(event.error.message);
    text += event.delta?.text ?? '';
  }
  writeFileSync(join(here, 'answer.txt'), text);
  return text;
}

function update() {
  try {
    execFileSync('git', ['pull', '--ff-only'], { cwd: here, stdio: 'pipe' });
    return 'up to date';
  } catch (error) {
    for (const line of `${error.stdout}${error.stderr}`.trim().split('\n')) log('ERROR', `git: ${line}`);
    return 'update failed';
  }
}

if (process.argv.includes('--check')) {
  console.log(work('greet'), '|', work('report'));
  process.exit(0);
}
log('INFO', `agent starts with ${work('greet')}`);
mkdirSync(tasks, { recursive: true });
for (;;) {
  for (const task of readdirSync(tasks).sort()) {
    log('INFO', `task ${task}: ${await work(readFileSync(join(tasks, task), 'utf8').trim())}`);
    unlinkSync(join(tasks, task));
  }
  await sleep(200);
}
