// `gateway`: the model gateway alone, in the foreground; and the variables that point agents at it.

import { redact } from '../core/redact.ts';
import { createLog, type LogLevel } from '../telemetry/log.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, note, UsageError } from './context.ts';

export interface GatewayOptions extends CommonOptions {
  readonly logLevel?: LogLevel;
}

export async function gateway(context: CliContext, options: GatewayOptions): Promise<Exit> {
  const config = await load(context, options);
  const { stderr: stream, clock } = context;
  const log = createLog({ stream, clock, level: options.logLevel ?? 'info', json: options.json ?? false, redact });
  const running = await context.composition.openGateway(config, log).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new UsageError(`the gateway's address is taken (${error.message}): does one run already?`);
  });
  try {
    if (options.json) await context.out.json({ event: 'ready', gateway: running.url, pid: process.pid });
    else await context.out.line(`selfheal gateway ready  ${running.url}`);
    await context.out.flush();
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      else context.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    await running.close();
  }
  return EXIT.ok;
}

export interface EnvOptions extends CommonOptions {
  readonly service?: string;
}

/** Prints `export NAME=value` lines, for `eval`; says on stderr when nobody answers there. */
export async function env(context: CliContext, options: EnvOptions): Promise<Exit> {
  const config = await load(context, options, { lenient: true });
  const names = config.services.map(({ name }) => name);
  if (options.service !== undefined && !names.includes(options.service))
    throw new UsageError(
      `there is no service ${options.service}; the configuration names ${names.join(', ') || 'none'}`,
    );
  const service = options.service ?? (names.length === 1 ? (names[0] as string) : null);
  const { variables, answers } = await context.composition.gatewayEnvironment(config, service);
  if (options.json) await context.out.json(variables);
  else for (const [name, value] of Object.entries(variables)) await context.out.line(`export ${name}=${value}`);
  if (answers) return EXIT.ok;
  note(context, 'nobody answers there: `selfheal gateway`, or `watch` with a `gateway` block, starts it');
  return EXIT.unreachable;
}
