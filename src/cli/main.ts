// The table of commands. Each loads its code when it is called, so that `--help` and short answers start fast.

import { userInfo } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import pc from 'picocolors';
import type { Clock } from '../core/clock.ts';
import type { Composition } from './composition.ts';
import { type CliContext, EXIT, UsageError } from './context.ts';
import { type Environment, Printer, ReaderGone, wantsColor } from './output.ts';

export interface MainOptions {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Environment;
  readonly stdin: CliContext['stdin'];
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly version: string;
  readonly composition: Composition;
}

/** Runs one command and gives its exit code. Never throws. */
export async function main(options: MainOptions): Promise<number> {
  const context = contextOf(options);
  let code: number = EXIT.ok;
  const program = build(context, (exit) => {
    code = exit;
  });
  try {
    await program.parseAsync([...options.argv], { from: 'user' });
    await context.out.flush();
    return code;
  } catch (error) {
    await context.out.flush().catch(() => undefined);
    return explain(error, context);
  }
}

function contextOf(options: MainOptions): CliContext {
  const { argv: _, ...rest } = options;
  return {
    ...rest,
    out: new Printer(options.stdout),
    colors: pc.createColors(wantsColor(options.stdout, options.environment)),
    person: `cli:${options.environment['SUDO_USER'] ?? nameOfUser()}`,
  };
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** What went wrong, for people, and the exit code that says so to programs. */
function explain(error: unknown, context: CliContext): number {
  if (error instanceof ReaderGone) return EXIT.ok;
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (context.signal.aborted) return EXIT.interrupted;
  const { name, message } = error as Error;
  const say = (text: string): void => void context.stderr.write(`${text}\n`);
  if (name === 'ConfigError') {
    say(message);
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    say(`selfheal: ${message}`);
    return EXIT.usage;
  }
  if (name === 'StoreError') {
    // Held by somebody else is not out of reach: who holds it, and what to do, stands in the message.
    const isHeld = (error as { readonly code?: unknown }).code === 'locked';
    say(isHeld ? `selfheal: ${message}` : `selfheal: the store cannot be reached: ${message}`);
    return EXIT.unreachable;
  }
  say(`selfheal: unexpected ${error instanceof Error ? (error.stack ?? message) : String(error)}`);
  return EXIT.unreachable;
}

type Action = (context: CliContext) => Promise<number>;

function build(context: CliContext, done: (exit: number) => void): Command {
  const run = async (action: Action): Promise<void> => done(await action(context));
  const program = new Command('selfheal')
    .description('Watches logs, understands what broke, applies fixes it can prove and undo, and tells the owner.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help; `selfheal COMMAND --help` for one command')
    .addHelpCommand(
      new Command('help').argument('[command]').description('print help for a command').helpGroup('Set up'),
    )
    .option('-c, --config <file>', 'configuration file (default: ./selfheal.yaml, then the user’s, then /etc/selfheal)')
    .option('--state <folder>', 'where selfheal keeps its memory (default: .selfheal beside the configuration)')
    .option('--json', 'JSON on stdout, and nothing else there')
    .showHelpAfterError('(see `selfheal --help`)')
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true, helpWidth: context.stdout.columns ?? 100 })
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      getOutHasColors: () => context.colors.isColorSupported,
    })
    .exitOverride();

  const command = (usage: string, summary: string, details = ''): Command =>
    program
      .command(usage)
      .summary(summary)
      .description(
        `${summary.charAt(0).toUpperCase()}${summary.slice(1)}${summary.endsWith('?') ? '' : '.'}${details ? `\n\n${details}` : ''}`,
      )
      .exitOverride();
  const options = <T extends object>(of: Command): T => of.optsWithGlobals<T>();

  program.commandsGroup('Watch and heal');
  const watch = command('watch', 'run the monitor in the foreground until Ctrl-C or SIGTERM', WATCH_HELP);
  addFlags(watch).action(() => run(async (c) => (await import('./watch.ts')).watch(c, options(watch))));
  const supervise = command('run <command...>', 'the same, and also start, supervise and restart CMD', RUN_HELP);
  supervise
    .usage('[options] -- CMD [ARG...]')
    .option('--name <name>', 'name of the service (default: the program’s name)');
  addFlags(supervise).action((argv: string[]) =>
    run(async (c) => (await import('./watch.ts')).supervise(c, argv, options(supervise))),
  );
  const gateway = command('gateway', 'the model gateway alone, in the foreground', GATEWAY_HELP);
  addLogLevel(gateway).action(() => run(async (c) => (await import('./gateway.ts')).gateway(c, options(gateway))));
  const env = gateway
    .command('env')
    .description('Print the variables that point an agent at the gateway.')
    .exitOverride();
  env
    .option('--service <name>', 'with the token of this service (default: the only one)')
    .action(() => run(async (c) => (await import('./gateway.ts')).env(c, options(env))));
  const demo = command('demo', 'break two small agents in six ways each and watch them being healed');
  demo.action(() => run(async (c) => (await import('./demo.ts')).demo(c, options(demo))));

  program.commandsGroup('Look');
  const scan = command('scan [file...]', 'find errors in files or a pipe; touches nothing', SCAN_HELP);
  scan
    .option('--since <time>', 'leave out what is older: 60m, 2h, 2026-01-05T10:00')
    .action((files: string[]) => run(async (c) => (await import('./scan.ts')).scan(c, files, options(scan))));
  const status = command('status', 'how selfheal itself is: daemon, sources, pause, outbox');
  status.action(() => run(async (c) => (await import('./status.ts')).status(c, options(status))));
  const health = command('health', 'errors of the last half hour and the state of each service');
  minutes(health, 30).action(() => run(async (c) => (await import('./answers.ts')).health(c, options(health))));
  const errors = command('errors', 'errors of the last hour by type');
  minutes(errors, 60).action(() => run(async (c) => (await import('./answers.ts')).errors(c, options(errors))));
  const report = command('report', 'errors, fixes and what is open');
  report.action(() => run(async (c) => (await import('./answers.ts')).report(c, options(report))));
  const incidents = command('incidents', 'incidents as rows, newest first');
  incidents
    .option('--all', 'also those that are over')
    .action(() => run(async (c) => (await import('./incidents.ts')).incidents(c, options(incidents))));
  const incident = command('incident <id>', 'one incident with evidence, plan, steps, checks and outcome');
  incident.action((id: string) =>
    run(async (c) => (await import('./incidents.ts')).incident(c, id, options(incident))),
  );
  const history = command('history', 'what was done, and how it ended');
  history
    .addOption(new Option('--limit <n>', 'rows').default(20).argParser(wholeNumber))
    .action(() => run(async (c) => (await import('./answers.ts')).history(c, options(history))));
  const why = command(
    'why <text-or-id...>',
    'which rule matched, which nearly did, what made the fingerprint',
    WHY_HELP,
  );
  why.action((words: string[]) => run(async (c) => (await import('./why.ts')).why(c, words.join(' '), options(why))));

  program.commandsGroup('Decide');
  const plan = command('plan <id>', 'dry run: what would be done, what would undo it, why it may or may not run');
  plan.action((id: string) => run(async (c) => (await import('./plan.ts')).plan(c, id, options(plan))));
  const fix = command('fix [id]', 'heal one incident, or all that can be healed');
  fix.action((id: string | undefined) =>
    run(async (c) => (await import('./answers.ts')).fix(c, id ?? null, options(fix))),
  );
  for (const verb of ['approve', 'deny'] as const) {
    const decide = command(`${verb} <id>`, `${verb} the plan that an incident waits with`, DECIDE_HELP);
    decide
      .option('--hash <hash>', 'only this exact plan; its first characters are enough')
      .action((id: string) => run(async (c) => (await import('./decide.ts')).decide(c, verb, id, options(decide))));
  }
  const rollback = command('rollback <id>', 'undo what was done for an incident, and prove it');
  rollback.action((id: string) => run(async (c) => (await import('./decide.ts')).rollback(c, id, options(rollback))));
  const resolve = command('resolve <id>', 'close an incident that you have seen to; seen again, it opens again');
  resolve.action((id: string) => run(async (c) => (await import('./decide.ts')).resolve(c, id, options(resolve))));
  const silence = command('silence <id>', 'say nothing about an incident for a while');
  silence
    .addOption(new Option('--for <duration>', 'how long: 30m, 2h, 1d (default: 2h)'))
    .action((id: string) => run(async (c) => (await import('./decide.ts')).silence(c, id, options(silence))));
  const merge = command(
    'merge <id> <into>',
    'two incidents are one problem: what is seen of the first counts for the second',
  );
  merge.action((id: string, into: string) =>
    run(async (c) => (await import('./decide.ts')).merge(c, id, into, options(merge))),
  );
  const split = command('split <id>', 'one incident is several problems: tell them apart by a fact', SPLIT_HELP);
  split
    .option('--by <fact>', 'path, host, port, module, …, or message (default: the fact in which its records differ)')
    .action((id: string) => run(async (c) => (await import('./decide.ts')).split(c, id, options(split))));
  const ungroup = command('ungroup <id>', 'take a merge or a split back');
  ungroup.action((id: string) => run(async (c) => (await import('./decide.ts')).ungroup(c, id, options(ungroup))));
  const pause = command('pause [reason...]', 'stop all acting of this state folder until `resume`; watching goes on');
  pause
    .option('--for <duration>', 'end by itself after 30m, 2h, 1d: for maintenance')
    .action((reason: string[]) =>
      run(async (c) => (await import('./decide.ts')).pause(c, reason.join(' '), options(pause))),
    );
  const resume = command('resume', 'act again after a pause or an opened breaker');
  resume.action(() => run(async (c) => (await import('./decide.ts')).resume(c, options(resume))));

  const pull = command('pull [service]', 'take in the newest upstream commits, through a plan like any other');
  pull.action((service: string | undefined) =>
    run(async (c) => (await import('./decide.ts')).pull(c, service, options(pull))),
  );
  for (const verb of ['start', 'stop'] as const) {
    const control = command(`${verb} <service>`, `${verb} a service that selfheal supervises`);
    control.action((service: string) =>
      run(async (c) => (await import('./decide.ts')).control(c, verb, service, options(control))),
    );
  }

  program.commandsGroup('Set up');
  const init = command('init', 'write a selfheal.yaml by asking a few questions', INIT_HELP);
  init
    .option('--yes', 'ask nothing: take the flags and what is found')
    .option('--force', 'replace an existing file; a copy is kept')
    .option('--name <name>', 'name of the service (default: the folder’s name)')
    .option('--directory <folder>', 'the project (default: this folder)')
    .option('--log <pattern...>', 'log files, relative to the project')
    .option('--restart <how>', 'systemd:UNIT, pm2:NAME or docker:NAME')
    .option('--health <url>', 'http://… or HOST:PORT')
    .option('--telegram-chat <id>', 'your user id; the token is read from TELEGRAM_BOT_TOKEN')
    .option('--telegram-api-root <url>', 'a Bot API server of your own')
    .action(() => run(async (c) => (await import('./init.ts')).init(c, options(init))));
  const drill = command(
    'drill [fix...]',
    'rehearse fixes: your own on a copy of the service, others in worlds of their own',
  );
  drill.action((names: string[]) => run(async (c) => (await import('./drill.ts')).drill(c, names, options(drill))));
  const doctor = command('doctor', 'self-examination: is everything here that selfheal needs?');
  doctor.action(() => run(async (c) => (await import('./doctor.ts')).doctor(c, options(doctor))));
  const config = program
    .command('config')
    .summary('the configuration')
    .description('The configuration.')
    .exitOverride();
  const check = config.command('check').description('Check the file and print what it comes to.').exitOverride();
  check
    .argument('[file]', 'file to check (default: the one that would be used)')
    .action((file: string | undefined) =>
      run(async (c) => (await import('./config.ts')).check(c, file, options(check))),
    );
  const rules = program.command('rules').summary('your own rules').description('Your own rules.').exitOverride();
  const test = rules.command('test').description(RULES_TEST).exitOverride();
  test
    .argument('<file>', 'YAML file with rules')
    .argument('[log]', 'log to try them on; - is standard input')
    .action((file: string, log: string | undefined) =>
      run(async (c) => (await import('./rules.ts')).test(c, file, log, options(test))),
    );

  return program;
}

function addLogLevel(command: Command): Command {
  const level = new Option('--log-level <level>', 'what selfheal says about itself (default: info)').choices(LEVELS);
  return command.addOption(level);
}

function addFlags(command: Command): Command {
  return addLogLevel(command.option('--no-auto-fix', 'detect and tell, but change nothing')).option(
    '-q, --quiet',
    'show neither what happens nor the program’s output; warnings still go to stderr',
  );
}

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

function minutes(command: Command, otherwise: number): Command {
  return command.addOption(
    new Option('--minutes <n>', 'how far to look back').default(otherwise).argParser(wholeNumber),
  );
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0)
    throw new UsageError(`expected a whole number above 0, found "${text}"`);
  return Number(text);
}

const WATCH_HELP =
  'Prints one line `selfheal ready` once it follows its sources, and one line on stderr for each thing that happens: ' +
  'seen, healing, checked, fixed (with the proof and the command that undoes it), needs you.';
const RUN_HELP =
  'Needs no configuration file. Everything behind `--` is the command; its output is watched and passed on to stdout ' +
  'and stderr. What is seen and healed is told on stderr, a line each. With --json both are JSON lines on stdout.\n' +
  'Example: selfheal run -- python agent.py';
const GATEWAY_HELP =
  'Agents that use ANTHROPIC_BASE_URL or OPENAI_BASE_URL talk to it instead of their provider; it passes everything on, ' +
  'and finds another model when the provider cannot answer. `watch` and `run` start it by themselves when the ' +
  'configuration has a `gateway` block. Example: eval "$(selfheal gateway env)"';
const SCAN_HELP =
  'Reads plain and .gz files in the order given; `-` is standard input. Without a file: the logs of the configuration.\n' +
  'Exit code 1 when errors were found. Example: journalctl -u agent -o cat | selfheal scan - --json';
const WHY_HELP = 'Takes a line of a log, or the id of an incident.';
const DECIDE_HELP = 'A decision is about the exact plan shown by `selfheal plan ID`, by its hash.';
const SPLIT_HELP =
  'Holds for what is seen from now on, across restarts, until `ungroup`. Example: selfheal split 7 --by path';
const INIT_HELP = 'Looks round in the project first, and proposes what it finds. Never overwrites without --force.';
const RULES_TEST = 'Check a file of your own rules: their samples, and what they find in a log.';
