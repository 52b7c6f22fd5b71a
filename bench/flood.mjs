// A flood: lines by the hundred thousand per second, 2 % of them errors. Every error must be counted, memory must stay
// bounded, and a question to the store must be answered while it lasts.
//
//   node bench/flood.mjs [--seconds 30] [--rate 200000]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { percentile, startFlow } from './watch-flow.mjs';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, rate: { type: 'string', default: '200000' } },
});
const WRITER = `
  const fs = require('node:fs');
  const [file, rate, seconds] = process.argv.slice(1);
  const fd = fs.openSync(file, 'a');
  const share = Number(rate) / 50;
  let text = '';
  for (let n = 0; n < share; n += 1)
    text += n % 50 === 0
      ? "2026-01-05 10:00:01 ERROR ModuleNotFoundError: No module named 'm" + (n % 7) + "'\\n"
      : '2026-01-05 10:00:01 INFO request ' + n + ' handled in 12 ms\\n';
  let written = 0;
  const began = performance.now();
  for (let turn = 0; turn < 50 * Number(seconds); turn += 1) {
    fs.writeSync(fd, text);
    written += share / 50;
    const ahead = began + turn * 20 - performance.now();
    if (ahead > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ahead);
  }
  console.log(written);
`;

let detected = 0;
const flow = await startFlow({
  count: 1,
  found: () => {
    detected += 1;
  },
});
const writer = spawn(process.execPath, ['-e', WRITER, flow.files[0], values.rate, values.seconds], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let expected = null;
writer.stdout.on('data', (text) => {
  expected = Math.round(Number(text));
});
const ended = once(writer, 'exit');
let [peak, isOver] = [0, false];
const answers = [];
void ended.then(() => {
  isOver = true;
});
for (let quiet = 0, last = -1; quiet < 50; ) {
  await sleep(100);
  const asked = performance.now();
  await flow.store.incidents({ limit: 10 });
  answers.push(performance.now() - asked);
  peak = Math.max(peak, process.memoryUsage.rss());
  quiet = isOver && detected === last ? quiet + 1 : 0;
  last = detected;
  if (isOver && expected !== null && detected >= expected) break;
}
await ended;
const behind = answers.length / 10 - Number(values.seconds);
await flow.stop();
console.log(
  `${values.rate} lines/s for ${values.seconds} s: ${detected} of ${expected} errors detected, peak ${(peak / 1e6).toFixed(0)} MB, ` +
    `answers p99 ${percentile(answers, 0.99).toFixed(0)} ms, longest ${Math.max(...answers).toFixed(0)} ms, caught up ${Math.max(0, behind).toFixed(0)} s after the end`,
);
