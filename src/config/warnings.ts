// What a valid configuration names that is not there: folders, programs, logs. None of it makes the file wrong, for it may
// come later; but a slip of the hand looks exactly like that, and nobody would hear of it.

import { access, constants, readFile, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type { Config, ConfigProblem, ServiceConfig } from './contract.ts';
import { filesMatching } from './discover.ts';
import { type MissingForModel, missingForModel } from './model-runtime.ts';
import { byPlace, dotted, placed } from './problems.ts';
import { type Path, readYaml } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

interface Warning {
  readonly path: Path;
  readonly message: string;
}

/**
 * What the configuration names and this machine does not have, in the order of the file. Looks only.
 *
 * @example for (const { line, message } of await warningsOf(config, process.env)) console.log(line, message);
 */
export async function warningsOf(config: Config, environment: Environment): Promise<readonly ConfigProblem[]> {
  const { file } = config;
  const text = file === null ? null : await readFile(file, 'utf8').catch(() => null);
  const yaml = text === null ? null : readYaml(text);
  const services = await Promise.all(config.services.map((service) => ofService(service, environment)));
  const rules = await Promise.all(config.rules.map((path, index) => ofFile(path, ['rules', index])));
  const model = config.gateway?.embedded ? await missingForModel(config.gateway.embedded) : [];
  return [...services.flat(), ...rules.flat(), ...model.map(ofModel)]
    .map(({ path, message }) => ({
      ...placed(file, yaml?.locate(path) ?? null),
      key: dotted(path),
      message: `${dotted(path)}: ${message}`,
    }))
    .sort(byPlace);
}

function ofModel({ key, message, advice }: MissingForModel): Warning {
  return { path: ['gateway', 'embedded', key], message: `${message}; ${advice}` };
}

async function ofService(service: ServiceConfig, environment: Environment): Promise<readonly Warning[]> {
  const { name, directory, command, health, logs, envFile } = service;
  const at = (...keys: (string | number)[]): Path => ['services', name, ...keys];
  const found = await stat(directory).catch(() => null);
  if (!found?.isDirectory())
    return [{ path: at('directory'), message: `there is no folder ${directory}; nothing in it can be watched` }];
  const own = { ...environment, ...service.environment };
  const unread = !command && logs.length === 0 && !service.journald && !service.docker;
  return [
    ...(unread ? [{ path: at(), message: 'nothing is read: name `logs`, `journald`, `docker` or a `command`' }] : []),
    ...(await ofCommand(command, directory, own, at('command'))),
    ...(await ofCommand(health?.kind === 'command' ? health.argv : null, directory, own, at('health', 'command'))),
    ...(await Promise.all(logs.map((pattern, index) => ofPattern(pattern, at('logs', index))))).flat(),
    ...(envFile === null ? [] : await ofFile(envFile, at('env_file'))),
  ];
}

async function ofCommand(
  argv: readonly string[] | null,
  directory: string,
  environment: Environment,
  path: Path,
): Promise<readonly Warning[]> {
  const missing = argv === null ? null : await missingProgram(argv, directory, environment);
  return missing === null ? [] : [{ path, message: missing }];
}

/** A script that an interpreter is given by name. */
const SCRIPT = /^[^-].*\.(?:py|js|mjs|cjs|ts|sh|rb|pl|php|jar)$/;

/** Why these words cannot be run in that folder, as a sentence; null when nothing speaks against it. */
export async function missingProgram(
  argv: readonly string[],
  directory: string,
  environment: Environment,
): Promise<string | null> {
  const [program = '', first] = argv;
  const folders = program.includes('/') ? [directory] : (environment['PATH'] ?? '').split(delimiter);
  const candidates = folders.map((folder) => resolve(directory, folder, program));
  const runnable = await Promise.all(candidates.map((file) => may(file, constants.X_OK)));
  if (!runnable.includes(true))
    return program.includes('/')
      ? `there is no program ${join(isAbsolute(program) ? '/' : directory, program)} that could be started`
      : `there is no program ${program} on the PATH of this shell`;
  if (first !== undefined && SCRIPT.test(first) && !(await may(resolve(directory, first), constants.F_OK)))
    return `there is no file ${resolve(directory, first)}`;
  return null;
}

async function ofPattern(pattern: string, path: Path): Promise<readonly Warning[]> {
  const files = await filesMatching(pattern);
  if (files.length > 0) return [];
  return [{ path, message: `no file matches ${pattern} yet; one is followed as soon as it is there` }];
}

async function ofFile(file: string, path: Path): Promise<readonly Warning[]> {
  return (await may(file, constants.R_OK)) ? [] : [{ path, message: `there is no file ${file} that can be read` }];
}

function may(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
