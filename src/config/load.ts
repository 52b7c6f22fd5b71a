// Finds, reads, merges and checks the configuration. Order of authority: defaults < YAML file <
// `.env` beside it < environment < flags. What cannot be used is a ConfigError with places.

import { access, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { assemble, type Flags } from './assemble.ts';
import { type Config, ConfigError, type ConfigProblem } from './contract.ts';
import { byPlace, describeIssues, dotted, placed } from './problems.ts';
import { expandReferences, type MissingReference } from './references.ts';
import { fileSchema, type Settings } from './schema.ts';
import { parseBoolean, parseDuration } from './values.ts';
import { readYaml, type YamlFile } from './yaml.ts';

export type { Flags } from './assemble.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadOptions {
  /** As given with `--config`; relative to `cwd`. Default: the search of `configFiles`. */
  readonly file?: string;
  readonly cwd: string;
  readonly environment: Environment;
  readonly flags?: Flags;
  /**
   * For commands that only look into the store: when a secret's variable is not set in this shell, leave the block
   * out that needs it (telegram, webhook, gateway) instead of refusing. Default: false.
   */
  readonly lenient?: boolean;
}

const EMPTY: YamlFile = { data: {}, complaints: [], locate: () => null };

/**
 * The configuration, complete and checked. Rejects with a `ConfigError` whose problems name file, line, column and
 * the nearest valid key.
 *
 * @example
 * const config = await loadConfig({ cwd: process.cwd(), environment: process.env });
 */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const file = await findConfigFile(options);
  const base = file === null ? options.cwd : dirname(file);
  const beside = await readEnvFile(join(base, '.env'));
  const environment: Environment = { ...beside, ...options.environment };
  const yaml = file === null ? EMPTY : readYaml(await readText(file));
  const settings = overrideByVariables(validate(yaml, file, environment, options.lenient ?? false), environment);
  const { config, misfits } = await assemble(settings, {
    file,
    base,
    cwd: options.cwd,
    environment,
    flags: options.flags ?? {},
  });
  if (misfits.length > 0)
    throw new ConfigError(
      misfits.map(({ path, message }) => ({
        ...placed(file, yaml.locate(path)),
        key: dotted(path),
        message: `${dotted(path)}: ${message}`,
      })),
    );
  return config;
}

/** The places where a configuration is looked for, in order. */
export function configFiles(cwd: string, environment: Environment): string[] {
  const home = environment['XDG_CONFIG_HOME'] || join(environment['HOME'] || homedir(), '.config');
  return [join(cwd, 'selfheal.yaml'), join(home, 'selfheal', 'selfheal.yaml'), '/etc/selfheal/selfheal.yaml'];
}

async function findConfigFile(options: LoadOptions): Promise<string | null> {
  if (options.file !== undefined) return resolve(options.cwd, options.file);
  for (const file of configFiles(options.cwd, options.environment))
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  return null;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ ...placed(file, null), key: '', message: unreadable(error) }]);
  }
}

function unreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file; `selfheal init` writes one';
  if (code === 'EACCES') return 'this user may not read it';
  if (code === 'EISDIR') return 'is a directory';
  return `cannot be read (${code ?? String(error)})`;
}

async function readEnvFile(file: string): Promise<Environment> {
  const text = await readFile(file, 'utf8').catch(() => null);
  return text === null ? {} : parseEnv(text);
}

function validate(yaml: YamlFile, file: string | null, environment: Environment, lenient: boolean): Settings {
  if (yaml.complaints.length > 0)
    throw new ConfigError(
      yaml.complaints.map(({ path, place, message }) => ({ ...placed(file, place), key: dotted(path), message })),
    );
  const { data, missing } = expandReferences(namedServices(yaml.data ?? {}), environment);
  const forgiven = lenient ? missing.filter(({ path }) => SECRET_BLOCKS.includes(String(path[0]))) : [];
  const checked = fileSchema.safeParse(without(data, forgiven));
  const problems = [
    ...missing.filter((each) => !forgiven.includes(each)).map((each) => unsetVariable(each, file, yaml)),
    ...(checked.success ? [] : describeIssues(checked.error.issues, file, { ...yaml, data })),
  ];
  if (!checked.success || problems.length > 0) throw new ConfigError(problems.sort(byPlace));
  return checked.data;
}

/** A service without any key of its own (`agent:`) is a service, not an absent value. */
function namedServices(data: unknown): unknown {
  if (data === null || typeof data !== 'object' || Array.isArray(data) || !('services' in data)) return data;
  const { services } = data;
  if (services === null || typeof services !== 'object' || Array.isArray(services)) return data;
  return {
    ...data,
    services: Object.fromEntries(Object.entries(services).map(([name, service]) => [name, service ?? {}])),
  };
}

const SECRET_BLOCKS = ['telegram', 'webhook', 'gateway'];

function without(data: unknown, missing: readonly MissingReference[]): unknown {
  if (missing.length === 0) return data;
  const blocks = new Set(missing.map(({ path }) => String(path[0])));
  return Object.fromEntries(Object.entries(data as object).filter(([key]) => !blocks.has(key)));
}

function unsetVariable({ path, name, text }: MissingReference, file: string | null, yaml: YamlFile): ConfigProblem {
  const message =
    name === null
      ? `${dotted(path)}: ${text} names no variable; write $\${ for a literal \${`
      : `${dotted(path)}: the environment variable ${name} is not set; set it, put it into .env beside this file, ` +
        `or write \${${name}:-default}`;
  return { ...placed(file, yaml.locate(path)), key: dotted(path), message };
}

type Own = NonNullable<Settings['self_healing']>;

/** The four variables of the specification. */
function overrideByVariables(settings: Settings, environment: Environment): Settings {
  const problems: ConfigProblem[] = [];
  const read = <T>(name: string, parse: (text: string) => T | null, expected: string): T | undefined => {
    const text = environment[name]?.trim();
    if (text === undefined || text === '') return undefined;
    const value = parse(text);
    if (value !== null) return value;
    problems.push({
      ...placed(null, null),
      key: name,
      message: `environment variable ${name}: expected ${expected}, found ${JSON.stringify(text)}`,
    });
    return undefined;
  };
  const overrides: Own = {
    enabled: read('SELF_HEALING_ENABLED', parseBoolean, 'true or false'),
    auto_fix: read('AUTO_FIX_ENABLED', parseBoolean, 'true or false'),
    check_interval: read('HEALTH_CHECK_INTERVAL', parsePeriod, 'seconds, or a duration such as 5m'),
    max_auto_fix_attempts: read('MAX_AUTO_FIX_ATTEMPTS', parseCount, 'a whole number from 0 to 100'),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  return { ...settings, self_healing: { ...settings.self_healing, ...given } };
}

function parseCount(text: string): number | null {
  return /^\d{1,3}$/.test(text) && Number(text) <= 100 ? Number(text) : null;
}

function parsePeriod(text: string): number | null {
  const ms = parseDuration(text);
  return ms !== null && ms >= 1000 ? ms : null;
}
