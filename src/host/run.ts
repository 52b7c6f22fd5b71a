// The one place that starts programs: no shell, an environment built from nothing, the uid of the
// target's owner, a deadline, capped output, and nothing left running behind it.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { createChildOutput, type ChildOutput } from './child-output.ts';
import { systemClock } from './clock.ts';
import type { Run, RunOptions, RunResult } from './contract.ts';
import { createKeptOutput, type KeptOutput } from './kept-output.ts';
import { changesUser, isNamespaced, killMarked, leashed, probeLeashTools, RUN_MARK } from './leash.ts';
import type { LeashTools, Owner } from './leash.ts';
import { findProgram, SYSTEM_PATH } from './programs.ts';

export { SYSTEM_PATH } from './programs.ts';

export interface RunnerOptions {
  /** Folders searched for bare program names, absolute; also the child's PATH. Default `SYSTEM_PATH`. */
  readonly path?: readonly string[];
  /** HOME of children that run as ourselves. Others get the home of their own user. */
  readonly home: string;
  /**
   * What selfheal was started with. Commands of the owner (leash `group` or `none`) find what they would find in his
   * shell; tools never see any of it. Default: nothing.
   */
  readonly ownerEnvironment?: Readonly<Record<string, string>>;
}

const OUTPUT_CAP = 64 * 1024;
/** After TERM a program has this long to tidy up (git removes its lock files) before KILL. */
const TERM_GRACE_MS = 5_000;
/** After KILL. What is still there then hangs in the kernel: we go on without it. */
const KILL_GRACE_MS = 5_000;
/** A grandchild may hold the pipes open for ever: after the exit we read on this long, no longer. */
const PIPE_GRACE_MS = 250;

/**
 * Makes the one function that runs programs on this host.
 *
 * @example
 * const run = createRun({ home: '/root' });
 * const { code, stdout } = await run(['git', '--version'], { cwd: '/srv/agent', timeoutMs: 10_000 });
 */
export function createRun(options: RunnerOptions): Run {
  const path = options.path ?? SYSTEM_PATH;
  let tools: LeashTools | undefined;
  return async (argv, runOptions) => {
    tools ??= probeLeashTools((name) => findProgram(name, path));
    const means = { path, home: options.home, owner: options.ownerEnvironment ?? {}, tools };
    const prepared = prepare(argv, runOptions, means);
    return typeof prepared === 'string' ? notStarted(prepared) : execute(prepared, runOptions);
  };
}

/** Everything decided before the start. */
interface Prepared {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Set when spawn itself must change the user. */
  readonly owner: Owner | null;
  readonly mark: string;
  readonly namespaced: boolean;
}

interface Means {
  readonly path: readonly string[];
  readonly home: string;
  readonly owner: Readonly<Record<string, string>>;
  readonly tools: LeashTools;
}

/** The start, or the reason why there is none. */
function prepare(argv: readonly string[], options: RunOptions, means: Means): Prepared | string {
  const [name, ...args] = argv;
  if (name === undefined) return 'an empty command cannot be run';
  if (argv.some((part) => /[\0\n\r]/.test(part))) return 'an argument holds a NUL or a line break';
  if (options.signal?.aborted) return 'aborted before the start';
  const leash = options.leash ?? 'namespace';
  const likeTheOwner = options.likeTheOwner ?? leash !== 'namespace';
  const path = likeTheOwner ? ownerPath(means) : means.path;
  const program = findProgram(name, path);
  if (program === null) return `program not found: ${name}`;
  const cwd = directoryProblem(options.cwd);
  if (cwd !== null) return cwd;
  const owner = ownerOf(options.asOwnerOf ?? options.cwd);
  if (owner === 'unknown') return `cannot tell the owner of ${options.asOwnerOf ?? options.cwd}`;
  const mark = options.mark ?? randomUUID();
  return {
    argv: leashed([program, ...args], leash, means.tools, owner),
    env: {
      ...(likeTheOwner ? inherited(means, owner) : {}),
      ...minimal(path, owner, means.home),
      ...options.env,
      [RUN_MARK]: mark,
    },
    owner: changesUser(leash, means.tools) ? null : owner,
    mark,
    namespaced: isNamespaced(leash, means.tools),
  };
}

function directoryProblem(cwd: string): string | null {
  try {
    return statSync(cwd).isDirectory() ? null : `not a folder: ${cwd}`;
  } catch {
    return `folder not found: ${cwd}`;
  }
}

/** Null when there is nobody to become: we are not root, or the target is root's. */
function ownerOf(path: string): Owner | null | 'unknown' {
  if (process.getuid?.() !== 0) return null;
  try {
    const { uid, gid } = statSync(path);
    if (uid === 0) return null;
    return { uid, gid: account(uid)?.gid ?? gid };
  } catch {
    return 'unknown';
  }
}

/** What /etc/passwd says of a user; null when it has no line. */
function account(uid: number): { readonly gid: number; readonly home: string } | null {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((text) => text.split(':'))
      .find((fields) => fields[2] === String(uid));
    return line ? { gid: Number(line[3]), home: line[5] ?? '/' } : null;
  } catch {
    return null;
  }
}

/** Where the owner's commands are looked for: his PATH first, and what every system has. */
function ownerPath(means: Means): readonly string[] {
  const own = (means.owner.PATH ?? '').split(':').filter((folder) => folder.startsWith('/'));
  return [...new Set([...own, ...means.path])];
}

/** Another user's command must not see what only we were told. */
function inherited(means: Means, owner: Owner | null): Readonly<Record<string, string>> {
  return owner ? {} : means.owner;
}

function minimal(path: readonly string[], owner: Owner | null, home: string): Record<string, string> {
  return {
    PATH: path.join(':'),
    HOME: owner ? (account(owner.uid)?.home ?? '/nonexistent') : home,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TERM: 'dumb',
  };
}

function notStarted(failure: string): RunResult {
  return {
    code: null,
    signal: null,
    stdout: '',
    stderr: '',
    timedOut: false,
    truncated: false,
    failure,
    tookMs: 0,
  };
}

/** How it ended, as far as the kernel told us. */
interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly failure: string | null;
  readonly timedOut: boolean;
}

async function execute(prepared: Prepared, options: RunOptions): Promise<RunResult> {
  const startedAt = systemClock.monotonic();
  const kept = options.leash === 'none' ? createKeptOutput() : null;
  const child = start(prepared, options, kept);
  if (typeof child === 'string') {
    kept?.close();
    return notStarted(child);
  }
  const cap = options.outputCap ?? OUTPUT_CAP;
  const stdout = createChildOutput(cap);
  const stderr = createChildOutput(cap);
  child.stdout?.on('data', (chunk: Buffer) => stdout.add(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.add(chunk));
  giveInput(child, options.input);
  const ending = await awaitEnd(child, options);
  await sweep(child, prepared, options);
  kept?.collect(stdout, stderr);
  return result(ending, prepared, stdout, stderr, systemClock.monotonic() - startedAt);
}

function start(prepared: Prepared, options: RunOptions, kept: KeptOutput | null): ChildProcess | string {
  const [program, ...args] = prepared.argv;
  try {
    return spawn(program as string, args, {
      cwd: options.cwd,
      env: prepared.env,
      detached: true,
      shell: false,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', kept?.stdout ?? 'pipe', kept?.stderr ?? 'pipe'],
      ...prepared.owner,
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function giveInput(child: ChildProcess, input: string | undefined): void {
  if (!child.stdin) return;
  child.stdin.on('error', () => {}); // the program may close its input or end before it has read it
  child.stdin.end(input);
}

/** Waits for the exit, or for the deadline or the caller's abort and what follows from them. */
function awaitEnd(child: ChildProcess, options: RunOptions): Promise<Ending> {
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    let timedOut = false;
    const settle = (ending: Omit<Ending, 'timedOut'>): void => {
      for (const timer of timers) clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
      resolve({ ...ending, timedOut });
    };
    const stop = (): void => {
      signalGroup(child, 'SIGTERM');
      timers.push(setTimeout(() => signalGroup(child, 'SIGKILL'), TERM_GRACE_MS));
      timers.push(setTimeout(() => settle(STUCK), TERM_GRACE_MS + KILL_GRACE_MS));
    };
    const deadline = setTimeout(() => {
      timedOut = true;
      stop();
    }, options.timeoutMs);
    timers.push(deadline);
    options.signal?.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => settle({ code: null, signal: null, failure: error.message }));
    child.once('exit', (code, signal) => settle({ code, signal, failure: null }));
  });
}

const STUCK = { code: null, signal: null, failure: 'it did not end after SIGKILL: it hangs in the kernel' } as const;

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // the group is empty: nothing to do
  }
}

/** Ends what was left behind, and stops waiting for pipes that a survivor may hold. */
async function sweep(child: ChildProcess, prepared: Prepared, options: RunOptions): Promise<void> {
  if (options.leash !== 'none') {
    signalGroup(child, 'SIGKILL');
    if (!prepared.namespaced) killMarked(prepared.mark);
  }
  await pipesClosed(child);
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.stdin?.destroy();
  child.unref();
}

function pipesClosed(child: ChildProcess): Promise<void> {
  const open = [child.stdout, child.stderr].filter((stream) => stream !== null && !stream.destroyed);
  if (open.length === 0 || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PIPE_GRACE_MS);
    child.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function result(
  ending: Ending,
  prepared: Prepared,
  stdout: ChildOutput,
  stderr: ChildOutput,
  tookMs: number,
): RunResult {
  const errors = stderr.text();
  const failure = ending.failure ?? helperFailure(ending.code, errors);
  const signal = ending.signal ?? (prepared.namespaced ? signalOfCode(ending.code) : null);
  return {
    code: signal || failure ? null : ending.code,
    signal,
    stdout: stdout.text(),
    stderr: errors,
    timedOut: ending.timedOut,
    truncated: stdout.truncated || stderr.truncated,
    failure,
    tookMs: Math.round(tookMs),
  };
}

/** The helpers in front of the program start it for us: their word that they could not is a failure to start. */
function helperFailure(code: number | null, stderr: string): string | null {
  if (code !== 126 && code !== 127) return null;
  const said = /^\S*(?:timeout: failed to run command|setpriv: failed to execute|unshare: failed to execute).*/m.exec(
    stderr,
  );
  return said ? said[0] : null;
}

/** Signals that end a program by accident or by us. 129 stays a code: git uses it for wrong usage. */
const CODES = ['SIGILL', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGSEGV', 'SIGPIPE', 'SIGTERM'] as const;

function signalOfCode(code: number | null): string | null {
  return CODES.find((name) => code === 128 + constants.signals[name]) ?? null;
}
