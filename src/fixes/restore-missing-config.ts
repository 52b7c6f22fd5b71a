// A configuration file or an environment variable is gone: bring it back from the last copy the service ran with. An example
// file only ever supplies values that are no secrets, and never without asking.

import { formatOf } from '../core/config-format.ts';
import type { Check, CheckResult, FileContent, Step } from '../core/plan.ts';
import type { GitRepository, ParsedText, Probe, ServiceFacts } from '../host/contract.ts';
import {
  type Damage,
  type ServiceCopy,
  type Diagnosis,
  defineFix,
  type FixContext,
  notApplicable,
  propose,
  refuse,
} from './contract.ts';
import { healthCheck } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';
import { ago, provenCopy, type ProvenCopy } from './shared/proven-copy.ts';

const READS_TOKEN = `import os
for line in open(".env"):
    key, _, value = line.strip().partition("=")
    os.environ[key] = value
print(len(os.environ["BOT_TOKEN"]), os.environ.get("REGION", ""))
`;

export default defineFix({
  name: 'restore-missing-config',
  family: 'restore-config',
  title: 'Bring back a missing configuration file or variable',
  handles: ['config_error', 'service_crash', 'unknown'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 29,
  diagnose,
  damage,
  drills: [
    {
      given: 'the .env file was deleted',
      world: async (kit) => {
        await kit.write('main.py', READS_TOKEN);
        await kit.write('.env', 'BOT_TOKEN=0123456789\nREGION=eu\n', 0o600);
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.goodCopy('.env');
        await kit.sh(['rm', '.env']);
      },
      facts: { path: '.env', exception: 'FileNotFoundError' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'a variable has vanished from .env, and another was changed since',
      world: async (kit) => {
        await kit.write('main.py', READS_TOKEN);
        await kit.write('.env', 'BOT_TOKEN=0123456789\nREGION=eu\n', 0o600);
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.goodCopy('.env');
        await kit.write('.env', 'REGION=us', 0o600);
      },
      facts: { env: 'BOT_TOKEN', exception: 'KeyError' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'the log names no variable, the service is ill, and two have vanished',
      world: async (kit) => {
        await kit.write('main.py', READS_TOKEN);
        await kit.write('.env', 'BOT_TOKEN=0123456789\nREGION=eu\n', 0o600);
        kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
        await kit.goodCopy('.env');
        await kit.write('.env', '# nothing left\n', 0o600);
      },
      facts: { exception: 'KeyError' },
      type: 'unknown',
      expect: ['write-file'],
    },
    {
      given: 'a file without a format of its own was deleted',
      world: async (kit) => {
        await kit.write('prompt.txt', 'be kind\n');
        await kit.goodCopy('prompt.txt');
        await kit.sh(['rm', 'prompt.txt']);
      },
      facts: { path: '{directory}/prompt.txt' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'only the example file knows the variable, and it is no secret',
      world: async (kit) => {
        await kit.repository({ '.env.example': 'BOT_TOKEN=<your token>\nREGION=eu\n', '.gitignore': '.env\n' });
        await kit.write('.env', 'BOT_TOKEN=0123456789\n', 0o600);
      },
      facts: { env: 'REGION' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'only the example file knows the variable, and it is a secret',
      world: async (kit) => {
        await kit.repository({ '.env.example': 'BOT_TOKEN=changeme\nREGION=eu\n', '.gitignore': '.env\n' });
        await kit.write('.env', 'REGION=eu\n', 0o600);
      },
      facts: { env: 'BOT_TOKEN' },
      type: 'config_error',
      expect: 'refused',
    },
    {
      given: 'the example file is a link to something else',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'x\n' });
        await kit.write('../secret', 'REGION=eu\n');
        await kit.sh(['ln', '-s', '../secret', '.env.example']);
        await kit.write('.env', 'A=1\n', 0o600);
      },
      facts: { env: 'REGION' },
      type: 'config_error',
      expect: 'refused',
    },
    {
      given: 'a link that leads nowhere stands where the file was',
      world: async (kit) => {
        await kit.write('.env', 'A=1\n', 0o600);
        await kit.goodCopy('.env');
        await kit.sh(['ln', '-sf', '/nonexistent/elsewhere', '.env']);
      },
      facts: { path: '.env' },
      type: 'config_error',
      expect: 'not-applicable',
    },
    {
      given: 'the variable is there',
      world: (kit) => kit.write('.env', 'BOT_TOKEN=0123456789\n', 0o600),
      facts: { env: 'BOT_TOKEN' },
      type: 'config_error',
      expect: 'not-applicable',
    },
  ],
});

/** Takes the environment file away. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  const { envFile } = service;
  if (envFile === null || (await provenCopy(probe, service.name, envFile)) === null) return null;
  await kit.sh(['rm', '-f', '--', envFile]);
  const message = `FileNotFoundError: [Errno 2] No such file or directory: '${envFile}'`;
  return { what: `${envFile} is taken away`, type: 'config_error', facts: { path: envFile }, message };
}

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe, incident } = context;
  const health = (await probe.services.health(service.name)).passed;
  const files = await missingFiles(context, health);
  if (files.length > 0) return restoreFiles(context, files, health);
  const { env } = incident.facts;
  if (env !== undefined && !VARIABLE.test(env)) return notApplicable('what the log calls a variable is no name of one');
  if (env === undefined && health !== false)
    return notApplicable('no configuration file that the service ran with is missing');
  return missingVariable(context, env ?? null, health);
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

// ---------------------------------------------------------------- files

interface MissingFile {
  readonly path: string;
  readonly good: ProvenCopy;
}

/** What the log names, and, when the service is ill, whatever it ran with before. */
async function missingFiles(context: FixContext, health: CheckResult['passed']): Promise<readonly MissingFile[]> {
  const { incident, service, probe } = context;
  const named = [incident.facts.path, incident.facts.file].filter((path) => path !== undefined);
  const declared = [...(service.configFiles ?? []), ...(service.envFile === null ? [] : [service.envFile])];
  const found = new Map<string, MissingFile>();
  for (const path of [
    ...named,
    ...(health === false || incident.facts.env !== undefined ? [...declared, '.env'] : []),
  ]) {
    const real = await probe.files.inside(service.directory, path);
    if (real === null || (await probe.files.status(real)).kind !== 'absent') continue;
    const good = await provenCopy(probe, service.name, real);
    if (good) found.set(real, { path: real, good });
  }
  return [...found.values()];
}

function restoreFiles(
  { service, probe }: FixContext,
  files: readonly MissingFile[],
  health: CheckResult['passed'],
): Diagnosis {
  const names = listed(files.map(({ path }) => nameIn(service, path)));
  const now = probe.clock.now();
  return propose({
    title: `bring back ${names} as the service last ran with it`,
    why: files
      .map(
        ({ path, good }) =>
          `${nameIn(service, path)} is gone; ${service.name} last ran with it ${ago(now, good.provenAt)}.`,
      )
      .join(' '),
    facts: { path: files[0]?.path ?? '' },
    steps: files.map(({ path, good }) =>
      write(path, `write ${path} anew`, { copy: good.copy.id }, null, good.copy.mode),
    ),
    checks: [...files.map(({ path, good }) => isBack(service, path, good)), ...healthCheck(service.name, health)],
    resources: files.map(({ path }) => `path:${path}`),
    needsRestart: runsLong(service),
  });
}

/** A format we understand is read again; of any other file we can only say that it is there, with its mode. */
function isBack(service: ServiceFacts, path: string, { copy, parsed }: ProvenCopy): Check {
  const format = formatOf(path);
  const base = { title: `${nameIn(service, path)} is back`, proves: 'operation', failsBefore: true, path } as const;
  if (format === null) return { ...base, kind: 'file-mode', mode: copy.mode & 0o777 };
  return { ...base, kind: 'file-parses', format, keys: (parsed?.keys ?? []).slice(0, MOST_KEYS) };
}

const MOST_KEYS = 200;

// ---------------------------------------------------------------- variables

/** `env` is null when the log names none: then only what has vanished since the service ran is brought back. */
async function missingVariable(
  context: FixContext,
  env: string | null,
  health: CheckResult['passed'],
): Promise<Diagnosis> {
  const { service, probe } = context;
  const path = await probe.files.inside(service.directory, service.envFile ?? '.env');
  const unset = env === null ? 'a variable' : env;
  if (path === null)
    return declined(env, `${unset} is not set, and the environment file is no file inside ${service.directory}`);
  const before = await probe.files.sha256(path);
  const text = before === null ? null : await probe.files.text(path);
  if (text === null && (await probe.files.status(path)).kind !== 'absent')
    return declined(env, `${unset} is not set, and ${path} is no plain file that could be completed`);
  const present = text === null ? null : probe.files.parse(text, 'env');
  if (present?.ok === false) return notApplicable(`${path} is broken: that comes first`);
  if (env !== null && present?.values.get(env)) return notApplicable(`${env} is set in ${path}`);
  const now = { path, before, present };
  const good = await provenCopy(probe, service.name, path);
  const vanished = (good?.parsed?.keys ?? []).filter((key) => !present?.values.has(key) || key === env);
  if (present && before !== null && good && (env === null ? vanished.length > 0 : good.parsed?.values.get(env)))
    return appendFromCopy(context, vanished, now, good, health);
  if (env === null) return notApplicable('no configuration that the service ran with is missing');
  return appendFromExample(context, env, now, health);
}

/** Without a name in the log there is nothing that a person could be asked for. */
const declined = (env: string | null, reason: string): Diagnosis =>
  env === null ? notApplicable(reason) : refuse(reason);

interface EnvFile {
  readonly path: string;
  readonly before: string | null;
  readonly present: Extract<ParsedText, { ok: true }> | null;
}

/** Every variable the service ran with and that has vanished, not only the first that it missed. */
function appendFromCopy(
  { service, probe }: FixContext,
  keys: readonly string[],
  { path, before }: EnvFile,
  good: ProvenCopy,
  health: CheckResult['passed'],
): Diagnosis {
  const content = { append: { copy: good.copy.id, keys } };
  return propose({
    title: `add ${listed(keys)} to ${nameIn(service, path)} as the service last ran with it`,
    why: `${listed(keys)} is not set in ${path} any more; ${service.name} last ran with it ${ago(probe.clock.now(), good.provenAt)}. Nothing that stands there is touched.`,
    facts: { path, ...(keys[0] === undefined ? {} : { env: keys[0] }) },
    steps: [write(path, `add ${listed(keys)} at the end of ${path}`, content, before, good.copy.mode)],
    checks: [hasKeys(service, path, keys), ...healthCheck(service.name, health)],
    resources: [`path:${path}`],
    needsRestart: runsLong(service),
  });
}

async function appendFromExample(
  { service, probe }: FixContext,
  env: string,
  { path, before, present }: EnvFile,
  health: CheckResult['passed'],
): Promise<Diagnosis> {
  const example = await readExample(probe, service);
  const value = example?.parsed.values.get(env);
  const set = `set ${env} in ${path}`;
  if (!example || value === undefined) return refuse(`${env} is not set, and no value of it is known: ${set}`);
  if (!isHarmless(env, value))
    return refuse(`${env} is not set; ${example.name} names it without a real value: ${set}`);
  const secrets = [...example.parsed.values].filter(([key, text]) => !isHarmless(key, text)).map(([key]) => key);
  if (present === null && secrets.length > 0)
    return refuse(`${path} is missing, and so are values that no example can supply: ${listed(secrets)}`);
  const keys = present === null ? example.parsed.keys : [env];
  const lines = keys.map((key) => `${key}=${example.parsed.values.get(key)}\n`).join('');
  const content: FileContent = present === null ? { text: lines } : { added: lines };
  return propose({
    title: `add ${listed(keys)} to ${nameIn(service, path)} as ${example.name} suggests`,
    why: `${env} is not set in ${path}, and no copy is known with which ${service.name} ran. ${example.name}, which is under version control, has a value for it that is no secret.`,
    facts: { env, path },
    steps: [write(path, `add ${listed(keys)} at the end of ${path}`, content, before, 0o600)],
    checks: [hasKeys(service, path, keys), ...healthCheck(service.name, health)],
    resources: [`path:${path}`],
    needsRestart: runsLong(service),
    mustAsk: `the value comes from ${example.name}, and an example may be wrong for this machine: ${lines.trim().replaceAll('\n', ', ')}`,
  });
}

interface Example {
  readonly name: string;
  readonly parsed: Extract<ParsedText, { ok: true }>;
}

/** A plain file at the top of the project, exactly as it was committed. */
async function readExample({ files, git }: Probe, service: ServiceFacts): Promise<Example | null> {
  const repository = await git.repository(service.directory);
  for (const name of ['.env.example', '.env.sample', '.env.template', 'env.example']) {
    const path = `${service.directory}/${name}`;
    const text = (await files.status(path)).kind === 'file' ? await files.text(path, 65_536) : null;
    if (text === null || !repository || (await committed(git, repository, path)) !== text) continue;
    const parsed = files.parse(text, 'env');
    if (parsed.ok) return { name, parsed };
  }
  return null;
}

async function committed(git: Probe['git'], repository: GitRepository, path: string): Promise<string | null> {
  if (repository.head === null || !path.startsWith(`${repository.directory}/`)) return null;
  return git.textAt(repository, repository.head, path.slice(repository.directory.length + 1));
}

const SECRET_NAME =
  /TOKEN|SECRET|PASS|PWD|KEY|CRED|AUTH|PRIVATE|DSN|DATABASE|CONN|COOKIE|SESSION|SALT|SIGN|WEBHOOK|CERT|ACCOUNT|USER/i;
const PLACEHOLDER = /^\s*$|^<.*>$|\$\{|change|your|replace|todo|fixme|example|placeholder|xxx|\.\.\.|insert|fill/i;

/** No secret by its name, a real value by its looks, and one that fits on a line. */
function isHarmless(key: string, value: string): boolean {
  return (
    !SECRET_NAME.test(key) &&
    !PLACEHOLDER.test(value) &&
    /^[\w.,:/@+-]{1,100}$/.test(value) &&
    !/:\/\/[^/]*@/.test(value)
  );
}

// ---------------------------------------------------------------- parts of a plan

function write(path: string, title: string, content: FileContent, before: string | null, mode: number): Step {
  return { kind: 'write-file', title, undo: { kind: 'restore-snapshot' }, path, content, before, mode };
}

function hasKeys(service: ServiceFacts, path: string, keys: readonly string[]): Check {
  const title = `${nameIn(service, path)} has ${listed(keys)}`;
  return { kind: 'file-parses', title, proves: 'operation', failsBefore: true, path, format: 'env', keys };
}

const runsLong = (service: ServiceFacts): boolean => service.command !== null || service.restart !== null;

function nameIn({ directory }: ServiceFacts, path: string): string {
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path;
}
