// From an error appended to one of many followed files to its detection, and to the committed incident. Once with
// a next line behind it, which ends the record at once, and once without: then it is detected and stored provisionally.
//
//   node bench/latency.mjs [--files 1000] [--appends 300]

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { percentile, startFlow } from './watch-flow.mjs';

const { values } = parseArgs({
  options: { files: { type: 'string', default: '1000' }, appends: { type: 'string', default: '300' } },
});

let appended = 0;
const seen = [];
const committed = [];
let wake = () => {};
let isSeen = true;
let isStored = true;
const detected = () => {
  if (!isSeen) seen.push(performance.now() - appended);
  isSeen = true;
};
const flow = await startFlow({
  count: Number(values.files),
  found: detected,
  glimpsed: detected,
  stored: () => {
    if (!isSeen || isStored) return;
    isStored = true;
    committed.push(performance.now() - appended);
    wake();
  },
});

async function measure(name, rest, appends) {
  seen.length = 0;
  committed.length = 0;
  for (let n = 0; n < appends; n += 1) {
    const file = flow.files[(n * 7) % flow.files.length];
    const stored = new Promise((resolve) => {
      wake = resolve;
    });
    [isSeen, isStored] = [false, false];
    appended = performance.now();
    appendFileSync(file, `2026-01-05 10:00:01 ERROR ModuleNotFoundError: No module named 'm${n % 9}'\n${rest}`);
    await stored;
    // Until the record is final: its second commit is not the next one's first.
    await sleep(rest === '' ? 500 : 15);
  }
  const told = (list) => `p50 ${percentile(list, 0.5).toFixed(2)} ms, p99 ${percentile(list, 0.99).toFixed(2)} ms`;
  console.log(`${name}: detected ${told(seen)}; committed ${told(committed)} (${appends} appends)`);
}

console.log(`${values.files} files followed`);
await measure('a line follows', '2026-01-05 10:00:01 INFO next\n', Number(values.appends));
await measure('the error is the last line', '', Number(values.appends));
await flow.stop();
