import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Memo, remembering } from './memo.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a text is worked out once, as long as it is asked for now and then', () => {
  let made = 0;
  const memo = new Memo<string>(10);
  for (let round = 0; round < 100; round++) {
    memo.of('the same', (text) => `${text} ${++made}`);
    memo.of(`another ${round}`, (text) => text);
  }
  expect(made).toBe(1);
});

test('null and undefined are remembered too', () => {
  let made = 0;
  const lookedUp = remembering(() => void made++);
  expect([lookedUp('a'), lookedUp('a'), made]).toEqual([undefined, undefined, 1]);
});

test('what is remembered of a line does not keep the block alive that the line was cut from', () => {
  const memo = new Memo<string>(1_000);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let block = 0; block < 200; block++) {
    const text = Buffer.alloc(256 * 1024, `line ${block} of some length, and more `).toString('latin1');
    memo.of(text.slice(100, 300), (line) => line.slice(20, 120));
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * 1024);
});
