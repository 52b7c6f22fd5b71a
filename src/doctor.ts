// Self-examination: is everything here that selfheal needs, and is it as safe as it should be? Looks only.
// Each check gives one finding; a check that cannot be carried out says so instead of passing.

import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Finding } from './cli/composition.ts';
import type { Config } from './config/contract.ts';
import { filesMatching } from './config/discover.ts';
import { missingForModel } from './config/model-runtime.ts';
import { missingProgram } from './config/warnings.ts';
import type { Clock } from './core/clock.ts';
import { createRun } from './host/run.ts';
import type { Run } from './host/contract.ts';
import { examineStore, runningDaemon } from './store/index.ts';

export interface DoctorOptions {
  /** Null when it could not be loaded; what does not depend on it is still looked at. */
  readonly config: Config | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

type Check = () => Promise<readonly Finding[]>;

/** One finding after the other, in an order a person would look in. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding, void> {
  const run = createRun({
    home: options.environment['HOME'] ?? '/',
    path: (options.environment['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/')),
  });
  const { config } = options;
  const checks: Check[] = [
    async () => [nodeVersion(process.versions.node)],
    () => programs(run),
    () => clockOf(run),
    ...(config
      ? [
          () => configFile(config),
          () => stateFolder(config),
          () => store(config),
          () => daemon(config),
          ...config.services.map((service) => () => serviceOf(service, options.environment)),
          () => ownModel(config),
          () => telegram(config, options.signal),
        ]
      : []),
  ];
  for (const check of checks) {
    if (options.signal.aborted) return;
    yield* await check().catch((error: unknown): Finding[] => [
      { name: 'doctor', state: 'problem', text: `a check failed by itself: ${String((error as Error).message)}` },
    ]);
  }
}

/** Node 20 has had no security fixes since April 2026 (nodejs.org/en/about/previous-releases). */
export function nodeVersion(version: string): Finding {
  const old = Number(version.split('.')[0]) < 22;
  return old
    ? {
        name: 'node',
        state: 'warning',
        text: `${version} works, but its line gets no more fixes`,
        advice: 'use Node 22 or newer',
      }
    : { name: 'node', state: 'ok', text: version };
}

/** What heals Python services, Node services and repositories. Missing ones only matter where such a service is. */
async function programs(run: Run): Promise<Finding[]> {
  const wanted: [string, readonly string[], string][] = [
    ['git', ['git', '--version'], 'fixes of repositories need it'],
    ['python', ['python3', '--version'], 'fixes of Python services need it'],
    ['npm', ['npm', '--version'], 'fixes of Node services need it'],
  ];
  return Promise.all(
    wanted.map(async ([name, argv, need]): Promise<Finding> => {
      const { code, stdout, stderr } = await run(argv, { cwd: '/', timeoutMs: 20_000 });
      const said = (stdout || stderr).trim().split('\n').at(-1) ?? '';
      return code === 0
        ? { name, state: 'ok', text: said }
        : { name, state: 'warning', text: 'not found on PATH, or it does not start', advice: need };
    }),
  );
}

/** Certificates, tokens and `--since` all go wrong on a host whose clock does. */
async function clockOf(run: Run): Promise<Finding[]> {
  const { code, stdout } = await run(['timedatectl', 'show', '--property=NTPSynchronized', '--value'], {
    cwd: '/',
    timeoutMs: 10_000,
  });
  if (code !== 0) return [];
  return stdout.trim() === 'yes'
    ? [{ name: 'clock', state: 'ok', text: 'kept by a time server' }]
    : [{ name: 'clock', state: 'warning', text: 'not kept by a time server', advice: 'timedatectl set-ntp true' }];
}

async function configFile({ file }: Config): Promise<Finding[]> {
  if (file === null) return [];
  const { mode, uid } = await stat(file);
  if ((mode & 0o022) !== 0)
    return [
      {
        name: 'config file',
        state: 'problem',
        text: `others may write ${file}, and so decide what runs`,
        advice: `chmod go-w ${file}`,
      },
    ];
  if (uid !== 0 && uid !== process.geteuid?.())
    return [{ name: 'config file', state: 'warning', text: `${file} belongs to another user, who decides what runs` }];
  return [{ name: 'config file', state: 'ok', text: 'only its owner may write it' }];
}

const LEAST_ROOM_BYTES = 50 * 1024 * 1024;

async function stateFolder({ state }: Config): Promise<Finding[]> {
  const found = await stat(state).catch(() => null);
  const place = found ? state : await existingParent(state);
  const writable = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return [
      {
        name: 'state folder',
        state: 'problem',
        text: `this user may not write ${place}`,
        advice: 'set `state:` or change the owner',
      },
    ];
  if (found && !found.isDirectory())
    return [{ name: 'state folder', state: 'problem', text: `${state} is not a directory` }];
  if (found && (found.mode & 0o077) !== 0)
    return [
      { name: 'state folder', state: 'problem', text: `others may look into ${state}`, advice: `chmod 700 ${state}` },
    ];
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  if (free < LEAST_ROOM_BYTES)
    return [
      { name: 'state folder', state: 'problem', text: `only ${Math.round(free / 1e6)} MB are free for ${state}` },
    ];
  return [{ name: 'state folder', state: 'ok', text: found ? state : `${state} (made at the first start)` }];
}

async function existingParent(path: string): Promise<string> {
  const parent = dirname(path);
  const there = await stat(parent).then(
    () => true,
    () => false,
  );
  return there || parent === path ? parent : existingParent(parent);
}

async function store({ state }: Config): Promise<Finding[]> {
  const damage = Object.entries(await examineStore(state));
  const bad = damage.filter(([, what]) => what !== null);
  if (bad.length === 0) return [{ name: 'store', state: 'ok', text: 'sound' }];
  return bad.map(([file, what]) => ({
    name: 'store',
    state: 'problem',
    text: `${file}: ${what}`,
    advice:
      'the next start of `selfheal watch` sets it aside in quarantine/ and heals nothing until `selfheal resume`; copies are in backups/',
  }));
}

async function daemon({ state }: Config): Promise<Finding[]> {
  const running = await runningDaemon(state);
  return running
    ? [{ name: 'daemon', state: 'ok', text: `runs as pid ${running.pid}` }]
    : [
        {
          name: 'daemon',
          state: 'warning',
          text: 'is not running',
          advice: '`selfheal watch` starts it; see examples/ for a systemd unit',
        },
      ];
}

async function serviceOf(
  service: Config['services'][number],
  environment: DoctorOptions['environment'],
): Promise<Finding[]> {
  const name = `service ${service.name}`;
  const directory = await stat(service.directory).catch(() => null);
  if (!directory?.isDirectory()) return [{ name, state: 'problem', text: `${service.directory} is not a directory` }];
  const findings: Finding[] = [];
  if (!service.command && service.logs.length === 0 && !service.journald && !service.docker)
    findings.push({
      name,
      state: 'problem',
      text: 'nothing to read: name `logs`, `journald`, `docker` or a `command`',
    });
  const missing =
    service.command &&
    (await missingProgram(service.command, service.directory, { ...environment, ...service.environment }));
  if (missing) findings.push({ name, state: 'problem', text: missing, advice: 'correct `command:`' });
  for (const pattern of service.logs) findings.push(...(await logsBehind(name, pattern)));
  if (!service.restart)
    findings.push({ name, state: 'warning', text: 'cannot be restarted', advice: 'set `restart:` if selfheal may' });
  if (!service.health)
    findings.push({
      name,
      state: 'warning',
      text: 'has no health probe',
      advice: 'set `health:` so that a repair can be proven better',
    });
  return findings.some((finding) => finding.state === 'problem')
    ? findings
    : [{ name, state: 'ok', text: service.directory }, ...findings];
}

async function ownModel({ gateway }: Config): Promise<Finding[]> {
  if (!gateway?.embedded) return [];
  const missing = await missingForModel(gateway.embedded);
  const name = 'embedded model';
  if (missing.length === 0) return [{ name, state: 'ok', text: gateway.embedded.model }];
  return missing.map(({ message, advice }) => ({ name, state: 'problem', text: message, advice }));
}

async function logsBehind(name: string, pattern: string): Promise<Finding[]> {
  const files = await filesMatching(pattern);
  if (files.length === 0)
    return [
      {
        name,
        state: 'warning',
        text: `no file matches ${pattern} yet`,
        advice: 'it will be followed once it is there',
      },
    ];
  const readable = await Promise.all(
    files.map((file) =>
      access(file, constants.R_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  const denied = files.filter((_, index) => !readable[index]);
  if (denied.length > 0)
    return [
      {
        name,
        state: 'problem',
        text: `this user may not read ${denied.slice(0, 3).join(', ')}`,
        advice: 'add the user to the group of the files',
      },
    ];
  return [{ name, state: 'ok', text: `${files.length} log file${files.length === 1 ? '' : 's'} behind ${pattern}` }];
}

/** The address holds the token: nothing of what fails may be shown but the kind of failure. */
async function telegram({ telegram }: Config, signal: AbortSignal): Promise<Finding[]> {
  if (!telegram) return [{ name: 'telegram', state: 'warning', text: 'is not set up: nobody is told' }];
  try {
    const answer = await fetch(`${telegram.apiRoot}/bot${telegram.token.reveal()}/getMe`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
      redirect: 'error',
    });
    if (answer.status === 401 || answer.status === 404)
      return [
        { name: 'telegram', state: 'problem', text: 'the token is refused', advice: 'get a new one from @BotFather' },
      ];
    if (!answer.ok) return [{ name: 'telegram', state: 'problem', text: `the server answers ${answer.status}` }];
    const body = (await answer.json()) as { result?: { username?: unknown } };
    return [{ name: 'telegram', state: 'ok', text: `the bot is @${String(body.result?.username ?? '?')}` }];
  } catch (error) {
    const code = (error as { cause?: { code?: unknown } }).cause?.code;
    return [
      { name: 'telegram', state: 'problem', text: `cannot be reached${typeof code === 'string' ? ` (${code})` : ''}` },
    ];
  }
}
