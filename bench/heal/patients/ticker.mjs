// A small HTTP service in Node. It falls ill on request: a file in run/ names the illness, which ends with the process.

import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';

const { port } = JSON.parse(readFileSync('ticker.json', 'utf8'));
const say = (level, text) => console.log(`${new Date().toISOString()} ${level} [ticker] ${text}`);
appendFileSync('run/starts', `${process.pid}\n`);

const server = createServer((_, response) => response.end(JSON.stringify({ pid: process.pid })));
server.listen(port, '127.0.0.1', () => say('INFO', `ready on port ${port}`));
process.on('SIGTERM', () => {
  say('INFO', 'received SIGTERM, stopping as asked');
  process.exit(0);
});

const askedFor = (name) => {
  try {
    rmSync(`run/${name}`);
    return true;
  } catch {
    return false;
  }
};

setInterval(() => {
  if (askedFor('throw')) throw new TypeError("Cannot read properties of undefined (reading 'price')");
  if (askedFor('reject')) void Promise.reject(new Error('the exchange closed the connection'));
  if (askedFor('block')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (askedFor('eat')) {
    const heap = [];
    for (;;) heap.push(Array.from({ length: 10_000 }, (_, n) => ({ price: n })));
  }
}, 150);
