// What fixes that install packages have in common: the step, what proves it, and what makes it ask.

import type { Check, NpmInstallStep, PipInstallStep } from '../../core/plan.ts';
import type { NodeProject, Probe, PythonEnvironment, ResolvedWheel, ServiceFacts } from '../../host/contract.ts';
import { healthCheck } from './health-check.ts';
import { listed } from './listed.ts';

/** True when a process of the service has the old packages in memory. A job that something else starts has none. */
export function isLongRunning(service: ServiceFacts): boolean {
  return service.command !== null || service.restart !== null;
}

/** The owner's own health probe, as it must answer afterwards. */
export async function proofOfHealth(probe: Probe, service: ServiceFacts): Promise<readonly Check[]> {
  if (service.health === null) return [];
  const checks = healthCheck(service.name, (await probe.services.health(service.name)).passed);
  // The import alone tells whether there is anything to heal: the service may be ill of this or of nothing.
  return checks.map((check) => ({ ...check, failsBefore: false }));
}

// ---------------------------------------------------------------- Python

/** `install wordtrim 1.2.0 into /srv/agent/.venv` */
export function titleOf({ venv }: PythonEnvironment, wheels: readonly ResolvedWheel[]): string {
  return `install ${listed(wheels.map((wheel) => `${wheel.name} ${wheel.version}`))} into ${venv}`;
}

/** Exactly these wheels, known by their hashes. `provides` is the module that the wanted one must bring. */
export function pipStep(
  service: ServiceFacts,
  environment: PythonEnvironment,
  wheels: readonly ResolvedWheel[],
  provides: string | null,
): PipInstallStep {
  return {
    kind: 'pip-install',
    title: titleOf(environment, wheels),
    undo: { kind: 'restore-snapshot' },
    interpreter: environment.interpreter,
    directory: service.directory,
    index: environment.index ?? '',
    packages: wheels.map((wheel) => ({
      name: wheel.name,
      version: wheel.version,
      hashes: [wheel.hash],
      ...(wheel.wanted && provides !== null ? { provides } : {}),
      ...(wheel.replaces === null ? {} : { replaces: wheel.replaces }),
      ...(wheel.concerns.length === 0 ? {} : { concerns: wheel.concerns }),
    })),
  };
}

export function importCheck({ directory }: ServiceFacts, interpreter: string, module: string): Check {
  const title = `${interpreter} imports ${module}`;
  return { kind: 'python-import', title, proves: 'operation', failsBefore: true, interpreter, module, directory };
}

/** A plan that brings more than what the project pins, or something doubtful, is shown before it runs. */
export function reasonsToAsk(environment: PythonEnvironment, wheels: readonly ResolvedWheel[]): string[] {
  const reasons = [...environment.doubts];
  for (const wheel of wheels) {
    reasons.push(...wheel.concerns.map((concern) => `${wheel.name}: ${concern}`));
    if (!wheel.wanted && !wheel.pinned)
      reasons.push(`it also brings ${wheel.name} ${wheel.version}, which nothing pins`);
    if (wheel.replaces !== null && wheel.replaces !== wheel.version) {
      reasons.push(`it replaces ${wheel.name} ${wheel.replaces} by ${wheel.version}`);
    }
  }
  return reasons;
}

// ---------------------------------------------------------------- Node

type Locked = NodeProject & { readonly lock: NonNullable<NodeProject['lock']> };

/** Why `npm ci` must not be run here; a project when nothing speaks against it. */
export function lockedProject(project: NodeProject): Locked | string {
  const { lock } = project;
  if (project.otherManagers.length > 0)
    return `the project is managed by ${listed(project.otherManagers)}, not by npm alone`;
  if (lock === null) return 'no package-lock.json (of version 2 or newer) pins what to install';
  if (!lock.matches) return 'package-lock.json does not fit package.json: run `npm install` and commit the result';
  const foreign = Object.entries(lock.packages).filter(([, entry]) => entry.foreign);
  if (foreign.length > 0) {
    const names = listed(foreign.map(([place]) => nameOf(place)));
    return `${names} would come from elsewhere than the registry, or cannot be verified: install by hand`;
  }
  return { ...project, lock };
}

/** `node_modules/a/node_modules/@b/c` → `@b/c` */
export function nameOf(place: string): string {
  return place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

export function npmStep(project: Locked, options: { readonly freshCache?: boolean } = {}): NpmInstallStep {
  const { directory, registry, lock } = project;
  return {
    kind: 'npm-install',
    title: `install what package-lock.json pins into ${directory}/node_modules`,
    undo: { kind: 'restore-snapshot' },
    directory,
    registry,
    lock: lock.sha256,
    ...(leavesOutDevelopment(project) ? { omitDev: true } : {}),
    ...(options.freshCache ? { freshCache: true } : {}),
  };
}

/** True when packages are installed, and none of those that only development needs. */
function leavesOutDevelopment({ installed, lock }: Locked): boolean {
  const names = Object.keys(installed);
  const isDev = (name: string): boolean => lock.packages[`node_modules/${name}`]?.dev === true;
  return names.length > 0 && !names.some(isDev) && Object.values(lock.packages).some((entry) => entry.dev);
}

/** What a person should see before the whole folder is replaced. */
export function reasonsToAskForNpm({ suspicious, installed, lock }: Locked): string[] {
  const reasons: string[] = [];
  if (suspicious.length > 0) reasons.push(`.npmrc sets ${listed(suspicious)}`);
  const scripted = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript && !entry.optional);
  if (scripted.length > 0) {
    reasons.push(
      `install scripts are not run, and ${listed(scripted.map(([place]) => nameOf(place)))} may need theirs`,
    );
  }
  const gone = Object.keys(installed).filter((name) => lock.packages[`node_modules/${name}`] === undefined);
  if (gone.length > 0) reasons.push(`it removes ${listed(gone)}, which the lock does not know`);
  const changed = Object.entries(installed).filter(([name, version]) => {
    const pinned = lock.packages[`node_modules/${name}`]?.version;
    return pinned !== undefined && version !== '' && version !== pinned;
  });
  if (changed.length > 0)
    reasons.push(`it changes ${listed(changed.map(([name, v]) => `${name} ${v}`))} to what is pinned`);
  return reasons;
}

export function resolveCheck(from: string, module: string): Check {
  return {
    kind: 'node-resolve',
    title: `${from} finds ${module}`,
    proves: 'operation',
    failsBefore: true,
    from,
    module,
  };
}
