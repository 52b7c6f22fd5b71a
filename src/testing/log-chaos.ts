// Writers that rotate in every way while a reader is killed again and again, and an oracle that counts: each
// line that was written must have been committed exactly once. One seed gives one story, up to timing.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { compile } from './compiled.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly lines: number;
  /** Lines written in one go, at most. */
  readonly burst: number;
  /** Mean number of goes between two rotations of one log. */
  readonly goesPerRotation: number;
  readonly kills: number;
  /** Generations kept of each log; older ones are deleted once everything in them is committed. */
  readonly keep: number;
  readonly logs: number;
  readonly ways: readonly RotationWay[];
  readonly events: boolean;
}

export type RotationWay = 'rename' | 'copytruncate' | 'dated';

export interface ChaosReport {
  readonly written: number;
  readonly rotations: number;
  readonly kills: number;
  readonly lost: readonly number[];
  readonly twice: readonly number[];
  /** Lines that are not as they were written. */
  readonly torn: readonly string[];
  readonly gaps: readonly string[];
}

/** Waits of 10 ms for a reader to commit what would be deleted. A reader that hangs gets no more chances, but its lines stay. */
const PATIENCE = 50;

/** Reads with the real file source, commits lines and cursor together, and says nothing else. */
const READER = `
  import { openSync, readFileSync, writeSync } from 'node:fs';
  import { systemClock } from './host/clock.js';
  import { createFileSource } from './sources/file.js';
  const [directory, start, commits, events] = process.argv.slice(2);
  const text = readFileSync(start, 'utf8');
  const cursor = text ? JSON.parse(text) : null;
  const out = openSync(commits, 'a');
  const source = createFileSource({ id: 'chaos', service: null, patterns: [directory + '/*.log'], startAt: 'beginning', pollMs: 30, events: events === 'true' });
  let pending = { ranges: [], torn: [], gaps: [] };
  let latest = null;
  let timer;
  const commit = () => {
    clearTimeout(timer);
    timer = undefined;
    writeSync(out, JSON.stringify({ ...pending, cursor: latest }) + '\\\\n');
    pending = { ranges: [], torn: [], gaps: [] };
  };
  const take = (line) => {
    const match = /^2026-01-05 12:00:00 request (\\\\d+) x*\\\\.$/.exec(line);
    if (!match) return pending.torn.push(line.slice(0, 200));
    const number = Number(match[1]);
    const last = pending.ranges.at(-1);
    if (last && last[1] + 1 === number) last[1] = number;
    else pending.ranges.push([number, number]);
  };
  for await (const item of source.open({ cursor, signal: new AbortController().signal, clock: systemClock })) {
    if (item.kind === 'block') {
      const lines = Buffer.from(item.bytes).toString('latin1').split('\\\\n');
      if (lines.at(-1) === '') lines.pop();
      lines.forEach(take);
    } else if (item.kind === 'blind') pending.gaps.push(item.stream + ': ' + item.reason);
    if (Math.random() < 0.02) await new Promise((resolve) => setTimeout(resolve, 20 * Math.random()));
    latest = item.cursor;
    if (Math.random() < 0.3) timer ??= setTimeout(commit, 30);
    else commit();
  }
`.replaceAll('\\\\', '\\');

/** Runs the story to its end. Rejects when the reader does not come to rest. */
export async function runLogChaos(options: ChaosOptions): Promise<ChaosReport> {
  const compiled = await compile(['sources/file.ts', 'host/clock.ts']);
  const directory = mkdtempSync(join(tmpdir(), 'selfheal-chaos-'));
  try {
    const program = await compiled.program('reader.js', READER);
    return await new Chaos(options, directory, program).run();
  } finally {
    await compiled.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Chaos {
  readonly #options: ChaosOptions;
  readonly #random: () => number;
  readonly #logs: ChaosLog[];
  readonly #oracle: Oracle;
  readonly #state: string;
  readonly #program: string;
  readonly #directory: string;
  #written = 0;
  #reader: ChildProcess | null = null;
  #kills = 0;
  #runs = 0;

  constructor(options: ChaosOptions, directory: string, program: string) {
    this.#options = options;
    this.#random = seeded(options.seed);
    this.#directory = directory;
    this.#program = program;
    this.#state = mkdtempSync(join(tmpdir(), 'selfheal-chaos-state-'));
    this.#oracle = new Oracle(options.lines);
    this.#logs = Array.from({ length: options.logs }, (_, at) => {
      const way = options.ways[at % options.ways.length] as RotationWay;
      return new ChaosLog(join(directory, `${'abcdefgh'[at]}.log`), way, options.keep, this.#random);
    });
  }

  async run(): Promise<ChaosReport> {
    try {
      writeFileSync(join(this.#state, 'cursor'), '');
      this.#startReader();
      // What is rotated away before the very first start is no news.
      while (this.#oracle.cursor === '') {
        await sleep(10);
        this.#collect();
      }
      const linesPerKill = Math.ceil(this.#options.lines / (this.#options.kills + 1));
      for (let nextKill = linesPerKill; this.#written < this.#options.lines; ) {
        await this.#go();
        if (this.#written < nextKill) continue;
        nextKill += linesPerKill;
        await this.#kill();
        this.#startReader();
      }
      await this.#settle();
      return this.#report();
    } finally {
      for (const log of this.#logs) log.close();
      await this.#kill();
      rmSync(this.#state, { recursive: true, force: true });
    }
  }

  async #go(): Promise<void> {
    const log = this.#pick(this.#logs);
    const count = Math.min(1 + Math.floor(this.#random() * this.#options.burst), this.#options.lines - this.#written);
    log.write(this.#written + 1, count);
    this.#written += count;
    if (this.#random() * this.#options.goesPerRotation < 1) {
      this.#collect();
      for (let waits = 0; waits < PATIENCE && !log.mayRotate(this.#oracle); waits += 1) {
        await sleep(10);
        this.#collect();
      }
      log.rotate(this.#oracle);
    }
    if (this.#random() < 0.2) await sleep(this.#random() * 4);
  }

  #startReader(): void {
    this.#runs += 1;
    const { events } = this.#options;
    const files = [this.#directory, join(this.#state, 'cursor'), this.#commits(), String(events)];
    this.#reader = spawn(process.execPath, [this.#program, ...files], { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  async #kill(): Promise<void> {
    const reader = this.#reader;
    if (!reader) return;
    this.#reader = null;
    if (reader.exitCode === null && reader.signalCode === null) {
      reader.kill('SIGKILL');
      await once(reader, 'exit');
    }
    this.#kills += 1;
    this.#collect();
    writeFileSync(join(this.#state, 'cursor'), this.#oracle.cursor);
  }

  #commits(): string {
    return join(this.#state, `commits.${this.#runs}`);
  }

  #collect(): void {
    const file = this.#commits();
    if (existsSync(file)) this.#oracle.take(file);
  }

  /** Waits until everything is committed, or nothing has come for a while. */
  async #settle(): Promise<void> {
    for (let idle = 0; idle < 200 && this.#oracle.missing > 0; idle += 1) {
      const before = this.#oracle.missing;
      await sleep(100);
      this.#collect();
      if (this.#oracle.missing !== before) idle = 0;
    }
    // What is given twice would come now.
    await sleep(300);
    this.#collect();
  }

  #report(): ChaosReport {
    const { lost, twice, torn, gaps } = this.#oracle;
    const rotations = this.#logs.reduce((sum, log) => sum + log.rotations, 0);
    return { written: this.#written, rotations, kills: this.#kills, lost, twice, torn, gaps };
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

interface Generation {
  name: string;
  readonly numbers: [from: number, count: number][];
}

/** One log with its generations, newest first. */
class ChaosLog {
  rotations = 0;
  readonly #path: string;
  readonly #way: RotationWay;
  readonly #keep: number;
  readonly #random: () => number;
  #generations: Generation[];
  #fd: number;
  /** Descriptor of a generation that was renamed while its writer went on. */
  #slow: { readonly fd: number; readonly generation: Generation; goes: number } | null = null;

  constructor(path: string, way: RotationWay, keep: number, random: () => number) {
    this.#path = path;
    this.#way = way;
    this.#keep = keep;
    this.#random = random;
    this.#generations = [{ name: path, numbers: [] }];
    this.#fd = openSync(path, 'a');
  }

  write(from: number, count: number): void {
    const isLate = this.#slow !== null && this.#random() < 0.5;
    const fd = isLate && this.#slow ? this.#slow.fd : this.#fd;
    const generation = isLate && this.#slow ? this.#slow.generation : (this.#generations[0] as Generation);
    generation.numbers.push([from, count]);
    let text = '';
    for (let n = from; n < from + count; n += 1) {
      text += `2026-01-05 12:00:00 request ${n} ${'x'.repeat(Math.floor(this.#random() * 40))}.\n`;
    }
    // Two halves: a reader may look in between.
    const cut = Math.floor(this.#random() * text.length);
    writeSync(fd, text.slice(0, cut));
    writeSync(fd, text.slice(cut));
    if (this.#slow && (this.#slow.goes -= 1) <= 0) this.#endSlow();
  }

  mayRotate(oracle: Oracle): boolean {
    const oldest = this.#generations.at(-1);
    return this.#generations.length <= this.#keep || !oldest || oracle.hasAll(oldest.numbers);
  }

  /** The oldest generation is deleted only when it is committed: what nobody can read is nobody's fault. */
  rotate(oracle: Oracle): void {
    this.#endSlow();
    this.rotations += 1;
    const old = this.#generations[0] as Generation;
    const isOneTooMany = this.#generations.length > this.#keep && this.mayRotate(oracle);
    if (isOneTooMany) rmSync(this.#generations.pop()?.name ?? '', { force: true });
    this.#shift();
    const name =
      this.#way === 'dated' ? `${this.#path}-20260105${String(this.rotations).padStart(6, '0')}` : `${this.#path}.1`;
    if (this.#way === 'copytruncate') {
      copyFileSync(this.#path, name);
      truncateSync(this.#path);
    } else {
      renameSync(this.#path, name);
      if (this.#random() < 0.3) this.#slow = { fd: this.#fd, generation: old, goes: 3 };
      else closeSync(this.#fd);
      this.#fd = openSync(this.#path, 'a');
    }
    old.name = name;
    this.#generations.unshift({ name: this.#path, numbers: [] });
    const aged = this.#generations[2];
    if (aged && this.#random() < 0.5) compress(aged);
  }

  close(): void {
    this.#endSlow();
    closeSync(this.#fd);
  }

  #shift(): void {
    if (this.#way === 'dated') return;
    for (const [at, generation] of [...this.#generations.entries()].reverse()) {
      if (at === 0) continue;
      const next = `${this.#path}.${at + 1}${generation.name.endsWith('.gz') ? '.gz' : ''}`;
      renameSync(generation.name, next);
      generation.name = next;
    }
  }

  #endSlow(): void {
    if (this.#slow) closeSync(this.#slow.fd);
    this.#slow = null;
  }
}

/** As gzip(1) does it: the packed file grows beside the plain one, gets its times, and then takes its place. */
function compress(generation: Generation): void {
  if (generation.name.endsWith('.gz')) return;
  const packed = gzipSync(readFileSync(generation.name));
  const { atime, mtime } = statSync(generation.name);
  const name = `${generation.name}.gz`;
  appendFileSync(name, packed.subarray(0, packed.length >> 1));
  appendFileSync(name, packed.subarray(packed.length >> 1));
  utimesSync(name, atime, mtime);
  unlinkSync(generation.name);
  generation.name = name;
}

/** Knows what was committed. */
class Oracle {
  readonly #times: Uint8Array;
  readonly #readTo = new Map<string, number>();
  readonly torn: string[] = [];
  readonly gaps: string[] = [];
  cursor = '';
  missing: number;

  constructor(lines: number) {
    this.#times = new Uint8Array(lines + 1);
    this.missing = lines;
  }

  /** Takes in what was appended since the last time; a commit that was cut off by a kill does not count. */
  take(file: string): void {
    const bytes = readFileSync(file);
    const from = this.#readTo.get(file) ?? 0;
    const end = bytes.lastIndexOf(10) + 1;
    this.#readTo.set(file, Math.max(from, end));
    for (const line of bytes.subarray(from, end).toString('utf8').split('\n')) {
      if (line === '') continue;
      const { ranges, torn, gaps, cursor } = JSON.parse(line) as {
        ranges: [number, number][];
        torn: string[];
        gaps: string[];
        cursor: unknown;
      };
      for (const [first, last] of ranges) for (let n = first; n <= last; n += 1) this.#count(n);
      this.torn.push(...torn);
      this.gaps.push(...gaps);
      this.cursor = JSON.stringify(cursor);
    }
  }

  hasAll(numbers: readonly (readonly [from: number, count: number])[]): boolean {
    return numbers.every(([from, count]) => this.#times.subarray(from, from + count).every((times) => times > 0));
  }

  get lost(): number[] {
    return this.#which((times) => times === 0);
  }

  get twice(): number[] {
    return this.#which((times) => times > 1);
  }

  #count(n: number): void {
    if (this.#times[n] === 0) this.missing -= 1;
    this.#times[n] = (this.#times[n] ?? 0) + 1;
  }

  #which(is: (times: number) => boolean): number[] {
    const found: number[] = [];
    for (let n = 1; n < this.#times.length; n += 1) if (is(this.#times[n] ?? 0)) found.push(n);
    return found;
  }
}

/** mulberry32: small, and good enough for stories. */
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
