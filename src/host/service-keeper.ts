// Keeps one supervised service: its present generation, its output files, its record in the store.
// Everything that changes it goes through one queue, so that there are never two copies.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Store } from '../store/contract.ts';
import { accountOf, type Account } from './accounts.ts';
import type { Generation, GenerationEnd, SupervisedService } from './contract.ts';
import { CLEAN_STOP, lastLogLine } from './managers/last-line.ts';
import { isAlive, readBootId, startTicksOf } from './proc.ts';
import { findStrays, markOf, SERVICE_MARK, signalIf } from './strays.ts';
import {
  LONG_RUN_MS,
  readSupervised,
  STARTS_WINDOW_MS,
  supervisedKey,
  type SupervisedRecord,
} from './supervised-record.ts';

export interface KeeperOptions {
  readonly store: Pick<Store, 'value' | 'setValue'>;
  readonly clock: Clock;
  readonly stateDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Told of what could not be done. Must not throw. */
  readonly problem: (message: string, error: unknown) => void;
}

/** After TERM, before KILL. */
const STOP_GRACE_MS = 5_000;
/** For what left the group and is found by its mark. */
const STRAY_GRACE_MS = 2_000;
/** Generations whose output stays: a reader may be behind a quick crash loop. */
const KEPT_GENERATIONS = 50;
/** From the end of a process to our note of it. */
const NOTE_MS = 2_000;
const POLL_MS = 50;
/** An adopted process is not our child: its end is seen by looking. */
const ADOPTED_POLL_MS = 500;
/** Exit codes of programs that were asked to stop: done, Ctrl-C, TERM. */
const CLEAN_CODES: ReadonlySet<number> = new Set([0, 130, 143]);
const CLEAN_SIGNALS: ReadonlySet<string> = new Set(['SIGTERM', 'SIGINT']);

export class ServiceKeeper {
  readonly #service: SupervisedService;
  readonly #options: KeeperOptions;
  readonly #listeners = new Set<(generation: Generation) => void>();
  #record: SupervisedRecord | null = null;
  /** The process of the present generation, when it is our child and not an adopted one. */
  #child: ChildProcess | null = null;
  #unsaved = false;
  /** True while we end the present generation ourselves. */
  #ending = false;
  #closed = false;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #over = new AbortController();

  constructor(service: SupervisedService, options: KeeperOptions) {
    this.#service = service;
    this.#options = options;
  }

  /** At the start of selfheal: adopt the survivor, or start anew. */
  resume(): Promise<void> {
    return this.#next(async () => {
      this.#record = await readSupervised(this.#options.store, this.#service.name).catch(() => null);
      if (await this.#adopt()) return;
      if (this.#record?.stoppedBy) return this.#clearStrays(null);
      await this.#begin(await this.#open());
    });
  }

  restart(): Promise<void> {
    return this.#next(() => this.#renew());
  }

  /** A wish of `at` is met by any generation that began later. */
  restartFor(at: number): Promise<void> {
    return this.#next(async () => {
      const present = this.#record?.generation;
      const met = present !== undefined && present.startedAt > at && !present.ended;
      if (!met) await this.#renew();
    });
  }

  stop(by: string): Promise<void> {
    return this.#next(async () => {
      try {
        await this.#end();
      } finally {
        // Also when a part of it could not be ended: the wish of a person is never forgotten.
        if (this.#record) await this.#save({ ...this.#record, stoppedBy: by });
      }
    });
  }

  /** Ends it with us. It is started again when selfheal is. */
  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.#next(() => this.#end());
    } finally {
      this.#over.abort();
    }
  }

  /** Another try where the store could not be reached before. */
  async saveAgain(): Promise<void> {
    if (this.#unsaved && this.#record) await this.#save(this.#record);
  }

  async *generations(signal: AbortSignal): AsyncIterable<Generation> {
    const waiting: Generation[] = this.#record ? [this.#record.generation] : [];
    let wake = (): void => {};
    const listener = (generation: Generation): void => {
      waiting.push(generation);
      wake();
    };
    const stop = (): void => wake();
    this.#listeners.add(listener);
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted) {
        const next = waiting.shift();
        if (next) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (signal.aborted || waiting.length > 0) resolve();
          });
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', stop);
    }
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  // -------------------------------------------------------------- beginning

  async #renew(): Promise<void> {
    if (this.#closed) return;
    const output = await this.#open();
    if (output instanceof Error && (await this.#runs())) throw output; // an old process is better than none
    try {
      await this.#end();
    } catch (error) {
      return this.#begin(closed(output, error)); // whatever is left of the old one, nobody stopped it on purpose
    }
    await this.#begin(output);
  }

  /** Never throws: what hinders a start is a generation that failed, so that it is seen and healed like a crash. */
  async #begin(output: Output | Error): Promise<void> {
    const number = this.#nextNumber();
    const boot = await readBootId();
    const child = await this.#start(number, output);
    const now = this.#options.clock.now();
    // Starts in a row: what somebody stopped on purpose, or what ran for long, did not fail to start.
    const last = this.#record?.generation.ended;
    const before = last && (last.deliberate || last.uptimeMs >= LONG_RUN_MS) ? [] : (this.#record?.starts ?? []);
    const starts = before.filter((at) => now - at < STARTS_WINDOW_MS);
    await this.#save({
      generation: { ...child.generation, startedAt: now },
      boot,
      starts: [...starts, now],
      stoppedBy: null,
    });
    this.#child = child.process;
    this.#tell();
    if (child.process) this.#watchChild(child.process, child.ended);
    else await this.#ended({ exitCode: 127, signal: null, failure: child.failure });
  }

  async #start(number: number, output: Output | Error): Promise<Spawned> {
    const files = this.#filesOf(number);
    if (output instanceof Error) return failedStart(this.#service, number, files, output.message);
    try {
      await this.#clearStrays(null);
      return await this.#spawn(number, files, output);
    } catch (error) {
      return failedStart(this.#service, number, files, messageOf(error));
    } finally {
      output.close();
    }
  }

  #nextNumber(): number {
    return (this.#record?.generation.number ?? 0) + 1;
  }

  #folder(): string {
    return join(this.#options.stateDirectory, 'supervised', encodeURIComponent(this.#service.name));
  }

  #filesOf(number: number): OutputFiles {
    return { stdout: join(this.#folder(), `${number}.out`), stderr: join(this.#folder(), `${number}.err`) };
  }

  /** The files of the next generation, before anything is ended for it: a full disk shows here. Never throws. */
  async #open(): Promise<Output | Error> {
    const number = this.#nextNumber();
    try {
      await mkdir(this.#folder(), { recursive: true, mode: 0o700 });
      await forgetOutput(this.#folder(), number - KEPT_GENERATIONS);
      const account = await accountOf(this.#service.directory);
      return openOutputs(this.#filesOf(number), account);
    } catch (error) {
      return new Error(messageOf(error), { cause: error });
    }
  }

  async #runs(): Promise<boolean> {
    const present = this.#record?.generation;
    if (!present || present.pid === null || present.ended) return false;
    // Of a child we are told; /proc cannot be read when our descriptors have run out.
    if (this.#child?.pid === present.pid) return this.#child.exitCode === null && this.#child.signalCode === null;
    return isAlive({ pid: present.pid, startTicks: present.startTicks });
  }

  #spawn(number: number, files: OutputFiles, { stdout, stderr, account }: Output): Promise<Spawned> {
    const { stateDirectory, environment } = this.#options;
    return startProgram(this.#service, number, files, {
      stdio: [stdout, stderr],
      account,
      environment: {
        ...environment,
        ...(account ? { HOME: account.home, USER: account.name, LOGNAME: account.name } : {}),
        ...this.#service.environment,
        [SERVICE_MARK]: markOf(stateDirectory, this.#service.name, number),
      },
    });
  }

  /** The generation that a former selfheal left running, if it still does. Never two copies. */
  async #adopt(): Promise<boolean> {
    const record = this.#record;
    if (!record || record.generation.pid === null || record.generation.ended) return false;
    const { pid, startTicks, number } = record.generation;
    const alive = record.boot === (await readBootId()) && (await isAlive({ pid, startTicks }));
    if (!alive) {
      // How it ended while nobody looked cannot be known; its output is still read to the end.
      await this.#save({ ...record, generation: { ...record.generation, ended: this.#endOf(UNSEEN, true) } });
      return false;
    }
    await this.#clearStrays(number);
    this.#tell();
    this.#watched(this.#watchAdopted(record.generation, pid));
    return true;
  }

  async #clearStrays(except: number | null): Promise<void> {
    const { stateDirectory, clock } = this.#options;
    const find = () => findStrays(stateDirectory, this.#service.name, except);
    let strays = await find();
    for (const stray of strays) await signalIf(stray, 'SIGTERM');
    const deadline = clock.monotonic() + STRAY_GRACE_MS;
    while (strays.length > 0 && clock.monotonic() < deadline) {
      await clock.sleep(POLL_MS);
      strays = await find();
    }
    for (const stray of strays) await signalIf(stray, 'SIGKILL');
  }

  // -------------------------------------------------------------- ending

  #watchChild(child: ChildProcess, ended: Promise<Ended>): void {
    child.unref();
    this.#watched(ended.then((end) => this.#ended({ ...end, failure: null })));
  }

  /** Nobody awaits it: what goes wrong in it must not end us. */
  #watched(watching: Promise<void>): void {
    watching.catch((error) => this.#options.problem(`the end of ${this.#service.name} could not be noted`, error));
  }

  async #watchAdopted(generation: Generation, pid: number): Promise<void> {
    const { clock } = this.#options;
    while (!this.#over.signal.aborted && (await isAlive({ pid, startTicks: generation.startTicks }))) {
      await clock.sleep(ADOPTED_POLL_MS, this.#over.signal);
    }
    if (this.#record?.generation.number === generation.number && !this.#record.generation.ended)
      await this.#ended(UNSEEN);
  }

  async #ended(end: Ended & { readonly failure: string | null }): Promise<void> {
    const record = this.#record;
    if (!record || record.generation.ended) return;
    const saidGoodbye = end.exitCode === null && end.signal === null && (await this.#lastWords(record.generation));
    const generation = { ...record.generation, ended: this.#endOf(end, saidGoodbye) };
    await this.#save({ ...record, generation });
    this.#tell();
  }

  #endOf(end: Ended & { readonly failure: string | null }, saidGoodbye: boolean): GenerationEnd {
    const now = this.#options.clock.now();
    const asked = end.exitCode !== null ? CLEAN_CODES.has(end.exitCode) : CLEAN_SIGNALS.has(end.signal ?? '');
    return {
      at: now,
      exitCode: end.exitCode,
      signal: end.signal,
      deliberate: end.failure === null && (this.#ending || asked || saidGoodbye),
      uptimeMs: Math.max(0, now - (this.#record?.generation.startedAt ?? now)),
      failure: end.failure,
    };
  }

  /** True when its own last words are those of a clean stop. */
  async #lastWords(generation: Generation): Promise<boolean> {
    const line = await lastLogLine([generation.stdout, generation.stderr, ...(this.#service.logs ?? [])]);
    return line !== null && CLEAN_STOP.test(line);
  }

  async #end(): Promise<void> {
    const present = this.#record?.generation;
    this.#ending = true;
    try {
      if (present && present.pid !== null && !present.ended) await this.#endProcess(present.pid);
      await this.#clearStrays(null);
    } finally {
      this.#ending = false;
    }
  }

  async #endProcess(pid: number): Promise<void> {
    const { clock } = this.#options;
    // An adopted process may have gone, and its pid may lead somebody else's group by now.
    if (await this.#runs()) signalGroup(pid, 'SIGTERM');
    const deadline = clock.monotonic() + STOP_GRACE_MS;
    while (clock.monotonic() < deadline && (await this.#runs())) await clock.sleep(POLL_MS);
    if (await this.#runs()) signalGroup(pid, 'SIGKILL');
    const noted = clock.monotonic() + NOTE_MS;
    while (clock.monotonic() < noted && !this.#record?.generation.ended) await clock.sleep(POLL_MS);
  }

  // -------------------------------------------------------------- telling

  async #save(record: SupervisedRecord): Promise<void> {
    this.#record = record;
    try {
      await this.#options.store.setValue(supervisedKey(this.#service.name), record);
      this.#unsaved = false;
    } catch {
      this.#unsaved = true; // the service must not suffer from our disk; `saveAgain` tries again
    }
  }

  #tell(): void {
    const generation = this.#record?.generation;
    if (generation) for (const listener of this.#listeners) listener(generation);
  }
}

interface Ended {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

const UNSEEN = { exitCode: null, signal: null, failure: null } as const;

interface Spawned {
  readonly generation: Omit<Generation, 'startedAt'>;
  readonly process: ChildProcess | null;
  readonly ended: Promise<Ended>;
  readonly failure: string;
}

interface OutputFiles {
  readonly stdout: string;
  readonly stderr: string;
}

/** Open descriptors for one generation, and whose they are. */
interface Output {
  readonly stdout: number;
  readonly stderr: number;
  readonly account: Account | null;
  close(): void;
}

interface StartWith {
  readonly stdio: readonly [number, number];
  readonly account: Account | null;
  readonly environment: Readonly<Record<string, string>>;
}

async function startProgram(
  service: SupervisedService,
  number: number,
  files: OutputFiles,
  start: StartWith,
): Promise<Spawned> {
  const failed = (failure: string): Spawned => failedStart(service, number, files, failure);
  const folder = await stat(service.directory).catch(() => null);
  if (!folder?.isDirectory()) return failed(`folder not found: ${service.directory}`);
  const child = spawnOrFail(service, start);
  if (typeof child === 'string') return failed(child);
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const error = await new Promise<Error | null>((resolve) => {
    child.once('spawn', () => resolve(null));
    child.once('error', resolve);
  });
  if (error || child.pid === undefined) return failed(error?.message ?? 'it could not be started');
  const startTicks = (await startTicksOf(child.pid)) ?? 0;
  const generation = { ...notStarted(service, number, files), pid: child.pid, startTicks };
  return { generation, process: child, ended, failure: '' };
}

function notStarted(service: SupervisedService, number: number, files: OutputFiles): Spawned['generation'] {
  return { service: service.name, number, pid: null, startTicks: 0, ...files, ended: null };
}

function failedStart(service: SupervisedService, number: number, files: OutputFiles, failure: string): Spawned {
  return { generation: notStarted(service, number, files), process: null, ended: never(), failure };
}

function spawnOrFail(service: SupervisedService, start: StartWith): ChildProcess | string {
  const [program, ...args] = service.command;
  try {
    return spawn(program ?? '', args, {
      cwd: service.directory,
      env: start.environment,
      detached: true,
      shell: false,
      stdio: ['ignore', ...start.stdio],
      ...(start.account ? { uid: start.account.uid, gid: start.account.gid } : {}),
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function never(): Promise<Ended> {
  return new Promise(() => {});
}

function openOutputs(files: OutputFiles, account: Account | null): Output {
  const stdout = openOutput(files.stdout, account);
  try {
    const stderr = openOutput(files.stderr, account);
    const close = (): void => {
      closeSync(stdout);
      closeSync(stderr);
    };
    return { stdout, stderr, account, close };
  } catch (error) {
    closeSync(stdout);
    throw error;
  }
}

/** The reason in place of the files, which are given back. */
function closed(output: Output | Error, reason: unknown): Error {
  if (!(output instanceof Error)) output.close();
  return new Error(messageOf(reason), { cause: reason });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The program may open its own output again (`/dev/stdout`): the file has to be its user's. */
function openOutput(file: string, account: Account | null): number {
  const descriptor = openSync(file, 'a', 0o600);
  try {
    if (account) fchownSync(descriptor, account.uid, account.gid);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

async function forgetOutput(folder: string, number: number): Promise<void> {
  for (const kind of ['out', 'err']) await rm(join(folder, `${number}.${kind}`), { force: true });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  if (!Number.isInteger(pid) || pid <= 1) return; // -1 would be everybody, 0 ourselves
  try {
    process.kill(-pid, signal);
  } catch {
    // the group is gone
  }
}
