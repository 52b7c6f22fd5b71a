// `init`: looks round in the project, proposes what it finds, asks what it cannot know, and writes a
// selfheal.yaml that the loader accepts. With --yes it asks nothing.

import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Secret } from '../config/secret.ts';
import { filesMatching } from '../config/discover.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, note, UsageError } from './context.ts';
import { type Answers, healthYaml, restartYaml, saveToken, yamlOf } from './init-file.ts';
import { Cancelled, terminalPrompter } from './prompter.ts';

export interface InitOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly name?: string;
  readonly directory?: string;
  readonly log?: readonly string[];
  readonly restart?: string;
  readonly health?: string;
  readonly telegramChat?: string;
  readonly telegramApiRoot?: string;
}

export async function init(context: CliContext, options: InitOptions): Promise<Exit> {
  const file = resolve(context.cwd, options.config ?? 'selfheal.yaml');
  const existing = await readFile(file, 'utf8').catch(() => null);
  if (existing !== null && !options.force)
    throw new UsageError(`${file} exists; use --force to replace it (a copy is kept)`);
  const answers = await answersFor(context, options, file);
  if (answers === null) return EXIT.interrupted;
  if (existing !== null) await copyFile(file, `${file}.before`);
  await writeFile(file, yamlOf(answers), { mode: 0o600 });
  if (answers.telegram?.token) await keepToken(context, join(dirname(file), '.env'), answers.telegram.token);
  const config = await load(context, { ...options, config: file }, { lenient: true });
  if (options.json)
    await context.out.json({ file, services: config.services.map(({ name, logs }) => ({ name, logs })) });
  else for (const line of farewell(context, file, answers)) await context.out.line(line);
  return EXIT.ok;
}

async function keepToken(context: CliContext, file: string, token: Secret): Promise<void> {
  if ((await saveToken(file, token)) === 'exposed')
    note(context, `others may read ${file}, where the bot's token is now; if no service needs that: chmod 600 ${file}`);
}

/** Null when the person gave up. */
async function answersFor(context: CliContext, options: InitOptions, file: string): Promise<Answers | null> {
  const proposal = await propose(context, options, dirname(file));
  if (options.yes || options.json || context.stdin.isTTY !== true || !context.stdout.isTTY) return proposal;
  const { askForAnswers } = await import('./init-questions.ts');
  try {
    return await askForAnswers(await terminalPrompter(), proposal, context);
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    note(context, 'nothing was written');
    return null;
  }
}

// ---------------------------------------------------------------- looking round

/** Paths in the file are relative to its own folder. */
async function propose(context: CliContext, options: InitOptions, base: string): Promise<Answers> {
  const directory = resolve(context.cwd, options.directory ?? '.');
  const flag = flagsOf(options);
  return {
    name: options.name ?? (basename(directory).replace(/[^A-Za-z0-9._-]+/g, '-') || 'service'),
    directory: relative(base, directory) || '.',
    logs: options.log ?? (await findLogs(directory)),
    restart: flag.restart,
    health: flag.health,
    telegram:
      options.telegramChat || options.telegramApiRoot
        ? {
            user: options.telegramChat ?? '',
            chat: options.telegramChat ?? '',
            apiRoot: options.telegramApiRoot ?? null,
            token: null,
          }
        : null,
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

function farewell(context: CliContext, file: string, answers: Answers): string[] {
  const { colors } = context;
  const logs = answers.logs.length > 0 ? answers.logs.join(', ') : 'no log files found: name them under `logs`';
  return [
    `${colors.green('✓')} wrote ${file}`,
    `  ${answers.name}: ${logs}`,
    '',
    ...(answers.logs.length > 0
      ? []
      : [
          'Nothing would be read yet. One of:',
          `  name its log files under \`logs\` in ${file}`,
          '  or its program under `command` there: selfheal starts it and reads what it prints',
          '  or `selfheal run -- CMD` instead of `selfheal watch`: the same, without editing',
          '',
        ]),
    'Next:',
    '  selfheal doctor          is everything here that selfheal needs?',
    '  selfheal scan            what do the logs say today?',
    '  selfheal watch           start watching',
  ];
}
