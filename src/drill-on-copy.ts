// A fix of the catalogue on a copy of the owner's own service: the copy is damaged in the way the fix is for, the fix has to
// see it, mend it, prove it and take it back. The service itself is only read.

import { cp, readdir, readlink, realpath, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Environment } from './app.ts';
import type { ServiceConfig } from './config/contract.ts';
import { headRecord, modesRecord } from './core/good-copy-names.ts';
import type { Damage, Drill, Fix } from './fixes/contract.ts';
import type { HealthProbe, ServiceFacts } from './host/contract.ts';
import type { Store } from './store/contract.ts';
import type { DrillKit } from './testing/drill-kit.ts';
import { carryOut, openDrill, proposalFlaws } from './testing/rehearse.ts';

export interface CopyRehearsal {
  /** What was damaged; null when the service has nothing of the kind, and nothing was rehearsed. */
  readonly damage: string | null;
  readonly problems: readonly string[];
}

/**
 * Copies the service's folder, damages the copy and lets the fix heal it. Programs are neither started nor stopped: what
 * needs the running service is left out.
 */
export async function rehearseOnCopy(
  fix: Fix,
  service: ServiceConfig,
  deps: { readonly store: Pick<Store, 'goodCopies' | 'goodCopy'>; readonly environment: Environment },
): Promise<CopyRehearsal> {
  const away = await leadsAway(service.directory);
  if (away !== null)
    return { damage: null, problems: [`${away} leads out of the folder: a copy of it would still be the real one`] };
  const drill = new CopyDrill(service, deps.store);
  const open = await openDrill(drill, { environment: { ...deps.environment, ...service.environment } });
  try {
    const { kit } = open.world;
    const damage = (await fix.damage?.({ service: open.world.service(), probe: open.machine.probe, kit })) ?? null;
    if (damage === null) return { damage: null, problems: [] };
    drill.becomes(damage);
    const diagnosis = await open.diagnose(fix, { facts: damage.facts, message: damage.message });
    const what = damage.what.replaceAll(kit.directory, service.directory);
    if (diagnosis.kind !== 'proposal') return { damage: what, problems: [`${diagnosis.kind}: ${diagnosis.reason}`] };
    const { proposal } = diagnosis;
    return { damage: what, problems: [...proposalFlaws(proposal), ...(await carryOut(open, proposal))] };
  } finally {
    await open.close();
  }
}

/** The interpreter of a virtual environment is a link to the system's, which nobody damages. */
const INTERPRETER = /\/bin\/python[\d.]*$/;

/** What would lead out of a copy: a link to elsewhere or by its whole path, or the `.git` file of a worktree or submodule. */
async function leadsAway(root: string): Promise<string | null> {
  const real = await realpath(root);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.name === '.git' && !entry.isDirectory()) return name;
    if (!entry.isSymbolicLink() || INTERPRETER.test(path)) continue;
    // A link to nothing may be made to lead somewhere by whoever writes through it.
    const target = await realpath(path).catch(() => null);
    if (isAbsolute(await readlink(path)) || target === null || !`${target}/`.startsWith(`${real}/`)) return name;
  }
  return null;
}

/** A world that is a copy of a service, and the claim of whatever was damaged in it. */
class CopyDrill implements Drill {
  readonly given: string;
  readonly facts = {};
  readonly expect = [];
  type: Drill['type'] = 'unknown';
  readonly #service: ServiceConfig;
  readonly #store: Pick<Store, 'goodCopies' | 'goodCopy'>;

  constructor(service: ServiceConfig, store: Pick<Store, 'goodCopies' | 'goodCopy'>) {
    this.given = `a copy of ${service.name}`;
    this.#service = service;
    this.#store = store;
  }

  becomes({ type }: Damage): void {
    this.type = type;
  }

  world = async (kit: DrillKit): Promise<void> => {
    const { directory, name } = this.#service;
    await cp(directory, kit.directory, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    kit.service(moved(this.#service, kit.directory));
    const { configFiles, envFile } = this.#service;
    const kept = [
      ...configFiles,
      ...(envFile === null ? [] : [envFile]),
      headRecord(directory),
      modesRecord(directory),
    ];
    for (const path of new Set(kept)) {
      const proven = (await this.#store.goodCopies(name, path)).find((copy) => copy.provenAt !== null);
      const found = proven && (await this.#store.goodCopy(proven.id));
      if (found) await putGoodCopy(kit, path.replace(directory, kit.directory), Buffer.from(found.content), path);
    }
  };
}

/** The kit takes the present content of a file for good: for that moment it is the proven one. */
async function putGoodCopy(kit: DrillKit, path: string, content: Buffer, real: string): Promise<void> {
  await kit.write(path, content.toString('utf8'));
  await kit.goodCopy(path);
  await cp(real, path, { preserveTimestamps: true }).catch(() => rm(path, { force: true }));
}

/** The same service in another folder. Who asks the running one is left out: it would answer for the copy. */
function moved(service: ServiceConfig, to: string): ServiceFacts {
  const from = service.directory;
  const at = (path: string): string =>
    path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
  const health: HealthProbe | null =
    service.health?.kind === 'command' ? { kind: 'command', argv: service.health.argv.map(at) } : null;
  return {
    name: service.name,
    directory: to,
    command: null,
    restart: null,
    health,
    envFile: service.envFile === null ? null : at(service.envFile),
    disposable: service.disposable,
    pipIndex: service.pipIndex,
    npmRegistry: service.npmRegistry,
    settleMs: service.settleMs,
    logs: service.logs.map(at),
    idle: service.idle,
    fixes: service.fixes,
    configFiles: service.configFiles.map(at),
  };
}
