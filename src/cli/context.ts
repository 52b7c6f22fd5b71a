// What every command is given, and how it ends.

import type { Config } from '../config/contract.ts';
import type { Flags } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Operations } from '../operations.ts';
import type { Composition } from './composition.ts';
import type { Colors, Environment, Printer } from './output.ts';

/** Exit codes that other programs rely on. */
export const EXIT = {
  /** Done, and healthy. */
  ok: 0,
  /** Done, and the answer is bad news: errors found, fix failed, not healthy. */
  badNews: 1,
  /** Wrong usage or configuration. */
  usage: 2,
  /** The daemon or the store cannot be reached. */
  unreachable: 3,
  /** Ended by Ctrl-C, as shells report it. */
  interrupted: 130,
} as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** Options that every command takes. */
export interface CommonOptions {
  readonly config?: string;
  /** Folder of the store; beats the configuration. */
  readonly state?: string;
  readonly json?: boolean;
}

export interface CliContext {
  readonly composition: Composition;
  readonly cwd: string;
  readonly environment: Environment;
  readonly stdin: NodeJS.ReadableStream & AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly out: Printer;
  readonly colors: Colors;
  readonly clock: Clock;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Stored with every decision. */
  readonly person: string;
  readonly version: string;
}

/** Wrong usage that only a command can see. Ends with exit code 2. */
export class UsageError extends Error {}

/** Columns to print into. */
export function widthOf(context: CliContext): number {
  return context.stdout.isTTY ? (context.stdout.columns ?? 100) : 120;
}

/** A message for people, on stderr: stdout may hold JSON. */
export function note(context: CliContext, text: string): void {
  context.stderr.write(`selfheal: ${text}\n`);
}

export function load(
  context: CliContext,
  options: CommonOptions,
  extra: { readonly flags?: Flags; readonly lenient?: boolean } = {},
): Promise<Config> {
  return context.composition.loadConfig({
    cwd: context.cwd,
    environment: context.environment,
    ...(options.config !== undefined && { file: options.config }),
    ...extra,
    flags: { ...(options.state !== undefined && { state: options.state }), ...extra.flags },
  });
}

/** Opens the store of the configuration, asks, and closes it whatever happens. */
export async function ask<T>(
  context: CliContext,
  options: CommonOptions,
  use: (operations: Operations, config: Config) => Promise<T>,
): Promise<T> {
  const config = await load(context, options, { lenient: true });
  const operations = await context.composition.openOperations(config);
  try {
    return await use(operations, config);
  } finally {
    await operations.close();
  }
}
