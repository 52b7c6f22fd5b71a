// Breaks real small programs, lets the built selfheal heal them, and judges from outside.
//
//   node bench/heal/run.mjs [--only ID,ID] [--group NAME] [--kind heal] [--jobs 2] [--scale 1] [--json FILE] [--write] [--keep] [--list]
//                           [--with FILE]
//
// `--scale` stretches the deadlines on a busy machine; `--with` takes the rows of what is not chosen from the JSON of an earlier run;
// `--write` writes docs/benchmark.md; `--keep` leaves the worlds.
// Exit code: 0 when everything went as it should, 1 otherwise, 2 for wrong usage.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    group: { type: 'string' },
    kind: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    scale: { type: 'string', default: '1' },
    json: { type: 'string' },
    with: { type: 'string' },
    write: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const GROUPS = ['packages', 'git', 'configuration', 'processes', 'state', 'disk', 'network', 'hostile', 'controls'];

if (!existsSync(new URL('../../dist/cli.js', import.meta.url))) {
  console.error('dist/ is missing: run `node scripts/build.mjs` first');
  process.exit(2);
}
const { tryFault } = await import('./lib/trial.mjs');
const { World } = await import('./lib/world.mjs');
const { page, summarise, summaryTable } = await import('./lib/report.mjs');

const all = [];
for (const group of GROUPS) {
  const { default: faults } = await import(`./faults/${group}.mjs`);
  all.push(...faults.map((fault) => ({ may: [], ...fault, group })));
}
const wanted = options.only?.split(',');
const chosen = all.filter(
  (fault) =>
    (wanted?.includes(fault.id) ?? true) &&
    (options.group === undefined || options.group === fault.group) &&
    (options.kind === undefined || options.kind === fault.kind),
);
if (chosen.length === 0) {
  console.error(`no such fault; \`--list\` names all ${all.length}`);
  process.exit(2);
}
if (options.list) {
  for (const { id, group, kind, what } of chosen)
    console.log(`${id.padEnd(30)} ${group.padEnd(14)} ${kind.padEnd(8)} ${what}`);
  process.exit(0);
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await Promise.all([...World.live].map((world) => world.close()));
    process.exit(130);
  });
const rows = [];
const waiting = [...chosen];
const settings = { scale: Number(options.scale), keep: options.keep };
await Promise.all(Array.from({ length: Math.max(1, Number(options.jobs)) }, work));
const again = rows.length;
if (options.with) {
  const { rows: earlier } = JSON.parse(readFileSync(options.with, 'utf8'));
  rows.push(...earlier.filter((row) => all.some((f) => f.id === row.id) && !chosen.some((f) => f.id === row.id)));
}
rows.sort((a, b) => all.findIndex((f) => f.id === a.id) - all.findIndex((f) => f.id === b.id));
console.log(`\n${summaryTable(summarise(rows))}`);
if (options.json) writeFileSync(options.json, `${JSON.stringify({ summary: summarise(rows), rows }, null, 1)}\n`);
if (options.write) {
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} cores, Node ${process.version}`;
  writeFileSync(
    fileURLToPath(new URL('../../docs/benchmark.md', import.meta.url)),
    page(rows, { date, machine, again }),
  );
}
process.exitCode = rows.every((row) => row.verdict === 'pass' || row.verdict === 'skipped') ? 0 : 1;

async function work() {
  for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
    const skip = fault.needs?.() ?? null;
    const row = skip
      ? { id: fault.id, group: fault.group, kind: fault.kind, what: fault.what, verdict: 'skipped', reason: skip }
      : await tryFault(fault, settings);
    rows.push(row);
    const time = row.seconds === undefined ? '' : `${row.seconds.toFixed(1)} s`;
    console.log(
      `${row.verdict.padEnd(8)} ${row.id.padEnd(30)} ${time.padEnd(8)} ${row.reason}${row.folder ? ` [${row.folder}]` : ''}`,
    );
  }
}
