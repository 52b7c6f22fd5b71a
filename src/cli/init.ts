// `init`: looks round in the project, proposes what it finds, asks what it cannot know, and writes a
// selfheal.yaml that the loader accepts. With --yes it asks nothing.

import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { filesMatching } from '../config/discover.ts';
import { isHttpUrl, parseAddress } from '../config/values.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, note, UsageError } from './context.ts';

export interface InitOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly name?: string;
  readonly directory?: string;
  readonly log?: readonly string[];
  readonly restart?: string;
  readonly health?: string;
  readonly telegramChat?: string;
}

interface Answers {
  readonly name: string;
  /** As written in the file. */
  readonly directory: string;
  readonly logs: readonly string[];
  readonly restart: string | null;
  readonly health: string | null;
  readonly telegram: { readonly user: string; readonly chat: string } | null;
}

export async function init(context: CliContext, options: InitOptions): Promise<Exit> {
  const file = resolve(context.cwd, options.config ?? 'selfheal.yaml');
  const existing = await readFile(file, 'utf8').catch(() => null);
  if (existing !== null && !options.force)
    throw new UsageError(`${file} exists; use --force to replace it (a copy is kept)`);
  const directory = resolve(context.cwd, options.directory ?? '.');
  const proposal = await propose(context, directory, options);
  const interactive = !options.yes && !options.json && context.stdin.isTTY === true && context.stdout.isTTY;
  const answers = interactive ? await ask(context, proposal) : proposal;
  if (answers === null) return EXIT.interrupted;
  if (existing !== null) await copyFile(file, `${file}.before`);
  await writeFile(file, yamlOf(answers), { mode: 0o600 });
  const config = await load(context, { ...options, config: file }, { lenient: true });
  if (options.json)
    await context.out.json({ file, services: config.services.map(({ name, logs }) => ({ name, logs })) });
  else for (const line of farewell(context, file, answers)) await context.out.line(line);
  return EXIT.ok;
}

// ---------------------------------------------------------------- looking round

async function propose(context: CliContext, directory: string, options: InitOptions): Promise<Answers> {
  const flag = flagsOf(options);
  return {
    name: options.name ?? (basename(directory).replace(/[^A-Za-z0-9._-]+/g, '-') || 'service'),
    directory: relative(context.cwd, directory) || '.',
    logs: options.log ?? (await findLogs(directory)),
    restart: flag.restart,
    health: flag.health,
    telegram: options.telegramChat ? { user: options.telegramChat, chat: options.telegramChat } : null,
  };
}

function flagsOf(options: InitOptions): { readonly restart: string | null; readonly health: string | null } {
  if (options.restart !== undefined && restartYaml(options.restart) === null)
    throw new UsageError(`--restart: expected systemd:UNIT, pm2:NAME or docker:NAME, found "${options.restart}"`);
  if (options.health !== undefined && healthYaml(options.health) === null)
    throw new UsageError(`--health: expected http://… or HOST:PORT, found "${options.health}"`);
  if (options.telegramChat !== undefined && !/^-?\d+$/.test(options.telegramChat))
    throw new UsageError(`--telegram-chat: expected a number, found "${options.telegramChat}"`);
  return { restart: options.restart ?? null, health: options.health ?? null };
}

/** One pattern for each folder that holds logs, near the top of the project. */
async function findLogs(directory: string): Promise<string[]> {
  const found = new Set<string>();
  for (const depth of ['*.log', '*/*.log', '*/*/*.log'])
    for (const path of await logsAt(directory, depth)) found.add(join(relative(directory, path), '..', '*.log'));
  return [...found].sort();
}

const FOREIGN = /(?:^|\/)(?:node_modules|\.git|\.venv|venv|\.selfheal)(?:\/|$)/;

async function logsAt(directory: string, glob: string): Promise<string[]> {
  const parts = glob.split('/').slice(0, -1);
  let folders = [directory];
  for (const _ of parts) folders = (await Promise.all(folders.map(subfolders))).flat();
  return (await Promise.all(folders.map((folder) => filesMatching(join(folder, '*.log'))))).flat();
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !FOREIGN.test(entry.name))
    .slice(0, 200)
    .map((entry) => join(folder, entry.name));
}

// ---------------------------------------------------------------- asking

async function ask(context: CliContext, proposal: Answers): Promise<Answers | null> {
  const prompts = await import('@clack/prompts');
  prompts.intro('selfheal init');
  try {
    const text = async (message: string, initialValue: string, check: (value: string) => string | undefined) => {
      const given = await prompts.text({ message, initialValue, validate: (value) => check(value ?? '') });
      if (prompts.isCancel(given)) throw new Cancelled();
      return given.trim();
    };
    const name = await text('Name of the service', proposal.name, (v) =>
      /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(v) ? undefined : 'letters, digits, dots, dashes and underscores',
    );
    const logs = await text('Its log files, separated by spaces', proposal.logs.join(' ') || 'logs/*.log', (v) =>
      v.trim() ? undefined : 'at least one pattern, such as logs/*.log',
    );
    const restart = await text(
      'How is it restarted? systemd:UNIT, pm2:NAME, docker:NAME, or nothing',
      proposal.restart ?? '',
      (v) => (v.trim() === '' || restartYaml(v) ? undefined : 'systemd:UNIT, pm2:NAME or docker:NAME'),
    );
    const health = await text(
      'How to see that it works? http://…, HOST:PORT, or nothing',
      proposal.health ?? '',
      (v) => (v.trim() === '' || healthYaml(v) ? undefined : 'http://… or HOST:PORT'),
    );
    const telegram = proposal.telegram ?? (await askForTelegram(context, text));
    prompts.outro('Writing selfheal.yaml');
    const patterns = logs.split(/\s+/);
    return { ...proposal, name, logs: patterns, restart: restart || null, health: health || null, telegram };
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    prompts.cancel('Nothing was written.');
    return null;
  }
}

class Cancelled extends Error {}

type AskText = (message: string, initial: string, check: (value: string) => string | undefined) => Promise<string>;

async function askForTelegram(context: CliContext, text: AskText): Promise<Answers['telegram']> {
  const id = (value: string): string | undefined =>
    value.trim() === '' || /^-?\d+$/.test(value.trim()) ? undefined : 'a number, or nothing';
  if (!context.environment['TELEGRAM_BOT_TOKEN'])
    note(context, 'for Telegram, get a token from @BotFather and put TELEGRAM_BOT_TOKEN=… into .env beside the file');
  const user = await text('Your Telegram user id (nothing: no Telegram)', '', id);
  if (user === '') return null;
  return { user, chat: user };
}

// ---------------------------------------------------------------- writing

function restartYaml(how: string): string | null {
  const [, kind, name] = /^(systemd|pm2|docker):([A-Za-z0-9_][\w:.\\@-]*)$/.exec(how.trim()) ?? [];
  return kind ? `{${kind}: ${JSON.stringify(name)}}` : null;
}

function healthYaml(how: string): string | null {
  const value = how.trim();
  if (isHttpUrl(value)) return `{http: ${JSON.stringify(value)}}`;
  return parseAddress(value) ? `{tcp: ${JSON.stringify(value)}}` : null;
}

/** Text of the file. JSON strings are valid YAML, whatever is in them. */
function yamlOf(answers: Answers): string {
  const restart = answers.restart === null ? null : restartYaml(answers.restart);
  const health = answers.health === null ? null : healthYaml(answers.health);
  return [
    '# selfheal: what is watched, and what may be done about it. Every key: docs/configuration.md',
    'self_healing:',
    '  enabled: true',
    '  auto_fix: true',
    '  check_interval: 300',
    '  max_auto_fix_attempts: 3',
    '',
    'services:',
    `  ${JSON.stringify(answers.name)}:`,
    `    directory: ${JSON.stringify(answers.directory)}`,
    `    logs: ${JSON.stringify(answers.logs)}`,
    restart ? `    restart: ${restart}` : '    # restart: {systemd: UNIT}    # or pm2, docker, {command: [...]}',
    health ? `    health: ${health}` : '    # health: {http: "http://127.0.0.1:8080/healthz"}',
    '    fixes:                       # off | suggest | approve | auto',
    '      install-package: auto',
    '      sync-git: approve',
    '',
    ...(answers.telegram
      ? [
          'telegram:',
          '  token: ${TELEGRAM_BOT_TOKEN}   # from @BotFather; put it into .env beside this file',
          `  allowed_users: [${answers.telegram.user}]`,
          `  chat: ${answers.telegram.chat}`,
        ]
      : ['# telegram: {token: "${TELEGRAM_BOT_TOKEN}", allowed_users: [123456789]}']),
    '',
  ].join('\n');
}

function farewell(context: CliContext, file: string, answers: Answers): string[] {
  const { colors } = context;
  const logs = answers.logs.length > 0 ? answers.logs.join(', ') : 'no log files found: name them under `logs`';
  return [
    `${colors.green('✓')} wrote ${file}`,
    `  ${answers.name}: ${logs}`,
    '',
    'Next:',
    '  selfheal doctor          is everything here that selfheal needs?',
    '  selfheal scan            what do the logs say today?',
    '  selfheal watch           start watching',
  ];
}
