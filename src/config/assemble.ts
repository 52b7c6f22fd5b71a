// Settings in, Config out: defaults filled in, paths made absolute, one shape for everybody.

import { homedir, hostname } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { EMBEDDED_UPSTREAM } from '../core/gateway.ts';
import type { HealthProbe, RestartVia } from '../host/contract.ts';
import type { Config, ConfigProblem, GatewayConfig, OwnFix, ServiceConfig, TelegramConfig } from './contract.ts';
import { expandConfigFiles, findConfigFiles, findPackageIndexes, type PackageIndexes } from './discover.ts';
import type { ServiceSettings, Settings } from './schema.ts';
import { Secret } from './secret.ts';
import { serviceNameOf } from './service-name.ts';

/** What the command line may say. Flags beat everything else. */
export interface Flags {
  /** Program and arguments of `selfheal run`. */
  readonly command?: readonly string[];
  /** Name of the service that `command` belongs to. */
  readonly name?: string;
  readonly state?: string;
  readonly enabled?: boolean;
  readonly autoFix?: boolean;
  readonly checkIntervalMs?: number;
  readonly maxAutoFixAttempts?: number;
}

export interface AssembleContext {
  /** The configuration file, or null. */
  readonly file: string | null;
  /** Where relative paths of the file start. */
  readonly base: string;
  /** Where relative paths of flags start. */
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: Flags;
}

/** A wrong value that only shows once paths are known; `path` says whose it is. */
export type Misfit = Pick<ConfigProblem, 'message'> & { readonly path: readonly (string | number)[] };

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Fills in every default. `misfits` is empty when the configuration can be used. */
export async function assemble(
  settings: Settings,
  context: AssembleContext,
): Promise<{ readonly config: Config; readonly misfits: readonly Misfit[] }> {
  const { flags } = context;
  const own = settings.self_healing ?? {};
  const state = flags.state
    ? absolute(context.cwd, flags.state, context)
    : absolute(context.base, settings.state ?? '.selfheal', context);
  const services = await Promise.all(
    Object.entries(withCommand(settings, flags, context)).map(([name, service]) => serviceOf(name, service, context)),
  );
  const config: Config = {
    file: context.file,
    node: settings.node ?? hostname(),
    enabled: flags.enabled ?? own.enabled ?? true,
    autoFix: flags.autoFix ?? own.auto_fix ?? true,
    checkIntervalMs: flags.checkIntervalMs ?? own.check_interval ?? 300 * SECOND,
    maxAutoFixAttempts: flags.maxAutoFixAttempts ?? own.max_auto_fix_attempts ?? 3,
    notifyOnFix: own.notify_on_fix ?? true,
    notifyOnCritical: own.notify_on_critical ?? true,
    autoFixTypes: own.auto_fix_types ?? null,
    ...(settings.fixes === undefined ? {} : { ownFixes: settings.fixes.map(ownFixOf) }),
    ...(own.trust === undefined ? {} : { trust: own.trust }),
    state,
    services,
    telegram: settings.telegram ? telegramOf(settings.telegram) : null,
    webhook: settings.webhook
      ? { url: settings.webhook.url, secret: settings.webhook.secret ? new Secret(settings.webhook.secret) : null }
      : null,
    quietHours: settings.quiet_hours
      ? {
          from: settings.quiet_hours.from,
          to: settings.quiet_hours.to,
          timezone: settings.quiet_hours.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
        }
      : null,
    digestIntervalMs: settings.digest_interval ?? 30 * MINUTE,
    dashboard: settings.dashboard?.listen ?? null,
    gateway: settings.gateway ? gatewayOf(settings.gateway, context) : null,
    rules: (settings.rules ?? []).map((path) => absolute(context.base, path, context)),
    severities: settings.severities ?? {},
    limits: {
      changesPerHour: settings.limits?.changes_per_hour ?? 10,
      changesPerDay: settings.limits?.changes_per_day ?? 30,
      restartsPerHour: settings.limits?.restarts_per_hour ?? 5,
    },
  };
  return { config, misfits: misfitsOf(config, settings) };
}

function ownFixOf(fix: NonNullable<Settings['fixes']>[number]): OwnFix {
  return {
    ...fix,
    contains: fix.contains ?? null,
    services: fix.services ?? null,
    autonomy: fix.autonomy ?? 'approve',
    risk: fix.risk ?? 'reversible',
    steps: fix.steps.map(({ run, undo, timeout }) => ({ run, undo, timeoutMs: timeout ?? 60 * SECOND })),
    checks: fix.checks.map(({ run, timeout }) => ({ run, timeoutMs: timeout ?? 30 * SECOND })),
  };
}

/** `selfheal run -- CMD` supervises the named service, the only one of the file, or a new one. */
function withCommand(settings: Settings, flags: Flags, context: AssembleContext): Record<string, ServiceSettings> {
  const services = settings.services ?? {};
  if (!flags.command) return services;
  const names = Object.keys(services);
  const name = flags.name ?? (names.length === 1 ? (names[0] as string) : serviceNameOf(flags.command));
  const known: ServiceSettings = Object.hasOwn(services, name) ? (services[name] as ServiceSettings) : {};
  const directory = known.directory ?? context.cwd;
  const { restart: _, ...rest } = known;
  return { ...services, [name]: { ...rest, directory, command: [...flags.command] } };
}

async function serviceOf(name: string, settings: ServiceSettings, context: AssembleContext): Promise<ServiceConfig> {
  const directory = absolute(context.base, settings.directory ?? '.', context);
  const inDirectory = (path: string): string => absolute(directory, path, context);
  const indexes = await indexesOf(settings, directory, context.environment);
  return {
    name,
    directory,
    command: settings.command ?? null,
    restart: restartOf(settings, directory),
    health: healthOf(settings),
    envFile: settings.env_file ? inDirectory(settings.env_file) : null,
    disposable: settings.disposable ?? [],
    pipIndex: indexes.pip,
    npmRegistry: indexes.npm,
    settleMs: settings.settle ?? 30 * SECOND,
    logs: (settings.logs ?? []).map(inDirectory),
    journald: settings.journald ?? null,
    docker: settings.docker ?? null,
    configFiles: settings.config_files
      ? await expandConfigFiles(directory, settings.config_files)
      : await findConfigFiles(directory),
    idle: settings.idle ?? false,
    ...(settings.role === undefined ? {} : { role: settings.role }),
    modelSwitch: settings.model_switch
      ? {
          file: inDirectory(settings.model_switch.file),
          set: settings.model_switch.set,
          check: { argv: settings.model_switch.check, cwd: directory },
        }
      : null,
    fixes: withoutUndefined(settings.fixes ?? {}),
    environment: settings.environment ?? {},
  };
}

function restartOf(settings: ServiceSettings, directory: string): RestartVia | null {
  const { restart } = settings;
  if (restart?.systemd) return { kind: 'systemd', unit: restart.systemd };
  if (restart?.pm2) return { kind: 'pm2', name: restart.pm2 };
  if (restart?.docker) return { kind: 'docker', container: restart.docker };
  if (restart?.command) return { kind: 'command', argv: restart.command, cwd: directory };
  return settings.command ? { kind: 'supervised' } : null;
}

function healthOf({ health }: ServiceSettings): HealthProbe | null {
  if (health?.http) return { kind: 'http', url: health.http };
  if (health?.tcp) return { kind: 'tcp', ...health.tcp };
  if (health?.command) return { kind: 'command', argv: health.command };
  return null;
}

async function indexesOf(
  settings: ServiceSettings,
  directory: string,
  environment: AssembleContext['environment'],
): Promise<PackageIndexes> {
  const declared =
    typeof settings.package_index === 'string' ? { pip: settings.package_index } : (settings.package_index ?? {});
  if (declared.pip && declared.npm) return { pip: declared.pip, npm: declared.npm };
  const found = await findPackageIndexes(directory, environment);
  return { pip: declared.pip ?? found.pip, npm: declared.npm ?? found.npm };
}

function telegramOf(settings: NonNullable<Settings['telegram']>): TelegramConfig {
  return {
    token: new Secret(settings.token),
    allowedUsers: settings.allowed_users,
    chat: settings.chat ?? settings.allowed_users[0] ?? 0,
    apiRoot: settings.api_root ?? 'https://api.telegram.org',
  };
}

function gatewayOf(settings: NonNullable<Settings['gateway']>, context: AssembleContext): GatewayConfig {
  const inBase = (path: string): string => absolute(context.base, path, context);
  const { embedded } = settings;
  return {
    ...settings.listen,
    upstreams: (settings.upstreams ?? []).map((upstream) => ({
      name: upstream.name,
      kind: upstream.kind,
      baseUrl: upstream.base_url,
      apiKey: upstream.api_key ? new Secret(upstream.api_key) : null,
      model: upstream.model ?? null,
      fallback: upstream.fallback ?? false,
      dialects: upstream.dialects ?? (upstream.kind === 'anthropic' ? ['messages'] : ['responses', 'chat']),
      context: upstream.context ?? null,
      concurrency: upstream.concurrency ?? null,
      keepWarm: upstream.keep_warm ?? false,
    })),
    discover: settings.discover ?? !(settings.upstreams ?? []).some((upstream) => upstream.fallback),
    pauseMs: settings.pause ?? 20 * SECOND,
    tokenRequired: settings.token_required ?? false,
    embedded: embedded
      ? {
          model: inBase(embedded.model),
          runtime: embedded.runtime === undefined ? null : inBase(embedded.runtime),
          contextTokens: embedded.context ?? 8_192,
          threads: embedded.threads ?? null,
          idleMs: embedded.idle ?? 600 * SECOND,
        }
      : null,
  };
}

/** What no single value shows: our own files as a source, pseudo file systems, a bot that would answer nobody. */
function misfitsOf(config: Config, settings: Settings): Misfit[] {
  const misfits: Misfit[] = [];
  for (const service of config.services)
    for (const [index, pattern] of service.logs.entries()) {
      const path = ['services', service.name, 'logs', index];
      if (inside(config.state, pattern)) misfits.push({ path, message: 'selfheal’s own state can not be a source' });
      if (/^\/(?:proc|sys|dev)(?:\/|$)/.test(pattern))
        misfits.push({ path, message: 'files of the kernel can not be a source' });
    }
  if (settings.telegram && settings.telegram.allowed_users.length === 0)
    misfits.push({ path: ['telegram', 'allowed_users'], message: 'must name at least one user id' });
  return [...misfits, ...namesTwice(config.gateway)];
}

/** Limits, routes and status go by the name of an upstream: two of one name would be taken for each other. */
function namesTwice(gateway: GatewayConfig | null): Misfit[] {
  const names = gateway?.upstreams.map(({ name }) => name) ?? [];
  return names.flatMap((name, index) => {
    const path = ['gateway', 'upstreams', index, 'name'];
    if (gateway?.embedded && name === EMBEDDED_UPSTREAM)
      return [
        { path, message: `${JSON.stringify(name)} is the model of gateway.embedded; give this upstream another name` },
      ];
    const first = names.indexOf(name);
    if (first === index) return [];
    return [
      {
        path,
        message: `${JSON.stringify(name)} is gateway.upstreams.${first} already; give this upstream another name`,
      },
    ];
  });
}

function inside(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way === '' || !(way.startsWith('..') || isAbsolute(way));
}

/** `~/` is the home folder of whoever runs selfheal. */
function absolute(base: string, path: string, context: AssembleContext): string {
  if (path === '~' || path.startsWith('~/')) return join(context.environment['HOME'] ?? homedir(), path.slice(1));
  return resolve(base, path);
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
