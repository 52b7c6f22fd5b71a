// The watch flow out of the built parts, in this process: files, detector, incidents and store as `watch` has them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const part = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);

/**
 * Follows `count` files that stand there before. `found` is told of each final detection, `glimpsed` of each of a record
 * that may still go on, `stored` of each commit with incidents.
 */
export async function startFlow({ count, found = () => {}, glimpsed = () => {}, stored = () => {} }) {
  const [{ systemClock }, { openStore }, { createFileSource }, { ErrorDetector }, { Incidents }, { WatchFlow }] =
    await Promise.all(
      [
        'host/clock.js',
        'store/index.js',
        'sources/file.js',
        'engine/detector.js',
        'engine/incidents.js',
        'engine/watch.js',
      ].map(part),
    );
  const folder = mkdtempSync(join(tmpdir(), 'selfheal-bench-'));
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const files = Array.from({ length: count }, (_, at) => join(logs, `app-${at}x.log`));
  for (const file of files) writeFileSync(file, '2026-01-05 10:00:00 INFO quiet\n');
  const store = await openStore({ directory: join(folder, 'state'), clock: systemClock });
  const noted = (list) => {
    for (const one of list) found(one);
    return list;
  };
  class Watched extends ErrorDetector {
    feed(...given) {
      return noted(super.feed(...given));
    }
    flush(...given) {
      return noted(super.flush(...given));
    }
    provisional() {
      const list = super.provisional();
      for (const one of list) glimpsed(one);
      return list;
    }
  }
  const commit = store.commitWatch;
  store.commitWatch = async (given) => {
    await commit.call(store, given);
    if (given.incidents.length > 0) stored(given);
  };
  const stopping = new AbortController();
  const flow = new WatchFlow({
    sources: [createFileSource({ id: 'file:bench', service: 'bench', patterns: [join(logs, '*.log')] })],
    detector: new Watched(),
    incidents: new Incidents({ store, clock: systemClock, node: 'bench', redact: (text) => text }),
    store,
    clock: systemClock,
    changed: () => {},
    sight: () => {},
    problem: (message, error) => console.error(message, error),
  });
  let done;
  await new Promise((ready) => {
    done = flow.run(stopping.signal, ready);
  });
  return {
    files,
    store,
    async stop() {
      stopping.abort();
      await done;
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const percentile = (list, share) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * share)];
