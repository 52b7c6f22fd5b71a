// Looks at a service's Python: its own venv and nobody else's, what is installed there, what the
// project pins, and what an install would bring in. Changes nothing in the environment.

import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { systemClock } from './clock.ts';
import type {
  FileProbe,
  PinChoice,
  PythonEnvironment,
  PythonProbe,
  Resolution,
  Run,
  ServiceFacts,
  WantedDistribution,
} from './contract.ts';
import { knownDistributions } from './import-names.ts';
import { findIndex, isIndexUrl, withoutCredentials } from './package-index.ts';
import { pipImportPath, resolveWheels, type PipTarget, type PipTool } from './pip.ts';
import { choosePin, collectPins } from './pins.ts';
import { askPython } from './python-child.ts';
import { DESCRIBE, DISTRIBUTIONS, IMPORT, IMPORTS_OF, MARKERS, REQUIRED_BY, STANDARD } from './python-scripts.ts';
import { normalizeName, type RequirementPin } from './requirements.ts';

export interface PythonProbeDeps {
  readonly run: Run;
  readonly files: FileProbe;
  /** PIP_INDEX_URL of selfheal's own environment when it started. Default: none. */
  readonly pipIndexUrl?: string | null;
  readonly clock?: Pick<Clock, 'now'>;
  /** pip configuration of the machine and the user. Default: `/etc/pip.conf`. */
  readonly pipConfFiles?: readonly string[];
}

const VENV_NAMES = ['.venv', 'venv', 'env'] as const;
const IMPORT_MS = 60_000;
const MOST_SOURCES = 2_000;
const MOST_IMPORTERS = 20;
const NOT_SOURCES = /(?:^|\/)(?:\.venv|venv|env|node_modules|site-packages|__pycache__|\.git|\.tox|build|dist)\//;

/**
 * Makes the probe of Python projects.
 *
 * @example
 * const python = createPythonProbe({ run, files });
 * const environment = await python.environment(service); // null: this service has no venv of its own
 */
export function createPythonProbe(deps: PythonProbeDeps): PythonProbe {
  return new Probe(deps);
}

/** What DESCRIBE answers. */
interface Description {
  readonly version: string;
  readonly prefix: string;
  readonly basePrefix: string;
  readonly purelib: string;
  readonly platlib: string;
  readonly scripts: string;
  readonly pip: PipTool | null;
}

class Probe implements PythonProbe {
  readonly #deps: PythonProbeDeps;
  /** The index that each venv named when it was first looked at: a later change makes plans ask. */
  readonly #firstIndex = new Map<string, string>();

  constructor(deps: PythonProbeDeps) {
    this.#deps = deps;
  }

  async environment(service: ServiceFacts): Promise<PythonEnvironment | null> {
    const { files } = this.#deps;
    const { venv, others } = await this.#findVenv(service);
    if (venv === null) return null;
    const interpreter = join(venv, 'bin', 'python');
    const description = await describe(this.#deps.run, interpreter, venv);
    if (description === null) return null;
    const found = await this.#index(service, venv);
    const { indexes } = await collectPins(files, service.directory);
    const doubts = [
      ...found.doubts,
      ...indexes.map((index) => `${withoutCredentials(index)} is named besides the index`),
    ];
    if (others.length > 0) doubts.push(`the project also has ${others.map((o) => basename(o)).join(' and ')}`);
    return {
      interpreter,
      venv,
      version: description.version,
      sitePackages: description.purelib,
      index: isIndexUrl(found.url) ? withoutCredentials(found.url) : null,
      doubts,
    };
  }

  imports(environment: PythonEnvironment, module: string, directory: string) {
    return importModule(this.#deps.run, { interpreter: environment.interpreter, module, directory });
  }

  async distributions(environment: PythonEnvironment) {
    const answer = await this.#ask(environment, DISTRIBUTIONS, { paths: [environment.sitePackages] });
    return answer.ok ? (answer.value as Awaited<ReturnType<PythonProbe['distributions']>>) : [];
  }

  async isStandard(environment: PythonEnvironment, module: string): Promise<boolean> {
    if (!isModuleName(module)) return false;
    const answer = await this.#ask(environment, STANDARD, { module });
    return answer.ok && answer.value === true;
  }

  async importsOf(environment: PythonEnvironment, file: string): Promise<readonly string[]> {
    const text = await this.#deps.files.text(file);
    return text === null ? [] : ((await this.#parseImports(environment, [text]))[0] ?? []);
  }

  async importers(environment: PythonEnvironment, directory: string, module: string): Promise<readonly string[]> {
    if (!isModuleName(module)) return [];
    const { files } = this.#deps;
    const paths = await files.glob(directory, ['*.py', '**/*.py']);
    const candidates: { path: string; text: string }[] = [];
    for (const found of paths.map((path) => resolve(directory, path)).slice(0, MOST_SOURCES)) {
      if (NOT_SOURCES.test(found.slice(directory.length)) || found.startsWith(`${environment.venv}/`)) continue;
      const text = await files.text(found);
      if (text?.includes(module.split('.')[0] ?? module)) candidates.push({ path: found, text });
    }
    const parsed = await this.#parseImports(
      environment,
      candidates.map((c) => c.text),
    );
    return candidates
      .filter((_, i) => parsed[i]?.some((name) => name === module || name.startsWith(`${module}.`)))
      .map((c) => c.path)
      .slice(0, MOST_IMPORTERS);
  }

  async ownModule(directory: string, module: string): Promise<string | null> {
    const top = module.split('.')[0] ?? '';
    if (!isModuleName(top)) return null;
    for (const path of [`${top}.py`, top, `src/${top}.py`, `src/${top}`].map((p) => join(directory, p))) {
      const { kind } = await this.#deps.files.status(path);
      if (kind === 'file' && path.endsWith('.py')) return path;
      if (kind === 'directory' && (await this.#deps.files.list(path)).some((name) => name.endsWith('.py'))) return path;
    }
    return null;
  }

  async pins(directory: string) {
    return (await collectPins(this.#deps.files, directory)).pins;
  }

  async distributionsFor(environment: PythonEnvironment, module: string): Promise<readonly string[]> {
    if (!isModuleName(module)) return [];
    const top = module.split('.')[0] ?? module;
    const installed = await this.distributions(environment);
    const providing = installed.filter((d) => d.modules.includes(top)).map((d) => normalizeName(d.name));
    const dotted = normalizeName(module.replaceAll('.', '-'));
    return [...new Set([...providing, ...knownDistributions(module), normalizeName(top), dotted])];
  }

  async choosePin(
    environment: PythonEnvironment,
    directory: string,
    candidates: readonly string[],
  ): Promise<PinChoice> {
    const { pins } = await collectPins(this.#deps.files, directory);
    const choice = choosePin(await this.#applicable(environment, pins, candidates), candidates);
    return choice.kind === 'none' ? ((await this.#requirement(environment, candidates)) ?? choice) : choice;
  }

  async resolve(
    environment: PythonEnvironment,
    wanted: readonly WantedDistribution[],
    directory: string,
  ): Promise<Resolution> {
    const { run, files, clock = systemClock } = this.#deps;
    const target = await pipTarget(run, environment.interpreter);
    if (typeof target === 'string') return { kind: 'impossible', reason: target };
    const { pins } = await collectPins(files, directory);
    const index = await this.#rawIndex(environment);
    return index === null
      ? { kind: 'impossible', reason: 'no package index is known' }
      : resolveWheels(
          { run, target, now: () => clock.now() },
          index,
          wanted,
          await this.#applicable(environment, pins, null),
        );
  }

  /** What an installed distribution says about a candidate: enough to ask with, never enough to act on. */
  async #requirement(environment: PythonEnvironment, candidates: readonly string[]): Promise<PinChoice | null> {
    const target = await pipTarget(this.#deps.run, environment.interpreter);
    if (typeof target === 'string') return null;
    const names = candidates.map(normalizeName);
    const answer = await this.#ask(environment, REQUIRED_BY, { names, pip: pipImportPath(target) });
    const found = answer.ok ? (answer.value as { name: string; constraint: string; by: string }[]) : [];
    const [first] = found;
    if (first === undefined || found.some((other) => other.name !== first.name)) return null;
    const constraint = [...new Set(found.map((f) => f.constraint).filter((c) => c !== ''))].join(',');
    return { kind: 'required', name: first.name, constraint, by: first.by };
  }

  #ask(environment: PythonEnvironment, script: string, data: Readonly<Record<string, unknown>>, timeoutMs?: number) {
    const { interpreter, venv } = environment;
    return askPython(this.#deps.run, { interpreter, owner: venv, script, data, ...(timeoutMs ? { timeoutMs } : {}) });
  }

  async #parseImports(
    environment: PythonEnvironment,
    texts: readonly string[],
  ): Promise<readonly (readonly string[])[]> {
    if (texts.length === 0) return [];
    const answer = await this.#ask(environment, IMPORTS_OF, { texts });
    return answer.ok ? (answer.value as string[][]) : [];
  }

  /** The venv that the service's own command names, else the one folder of the project that is a venv. */
  async #findVenv(
    service: ServiceFacts,
  ): Promise<{ readonly venv: string | null; readonly others: readonly string[] }> {
    const named = await this.#namedVenvs(service);
    if (named.foreign) return { venv: null, others: [] };
    const present: string[] = [];
    for (const name of VENV_NAMES) {
      const venv = await this.#asVenv(service.directory, join(service.directory, name));
      if (venv !== null && !present.includes(venv)) present.push(venv);
    }
    const [venv = null, ...others] = named.venvs.length > 0 ? named.venvs : present;
    return { venv, others };
  }

  /** Venvs that commands of the service start from. `foreign`: it runs with a Python of a venv outside of its folder. */
  async #namedVenvs(service: ServiceFacts): Promise<{ readonly venvs: readonly string[]; readonly foreign: boolean }> {
    const restart = service.restart?.kind === 'command' ? service.restart.argv : [];
    const health = service.health?.kind === 'command' ? service.health.argv : [];
    const programs = [service.command?.[0], restart[0], health[0]].filter(
      (p): p is string => p?.includes('/') === true,
    );
    const venvs = new Set<string>();
    let foreign = false;
    for (const program of programs) {
      const path = isAbsolute(program) ? program : join(service.directory, program);
      if (basename(dirname(path)) !== 'bin') continue;
      const folder = dirname(dirname(path));
      if ((await this.#deps.files.status(join(folder, 'pyvenv.cfg'))).kind !== 'file') continue;
      const venv = await this.#asVenv(service.directory, folder);
      if (venv === null) foreign = true;
      else venvs.add(venv);
    }
    return { venvs: [...venvs], foreign };
  }

  /** The real path of a venv inside the project; null for a link out of it and for what is no venv. */
  async #asVenv(root: string, folder: string): Promise<string | null> {
    const { files } = this.#deps;
    const real = await files.inside(root, folder);
    if (real === null || real === (await files.inside(root, root))) return null;
    if ((await files.status(join(real, 'pyvenv.cfg'))).kind !== 'file') return null;
    const python = await files.status(join(real, 'bin', 'python'));
    return python.kind === 'file' || python.kind === 'symlink' ? real : null;
  }

  async #index(service: ServiceFacts, venv: string) {
    const { files, pipIndexUrl = null, pipConfFiles = ['/etc/pip.conf'] } = this.#deps;
    const clues = { configured: service.pipIndex, venv, environment: pipIndexUrl, machineFiles: pipConfFiles };
    const found = await findIndex(files, clues);
    this.#raw.set(venv, found.url);
    const first = this.#firstIndex.get(venv) ?? found.url;
    this.#firstIndex.set(venv, first);
    if (first === found.url || service.pipIndex !== null) return found;
    const change = `the package index was ${withoutCredentials(first)} when selfheal started`;
    return { url: found.url, doubts: [...found.doubts, change] };
  }

  /** With credentials, by venv; never given out. */
  readonly #raw = new Map<string, string>();

  async #rawIndex(environment: PythonEnvironment): Promise<string | null> {
    const raw = this.#raw.get(environment.venv);
    return raw !== undefined && withoutCredentials(raw) === environment.index ? raw : environment.index;
  }

  /** Pins whose marker holds for this interpreter; of other names than `candidates` the marker does not matter. */
  async #applicable(
    environment: PythonEnvironment,
    pins: readonly RequirementPin[],
    candidates: readonly string[] | null,
  ): Promise<readonly RequirementPin[]> {
    const names = candidates === null ? null : new Set(candidates.map(normalizeName));
    const asked = pins.filter((p) => p.marker !== null && (names === null || names.has(normalizeName(p.name))));
    if (asked.length === 0) return pins;
    const target = await pipTarget(this.#deps.run, environment.interpreter);
    const markers = asked.map((p) => p.marker);
    const pip = typeof target === 'string' ? null : pipImportPath(target);
    const answer = await this.#ask(environment, MARKERS, { markers, pip });
    const holds = answer.ok ? (answer.value as boolean[]) : [];
    const dropped = new Set(asked.filter((_, i) => holds[i] !== true));
    return pins.filter((p) => !dropped.has(p));
  }
}

/** A dotted ASCII identifier: nothing else is ever looked for, let alone installed. */
export function isModuleName(text: string): boolean {
  return text.length <= 200 && /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(text);
}

/** Imports a module in a child of that interpreter. What the project itself provides is never run: `unknown`. */
export async function importModule(
  run: Run,
  { interpreter, module, directory, signal }: ImportRequest,
): Promise<{ readonly ok: boolean | 'unknown'; readonly error: string }> {
  if (!isModuleName(module)) return { ok: 'unknown', error: 'not a module name' };
  const answer = await askPython(run, {
    interpreter,
    owner: dirname(dirname(interpreter)),
    script: IMPORT,
    data: { module, directory },
    timeoutMs: IMPORT_MS,
    ...(signal ? { signal } : {}),
  });
  if (!answer.ok) return { ok: 'unknown', error: answer.error };
  const value = answer.value as { readonly own?: string; readonly ok?: boolean; readonly error?: string };
  if (value.own !== undefined) return { ok: 'unknown', error: `${module} is part of the project (${value.own})` };
  return { ok: value.ok === true, error: value.error ?? '' };
}

export interface ImportRequest {
  readonly interpreter: string;
  readonly module: string;
  /** The project: what it provides itself is not imported. */
  readonly directory: string;
  readonly signal?: AbortSignal;
}

async function describe(run: Run, interpreter: string, venv: string): Promise<Description | null> {
  const answer = await askPython(run, { interpreter, owner: venv, script: DESCRIBE });
  if (!answer.ok) return null;
  const found = answer.value as Description;
  const prefix = await realpath(found.prefix).catch(() => null);
  // An interpreter that thinks it lives elsewhere would change another environment, or the system's.
  return prefix === venv && found.prefix !== found.basePrefix && found.purelib.startsWith(`${found.prefix}/`)
    ? found
    : null;
}

/** What pip needs to act on the environment of this interpreter; a text is the reason why it cannot. */
export async function pipTarget(run: Run, interpreter: string): Promise<PipTarget | string> {
  const venv = dirname(dirname(interpreter));
  const found = await describe(run, interpreter, venv);
  if (found === null) return `${interpreter} is not the interpreter of its own environment`;
  if (found.pip === null) return 'no pip was found that could act on this environment';
  return { interpreter, venv, purelib: found.purelib, scripts: found.scripts, pip: found.pip };
}
