// The configuration file as a schema: the one source of validation, of the published JSON Schema,
// of docs/configuration.md and of the nearest-key hints. Descriptions here are that page's text.

import * as z from 'zod';
import {
  AUTONOMIES,
  ERROR_TYPES,
  FAMILIES,
  RISKS,
  SERVICE_ROLES,
  SEVERITIES,
  type Autonomy,
  type Family,
} from '../core/words.ts';
import {
  address,
  argv,
  chatId,
  duration,
  flag,
  listen,
  listOf,
  period,
  text,
  timeOfDay,
  timezone,
  unitName,
  url,
  whole,
} from './fields.ts';

const ownStep = z.strictObject({
  run: argv.describe('Program and arguments, run in the service’s folder by its owner. Never a shell string.'),
  undo: z
    .union([argv, z.strictObject({ none: text.describe('Why nothing has to be taken back.') })], {
      error: 'expected a command, or {none: why nothing has to be taken back}',
    })
    .describe('The command that takes it back, or `{none: reason}`.'),
  timeout: duration.optional().describe('Default: `60s`.'),
});

const ownCheck = z.strictObject({
  run: argv.describe('Ends with 0 when the failed operation works. It must fail before the fix.'),
  timeout: duration.optional().describe('Default: `30s`.'),
});

const ownFix = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{2,59}$/, 'expected lower-case words with dashes')
    .describe('Name in plans, history and `selfheal drill`.'),
  title: text.describe('What it does, in a few words.'),
  handles: z
    .array(z.enum(ERROR_TYPES))
    .min(1, 'must name at least one error type')
    .describe('Error types it is asked about.'),
  contains: text.optional().describe('Text that the error must contain. Default: any error of these types.'),
  services: listOf(text, 'a list of services').optional().describe('Services it may be used on. Default: all.'),
  autonomy: z
    .enum(AUTONOMIES)
    .optional()
    .describe(
      '`off`, `suggest`, `approve` or `auto`; `auto` holds once `selfheal drill` has passed. Default: `approve`.',
    ),
  risk: z.enum(RISKS).optional().describe('`safe`, `reversible` or `risky`. Default: `reversible`.'),
  steps: z
    .array(ownStep)
    .min(1, 'must hold at least one step')
    .describe('Carried out in order; taken back in reverse when the proof fails.'),
  checks: z
    .array(ownCheck)
    .min(1, 'must hold at least one check')
    .describe('What proves that the failed operation works again.'),
});

const selfHealing = z.strictObject({
  enabled: flag.optional().describe('Main switch. Off: nothing is watched and nothing is healed. Default: `true`.'),
  auto_fix: flag
    .optional()
    .describe('May fixes run at all? Off: errors are still detected, grouped and told. Default: `true`.'),
  check_interval: period
    .optional()
    .describe('Time between sweeps (probes, digests). Detection itself is live. Default: `300` seconds.'),
  max_auto_fix_attempts: whole(0, 100)
    .optional()
    .describe('Attempts for one problem before a person is asked. Default: `3`.'),
  notify_on_fix: flag.optional().describe('Tell the owner about attempts and their results. Default: `true`.'),
  notify_on_critical: flag
    .optional()
    .describe('Tell the owner at once about critical and high severity. Default: `true`.'),
  trust: z
    .enum(['configured', 'earned'])
    .optional()
    .describe(
      'Whether the autonomy of a fix changes with what became of it on a service. `earned`: it rises from suggest to approve ' +
        'to auto with proven repairs (lower end of the 95 % Wilson interval at least 50 %, then 80 %), and asks again at ' +
        'once after a repair that was taken back or could not be. Default: `configured`, it never changes.',
    ),
  auto_fix_types: z
    .array(z.enum(ERROR_TYPES))
    .optional()
    .describe('Error types that may be fixed without asking. Default: all; the autonomy of each fix decides.'),
});

const exactlyOne = (value: object): boolean => Object.values(value).filter((v) => v !== undefined).length === 1;
const ONE = { minProperties: 1, maxProperties: 1 };

const restart = z
  .strictObject({
    systemd: unitName.optional().describe('Unit to restart with `systemctl restart`.'),
    pm2: unitName.optional().describe('Name of the pm2 process.'),
    docker: unitName.optional().describe('Name of the container.'),
    command: argv.optional().describe('Program and arguments, run in the service’s directory.'),
  })
  .refine(exactlyOne, 'expected exactly one of systemd, pm2, docker, command')
  .meta(ONE);

const health = z
  .strictObject({
    http: url.optional().describe('Healthy when it answers with a status of 200 to 399.'),
    tcp: address.optional().describe('Healthy when the port accepts a connection.'),
    command: argv.optional().describe('Healthy when the program ends with exit code 0.'),
  })
  .refine(exactlyOne, 'expected exactly one of http, tcp, command')
  .meta(ONE);

const FIX_FIELDS = Object.fromEntries(FAMILIES.map((family) => [family, z.enum(AUTONOMIES).optional()])) as Record<
  Family,
  z.ZodOptional<z.ZodEnum<{ [A in Autonomy]: A }>>
>;

const notEverything = (pattern: string): boolean => /[^*/.]/.test(pattern);
const staysInside = (pattern: string): boolean => !pattern.startsWith('/') && !pattern.split('/').includes('..');

const modelSwitch = z.strictObject({
  file: text
    .refine(staysInside, 'must stay inside the service’s directory')
    .describe('Environment file that the agent reads at its start, relative to the directory, e.g. `.env`.'),
  set: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'expected a name of a variable'),
      z.string().regex(/^[\w.,:/@+-]{1,200}$/, 'expected a plain value: letters, digits and .,:/@+-'),
    )
    .refine((set) => Object.keys(set).length > 0, 'expected at least one variable')
    .describe('Variables and values that name the other model. They are shown on cards: no secrets.'),
  check: argv.describe('Asks the model once, with what the file says; ends with 0 when it answers.'),
});

const service = z.strictObject({
  directory: text
    .optional()
    .describe('The project. Relative paths of the service start here. Default: the folder of this file.'),
  command: argv
    .optional()
    .describe('Program and arguments that selfheal starts and supervises. Without it something else runs the service.'),
  logs: listOf(text, 'a list of file patterns')
    .optional()
    .describe('Glob patterns of log files, relative to the directory.'),
  journald: unitName.optional().describe('systemd unit whose journal is followed.'),
  docker: unitName.optional().describe('Container whose output is followed.'),
  restart: restart
    .optional()
    .describe('How to restart it: exactly one of the keys below. A supervised command restarts by itself.'),
  health: health.optional().describe('How to see that it works: exactly one of the keys below.'),
  settle: duration
    .optional()
    .describe('How long the error must stay away before a fix counts as verified. Default: `30s`.'),
  env_file: text.optional().describe('File with the environment of the supervised command, relative to the directory.'),
  environment: z
    .record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean()], { error: 'expected a text or a number' }).transform(String),
    )
    .optional()
    .describe('Environment of the supervised command, besides selfheal’s own.'),
  config_files: listOf(text, 'a list of file patterns')
    .optional()
    .describe(
      'Files of which good copies are kept. Default: `.env` and JSON, YAML and TOML files at the top of the directory.',
    ),
  disposable: listOf(
    text
      .refine(staysInside, 'must stay inside the service’s directory')
      .refine(notEverything, 'would match everything: name what may go'),
    'a list of file patterns',
  )
    .optional()
    .describe('What may go when room is needed. Nothing else ever does. Default: nothing.'),
  package_index: z
    .union([url, z.strictObject({ pip: url.optional(), npm: url.optional() })], {
      error: 'expected an address, or {pip: address, npm: address}',
    })
    .optional()
    .describe(
      'Where packages come from: one address for pip, or `{pip: …, npm: …}`. Default: what the service’s venv, its ' +
        '`.npmrc` or selfheal’s own environment name at start; a later change asks.',
    ),
  idle: flag.optional().describe('Quiet by design: silence means nothing. Default: `false`.'),
  role: z
    .enum(SERVICE_ROLES)
    .optional()
    .describe(
      'How much depends on it. What befalls a `critical` service is a step worse, what befalls a `minor` one a step milder; ' +
        'low stays low. Default: `normal`.',
    ),
  model_switch: modelSwitch
    .optional()
    .describe('For an agent that cannot be pointed at the gateway: how it is moved to another model.'),
  fixes: z
    .strictObject(FIX_FIELDS)
    .optional()
    .describe('Autonomy per fix: `off`, `suggest`, `approve` or `auto`. Each fix has its own default.'),
});

const SERVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const telegram = z.strictObject({
  token: text.describe('Token of the bot, best as `${TELEGRAM_BOT_TOKEN}`.'),
  allowed_users: listOf(chatId, 'a list of Telegram user ids').describe('Nobody else is answered.'),
  chat: chatId.optional().describe('Where messages go. Default: the first of `allowed_users`.'),
  api_root: url.optional().describe('Bot API server. Default: `https://api.telegram.org`.'),
});

const upstream = z.strictObject({
  name: text.describe('Name in messages and status.'),
  kind: z.enum(['anthropic', 'openai']).describe('Protocol it speaks.'),
  base_url: url.describe('Address of its API.'),
  api_key: text.optional().describe('Key to use. Without it the caller’s own key is passed through.'),
  model: text.optional().describe('Model to ask for, whatever the caller named.'),
  fallback: flag.optional().describe('Use it only when the others cannot answer. Default: `false`.'),
  dialects: listOf(z.enum(['messages', 'chat', 'responses']), 'a list of messages, chat, responses')
    .optional()
    .describe('Forms it speaks, best first. Default: `[messages]` for anthropic, `[responses, chat]` for openai.'),
  context: whole(256, 100_000_000)
    .optional()
    .describe('Tokens that fit in. Longer conversations are shortened. Default: as the server says.'),
  concurrency: whole(1, 1_000)
    .optional()
    .describe('Requests it is given at a time. Default: `1` for servers on this machine, else no limit.'),
  keep_warm: flag
    .optional()
    .describe('Ask it for a word every few minutes, so that it stays loaded. Default: `false`.'),
});

/** What the YAML file may hold. */
export const fileSchema = z.strictObject({
  $schema: z.string().optional().describe('Address of the JSON Schema, for editors.'),
  self_healing: selfHealing.optional().describe('What selfheal may do by itself, and how often it looks round.'),
  node: text.optional().describe('Name of this host in incidents and messages. Default: the host name.'),
  state: text
    .optional()
    .describe('Directory of this host’s store, outbox and journal, relative to this file. Default: `./.selfheal`.'),
  services: z
    .record(
      z
        .string()
        .regex(SERVICE_NAME, 'not a name for a service: expected letters, digits, dots, dashes and underscores'),
      service,
    )
    .optional()
    .describe('The services to watch, by name.'),
  telegram: telegram.optional().describe('The owner’s chat.'),
  webhook: z
    .strictObject({
      url: url.describe('Receives each notification as a JSON POST.'),
      secret: text.optional().describe('Signs the body with HMAC-SHA-256.'),
    })
    .optional()
    .describe('A further channel for notifications.'),
  quiet_hours: z
    .strictObject({
      from: timeOfDay.describe('Begin, e.g. `"22:30"`.'),
      to: timeOfDay.describe('End, e.g. `"07:00"`.'),
      timezone: timezone.optional().describe('Default: the time zone of this machine.'),
    })
    .optional()
    .describe('Only critical messages are sent within these hours; the others wait.'),
  digest_interval: period.optional().describe('Medium severity is told in digests, this often. Default: `30m`.'),
  dashboard: z
    .strictObject({ listen: listen.describe('Address of this machine and port.') })
    .optional()
    .describe(
      'Address kept for the web dashboard. This version has none: the block is checked, and a start says that it has no effect.',
    ),
  gateway: z
    .strictObject({
      listen: listen.describe('Address of this machine and port.'),
      upstreams: z
        .array(upstream)
        .optional()
        .describe('In the order in which they are tried. Default: the APIs of Anthropic and OpenAI.'),
      discover: flag
        .optional()
        .describe(
          'Look for Ollama, llama.cpp, LM Studio and vLLM on this machine and use what is found as a fallback. Default: ' +
            '`true` when no upstream is a fallback.',
        ),
      pause: duration
        .optional()
        .describe('Limits that are over sooner are waited out, instead of a fallback answering. Default: `20s`.'),
      embedded: z
        .strictObject({
          model: text.describe('A model in GGUF, relative to this file.'),
          context: whole(512, 1_000_000).optional().describe('Tokens that fit in. Default: `8192`.'),
          threads: whole(1, 1_024).optional().describe('Processor cores it may use. Default: all but one.'),
          idle: duration.optional().describe('Unused for so long, it is unloaded. Default: `10m`.'),
          runtime: text
            .optional()
            .describe(
              'Folder whose `node_modules` holds the package `@fugood/llama.node`, relative to this file. Default: where selfheal ' +
                'itself is installed.',
            ),
        })
        .optional()
        .describe('A model that selfheal runs itself, in a process of its own, when nobody else can answer.'),
      token_required: flag
        .optional()
        .describe('Refuse callers without the token of a service: `selfheal gateway env` prints it. Default: `false`.'),
    })
    .optional()
    .describe('The model gateway. Without this block there is none.'),
  fixes: z
    .array(ownFix)
    .optional()
    .describe(
      'Your own fixes: commands with their way back and their proof. They are asked after those of the catalogue.',
    ),
  rules: listOf(text, 'a list of files').optional().describe('YAML files with your own rules, relative to this file.'),
  severities: z
    .record(z.string(), z.enum(SEVERITIES))
    .optional()
    .describe('Severity by rule name (`selfheal why` tells the name), where you see it differently.'),
  limits: z
    .strictObject({
      changes_per_hour: whole(0, 10_000).optional().describe('Fixes on this host in an hour. Default: `10`.'),
      changes_per_day: whole(0, 100_000).optional().describe('Fixes on this host in a day. Default: `30`.'),
      restarts_per_hour: whole(0, 10_000).optional().describe('Restarts of one service in an hour. Default: `5`.'),
    })
    .optional()
    .describe('Budgets over all fixes. At their end a person is asked.'),
});

/** The file's content after validation. */
export type Settings = z.output<typeof fileSchema>;
export type ServiceSettings = z.output<typeof service>;
