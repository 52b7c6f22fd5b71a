// What `init` writes: a selfheal.yaml with the answers and hints, and the bot's token into the .env beside it.

import { appendFile, readFile, stat } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import type { Secret } from '../config/secret.ts';
import { isHttpUrl, parseAddress } from '../config/values.ts';

export interface Telegram {
  /** Empty while nobody has been found yet. */
  readonly user: string;
  readonly chat: string;
  /** Null: Telegram's own server. */
  readonly apiRoot: string | null;
  /** Null: it is in the environment already. */
  readonly token: Secret | null;
}

export interface Answers {
  readonly name: string;
  /** As written in the file. */
  readonly directory: string;
  readonly logs: readonly string[];
  /** `systemd:UNIT`, `pm2:NAME` or `docker:NAME`. */
  readonly restart: string | null;
  /** An http address or `HOST:PORT`. */
  readonly health: string | null;
  readonly telegram: Telegram | null;
}

export function restartYaml(how: string): string | null {
  const [, kind, name] = /^(systemd|pm2|docker):([A-Za-z0-9_][\w:.\\@-]*)$/.exec(how.trim()) ?? [];
  return kind ? `{${kind}: ${JSON.stringify(name)}}` : null;
}

export function healthYaml(how: string): string | null {
  const value = how.trim();
  if (isHttpUrl(value)) return `{http: ${JSON.stringify(value)}}`;
  return parseAddress(value) ? `{tcp: ${JSON.stringify(value)}}` : null;
}

/** Text of the file. JSON strings are valid YAML, whatever is in them. */
export function yamlOf(answers: Answers): string {
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
    `    directory: ${literal(answers.directory)}`,
    `    logs: [${answers.logs.map(literal).join(', ')}]`,
    '    # command: [python, main.py]     # selfheal starts and supervises it, and reads its output',
    restart ? `    restart: ${restart}` : '    # restart: {systemd: UNIT}    # or pm2, docker, {command: [...]}',
    health ? `    health: ${health}` : '    # health: {http: "http://127.0.0.1:8080/healthz"}',
    '    fixes:                       # off | suggest | approve | auto',
    '      install-package: auto',
    '      sync-git: approve',
    '',
    ...telegramLines(answers.telegram),
    '',
  ].join('\n');
}

/** A text that must not be taken for a reference to the environment. */
function literal(text: string): string {
  return JSON.stringify(text.replaceAll('${', '$${'));
}

function telegramLines(telegram: Telegram | null): string[] {
  if (!telegram?.user) return ['# telegram: {token: "${TELEGRAM_BOT_TOKEN}", allowed_users: [123456789]}'];
  return [
    'telegram:',
    '  token: ${TELEGRAM_BOT_TOKEN}   # kept in .env beside this file',
    `  allowed_users: [${telegram.user}]`,
    `  chat: ${telegram.chat}`,
    ...(telegram.apiRoot ? [`  api_root: ${JSON.stringify(telegram.apiRoot)}`] : []),
  ];
}

/**
 * Adds the token to an .env file that has none. Never changes what stands there. A file that is made here is its
 * owner's alone; one that was there keeps its mode, because others may have to read it: `exposed` says that they can.
 */
export async function saveToken(file: string, token: Secret): Promise<'saved' | 'exposed' | 'kept'> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if ('TELEGRAM_BOT_TOKEN' in parseEnv(text)) return 'kept';
  const gap = text === '' || text.endsWith('\n') ? '' : '\n';
  await appendFile(file, `${gap}TELEGRAM_BOT_TOKEN=${token.reveal()}\n`, { mode: 0o600 });
  return ((await stat(file)).mode & 0o077) === 0 ? 'saved' : 'exposed';
}
