// A million lines of programs that are well, each of them another one: access logs, agents at work, JSON, metrics, build
// output, and talk about errors that are none (`0 errors`, `retry succeeded`, the title of a page). Seeded, so that a line
// that was taken for an error can be found again.

type Next = (below: number) => number;

/** The same numbers for the same seed (mulberry32; public domain, T. Ettinger). */
function numbers(seed: number): Next {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const PATHS = [
  '/',
  '/health',
  '/api/items',
  '/static/app.js',
  '/errors.html',
  '/api/v1/exceptions',
  '/login',
  '/404-guide',
];
const TOOLS = ['search', 'browser', 'read_file', 'send_mail', 'calendar', 'python', 'summarise', 'error_lookup'];
const MODULES = ['agent.loop', 'agent.tools', 'http.server', 'db.pool', 'errors.handler', 'scheduler', 'retry', 'app'];
const WORDS =
  'the report of today is ready for review and was sent to three readers who had asked about the weather'.split(' ');

/** Makers of the part behind time and level. */
const TALK: readonly ((n: Next) => string)[] = [
  (n) => `step ${n(400)} of task ${n(9e6)} finished in ${n(9000)} ms`,
  (n) => `calling tool ${TOOLS[n(TOOLS.length)]} with ${n(12)} arguments`,
  (n) => `tool ${TOOLS[n(TOOLS.length)]} returned ${n(90_000)} bytes`,
  (n) => `finished run ${n(1e6)}: ${n(900)} passed, 0 failed, 0 errors`,
  (n) => `attempt 2 of 3 succeeded after ${n(4000)} ms`,
  (n) => `retry succeeded for request ${n(1e7)}`,
  (n) => `error rate 0.${n(10)} %, p95 ${n(900)} ms, ${n(9000)} requests`,
  (n) => `no errors found in ${n(3000)} files`,
  (n) => `loaded ${n(400)} rules, 0 exceptions allowed`,
  (n) => `failover test passed on node ${n(40)}`,
  (n) => `user asked: "why does my build say error ${n(500)}?"`,
  (n) => `answer: ${sentence(n)}`,
  (n) => `usage: input_tokens=${n(8000)} output_tokens=${n(4000)} cached=${n(2000)}`,
  (n) => `rate limit: ${n(4000)} of 5000 requests remain, resets in ${n(60)} s`,
  (n) => `checkpoint ${n(1e6)} written (${n(900)} kB), previous one removed`,
  (n) => `connection ${n(1e5)} opened from 10.0.${n(256)}.${n(256)}:${n(60_000)}`,
  (n) => `pool: ${n(10)} busy, ${n(10)} idle, 0 timed out, 0 failed`,
  (n) => `disk usage ${n(80)} %, inodes ${n(60)} %, memory ${n(70)} %`,
  (n) => `fetched origin/main: already up to date (${n(1e6).toString(16)})`,
  (n) => `installed ${n(300)} packages, found 0 vulnerabilities`,
  (n) => `test_raises_value_error_${n(500)} PASSED`,
  (n) => `opened exceptions.md (${n(500)} lines) for reading`,
  (n) => `fatal_errors_total 0, warnings_total ${n(3)}`,
  (n) => `last error: none; uptime ${n(1e6)} s`,
];

/** Whole lines in the forms of usual loggers. */
const FORMS: readonly ((n: Next, at: Date) => string)[] = [
  (n, at) => `${at.toISOString()} INFO ${MODULES[n(MODULES.length)]}: ${talk(n)}`,
  (n, at) =>
    `${at.toISOString().slice(0, 19).replace('T', ' ')},${100 + n(900)} - ${MODULES[n(MODULES.length)]} - DEBUG - ${talk(n)}`,
  (n, at) => `[${at.toISOString().slice(11, 19)}] ${talk(n)}`,
  (n, at) => JSON.stringify({ level: n(2) ? 'info' : 30, time: at.getTime(), msg: talk(n), error: null, errors: 0 }),
  (n, at) =>
    `level=info ts=${at.toISOString()} caller=main.go:${n(900)} msg="${talk(n).replaceAll('"', "'")}" err=null`,
  (n, at) =>
    `10.0.${n(256)}.${n(256)} - - [${at.toISOString()}] "GET ${PATHS[n(PATHS.length)]}?id=${n(1e6)} HTTP/1.1" ${[200, 204, 301, 304][n(4)]} ${n(50_000)}`,
  (n, at) => `${at.toUTCString().slice(5, 25)} host app[${n(30_000)}]: ${talk(n)}`,
  (n) => `INFO:${MODULES[n(MODULES.length)]}:${talk(n)}`,
];

const talk = (n: Next): string => (TALK[n(TALK.length)] as (n: Next) => string)(n);
const sentence = (n: Next): string => Array.from({ length: 4 + n(12) }, () => WORDS[n(WORDS.length)]).join(' ');

/**
 * So many lines, in their order.
 *
 * @param seed the same seed gives the same lines
 * @example const text = [...cleanLines(1_000, 1)].join('\n');
 */
export function* cleanLines(count: number, seed: number): Generator<string> {
  const n = numbers(seed);
  let at = Date.UTC(2026, 0, 5);
  for (let i = 0; i < count; i += 1) {
    at += n(2_000);
    yield (FORMS[n(FORMS.length)] as (n: Next, at: Date) => string)(n, new Date(at));
  }
}
