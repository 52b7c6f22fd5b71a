// One problem, one fingerprint, whatever changes from report to report; two problems, two. Measured in pairs on a
// labelled set that is made here: problems of ten languages, each reported many times in different words around it.

import { describe, expect, it } from 'vitest';
import { ErrorDetector } from './detector.ts';
import { FINGERPRINT_VERSION, fingerprintOf, templateOf } from './fingerprint.ts';

const detector = new ErrorDetector();

/** mulberry32, public domain by Tommy Ettinger: small, seeded, good enough for texts. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What changes between two reports of one problem. */
interface Luck {
  readonly int: (from: number, to: number) => number;
  readonly hex: (length: number) => string;
  readonly id: () => string;
  readonly folder: () => string;
  readonly time: () => string;
}

function luckOf(seed: number): Luck {
  const roll = dice(seed);
  const int = (from: number, to: number): number => from + Math.floor(roll() * (to - from + 1));
  const hex = (length: number): string => Array.from({ length }, () => int(0, 15).toString(16)).join('');
  const two = (value: number): string => String(value).padStart(2, '0');
  return {
    int,
    hex,
    id: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
    folder: () =>
      ['/srv/agent', `/opt/releases/${int(1, 99)}`, '/home/bot/app', `/var/lib/app-${hex(7)}`][int(0, 3)] ?? '',
    time: () =>
      `2026-0${int(1, 9)}-${two(int(1, 28))} ${two(int(0, 23))}:${two(int(0, 59))}:${two(int(0, 59))},${int(100, 999)}`,
  };
}

type Report = (luck: Luck) => string;

const traceback =
  (last: (luck: Luck) => string, fn = 'work'): Report =>
  (luck) =>
    `Traceback (most recent call last):\n  File "${luck.folder()}/main.py", line ${luck.int(5, 900)}, in ${fn}\n    run()\n${last(luck)}\n`;
const logged =
  (text: (luck: Luck) => string, level = 'ERROR'): Report =>
  (luck) =>
    `${luck.time()} ${level} [agent] ${text(luck)}\n`;
const stack =
  (head: (luck: Luck) => string, fn = 'handle'): Report =>
  (luck) =>
    `${head(luck)}\n    at ${fn} (${luck.folder()}/index.js:${luck.int(3, 900)}:${luck.int(1, 80)})\n    at node:internal/main:${luck.int(1, 99)}:3\n`;
const java =
  (head: (luck: Luck) => string): Report =>
  (luck) =>
    `${head(luck)}\n\tat com.example.App.run(App.java:${luck.int(3, 900)})\n\tat com.example.Main.main(Main.java:${luck.int(3, 90)})\n`;

/** Each entry is a problem of its own. */
const PROBLEMS: readonly Report[] = [
  // Python
  ...['yaml', 'requests', 'bs4', 'dotenv'].map((name) =>
    traceback(() => `ModuleNotFoundError: No module named '${name}'`),
  ),
  traceback(() => "AttributeError: 'NoneType' object has no attribute 'text'"),
  traceback(() => "AttributeError: 'Session' object has no attribute 'closed'"),
  traceback(() => "TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
  traceback(() => "TypeError: send() missing 1 required positional argument: 'chat'"),
  traceback(
    ({ int }) =>
      `requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=${int(3, 60)})`,
  ),
  traceback(
    ({ int }) =>
      `requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='mail.example.org', port=443): Read timed out. (read timeout=${int(3, 60)})`,
  ),
  traceback(
    ({ hex, int }) =>
      `anthropic.RateLimitError: Error code: 429 - {'type': 'error', 'error': {'type': 'rate_limit_error', 'message': 'Retry after ${int(2, 60)} seconds'}, 'request_id': 'req_${hex(20)}'}`,
  ),
  traceback(
    ({ hex }) =>
      `openai.InternalServerError: Error code: 500 - {'error': {'message': 'The server had an error', 'request_id': 'req_${hex(24)}'}}`,
  ),
  traceback(() => 'sqlite3.OperationalError: database is locked'),
  traceback(() => 'sqlite3.OperationalError: no such table: jobs'),
  traceback(({ folder }) => `PermissionError: [Errno 13] Permission denied: '${folder()}/data/state.json'`),
  traceback(({ folder }) => `OSError: [Errno 28] No space left on device: '${folder()}/data/index.bin'`),
  traceback(() => 'IndexError: list index out of range', 'pick'),
  traceback(() => 'IndexError: list index out of range', 'shift'),
  traceback(() => "KeyError: 'result'"),
  traceback(() => "KeyError: 'TELEGRAM_TOKEN'"),
  // Node
  stack(() => "TypeError: Cannot read properties of undefined (reading 'id')"),
  stack(() => "TypeError: Cannot read properties of undefined (reading 'chat')"),
  stack(() => 'TypeError: client.send is not a function'),
  stack(() => 'Error: connect ECONNREFUSED 127.0.0.1:8000'),
  stack(() => 'Error: connect ECONNREFUSED 127.0.0.1:11434'),
  stack(() => 'Error: getaddrinfo ENOTFOUND api.example.com'),
  stack(() => 'Error: listen EADDRINUSE: address already in use 0.0.0.0:3000'),
  stack(() => 'Error: listen EADDRINUSE: address already in use :::4000'),
  // Java, Go, Ruby, PHP, Rust, C#
  java(() => 'Exception in thread "main" java.lang.ClassNotFoundException: com.example.Plugin'),
  java(({ hex }) => `java.lang.IllegalStateException: session ${hex(16)} is closed`),
  java(() => 'java.lang.OutOfMemoryError: Java heap space'),
  ({ hex, int }) =>
    `panic: runtime error: index out of range [${int(3, 9)}] with length ${int(1, 3)}\n\ngoroutine ${int(1, 90)} [running]:\nmain.pick(0x${hex(8)})\n\t/srv/a/main.go:${int(3, 90)} +0x1d\n`,
  ({ hex, int }) =>
    `panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x${hex(6)}]\n\ngoroutine ${int(1, 90)} [running]:\nmain.main()\n\t/srv/a/main.go:${int(3, 90)} +0x1d\n`,
  ({ folder, int }) =>
    `${folder()}/app.rb:${int(3, 90)}:in \`call': undefined method \`upcase' for nil (NoMethodError)\n`,
  ({ folder, int }) =>
    `PHP Fatal error:  Uncaught Error: Call to a member function save() on null in ${folder()}/a.php:${int(3, 90)}\n`,
  ({ int }) =>
    `thread 'worker-${int(1, 9)}' panicked at src/main.rs:${int(3, 90)}:10:\ncalled \`Result::unwrap()\` on an \`Err\` value: Closed\n`,
  ({ int }) =>
    `Unhandled exception. System.NullReferenceException: Object reference not set to an instance of an object.\n   at A.B.C() in /src/B.cs:line ${int(3, 90)}\n`,
  // Services and tools
  ({ int }) =>
    `Jan  5 10:${int(10, 59)}:00 vm kernel: Out of memory: Killed process ${int(100, 30_000)} (node) total-vm:${int(1e5, 1e6)}kB\n`,
  ({ int }) =>
    `Jan  5 10:${int(10, 59)}:00 vm systemd[1]: agent.service: Main process exited, code=exited, status=1/FAILURE\n`,
  ({ int }) =>
    `Jan  5 10:${int(10, 59)}:00 vm systemd[1]: mailer.service: Main process exited, code=exited, status=1/FAILURE\n`,
  () =>
    'CONFLICT (content): Merge conflict in app.py\nAutomatic merge failed; fix conflicts and then commit the result.\n',
  ...['app.py', 'settings.json'].map(
    (name) => () =>
      `error: Your local changes to the following files would be overwritten by merge:\n\t${name}\nPlease commit your changes or stash them before you merge.\nAborting\n`,
  ),
  ...[80, 443].map((port) => () => `nginx: [emerg] bind() to 0.0.0.0:${port} failed (98: Address already in use)\n`),
  ({ folder }) => `fatal: Unable to create '${folder()}/.git/index.lock': File exists.\n`,
  ({ int }) =>
    `2026/01/05 10:00:${int(10, 59)} [error] ${int(5, 99)}#7: *${int(1, 999)} upstream timed out (110: Connection timed out) while reading response header from upstream\n`,
  logged(({ id }) => `job ${id()} could not be finished`),
  logged(({ int }) => `Tool mail timed out after ${int(10, 200)} s, giving up`, 'WARNING'),
  logged(({ int }) => `Tool shell timed out after ${int(10, 200)} s, giving up`, 'WARNING'),
  logged(({ hex, int }) => `webhook ${hex(12)} answered 503 Service Unavailable after ${int(2, 9)} attempts`),
  ({ int, hex }) =>
    `{"level":50,"time":17676072${int(10_000, 99_999)},"pid":${int(1, 999)},"reqId":"${hex(8)}","msg":"queue is stuck"}\n`,
  ({ int }) =>
    `time=2026-01-05T10:00:${int(10, 59)}Z level=error msg="cannot reach the printer" attempt=${int(1, 9)}\n`,
];

const REPORTS_EACH = 12;

interface Score {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly groups: number;
}

/** Every pair of reports: is it one problem, and does the fingerprint say so? */
function score(seed: number): Score {
  const labelled = PROBLEMS.flatMap((report, problem) =>
    Array.from({ length: REPORTS_EACH }, (_, n) => {
      const text = report(luckOf(seed * 1_000_003 + problem * 1_009 + n));
      const [found, ...more] = detector.scanText(text);
      expect(more, text).toEqual([]);
      return { problem, place: found?.fingerprint.place ?? `none: ${text}` };
    }),
  );
  let [both, same, right] = [0, 0, 0];
  for (const [i, a] of labelled.entries())
    for (const b of labelled.slice(i + 1)) {
      if (a.place === b.place) same++;
      if (a.problem === b.problem) right++;
      if (a.place === b.place && a.problem === b.problem) both++;
    }
  const [precision, recall] = [both / same, both / right];
  const groups = new Set(labelled.map((one) => one.place)).size;
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall), groups };
}

describe('fingerprints', () => {
  for (const seed of [1, 2, 3, 4, 5])
    it(`keep ${PROBLEMS.length} problems apart and their reports together (seed ${seed})`, () => {
      const result = score(seed);
      expect(result.f1, JSON.stringify(result)).toBeGreaterThanOrEqual(0.99);
    });

  it('say the version of their masks, and are the same on every host', () => {
    const input = { type: 'unknown', said: 'job 42 failed', identity: null, trace: undefined };
    expect(fingerprintOf(input)).toEqual(fingerprintOf({ ...input, said: 'job 7 failed' }));
    expect(fingerprintOf(input).version).toBe(FINGERPRINT_VERSION);
  });

  it('mask what changes and keep what names the problem', () => {
    for (const [text, template] of [
      ['HTTP 503 from https://api.example.com/v1/x?id=9', 'HTTP 503 from https://api.example.com<path>'],
      ['exit code 137', 'exit code 137'],
      ["open '/srv/releases/41/data/state.json'", "open '<path>/state.json'"],
      ['connect ECONNREFUSED 127.0.0.1:8000', 'connect ECONNREFUSED localhost:8000'],
    ] as const)
      expect(templateOf(text).template).toBe(template);
  });
});

it('a state of the world is one problem wherever it is met, an error of the code is not', () => {
  const bare = (type: string, fn: string) =>
    detector.scanText(traceback(() => type, fn)(luckOf(1)))[0]?.fingerprint.place;
  expect(bare('TimeoutError', 'fetch')).toBe(bare('TimeoutError', 'send'));
  expect(bare('IndexError: list index out of range', 'fetch')).not.toBe(
    bare('IndexError: list index out of range', 'send'),
  );
});
