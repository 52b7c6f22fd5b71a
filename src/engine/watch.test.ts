import { appendFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../host/clock.ts';
import { createFileSource } from '../sources/file.ts';
import type { Clock } from '../core/clock.ts';
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

interface Flow {
  readonly problems: string[];
  /** Modules of the incidents that were passed on. */
  readonly told: string[];
  readonly ready: Promise<void>;
  readonly clock: PausedClock;
  run(): void;
}

/** The real clock, whose timers of 40 ms, which end records, can be stopped. */
interface PausedClock extends Clock {
  pause(): void;
  resume(): void;
}

function pausedClock(): PausedClock {
  let gate: { readonly open: () => void; readonly opened: Promise<void> } | null = null;
  return {
    ...systemClock,
    sleep: async (ms, signal) => {
      await systemClock.sleep(ms, signal);
      if (ms !== 40 || !gate || signal?.aborted) return;
      const stopped = new Promise<void>((done) => signal?.addEventListener('abort', () => done(), { once: true }));
      await Promise.race([gate.opened, stopped]);
    },
    pause() {
      let open = () => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      gate = { open, opened };
    },
    resume() {
      gate?.open();
      gate = null;
    },
  };
}

function flowOn(store: Store, changes: Partial<WatchFlowDeps> = {}): Flow {
  const problems: string[] = [];
  const told: string[] = [];
  const clock = pausedClock();
  let follows = () => {};
  const ready = new Promise<void>((resolve) => (follows = resolve));
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
    incidents: new Incidents({ store, clock, node: 'host', redact: (text) => text }),
    store,
    clock,
    changed: (list) => void told.push(...list.map(({ incident }) => String(incident.facts.module))),
    sight: () => {},
    problem: (message, error) => problems.push(`${message}: ${error}`),
    ...changes,
  });
  return {
    problems,
    told,
    ready,
    clock,
    run() {
      const stop = new AbortController();
      const done = flow.run(stop.signal, follows);
      scratch.later(async () => {
        clock.resume();
        stop.abort();
        await done;
      });
    },
  };
}

const counts = (incidents: readonly Incident[]): Readonly<Record<string, number>> =>
  Object.fromEntries(incidents.map(({ facts, count }) => [String(facts.module), count]));

describe('a watcher that is killed', () => {
  // Its flush timer never comes: it dies while the last record of a.log waits for more lines.
  const DOOMED = (folder: string, part: string) => `
import { appendFileSync, writeFileSync } from 'node:fs';
import { openStore } from './store/index.js';
import { systemClock } from './host/clock.js';
import { createFileSource } from './sources/file.js';
import { ErrorDetector } from './engine/detector.js';
import { Incidents } from './engine/incidents.js';
import { WatchFlow } from './engine/watch.js';
const folder = ${JSON.stringify(folder)};
const clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms === 40 ? 86400000 : ms, signal) };
const store = await openStore({ directory: folder + '/state', clock });
const detector = new ErrorDetector();
const feed = detector.feed.bind(detector);
detector.feed = (item, ...more) => {
  const text = Buffer.from(item.bytes).toString();
  const out = feed(item, ...more);
  if (text.includes('could not start') && !text.includes('firstlib'))
    setTimeout(() => writeFileSync(folder + '/b.log', ${JSON.stringify(traceback('otherlib') + calm)}), 100);
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
      if (incident.facts.module === 'firstlib') appendFileSync(folder + '/a.log', ${JSON.stringify(part)});
      if (incident.facts.module === 'otherlib') console.log('stored');
    }
  },
  sight: () => {},
  problem: console.error,
});
await flow.run(new AbortController().signal, () => {});
`;
  const opened = traceback('openlib');
  const lines = opened.split(/(?<=\n)/);

  it.each([
    // What is readable of the last record at the kill, what it is counted as then, and what comes afterwards.
    { name: 'behind a traceback', lines: 5, stored: ['openlib'] },
    { name: 'within a traceback, before the line that says what it is', lines: 3, stored: [] },
    { name: 'behind the line that announces a traceback', lines: 1, stored: ['undefined'] },
  ])('$name loses nothing and counts nothing twice', async ({ lines: count, stored }) => {
    const files = ['store/index.ts', 'sources/file.ts', 'engine/detector.ts', 'engine/incidents.ts', 'engine/watch.ts'];
    const compiled = await compile([...files, 'host/clock.ts']);
    scratch.later(() => compiled.remove());
    scratch.write('a.log', traceback('firstlib') + calm);
    const part = lines.slice(0, count).join('');
    const program = await compiled.program('doomed.js', DOOMED(scratch.directory, part));
    const doomed = await scratch.start([process.execPath, program], { ready: 'stored' });
    process.kill(doomed.pid, 'SIGKILL');
    await doomed.ended;

    const store = await open();
    const before = { firstlib: 1, otherlib: 1, ...Object.fromEntries(stored.map((name) => [name, 1])) };
    expect(counts(await store.incidents({}))).toEqual(before);
    appendFileSync(scratch.path('a.log'), lines.slice(count).join(''));
    const next = flowOn(store);
    next.run();
    const all = { firstlib: 1, openlib: 1, otherlib: 1 };
    expect(await until(async () => next.told.includes('openlib'))).toBe(true);
    appendFileSync(scratch.path('a.log'), traceback('lastlib') + calm);
    expect(await until(async () => next.told.includes('lastlib'))).toBe(true);
    expect(counts(await store.incidents({}))).toEqual({ ...all, lastlib: 1 });
    expect(next.problems).toEqual([]);
  });
});

describe('a record that may still go on', () => {
  const early = async (text: string) => {
    const store = await open();
    const flow = flowOn(store);
    scratch.write('a.log', calm);
    flow.run();
    await flow.ready;
    flow.clock.pause();
    appendFileSync(scratch.path('a.log'), text);
    return { store, flow };
  };

  it('is counted at once, and nobody is told before it is complete', async () => {
    const { store, flow } = await early(traceback('openlib'));
    expect(await until(async () => 'openlib' in counts(await store.incidents({})))).toBe(true);
    expect(flow.told).toEqual([]);
    flow.clock.resume();
    expect(await until(() => flow.told.length > 0)).toBe(true);
    expect(flow.told).toEqual(['openlib']);
    expect(counts(await store.incidents({}))).toEqual({ openlib: 1 });
  });

  it('becomes what its later lines say, under the same number', async () => {
    const [head = '', ...rest] = traceback('openlib').split(/(?<=\n)/);
    const { store, flow } = await early(head);
    expect(await until(async () => (await store.incidents({})).length > 0)).toBe(true);
    const [first] = await store.incidents({});
    expect(first).toMatchObject({ type: 'unknown', count: 1 });
    appendFileSync(scratch.path('a.log'), rest.join('') + calm);
    expect(await until(() => flow.told.length > 0)).toBe(true);
    flow.clock.resume();
    const [now, ...more] = await store.incidents({});
    expect(now).toMatchObject({ id: first?.id, type: 'import_error', count: 1, samples: [{ line: 11, endLine: 15 }] });
    expect(more).toEqual([]);
  });

  it('is taken back when its later lines tell of a problem that is known', async () => {
    const store = await open();
    const flow = flowOn(store);
    scratch.write('a.log', traceback('openlib') + calm);
    flow.run();
    expect(await until(() => flow.told.includes('openlib'))).toBe(true);
    flow.clock.pause();
    const [head = '', ...rest] = traceback('openlib').split(/(?<=\n)/);
    appendFileSync(scratch.path('a.log'), head);
    expect(await until(async () => (await store.incidents({})).length === 2)).toBe(true);
    appendFileSync(scratch.path('a.log'), rest.join('') + calm);
    flow.clock.resume();
    expect(await until(() => flow.told.length === 2)).toBe(true);
    expect(counts(await store.incidents({}))).toEqual({ openlib: 2 });
  });

  it('holds back nothing that other files tell', async () => {
    const { store, flow } = await early(
      traceback('openlib')
        .split(/(?<=\n)/)
        .slice(0, 3)
        .join(''),
    );
    scratch.write('b.log', traceback('otherlib') + calm);
    expect(await until(async () => 'otherlib' in counts(await store.incidents({})))).toBe(true);
    expect(flow.told).toEqual(['otherlib']);
    flow.clock.resume();
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

  it('forgets what a source had counted before a restart, however often another one breaks', async () => {
    const store = await open();
    const cursor = { counted: [['of a file that is gone']] };
    await store.commitWatch({ incidents: [], cursors: [{ source: 'ahead:a', cursor }] });
    const file = (id: string) =>
      createFileSource({
        id,
        service: 'agent',
        patterns: [scratch.path(`${id}.log`)],
        startAt: 'beginning',
        pollMs: 100,
      });
    // A minute takes two seconds, so that the other one breaks again within it.
    const clock: Clock = {
      ...systemClock,
      monotonic: () => systemClock.monotonic() * 30,
      sleep: (ms, signal) => systemClock.sleep(ms / 30, signal),
    };
    const flow = flowOn(store, {
      clock,
      sources: [
        file('a'),
        {
          ...file('b'),
          // eslint-disable-next-line require-yield
          async *open() {
            throw new Error('the file system is away');
          },
        },
      ],
    });
    scratch.write('a.log', calm);
    flow.run();
    const isForgotten = async () => {
      // A record that may still go on is written beside the place.
      appendFileSync(scratch.path('a.log'), traceback('firstlib'));
      return !JSON.stringify(await store.cursor('ahead:a')).includes('of a file that is gone');
    };
    expect(await until(isForgotten)).toBe(true);
    expect(flow.problems.length).toBeGreaterThan(1);
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
