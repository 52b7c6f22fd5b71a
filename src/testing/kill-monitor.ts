// Kills the process that decides, while *hands* is at work or between two writes of its own store; *hands* goes on alone.
// A second one is started on the same state folder, and the file, the plans and the books are looked at.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { listBoundaries } from '../hands/journal.ts';
import type { Compiled } from './compiled.ts';
import { BROKEN, HealRig } from './heal-rig.ts';
import { planOf } from './kill-points.ts';

/** `act`: the repair helps. `undo`: it does not, and is taken back each time until a person is called. */
export type MonitorPath = 'act' | 'undo';

export interface MonitorKill {
  readonly path: MonitorPath;
  readonly point: string;
  readonly reached: boolean;
  /** State of the incident in the end. */
  readonly state: string;
  readonly file: 'before' | 'planned' | 'between';
  /** Steps begun twice in one plan, and plans that count as fixed beyond the first. */
  readonly twice: number;
  /** Plans that were begun and have not exactly one row in the books. */
  readonly unbooked: number;
}

/** What `compile` must be given for `killMonitor`. */
export const MONITOR_SOURCES = ['testing/heal-rig.ts', 'hands/client.ts', 'hands/main.ts', 'host/run.ts'] as const;

/** One row per place to die: every boundary of *hands*, and before and after every write of the monitor's own. */
export async function killMonitor(compiled: Compiled, path: MonitorPath): Promise<readonly MonitorKill[]> {
  const program = await compiled.program('monitor-under-test.js', MONITOR);
  const step = { kind: 'wait', title: 'any', until: 0, undo: { kind: 'restore-snapshot' } } as const;
  const ofVerify = ['checked-verify', 'finished'].flatMap((name) => [`${name}.before`, `${name}.after`]);
  const ofHands = [...new Set([...listBoundaries(planOf([step], []), path), ...(path === 'act' ? ofVerify : [])])];
  const rows: MonitorKill[] = [];
  for (const point of ofHands) rows.push(await killAt(compiled, program, path, point));
  for (let write = 1; ; write += 1) {
    const both = [];
    for (const when of ['before', 'after']) both.push(await killAt(compiled, program, path, `write-${write}.${when}`));
    if (!both.every((row) => row.reached)) return rows;
    rows.push(...both);
  }
}

/** The rows that break the promise. */
export function brokenMonitorKills(rows: readonly MonitorKill[]): readonly MonitorKill[] {
  return rows.filter(
    ({ path, reached, state, file, twice, unbooked }) =>
      !reached ||
      twice > 0 ||
      unbooked > 0 ||
      (path === 'act' ? state !== 'resolved' || file !== 'planned' : state !== 'needs-human' || file !== 'before'),
  );
}

export function monitorKillTable(rows: readonly MonitorKill[]): string {
  const head = 'monitor killed while  kills  planned  before  between  twice  unbooked';
  const lines = (['act', 'undo'] as const).map((path) => {
    const own = rows.filter((row) => row.path === path);
    const file = (what: MonitorKill['file']) => String(own.filter((row) => row.file === what).length);
    const sum = (of: (row: MonitorKill) => number) => String(own.reduce((total, row) => total + of(row), 0));
    return [
      (path === 'act' ? 'healing' : 'taking back').padEnd(21),
      String(own.length).padStart(6),
      file('planned').padStart(8),
      file('before').padStart(7),
      file('between').padStart(8),
      sum((row) => row.twice).padStart(6),
      sum((row) => row.unbooked).padStart(9),
    ].join(' ');
  });
  return [head, ...lines].join('\n');
}

async function killAt(compiled: Compiled, program: string, path: MonitorPath, point: string): Promise<MonitorKill> {
  const rig = await HealRig.open();
  try {
    const id = await rig.incident();
    const live = (at: string) =>
      runMonitor(program, [rig.root, rig.state, compiled.path('hands/main.ts'), id, path, at]);
    const reached = (await live(point)) === 'SIGKILL';
    if (reached) await live('none');
    const content = rig.content();
    const plans = await rig.store.plansOf(id);
    const ledger = await rig.store.ledger({});
    let twice = Math.max(0, ledger.filter((row) => row.outcome.kind === 'fixed').length - 1);
    let unbooked = 0;
    for (const plan of plans) {
      const journal = await rig.store.journal(plan.id);
      if (journal.length > 0 && ledger.filter((row) => row.plan === plan.id).length !== 1) unbooked += 1;
      const intents = journal.filter((entry) => entry.phase === 'intent');
      twice += intents.length - new Set(intents.map((entry) => entry.step)).size;
    }
    return {
      path,
      point,
      reached,
      state: (await rig.store.incident(id))?.state.name ?? 'gone',
      file: content === BROKEN ? 'before' : rig.isMended() ? 'planned' : 'between',
      twice,
      unbooked,
    };
  } finally {
    await rig.close();
  }
}

async function runMonitor(program: string, argv: readonly string[]): Promise<string | null> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === null && code !== 0) throw new Error(`the monitor failed: ${stderr}`);
  return signal;
}

/** The engine as the daemon has it, with *hands* in a process of its own; it leaps over every wait. */
const MONITOR = `
import { setTimeout as sleep } from 'node:timers/promises';
import { callHands } from './hands/client.js';
import { createRun } from './host/run.js';
import { HealRig } from './testing/heal-rig.js';

const [root, state, program, id, path, point] = process.argv.slice(2);
const rig = await HealRig.open({ root, state, fixes: (own) => [own.mend({ helps: path === 'act' })] });
const run = createRun({ home: root });
rig.hands = (plan, verb) => callHands({
  stateDirectory: state, plan, verb, run, program, signal: new AbortController().signal,
  env: { SELFHEAL_TEST: '1', SELFHEAL_PATIENCE_MS: '0', SELFHEAL_FAILPOINT: point + ':' + process.pid },
});

let writes = 0;
const die = (at) => { if (at === point) process.kill(process.pid, 'SIGKILL'); };
const WRITES = new Set(['savePlan', 'saveIncident', 'addTimeline', 'addLedger', 'setValue']);
const { store } = rig;
const dying = new Proxy(store, {
  get(target, key) {
    const found = target[key];
    if (typeof found !== 'function') return found;
    if (!WRITES.has(key)) return found.bind(target);
    return async (...words) => {
      const name = 'write-' + ++writes;
      die(name + '.before');
      const answer = await found.apply(target, words);
      die(name + '.after');
      return answer;
    };
  },
});
Object.defineProperty(rig, 'store', { value: dying });
rig.fixer = rig.createFixer();

const signal = new AbortController().signal;
await rig.fixer.recover(signal);
for (let turn = 0; turn < 600; turn += 1) {
  const incident = await rig.step(id);
  const now = incident.state;
  if (now.name === 'open') rig.clock.advance(now.notBefore - rig.clock.now());
  else if (now.name === 'verifying') rig.clock.advance(now.quietUntil - rig.clock.now());
  // Its *hands* of a former life is still at it.
  else if (now.name === 'healing') await sleep(100);
  else break;
}
await store.close();
`;
