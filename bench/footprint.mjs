// What selfheal costs while nothing is wrong: memory and CPU of `watch` on quiet logs, and how long
// `--help` and `watch` take to answer. Ratios are against a bare Node process of the same version.
//
//   node bench/footprint.mjs [--files 1] [--seconds 60] [--runs 7]

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    runs: { type: 'string', default: '7' },
  },
});
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'selfheal-footprint-'));
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Memory in MB and CPU ticks (1/100 s) of a process, from /proc. */
function usage(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const kb = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { rss: kb('VmRSS') / 1024, own: kb('RssAnon') / 1024, ticks: Number(stat[11]) + Number(stat[12]) };
}

function timed(argv) {
  const began = performance.now();
  spawnSync(process.execPath, argv, { stdio: 'ignore', cwd: folder });
  return performance.now() - began;
}

async function startWatch() {
  const began = performance.now();
  const child = spawn(process.execPath, [cli, 'watch', '--config', join(folder, 'selfheal.yaml')], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { child, readyMs: performance.now() - began };
}

async function stop(child) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

try {
  mkdirSync(join(folder, 'logs'));
  for (let n = 0; n < Number(values.files); n += 1)
    writeFileSync(join(folder, `logs/agent-${n}x.log`), '2026-01-05 10:00:00 INFO [agent] quiet\n');
  writeFileSync(
    join(folder, 'selfheal.yaml'),
    `services:\n  agent:\n    directory: ${folder}\n    logs: [logs/*.log]\n`,
  );
  const runs = Array.from({ length: Number(values.runs) });
  const bare = median(runs.map(() => timed(['-e', '0'])));
  const help = median(runs.map(() => timed([cli, '--help'])));
  const ready = [];
  for (const _ of runs.slice(0, 3)) {
    const { child, readyMs } = await startWatch();
    ready.push(readyMs);
    await stop(child);
  }
  const { child } = await startWatch();
  await sleep(10_000);
  const before = usage(child.pid);
  await sleep(Number(values.seconds) * 1000);
  const after = usage(child.pid);
  await stop(child);
  const cpu = (after.ticks - before.ticks) / Number(values.seconds);
  console.log(`start of bare node     ${bare.toFixed(0)} ms`);
  console.log(`start of --help        ${help.toFixed(0)} ms  (${(help / bare).toFixed(2)} x bare node)`);
  console.log(
    `start to ready         ${median(ready).toFixed(0)} ms  (${(median(ready) / bare).toFixed(1)} x bare node)`,
  );
  console.log(
    `idle memory            ${after.rss.toFixed(1)} MB resident, ${after.own.toFixed(1)} MB of it its own, ${values.files} files`,
  );
  console.log(`idle CPU               ${cpu.toFixed(2)} % of one core over ${values.seconds} s`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
