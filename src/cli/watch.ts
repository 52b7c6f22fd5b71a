// `watch` and `run`: the monitor in the foreground until it is told to stop.

import { access, constants } from 'node:fs/promises';
import { delimiter, resolve } from 'node:path';
import type { Flags } from '../config/load.ts';
import type { Config } from '../config/contract.ts';
import { redact } from '../core/redact.ts';
import { createLog, type LogLevel } from '../telemetry/log.ts';
import type { Sight } from './composition.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, UsageError } from './context.ts';
import { giveBack } from './give-back.ts';
import { sightOf } from './sight.ts';

export interface WatchOptions extends CommonOptions {
  readonly autoFix: boolean;
  /** Default: `info`, or `warn` with `quiet`. */
  readonly logLevel?: LogLevel;
  /** Neither what happens nor the program's output is shown. */
  readonly quiet?: boolean;
}

export async function watch(context: CliContext, options: WatchOptions): Promise<Exit> {
  const config = await load(context, options, { flags: flagsOf(options) });
  if (config.services.length === 0)
    throw new UsageError(
      config.file === null
        ? 'there is no configuration: `selfheal init` writes one, `selfheal run -- CMD` needs none'
        : `${config.file} names no services; there is nothing to watch`,
    );
  return monitor(context, config, options, sightOf(context, options, { echo: false }));
}

export async function supervise(
  context: CliContext,
  command: readonly string[],
  options: WatchOptions & { readonly name?: string },
): Promise<Exit> {
  await requireProgram(command[0] ?? '', context);
  const flags = { ...flagsOf(options), command, ...(options.name !== undefined && { name: options.name }) };
  const config = await load(context, options, { flags });
  return monitor(context, config, options, sightOf(context, options, { echo: true }));
}

/** `run` is typed by a person: a program that is not there is a slip of the hand, and no incident to wait with. */
async function requireProgram(program: string, { cwd, environment }: CliContext): Promise<void> {
  const folders = program.includes('/') ? [''] : (environment['PATH'] ?? '').split(delimiter);
  for (const folder of folders) {
    const file = resolve(cwd, folder, program);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return;
  }
  throw new UsageError(`there is no program ${program} that could be started; nothing was begun`);
}

function flagsOf(options: WatchOptions): Flags {
  return options.autoFix === false ? { autoFix: false } : {};
}

async function monitor(context: CliContext, config: Config, options: WatchOptions, sight: Sight): Promise<Exit> {
  // A terminal that has gone is no reason to stop healing.
  context.stderr.on('error', () => {});
  const log = createLog({
    stream: context.stderr,
    clock: context.clock,
    level: options.logLevel ?? (options.quiet ? 'warn' : 'info'),
    json: options.json ?? false,
    redact,
  });
  const app = await context.composition.createApp(config, log, sight);
  try {
    const { dashboard, gateway } = await app.start();
    const addresses = [dashboard && `dashboard ${dashboard}`, gateway && `gateway ${gateway}`].filter(Boolean);
    if (options.json) await context.out.json({ event: 'ready', dashboard, gateway, pid: process.pid });
    else await context.out.line(['selfheal ready', ...addresses].join('  '));
    await context.out.flush();
    void giveBack(context.clock, context.signal);
    await aborted(context.signal);
    log.info('stopping');
  } finally {
    await app.stop();
  }
  return EXIT.ok;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
