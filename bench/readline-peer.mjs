// What everybody writes first: readline, and every line through a list of regular expressions.
// node bench/readline-peer.mjs PATTERNS FILE

import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [patterns, file] = process.argv.slice(2);
const list = readFileSync(patterns, 'utf8')
  .trimEnd()
  .split('\n')
  .map((source) => new RegExp(source));
let count = 0;
for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY }))
  if (list.some((pattern) => pattern.test(line))) count += 1;
console.log(`${count} lines`);
