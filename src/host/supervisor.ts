// Runs the programs of supervised services. It starts, stops and takes note; it never restarts by itself:
// a crash is an incident, and the restart is a fix with attempts, cool-down and proof like any other.

import type { Clock } from '../core/clock.ts';
import type { Request, Store } from '../store/contract.ts';
import type { Run, SupervisedService, Supervisor } from './contract.ts';
import { ServiceKeeper } from './service-keeper.ts';

export interface SupervisorOptions {
  readonly services: readonly SupervisedService[];
  readonly store: Pick<Store, 'value' | 'setValue' | 'takeRequests'>;
  readonly clock: Clock;
  readonly run: Run;
  /** The state folder. Output of the programs goes to `supervised/` in it. */
  readonly stateDirectory: string;
  /** What selfheal was started with: the program gets what it would have had without us. */
  readonly environment: Readonly<Record<string, string>>;
  /** Told of wishes that could not be met and the like. Must not throw. Default: nobody. */
  readonly problem?: (message: string, error: unknown) => void;
}

export interface SupervisorControl extends Supervisor {
  /** Adopts what survived a former selfheal and starts the rest, but not what a person has stopped. */
  startAll(): Promise<void>;
  /** Takes start and stop requests out of the store until the signal aborts. */
  serve(signal: AbortSignal): Promise<void>;
  /** Looks for requests now instead of within a second. */
  wake(): void;
  /** A new generation: whatever runs is stopped first. */
  restart(service: string): Promise<void>;
  /** Ends it and keeps it down until a person starts it. */
  stop(service: string, by: string): Promise<void>;
  /** Ends every program, politely first. Nothing survives. */
  close(): Promise<void>;
}

const POLL_MS = 1_000;
/** Consumed output is given back to the disk in pieces of this size. */
const PUNCH_BYTES = 4 * 1024 * 1024;
/** This much is kept behind the reader, who may have to read again what was not stored before a crash. */
const KEPT_BYTES = 8 * 1024 * 1024;

/**
 * @example
 * const supervisor = createSupervisor({ services, store, clock, run, stateDirectory, environment });
 * await supervisor.startAll();
 * const serving = supervisor.serve(signal);
 */
export function createSupervisor(options: SupervisorOptions): SupervisorControl {
  const { services, store, clock, run } = options;
  const problem = options.problem ?? (() => {});
  const keepers = new Map(
    services.map((service) => [service.name, new ServiceKeeper(service, { ...options, problem })]),
  );
  const keeperOf = (name: string): ServiceKeeper => {
    const keeper = keepers.get(name);
    if (!keeper) throw new Error(`${name} is not a supervised service`);
    return keeper;
  };
  const punched = new Map<string, number>();
  let wake = (): void => {};

  const takeWishes = async (): Promise<readonly Request[]> => {
    try {
      return await store.takeRequests(['start-service', 'stop-service']);
    } catch (error) {
      problem('wishes for services could not be read', error);
      return [];
    }
  };
  const obey = (request: Request): void => {
    const keeper = keepers.get(request.subject);
    if (!keeper) return;
    const done = request.kind === 'stop-service' ? keeper.stop(request.by) : keeper.restartFor(request.at);
    done.catch((error) => problem(`${request.kind} of ${request.subject} could not be done`, error));
  };

  return {
    services,
    generations: (name, signal) => keeperOf(name).generations(signal),
    async startAll() {
      await Promise.all([...keepers.values()].map((keeper) => keeper.resume()));
    },
    async serve(signal) {
      while (!signal.aborted) {
        const requests = await takeWishes();
        for (const request of requests) obey(request);
        await Promise.all([...keepers.values()].map((keeper) => keeper.saveAgain()));
        const nap = new AbortController();
        const end = (): void => nap.abort();
        wake = end;
        signal.addEventListener('abort', end, { once: true });
        await clock.sleep(POLL_MS, nap.signal);
        signal.removeEventListener('abort', end);
      }
    },
    wake: () => wake(),
    restart: (name) => keeperOf(name).restart(),
    stop: (name, by) => keeperOf(name).stop(by),
    async consumed(generation, stdoutBytes, stderrBytes) {
      await giveBack(run, punched, generation.stdout, stdoutBytes);
      await giveBack(run, punched, generation.stderr, stderrBytes);
    },
    async close() {
      // All of them, also when one cannot be ended.
      const closed = await Promise.allSettled([...keepers.values()].map((keeper) => keeper.close()));
      for (const one of closed) if (one.status === 'rejected') problem('a program could not be ended', one.reason);
    },
  };
}

/**
 * Frees the room of the bytes before `bytes` without touching what is written meanwhile: a hole is punched, the file
 * keeps its length and its writer its place. Where the file system cannot do that the room comes back with the next start.
 */
async function giveBack(run: Run, punched: Map<string, number>, file: string, bytes: number): Promise<void> {
  const before = punched.get(file) ?? 0;
  const upTo = Math.floor((bytes - KEPT_BYTES) / PUNCH_BYTES) * PUNCH_BYTES;
  if (upTo <= before) return;
  punched.set(file, upTo);
  await run(['fallocate', '--punch-hole', '--offset', '0', '--length', String(upTo), '--', file], {
    cwd: '/',
    timeoutMs: 20_000,
  });
}
