import { appendFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../host/clock.ts';
import { createFileSource } from '../sources/file.ts';
import type { Incident } from '../core/incident.ts';
import type { Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { compile } from '../testing/compiled.ts';
import { createScratch, type Scratch, until } from '../testing/scratch.ts';
import { ErrorDetector } from './detector.ts';
import { Incidents } from './incidents.ts';
import { WatchFlow, type WatchFlowDeps } from './watch.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

/** Lines enough to end any record before them without a timer. */
const calm = '2026-01-05 10:00:02,000 INFO agent: going on\n'.repeat(10);
const traceback = (name: string): string => `2026-01-05 10:00:01,000 ERROR agent: could not start
Traceback (most recent call last):
  File "/srv/agent/${name}.py", line 3, in <module>
    import ${name}
ModuleNotFoundError: No module named '${name}'
`;

async function open(): Promise<Store> {
  const store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
  return store;
}

function flowOn(store: Store, changes: Partial<WatchFlowDeps> = {}): { readonly problems: string[]; run(): void } {
  const problems: string[] = [];
  const flow = new WatchFlow({
    sources: ['a', 'b'].map((name) =>
      createFileSource({
        id: name,
        service: 'agent',
        patterns: [scratch.path(`${name}.log`)],
        startAt: 'beginning',
        pollMs: 100,
      }),
    ),
    detector: new ErrorDetector(),
    incidents: new Incidents({ store, clock: systemClock, node: 'host', redact: (text) => text }),
    store,
    clock: systemClock,
    changed: () => {},
    sight: () => {},
    problem: (message, error) => problems.push(`${message}: ${error}`),
    ...changes,
  });
  return {
    problems,
    run() {
      const stop = new AbortController();
      const done = flow.run(stop.signal, () => {});
      scratch.later(async () => {
        stop.abort();
        await done;
      });
    },
  };
}

const counts = (incidents: readonly Incident[]): Readonly<Record<string, number>> =>
  Object.fromEntries(incidents.map(({ facts, count }) => [String(facts.module), count]));

describe('a watcher that is killed', () => {
  // Its flush timer never comes: it dies while the last traceback waits for more lines.
  const DOOMED = (folder: string) => `
import { appendFileSync, writeFileSync } from 'node:fs';
import { openStore } from './store/index.js';
import { systemClock } from './host/clock.js';
import { createFileSource } from './sources/file.js';
import { ErrorDetector } from './engine/detector.js';
import { Incidents } from './engine/incidents.js';
import { WatchFlow } from './engine/watch.js';
const folder = ${JSON.stringify(folder)};
const clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms === 200 ? 86400000 : ms, signal) };
const store = await openStore({ directory: folder + '/state', clock });
const detector = new ErrorDetector();
const feed = detector.feed.bind(detector);
detector.feed = (item, ...more) => {
  const text = Buffer.from(item.bytes).toString();
  const out = feed(item, ...more);
  if (text.includes('openlib')) writeFileSync(folder + '/b.log', ${JSON.stringify(traceback('otherlib') + calm)});
  return out;
};
const flow = new WatchFlow({
  sources: ['a', 'b'].map((name) => createFileSource({
    id: name, service: 'agent', patterns: [folder + '/' + name + '.log'], startAt: 'beginning', pollMs: 100 })),
  detector,
  incidents: new Incidents({ store, clock, node: 'host', redact: (text) => text }),
  store,
  clock,
  changed: (changes) => {
    for (const { incident } of changes) {
      if (incident.facts.module === 'firstlib') appendFileSync(folder + '/a.log', ${JSON.stringify(traceback('openlib'))});
      if (incident.facts.module === 'otherlib') console.log('stored');
    }
  },
  sight: () => {},
  problem: console.error,
});
await flow.run(new AbortController().signal, () => {});
`;

  it('between a traceback and the end of its record loses nothing and counts nothing twice', async () => {
    const files = ['store/index.ts', 'sources/file.ts', 'engine/detector.ts', 'engine/incidents.ts', 'engine/watch.ts'];
    const compiled = await compile([...files, 'host/clock.ts']);
    scratch.later(() => compiled.remove());
    scratch.write('a.log', traceback('firstlib') + calm);
    const program = await compiled.program('doomed.js', DOOMED(scratch.directory));
    const doomed = await scratch.start([process.execPath, program], { ready: 'stored' });
    process.kill(doomed.pid, 'SIGKILL');
    await doomed.ended;

    const store = await open();
    expect(counts(await store.incidents({}))).toEqual({ firstlib: 1, otherlib: 1 });
    const next = flowOn(store);
    next.run();
    const all = { firstlib: 1, openlib: 1, otherlib: 1 };
    expect(await until(async () => 'openlib' in counts(await store.incidents({})))).toBe(true);
    appendFileSync(scratch.path('a.log'), traceback('lastlib') + calm);
    expect(await until(async () => 'lastlib' in counts(await store.incidents({})))).toBe(true);
    expect(counts(await store.incidents({}))).toEqual({ ...all, lastlib: 1 });
    expect(next.problems).toEqual([]);
  });
});

describe('a watcher', () => {
  it('reads on where it was when a source breaks, though nothing of it is stored yet', async () => {
    const store = await open();
    scratch.write('a.log', traceback('firstlib') + calm + traceback('openlib'));
    const file = createFileSource({
      id: 'a',
      service: 'agent',
      patterns: [scratch.path('a.log')],
      startAt: 'beginning',
      pollMs: 100,
    });
    let broken = false;
    const flow = flowOn(store, {
      sources: [
        {
          ...file,
          async *open(context) {
            for await (const item of file.open(context)) {
              yield item;
              if (broken || item.kind !== 'block') continue;
              broken = true;
              throw new Error('the file system was away');
            }
          },
        },
      ],
    });
    flow.run();
    expect(await until(async () => 'openlib' in counts(await store.incidents({})))).toBe(true);
    appendFileSync(scratch.path('a.log'), traceback('lastlib') + calm);
    expect(await until(async () => 'lastlib' in counts(await store.incidents({})))).toBe(true);
    expect(counts(await store.incidents({}))).toEqual({ firstlib: 1, openlib: 1, lastlib: 1 });
    expect(flow.problems).toEqual(['source a failed and is opened again: Error: the file system was away']);
  });

  it('counts nothing again when whoever hears of it throws', async () => {
    const store = await open();
    const flow = flowOn(store, {
      changed: () => {
        throw new Error('a listener of the embedder broke');
      },
    });
    scratch.write('a.log', traceback('firstlib') + calm);
    flow.run();
    expect(await until(() => flow.problems.length > 0)).toBe(true);
    appendFileSync(scratch.path('a.log'), traceback('lastlib') + calm);
    expect(await until(async () => 'lastlib' in counts(await store.incidents({})))).toBe(true);
    expect(counts(await store.incidents({}))).toEqual({ firstlib: 1, lastlib: 1 });
    expect(new Set(flow.problems)).toEqual(
      new Set(['what was stored could not be passed on: Error: a listener of the embedder broke']),
    );
  });
});
