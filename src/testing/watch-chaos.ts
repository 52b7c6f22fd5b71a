// Programs that write their errors in pieces, into several files at once, while the watcher is killed again and again.
// An oracle knows how often each error was written: so often it must have been counted.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../host/clock.ts';
import { openStore } from '../store/index.ts';
import { compile } from './compiled.ts';

export interface WatchChaosOptions {
  readonly seed: number;
  readonly errors: number;
  readonly kills: number;
}

export interface WatchChaosReport {
  /** By module that is missing: how often it was written, and how often counted. */
  readonly written: Readonly<Record<string, number>>;
  readonly counted: Readonly<Record<string, number>>;
  readonly kills: number;
}

const LOGS = 3;
const MODULES = 12;
/** Time to read the last lines. What is read later is read at the start that follows, and counted as well. */
const REST_MS = 1_500;

const WATCHER = `
  import { openStore } from './store/index.js';
  import { systemClock } from './host/clock.js';
  import { createFileSource } from './sources/file.js';
  import { ErrorDetector } from './engine/detector.js';
  import { Incidents } from './engine/incidents.js';
  import { WatchFlow } from './engine/watch.js';
  const [folder] = process.argv.slice(2);
  // However slow the machine is, no record ends because its writer was kept waiting.
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() / 1000 };
  const began = Date.now();
  const store = await openStore({ directory: folder + '/state', clock });
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const flow = new WatchFlow({
    sources: [createFileSource({ id: 'chaos', service: 'agent', patterns: [folder + '/logs/*.log'], startAt: 'beginning', pollMs: 50 })],
    detector: new ErrorDetector({ now: () => began }),
    incidents: new Incidents({ store, clock, node: 'host', redact: (text) => text }),
    store,
    clock,
    changed: () => {},
    sight: () => {},
    problem: console.error,
  });
  await flow.run(stop.signal, () => console.log('ready'));
  await store.close();
`;

/** Rejects when the watcher ends by itself. */
export async function runWatchChaos(options: WatchChaosOptions): Promise<WatchChaosReport> {
  const files = ['store/index.ts', 'sources/file.ts', 'engine/detector.ts', 'engine/incidents.ts', 'engine/watch.ts'];
  const compiled = await compile([...files, 'host/clock.ts']);
  const folder = mkdtempSync(join(tmpdir(), 'selfheal-watch-chaos-'));
  try {
    return await tell(options, folder, await compiled.program('watcher.js', WATCHER));
  } finally {
    await compiled.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function tell({ seed, errors, kills }: WatchChaosOptions, folder: string, program: string) {
  mkdirSync(join(folder, 'logs'));
  const random = seeded(seed);
  const written: Record<string, number> = {};
  const pieces = Array.from({ length: LOGS }, (): string[] => []);
  for (let n = 0; n < errors; n += 1) {
    const name = `lib${Math.floor(random() * MODULES)}`;
    written[name] = (written[name] ?? 0) + 1;
    pieces[n % LOGS]?.push(...cut(errorOf(name, n, random), random));
  }
  const all = pieces.reduce((sum, { length }) => sum + length, 0);
  let watcher = await start(program, folder);
  let killed = 0;
  for (let done = 0; done < all; done += 1) {
    const log = turnOf(pieces, random);
    appendFileSync(join(folder, 'logs', `${log}.log`), pieces[log]?.shift() ?? '');
    if (random() < 0.3) await sleep(random() * 15);
    if (done * kills < killed * all || killed === kills) continue;
    killed += 1;
    await sleep(random() * 30);
    await end(watcher, 'SIGKILL');
    watcher = await start(program, folder);
  }
  for (let turn = 0; turn < 2; turn += 1) {
    await sleep(REST_MS);
    await end(watcher, 'SIGTERM');
    if (turn === 0) watcher = await start(program, folder);
  }
  return { written, counted: await countedIn(folder), kills: killed };
}

function errorOf(name: string, n: number, random: () => number): string {
  const head = `2026-01-05 10:00:00,${String(n % 1_000).padStart(3, '0')} ERROR agent: job ${n} could not start\n`;
  const raised = `ModuleNotFoundError: No module named '${name}'\n`;
  const frames = `Traceback (most recent call last):\n  File "/srv/agent/a.py", line 3, in <module>\n    import ${name}\n`;
  const calm = random() < 0.5 ? `2026-01-05 10:00:01,000 INFO agent: going on ${n}\n` : '';
  const one = `2026-01-05 10:00:00,${String(n % 1_000).padStart(3, '0')} ERROR agent: ${raised}`;
  return (random() < 0.5 ? head + frames + raised : one) + calm;
}

/** Two or three pieces, at any byte. */
function cut(text: string, random: () => number): string[] {
  if (random() < 0.4) return [text];
  const at = Math.floor(random() * text.length);
  return [text.slice(0, at), text.slice(at)];
}

function turnOf(pieces: readonly (readonly string[])[], random: () => number): number {
  const left = pieces.flatMap(({ length }, at) => (length > 0 ? [at] : []));
  return left[Math.floor(random() * left.length)] ?? 0;
}

async function start(program: string, folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null) throw new Error(`the watcher ended by itself with code ${child.exitCode}`);
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function countedIn(folder: string): Promise<Record<string, number>> {
  const store = await openStore({ directory: join(folder, 'state'), clock: systemClock });
  const incidents = await store.incidents({});
  await store.close();
  const counted: Record<string, number> = {};
  for (const { facts, message, count } of incidents) {
    const name = String(facts.module ?? message);
    counted[name] = (counted[name] ?? 0) + count;
  }
  return counted;
}

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
