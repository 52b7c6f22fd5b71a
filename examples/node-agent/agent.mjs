// A small agent that can fall ill: it greets, reports and updates itself.
//
//   node agent.mjs            works until it is stopped, one task file at a time
//   node agent.mjs --check    does each kind of work once; exit 0 means healthy

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
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
  return greeting(settings.name);
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
    log('INFO', `task ${task}: ${work(readFileSync(join(tasks, task), 'utf8').trim())}`);
    unlinkSync(join(tasks, task));
  }
  await sleep(200);
}
