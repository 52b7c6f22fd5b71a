// What the model gateway costs, against a bare node:http pipe and against @portkey-ai/gateway, in one interleaved run:
// every round asks all of them, and the ratios are of one round. Needs `npm run build` first.
//
//   node bench/gateway.mjs [--rounds 5] [--seconds 2] [--no-portkey]
//
// Portkey is fetched into a scratch folder in the versions that work together: 1.15.2 with @hono/node-server 1.3.3 (with
// what npm resolves by itself every streaming request of it answers 500).

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { connect as connectSocket, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const self = fileURLToPath(import.meta.url);
// ---------------------------------------------------------------- parts

/** A provider that answers at once: one JSON body, or twenty events; with `x-fail` a rate limit. */
async function upstream() {
  const whole = JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'x'.repeat(900) }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  });
  const event = (delta, finish = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const events = [
    ...Array.from({ length: 20 }, (_, i) => event({ content: `word ${i} ` })),
    event({}, 'stop'),
    'data: [DONE]\n\n',
  ];
  const json = (status, text) =>
    Buffer.from(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  const answer = json('200 OK', whole);
  const refusal = json('500 Internal Server Error', '{"error":{"message":"scripted","type":"server_error"}}');
  const streamHead = Buffer.from(
    'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  const chunks = events.map((e) => Buffer.from(`${Buffer.byteLength(e).toString(16)}\r\n${e}\r\n`));
  const arrivals = [];
  let failedAt = 0;
  const now = () => performance.timeOrigin + performance.now();
  const server = (fails) =>
    createSocketServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {});
      requests(
        socket,
        (isStream) => {
          if (fails) {
            failedAt = now();
            socket.write(refusal);
          } else if (isStream) {
            // Event by event, as a model speaks: each in a turn of its own.
            socket.write(streamHead);
            const next = (i) => {
              if (i === chunks.length) return void socket.write('0\r\n\r\n');
              socket.write(chunks[i]);
              setImmediate(next, i + 1);
            };
            setImmediate(next, 0);
          } else socket.write(answer);
        },
        () => fails || arrivals.push(now()),
      );
    });
  const good = server(false).listen(0, '127.0.0.1');
  const bad = server(true).listen(0, '127.0.0.1');
  await Promise.all([good, bad].map((s) => new Promise((r) => (s.listening ? r() : s.once('listening', r)))));
  parentPort.on('message', () => parentPort.postMessage({ gapMs: arrivals.at(-1) - failedAt }));
  parentPort.postMessage({ good: good.address().port, bad: bad.address().port });
}

/** Calls back for each whole request on a connection. As little as can be: the instruments should cost nothing. */
function requests(socket, whole, began) {
  let [size, missing, sse, head] = [0, 0, false, ''];
  socket.on('data', (bytes) => {
    for (let at = 0; at < bytes.length; ) {
      if (missing === 0) {
        if (head === '') began();
        const text = bytes.toString('latin1', at);
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) {
          head += text;
          return;
        }
        size = missing = Number(/content-length: (\d+)/i.exec(head + text.slice(0, end))?.[1] ?? 0);
        head = '';
        sse = false;
        at += end + 4;
        if (size === 0) whole(false);
        if (at === bytes.length) return;
      }
      const part = bytes.subarray(at, at + missing);
      // The word stands at the beginning.
      if (missing === size) sse = part.subarray(0, 100).includes('"stream":true');
      missing -= part.length;
      at += part.length;
      if (missing === 0) whole(sse);
    }
  });
}

/** Asks one target for some seconds with so many requests at a time; tells how many and how long each took. */
async function load() {
  parentPort.on('message', async ({ port, path, headers, body, at, seconds }) => {
    const bytes = Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\naccept: application/json\r\nuser-agent: bench\r\nauthorization: Bearer k\r\n` +
        Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('') +
        `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    const times = [];
    const end = performance.now() + seconds * 1000;
    let failed = 0;
    await Promise.all(
      Array.from({ length: at }, () =>
        client(port, bytes, end, (ms, isGood) => {
          if (isGood) times.push(ms);
          else failed += 1;
        }),
      ),
    );
    times.sort((a, b) => a - b);
    parentPort.postMessage({
      perSecond: times.length / seconds,
      p50: times[Math.floor(times.length / 2)] ?? NaN,
      failed,
    });
  });
}

/** One connection that asks again and again until the time is over. */
function client(port, bytes, end, done) {
  return new Promise((resolve) => {
    let [began, head, missing, tail] = [0, '', 0, ''];
    let isGood = false;
    const ask = () => {
      if (performance.now() >= end) {
        socket.destroy();
        return resolve();
      }
      [began, head, tail] = [performance.now(), '', ''];
      socket.write(bytes);
    };
    const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true }, ask);
    socket.on('data', (chunk) => {
      let from = 0;
      if (head === '') {
        const text = chunk.toString('latin1');
        const at = text.indexOf('\r\n\r\n');
        head = text.slice(0, at);
        from = at + 4;
        isGood = head.startsWith('HTTP/1.1 200');
        missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? NaN);
      }
      missing -= chunk.length - from;
      // A body in chunks ends with an empty one.
      if (Number.isNaN(missing)) tail = (tail + chunk.toString('latin1', Math.max(from, chunk.length - 7))).slice(-7);
      if (missing > 0 || (Number.isNaN(missing) && tail !== '\r\n0\r\n\r\n')) return;
      done(performance.now() - began, isGood);
      ask();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (performance.now() < end) done(0, false);
      resolve();
    });
  });
}

/** The floor: nothing but two streams joined. */
function pipe(to) {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((req, res) => {
    const up = request(
      { host: '127.0.0.1', port: to, method: req.method, path: req.url, headers: req.headers, agent },
      (answer) => {
        res.writeHead(answer.statusCode, answer.headers);
        answer.pipe(res);
      },
    );
    up.on('error', () => res.destroy());
    req.pipe(up);
  }).listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
}

// ---------------------------------------------------------------- the run

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      portkey: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  const folder = mkdtempSync(join(tmpdir(), 'selfheal-gateway-bench-'));
  const children = [];
  const workers = [];
  try {
    const provider = new Worker(self, { workerData: { role: 'upstream' } });
    const client = new Worker(self, { workerData: { role: 'load' } });
    workers.push(provider, client);
    const { good, bad } = await said(provider);
    const targets = {
      direct: { port: good },
      pipe: await start(children, [self, 'pipe', String(good)], folder),
      selfheal: await startGateway(children, folder, 'one', [{ name: 'good', port: good }]),
    };
    if (values.portkey) targets.portkey = await startPortkey(children, folder, good);
    // Processor time per request: other load on the machine moves it less than the clock.
    const run = async (target, shape) => {
      const before = target.child ? ticksOf(target.child.pid) : 0;
      const result = await measured(target, shape);
      const spent = target.child ? ticksOf(target.child.pid) - before : 0;
      return { ...result, cpuMs: (spent * 10) / (result.perSecond * (shape.seconds ?? Number(values.seconds))) };
    };
    const measured = (target, shape) =>
      ask(client, {
        port: target.port,
        path: '/v1/chat/completions',
        headers: target.headers ?? {},
        seconds: Number(values.seconds),
        ...shape,
      });
    const shapes = shapesOf();
    for (const target of Object.values(targets))
      await run(target, { ...shapes['unary 4 KB, 64 at a time'], seconds: 1 });
    const results = {};
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [shape, how] of Object.entries(shapes))
        for (const [name, target] of Object.entries(targets))
          ((results[shape] ??= {})[name] ??= []).push(await run(target, how));
    report(results, Object.keys(targets));
    const peak = (name) => peakOf(targets[name].child.pid);
    console.log();
    for (const [name, { child }] of Object.entries(targets))
      if (child)
        console.log(
          `peak memory ${name.padEnd(9)} ${peak(name).toFixed(0)} MB` +
            (targets.portkey ? `  ${(peak(name) / peak('portkey')).toFixed(2)} of portkey’s` : ''),
        );
    await failoverGap(children, folder, provider, client, { good, bad });
  } finally {
    for (const child of children) child.kill('SIGKILL');
    for (const worker of workers) await worker.terminate();
    rmSync(folder, { recursive: true, force: true });
  }
}

function shapesOf() {
  const body = (bytes, stream) =>
    JSON.stringify({
      model: 'm',
      ...(stream && { stream: true }),
      messages: [{ role: 'user', content: 'y'.repeat(bytes) }],
    });
  return {
    'unary 4 KB, one at a time': { at: 1, body: body(4_000, false) },
    'SSE 4 KB, one at a time': { at: 1, body: body(4_000, true) },
    'unary 4 KB, 64 at a time': { at: 64, body: body(4_000, false) },
    'SSE 4 KB, 64 at a time': { at: 64, body: body(4_000, true) },
    'unary 200 KB, 64 at a time': { at: 64, body: body(200_000, false) },
  };
}

/** Median of the rounds, and the medians of the ratios within each round. */
function report(results, names) {
  for (const [shape, by] of Object.entries(results)) {
    const single = shape.includes('one at');
    console.log(`\n${shape}`);
    for (const name of names) {
      const rounds = by[name];
      const failed = rounds.reduce((sum, r) => sum + r.failed, 0);
      const added = median(rounds.map((r, i) => r.p50 - by.direct[i].p50));
      const rate = median(rounds.map((r) => r.perSecond));
      // Processor time: other load on the machine moves it less than the clock.
      const cpu = (to) => median(rounds.map((r, i) => by[to][i].cpuMs / r.cpuMs)).toFixed(2);
      const ratio = (to) => (by[to] ? median(rounds.map((r, i) => r.perSecond / by[to][i].perSecond)).toFixed(2) : '-');
      const share =
        by.portkey && single
          ? `, ${(added / median(by.portkey.map((r, i) => r.p50 - by.direct[i].p50))).toFixed(4)} of portkey’s`
          : '';
      console.log(
        `  ${name.padEnd(9)} ${rate.toFixed(0).padStart(6)} /s  p50 ${median(rounds.map((r) => r.p50)).toFixed(2)} ms (added ${added.toFixed(2)}${share})` +
          (by[name][0].cpuMs
            ? `  ${median(rounds.map((r) => r.cpuMs)).toFixed(3)} ms of processor (pipe needs ${cpu('pipe')} x as much${by.portkey ? `, portkey ${cpu('portkey')} x` : ''})`
            : '') +
          `  ${ratio('pipe')} x pipe  ${ratio('portkey')} x portkey${failed ? `  ${failed} FAILED` : ''}`,
      );
    }
  }
}

/** From the upstream’s error until the request reaches the next one. Each request names another model: no breaker stays in the way. */
async function failoverGap(children, folder, provider, client, { good, bad }) {
  const gateway = await startGateway(children, folder, 'two', [
    { name: 'bad', port: bad },
    { name: 'good', port: good, fallback: true },
  ]);
  const gaps = [];
  for (let i = 0; i < 400; i++) {
    const body = JSON.stringify({
      model: `m${i}`,
      stream: true,
      messages: [{ role: 'user', content: 'y'.repeat(4_000) }],
    });
    await once(gateway.port, body);
    provider.postMessage('gap');
    gaps.push((await said(provider)).gapMs);
  }
  const warm = gaps.slice(50).sort((a, b) => a - b);
  const at = (share) => warm[Math.floor(warm.length * share)].toFixed(2);
  console.log(`\nfrom the error of one upstream to the request at the next: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

function once(port, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const req = request({ host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', headers }, (res) => {
      res.resume();
      res.on('end', resolve);
    });
    req.on('error', reject);
    req.end(body);
  });
}

function startGateway(children, folder, name, upstreams) {
  const yaml = [
    `state: ${join(folder, name)}`,
    'gateway:',
    '  listen: 127.0.0.1:0',
    '  pause: 0s',
    '  discover: false',
    '  upstreams:',
    ...upstreams.map(
      ({ name: n, port, fallback }) =>
        `    - {name: ${n}, kind: openai, base_url: "http://127.0.0.1:${port}/v1", dialects: [chat]${fallback ? ', fallback: true, model: m, context: 100000, concurrency: 64' : ''}}`,
    ),
  ];
  writeFileSync(join(folder, `${name}.yaml`), `${yaml.join('\n')}\n`);
  const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
  return start(children, [cli, 'gateway', '--log-level', 'error', '--config', join(folder, `${name}.yaml`)], folder);
}

async function startPortkey(children, folder, good) {
  const port = 18_787;
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({
      private: true,
      dependencies: { '@portkey-ai/gateway': '1.15.2' },
      overrides: { '@hono/node-server': '1.3.3' },
    }),
  );
  try {
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'], {
      cwd: folder,
      stdio: 'inherit',
    });
  } catch {
    console.log('portkey could not be fetched: measured without it');
    return undefined;
  }
  const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const child = spawn(process.execPath, [program, '--headless', `--port=${port}`], { cwd: folder, stdio: 'ignore' });
  children.push(child);
  for (let i = 0; i < 100; i++) {
    await new Promise((r) => setTimeout(r, 100));
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        (r) => r.ok,
        () => false,
      )
    )
      break;
  }
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${good}/v1`,
  };
  return { port, headers, child };
}

function start(children, argv, cwd) {
  const child = spawn(process.execPath, argv, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve) => {
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
      const port = /ready.*?(\d+)\s*$/m.exec(out)?.[1];
      if (port) resolve({ port: Number(port), child });
    });
  });
}

const said = (worker) => new Promise((resolve) => worker.once('message', resolve));

function ask(worker, message) {
  worker.postMessage(message);
  return said(worker);
}

function median(list) {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
}

/** Hundredths of a second that a process has worked. */
function ticksOf(pid) {
  const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, 'x x ')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function peakOf(pid) {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

// ---------------------------------------------------------------- start

if (!isMainThread) await (workerData.role === 'upstream' ? upstream() : load());
else if (process.argv[2] === 'pipe') pipe(Number(process.argv[3]));
else await main();
