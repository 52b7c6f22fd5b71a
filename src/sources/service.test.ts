import { mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../host/clock.ts';
import type { ServiceFacts } from '../host/contract.ts';
import { createProcessProbe } from '../host/processes.ts';
import { createRun } from '../host/run.ts';
import { createServiceProbe } from '../host/services.ts';
import { openStore } from '../store/index.ts';
import type { Store } from '../store/contract.ts';
import { createScratch, freePort, python, type Scratch, type Started } from '../testing/scratch.ts';
import type { Event, SourceItem } from './contract.ts';
import { createServiceSource } from './service.ts';

let scratch: Scratch;
let store: Store;
beforeEach(async () => {
  scratch = createScratch();
  mkdirSync(scratch.path('agent', 'data'), { recursive: true });
  store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
});
afterEach(() => scratch.close());

interface World {
  readonly service: ServiceFacts;
  start(): Promise<Started>;
  /** Events until the time is over or there is one. */
  watch(forMs: number, cursor?: SourceItem['cursor']): Promise<readonly (Event & Pick<SourceItem, 'cursor'>)[]>;
}

/** A web server that answers 500 when it finds a file `ill`. */
async function world(more: Partial<ServiceFacts> = {}): Promise<World> {
  const port = await freePort();
  const code = `import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self): self.send_response(500 if os.path.exists("ill") else 200); self.end_headers()
s = http.server.HTTPServer(("127.0.0.1", ${port}), H); print("up", flush=True); s.serve_forever()`;
  const service: ServiceFacts = {
    name: 'agent',
    directory: scratch.path('agent'),
    command: null,
    restart: { kind: 'command', argv: ['./ctl', 'restart'], cwd: scratch.path('agent') },
    health: { kind: 'http', url: `http://127.0.0.1:${port}/` },
    envFile: null,
    disposable: [],
    pipIndex: null,
    npmRegistry: null,
    settleMs: 1_000,
    ...more,
  };
  const run = createRun({ home: '/' });
  const processes = createProcessProbe({ clock: systemClock });
  const probe = createServiceProbe({ services: [service], run, processes, store, clock: systemClock });
  return {
    service,
    async start() {
      const started = await scratch.start([python, '-c', code], { ready: 'up', cwd: scratch.path('agent') });
      writeFileSync(scratch.path('agent/data/agent.pid'), String(started.pid));
      return started;
    },
    async watch(forMs, cursor = null) {
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), forMs);
      const source = createServiceSource({ service, probe, intervalMs: 2_000 });
      const found: (Event & Pick<SourceItem, 'cursor'>)[] = [];
      for await (const item of source.open({ cursor, signal: stop.signal, clock: systemClock })) {
        if (item.kind === 'event') found.push(item);
        stop.abort();
      }
      clearTimeout(timer);
      return found;
    },
  };
}

it('says nothing of a service that is well', async () => {
  const { start, watch } = await world();
  await start();
  expect(await watch(2_500)).toEqual([]);
});

it('tells once that a service was killed without a word', async () => {
  const { start, watch } = await world();
  const started = await start();
  setTimeout(() => started.child.kill('SIGKILL'), 300);
  const [event] = await watch(15_000);
  expect(event?.record).toMatchObject({ service: 'agent', level: 'error', exit: { deliberate: false } });
  expect(event?.record.message).toContain(readFileSync(scratch.path('agent/data/agent.pid'), 'utf8'));
  expect(await watch(7_000, event?.cursor ?? null)).toEqual([]);
});

it('says nothing of a stop on purpose', async () => {
  const { start, watch } = await world();
  const started = await start();
  setTimeout(() => {
    started.child.kill('SIGTERM');
    unlinkSync(scratch.path('agent/data/agent.pid'));
  }, 300);
  expect(await watch(8_000)).toEqual([]);
});

it('tells that a service lives and is ill, with what its health probe says', async () => {
  const { start, watch } = await world();
  await start();
  scratch.write('agent/ill', '');
  const [event] = await watch(10_000);
  expect(event?.record.message).toBe('health request failed while the process lives: answers with status 500');
  expect(event?.record.exit).toBeUndefined();
});

it('leaves the end of a supervised program to its supervisor', async () => {
  const { watch } = await world({ command: ['agent'], restart: null });
  const ended = { at: 1, exitCode: 1, signal: null, deliberate: false, uptimeMs: 1, failure: null };
  const generation = {
    service: 'agent',
    number: 1,
    pid: 1,
    startTicks: 1,
    startedAt: 1,
    stdout: '',
    stderr: '',
    ended,
  };
  await store.setValue('supervised:agent', { generation, boot: 'x', starts: [1], stoppedBy: null });
  expect(await watch(6_000)).toEqual([]);
});
