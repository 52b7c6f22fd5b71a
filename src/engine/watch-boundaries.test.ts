// A watcher may be killed after any of its commits, with any line as the last one of what it had read at once.

import { cpSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../host/clock.ts';
import type { Block, Source } from '../sources/contract.ts';
import { openStore } from '../store/index.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { ErrorDetector } from './detector.ts';
import { Incidents } from './incidents.ts';
import { WatchFlow } from './watch.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

const began = Date.now();

it('counts every error once, after whichever of its commits it is killed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aRecord, { minLength: 2, maxLength: 6 }), lineCounts, async (records, counts) => {
      const text = records.map(({ lines }) => lines).join('');
      const blocks = cutInto(text, counts);
      const folder = scratch.path(`states-${Math.random()}`);
      const written = tally(records.flatMap(({ name }) => (name ? [name] : [])));
      expect(
        await watch(blocks, `${folder}/whole`, (at) =>
          cpSync(`${folder}/whole`, `${folder}/${at}`, { recursive: true }),
        ),
      ).toEqual(written);
      for (let at = 1; at <= blocks.length; at++)
        expect([at, await watch(blocks, `${folder}/${at}`)]).toEqual([at, written]);
    }),
    { numRuns: 8 },
  );
});

const lineCounts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 40, maxLength: 40 });

const aRecord = fc
  .record({ name: fc.constantFrom('one', 'two', 'three'), shape: fc.constantFrom('calm', 'line', 'trace', 'bare') })
  .map(({ name, shape }) => {
    const head = '2026-01-05 10:00:00,000 ERROR agent: the job could not start\n';
    const raised = `ModuleNotFoundError: No module named '${name}'\n`;
    const frames = `Traceback (most recent call last):\n  File "/srv/agent/a.py", line 3, in <module>\n    import ${name}\n`;
    const calm = '2026-01-05 10:00:01,000 INFO agent: going on\n';
    if (shape === 'calm') return { name: null, lines: calm };
    if (shape === 'line') return { name, lines: `2026-01-05 10:00:00,000 ERROR agent: ${raised}` };
    return { name, lines: (shape === 'trace' ? head : calm) + frames + raised };
  });

/** Blocks of so many lines each, as a reader meets them that is now faster and now slower than the writer. */
function cutInto(text: string, counts: readonly number[]): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split(/(?<=\n)/);
  let [line, byte] = [0, 0];
  while (line < lines.length) {
    const bytes = Buffer.from(lines.slice(line, line + (counts[blocks.length] ?? 1)).join(''));
    blocks.push({
      kind: 'block',
      stream: 'file:/a.log',
      file: '/a.log',
      service: 'agent',
      bytes,
      startByte: byte,
      startLine: line + 1,
      final: false,
    });
    line += counts[blocks.length - 1] ?? 1;
    byte += bytes.length;
  }
  return blocks;
}

/** Watches what is left, from where the stored place is; `committed` is called when all is stored that could be after each block. */
async function watch(
  blocks: readonly Block[],
  directory: string,
  committed?: (blocks: number) => void,
): Promise<Readonly<Record<string, number>>> {
  const store = await openStore({ directory, clock: systemClock });
  const incidents = new Incidents({ store, clock: systemClock, node: 'host', redact: (text) => text });
  const stop = new AbortController();
  let commits: Promise<unknown> = Promise.resolve();
  const source: Source = {
    id: 'source',
    service: 'agent',
    async *open({ cursor, ready }) {
      ready?.();
      const from = Number(cursor?.blocks ?? 0);
      for (const [at, block] of blocks.entries()) {
        if (at < from) continue;
        yield { ...block, cursor: { blocks: at + 1 } };
        if (!committed) continue;
        for (let turn = 0; turn < 3; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
          await commits;
        }
        committed(at + 1);
      }
      stop.abort();
    },
  };
  const problems: unknown[] = [];
  const flow = new WatchFlow({
    sources: [source],
    detector: new ErrorDetector({ now: () => began }),
    incidents: Object.assign(Object.create(incidents) as Incidents, {
      settle: (...given: Parameters<Incidents['settle']>) => (commits = incidents.settle(...given)),
    }),
    store,
    // No record ends because its writer was kept waiting.
    clock: { ...systemClock, monotonic: () => 0 },
    changed: () => {},
    sight: () => {},
    problem: (...problem) => problems.push(problem),
  });
  await flow.run(stop.signal, () => {});
  const rows = await store.incidents({});
  await store.close();
  expect(problems).toEqual([]);
  return tally(
    rows.flatMap(({ facts, message, count }) => Array.from({ length: count }, () => String(facts.module ?? message))),
  );
}

function tally(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
