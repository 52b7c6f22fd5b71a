// A scratch folder with real programs in it, for tests: everything that was started is ended by its
// own id, everything that was written is removed.

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Started {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Resolves once it has ended. */
  readonly ended: Promise<void>;
}

export interface Scratch {
  readonly directory: string;
  path(...parts: string[]): string;
  write(path: string, text: string, mode?: number): string;
  /** Starts a program; resolves once `ready` stands in its output. */
  start(argv: readonly string[], options?: StartOptions): Promise<Started>;
  later(cleanup: () => Promise<void> | void): void;
  /** Ends and removes everything, last in, first out. */
  close(): Promise<void>;
}

export interface StartOptions {
  readonly ready?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Leave the group of the test, as a daemon would. */
  readonly detached?: boolean;
}

export function createScratch(): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'selfheal-test-'));
  const cleanups: (() => Promise<void> | void)[] = [];
  const path = (...parts: string[]): string => join(directory, ...parts);
  return {
    directory,
    path,
    write(name, text, mode = 0o644) {
      mkdirSync(dirname(path(name)), { recursive: true });
      writeFileSync(path(name), text, { mode });
      return path(name);
    },
    async start(argv, options = {}) {
      const started = startProgram(argv, { ...options, cwd: options.cwd ?? directory });
      cleanups.push(() => end(started));
      if (options.ready !== undefined) await waitForOutput(started, options.ready);
      return started;
    },
    later: (cleanup) => {
      cleanups.push(cleanup);
    },
    async close() {
      for (const cleanup of cleanups.reverse()) await cleanup();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function startProgram(argv: readonly string[], options: StartOptions): Started {
  const [program, ...args] = argv;
  const child = spawn(program as string, args, {
    cwd: options.cwd,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: options.detached ?? false,
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  return { pid: child.pid ?? -1, child, output: () => Buffer.concat(chunks).toString('utf8'), ended };
}

async function waitForOutput(started: Started, text: string): Promise<void> {
  let over = false;
  void started.ended.then(() => {
    over = true;
  });
  await until(() => started.output().includes(text) || over);
  if (!started.output().includes(text)) throw new Error(`never said "${text}": ${started.output()}`);
}

async function end(started: Started): Promise<void> {
  if (started.child.exitCode !== null || started.child.signalCode !== null || started.pid < 0) return;
  started.child.kill('SIGKILL');
  await started.ended;
}

/** Asks until the claim holds; true when it did within the time. */
export async function until(claim: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await claim()) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** True when the process exists and is not just waiting to be collected. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** A port of the loopback that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Python that the machine offers, absolute. */
export const python = findPython();

function findPython(): string {
  const candidates = ['/usr/bin/python3', '/usr/local/bin/python3', ...fromPath()];
  return candidates.find(isExecutable) ?? 'python3';
}

function fromPath(): readonly string[] {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => folder.startsWith('/') && !folder.includes('shims'))
    .map((folder) => join(folder, 'python3'));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
