// What following many quiet files costs: CPU and memory of the watch flow while nothing is written.
//
//   node bench/idle.mjs [--files 1000] [--seconds 30]

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startFlow } from './watch-flow.mjs';

const { values } = parseArgs({
  options: { files: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '30' } },
});
const flow = await startFlow({ count: Number(values.files) });
await sleep(3_000);
const [cpu, began] = [process.cpuUsage(), performance.now()];
await sleep(Number(values.seconds) * 1_000);
const used = process.cpuUsage(cpu);
const share = (used.user + used.system) / 10 / (performance.now() - began);
console.log(
  `${values.files} files: ${share.toFixed(2)} % of a core, ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`,
);
await flow.stop();
