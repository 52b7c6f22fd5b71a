// A log as machines write it, from a seed: Python logging, JSON lines, syslog and access lines mixed, with
// about 2 % errors and many innocent look-alikes. The same seed and size give the same bytes.

import { closeSync, openSync, writeSync } from 'node:fs';

/** mulberry32. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const WORDS =
  'request handled session opened cache warm worker idle queue drained token refreshed user profile loaded sync done page rendered metrics flushed task scheduled reply sent batch stored index built socket kept'.split(
    ' ',
  );
const CALM = [
  'timeout=30 retries=0 errors=0',
  'connection pool size 20, 3 in use',
  'GET /error-handling/guide served',
  'failed_logins=0 over 60 s',
  'loaded plugin exception-reporter 2.1',
  'größe übernommen, alles gut',
];
const ERRORS = [
  (n) => [`OSError: [Errno 28] No space left on device: '/srv/data/${n}.bin'`],
  (n) => [`Error: listen EADDRINUSE: address already in use 0.0.0.0:${8000 + (n % 90)}`],
  () => ['openai.RateLimitError: Error code: 429 - Too Many Requests'],
  (n) => [`requests.exceptions.ConnectionError: connection refused by host-${n % 7}`],
  (n) => [
    'Traceback (most recent call last):',
    `  File "/srv/agent/main.py", line ${1 + (n % 400)}, in <module>`,
    '    import tools',
    `ModuleNotFoundError: No module named 'tool_${n % 40}'`,
  ],
  (n) => [
    `TypeError: Cannot read properties of undefined (reading 'id${n % 30}')`,
    `    at handle (/srv/api/src/handler.js:${1 + (n % 200)}:17)`,
    '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
  ],
  () => ['fatal: Not possible to fast-forward, aborting.'],
  () => ['sqlite3.OperationalError: database is locked'],
];

/** Writes at least `bytes` bytes of whole lines; returns the number of lines. */
export function writeCorpus(path, bytes, { seed = 1, errorShare = 0.02 } = {}) {
  const random = seeded(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const phrase = () =>
    random() < 0.06 ? pick(CALM) : `${pick(WORDS)} ${pick(WORDS)} ${pick(WORDS)} ${Math.floor(random() * 1e6)}`;
  const fd = openSync(path, 'w');
  let time = Date.UTC(2026, 0, 5);
  let [written, lines, waiting] = [0, 0, ''];
  const put = (line) => {
    waiting += `${line}\n`;
    lines += 1;
  };
  while (written < bytes) {
    time += Math.floor(random() * 160);
    const iso = new Date(time).toISOString();
    const python = `${iso.slice(0, 10)} ${iso.slice(11, 19)},${iso.slice(20, 23)}`;
    const kind = random();
    if (random() < errorShare) {
      const [first, ...rest] = pick(ERRORS)(Math.floor(random() * 1e4));
      if (rest.length === 0) put(`${python} ERROR [agent] ${first}`);
      else for (const line of [`${python} ERROR [agent] task failed`, first, ...rest]) put(line);
    } else if (kind < 0.3) put(`${python} INFO [agent.${pick(WORDS)}] ${phrase()}`);
    else if (kind < 0.58)
      put(
        `{"level":30,"time":${time},"pid":4242,"hostname":"box","reqId":"${Math.floor(random() * 1e9).toString(36)}","msg":"${phrase()}"}`,
      );
    else if (kind < 0.76) put(`Jan  5 ${iso.slice(11, 19)} box agent[4242]: ${phrase()}`);
    else
      put(
        `10.0.${Math.floor(random() * 250)}.7 - - [05/Jan/2026:${iso.slice(11, 19)} +0000] "GET /api/${pick(WORDS)} HTTP/1.1" 200 ${Math.floor(random() * 9e4)} "-" "curl/8.5"`,
      );
    if (waiting.length < 1 << 20) continue;
    written += writeSync(fd, waiting);
    waiting = '';
  }
  closeSync(fd);
  return lines;
}
