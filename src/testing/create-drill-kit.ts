// The drill kit for real: a scratch folder with real repositories, venvs, processes and local package
// servers. A drill, and every test of a fix, builds its small world with it.

import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Run, ServiceFacts } from '../host/contract.ts';
import { VALUE_KEYS, type GoodCopy } from '../store/contract.ts';
import type { DrillKit } from './drill-kit.ts';
import { type KitValues, makeGateway, memoryValues } from './kit-gateway.ts';
import { commitUpstream, GIT_ENVIRONMENT, makeRepository } from './kit-git.ts';
import { type KitPlace, makeNpmProject, makeVenv } from './kit-packages.ts';
import { createScratch, freePort } from './scratch.ts';

export interface DrillKitOptions {
  readonly run: Run;
  /** Name of the drill's service. Default `drill`. */
  readonly name?: string;
}

/** A kit with what its owner needs beside the drill itself. */
export interface DrillWorld {
  readonly kit: DrillKit;
  /** Scratch folder that holds the project and whatever else the drill has made. */
  readonly root: string;
  /** The service as the drill has declared it so far. */
  service(): ServiceFacts;
  /** Copies that the drill called good, newest first: what a probe answers. */
  goodCopies(service: string, path: string): Promise<readonly GoodCopy[]>;
  goodCopyContent(id: string): Promise<Uint8Array | null>;
  /** Small durable values of the drill's host. */
  readonly values: KitValues;
  /** Files that the local indexes have served, by name. */
  downloads(): readonly string[];
  close(): Promise<void>;
}

const SH_MS = 120_000;

/**
 * Opens a scratch world. Close it when done: processes end by their own id, servers stop, files go.
 *
 * @example
 * const world = createDrillKit({ run: createRun({ home: '/root' }) });
 * await world.kit.write('main.py', 'import wordtrim\n');
 * await world.close();
 */
export function createDrillKit(options: DrillKitOptions): DrillWorld {
  const scratch = createScratch();
  const directory = scratch.path('project');
  const copies: { copy: GoodCopy; content: Buffer }[] = [];
  const served: (() => readonly string[])[] = [];
  let service = emptyService(options.name ?? 'drill', directory);

  let routesChanged = async (): Promise<void> => {};
  const values = memoryValues((key) => void (key === VALUE_KEYS.routes && routesChanged()));
  const place: KitPlace = { directory, sh: shell(options.run, directory), write: writer(directory) };
  const kit: DrillKit = {
    ...place,
    repository: (files) => makeRepository(place, scratch.path('upstream.git'), files),
    upstream: (files, message) => commitUpstream(place, scratch.path(), files, message),
    async venv(wheels) {
      const index = await makeVenv(place, wheels);
      scratch.later(() => index.close());
      served.push(index.downloads);
    },
    async npm(packages) {
      const registry = await makeNpmProject(place, packages);
      scratch.later(() => registry.close());
      served.push(registry.downloads);
    },
    async gateway(wanted) {
      const gateway = await makeGateway(values, wanted);
      scratch.later(() => gateway.close());
      routesChanged = gateway.route;
    },
    async goodCopy(path) {
      copies.unshift(await copyOf(absolute(directory, path), service.name, copies.length + 1));
    },
    start: async (argv, { ready, cwd } = {}) => {
      const started = await scratch.start(argv, { cwd: cwd ?? directory, ...(ready === undefined ? {} : { ready }) });
      return { pid: started.pid };
    },
    service: (changes) => {
      service = { ...service, ...changes };
    },
    freePort,
    later: (cleanup) => scratch.later(cleanup),
  };
  return {
    kit,
    root: scratch.path(),
    service: () => service,
    goodCopies: async (name, path) =>
      copies.map((c) => c.copy).filter((c) => c.service === name && c.path === absolute(directory, path)),
    goodCopyContent: async (id) => copies.find((c) => c.copy.id === id)?.content ?? null,
    values,
    downloads: () => served.flatMap((list) => list()),
    close: () => scratch.close(),
  };
}

function absolute(directory: string, path: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}

function writer(directory: string): DrillKit['write'] {
  return async (path, text, mode = 0o644) => {
    const file = absolute(directory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, mode);
  };
}

/** Runs in the project's folder, with git under nobody's own configuration. */
function shell(run: Run, directory: string): DrillKit['sh'] {
  return async (argv, { cwd, mayFail = false } = {}) => {
    await mkdir(directory, { recursive: true });
    const result = await run(argv, { cwd: cwd ?? directory, timeoutMs: SH_MS, env: GIT_ENVIRONMENT });
    if (result.code === 0 || mayFail) return result.stdout;
    const said = result.failure ?? result.stderr.trim().slice(-500);
    throw new Error(`${argv.join(' ')} ended with ${result.signal ?? result.code}: ${said}`);
  };
}

async function copyOf(path: string, service: string, number: number) {
  const [content, stats] = await Promise.all([readFile(path), stat(path)]);
  const copy: GoodCopy = {
    id: `copy-${number}`,
    service,
    path,
    sha256: createHash('sha256').update(content).digest('hex'),
    mode: stats.mode & 0o7777,
    bytes: content.length,
    savedAt: Math.floor(stats.mtimeMs),
    provenAt: Math.floor(stats.mtimeMs),
  };
  return { copy, content };
}

/** A job without process, configuration or network of its own, until the drill says otherwise. */
function emptyService(name: string, directory: string): ServiceFacts {
  return {
    name,
    directory,
    command: null,
    restart: null,
    health: null,
    envFile: null,
    disposable: [],
    pipIndex: null,
    npmRegistry: null,
    settleMs: 1_000,
  };
}
