// The demo's two agents on the real machine: a real repository with an upstream, a real venv and a
// real node_modules, both filled from package indexes of our own on the loopback.

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceFacts } from '../host/contract.ts';
import type { Operations } from '../operations.ts';
import type { FakeDialect } from '../testing/model-server.ts';
import type { Provider } from './provider.ts';
import type { DrillWorld } from '../testing/create-drill-kit.ts';

/** What an act may do to an agent. */
export interface World {
  readonly agent: string;
  readonly directory: string;
  /** Folder the agent's packages are in, as people know it. */
  readonly modulesFolder: string;
  readonly reportFile: string;
  readonly provider: Provider;
  read(path: string): Promise<string>;
  edit(path: string, text: string): Promise<void>;
  git(...args: readonly string[]): Promise<void>;
  /** Git that is expected to fail, as a conflicting pull does. */
  gitFails(...args: readonly string[]): Promise<void>;
  upstream(files: Readonly<Record<string, string>>, message: string): Promise<void>;
  removeModule(): Promise<void>;
  /** Gives the agent a task: greet, report, update or ask. */
  task(name: string): Promise<void>;
  /** Stops the agent on purpose, as its owner would; resolves when it has ended. */
  stop(): Promise<void>;
  start(): Promise<void>;
  pid(): Promise<number>;
}

export interface AgentKind {
  readonly name: string;
  readonly example: string;
  readonly modulesFolder: string;
  readonly reportFile: string;
  /** What it speaks to its model. */
  readonly dialect: FakeDialect;
  readonly command: (directory: string) => readonly string[];
  prepare(world: DrillWorld): Promise<void>;
  /** Path of the installed module below the agent's folder. */
  module(directory: string): Promise<string>;
}

const GREETING = 'Good morning';

export const pythonAgent: AgentKind = {
  name: 'python-agent',
  example: 'python-agent',
  modulesFolder: '.venv',
  reportFile: 'report.py',
  dialect: 'chat',
  command: (directory) => [join(directory, '.venv/bin/python'), '-u', 'agent.py'],
  async prepare({ kit }) {
    const code = `def greeting(name):\n    return f"${GREETING}, {name}!"\n`;
    await kit.venv([{ name: 'friendly', version: '1.4.0', files: { 'friendly/__init__.py': code }, installed: true }]);
  },
  module: async (directory) => {
    const lib = join(directory, '.venv/lib');
    const [python] = await readdir(lib);
    return join(lib, python ?? '', 'site-packages');
  },
};

export const nodeAgent: AgentKind = {
  name: 'node-agent',
  example: 'node-agent',
  modulesFolder: 'node_modules',
  reportFile: 'report.mjs',
  dialect: 'messages',
  command: () => [process.execPath, 'agent.mjs'],
  async prepare({ kit }) {
    const code = `exports.greeting = (name) => \`${GREETING}, \${name}!\`;\n`;
    await kit.npm([{ name: 'friendly', version: '1.4.0', files: { 'index.js': code } }]);
    await kit.sh(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  },
  module: async (directory) => join(directory, 'node_modules'),
};

/** Copies the example, makes it a repository with an upstream and installs what it pins. */
export async function prepareAgent(kind: AgentKind, world: DrillWorld, examples: string): Promise<ServiceFacts> {
  const { kit } = world;
  const folder = join(examples, kind.example);
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.') && !name.startsWith('__'));
  const files = await Promise.all(
    names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const),
  );
  const ignored = '.venv/\nnode_modules/\ntasks/\n__pycache__/\nanswer.txt\n.npmrc\npackage-lock.json\n';
  await kit.repository({ ...Object.fromEntries(files), 'notes.md': 'notes\n', '.gitignore': ignored });
  await kind.prepare(world);
  const command = kind.command(kit.directory);
  kit.service({ name: kind.name, command, health: { kind: 'command', argv: [...command, '--check'] } });
  return world.service();
}

/** The handle an act gets. The agent is stopped and started as its owner would do it: through selfheal. */
export function openWorld(kind: AgentKind, { kit }: DrillWorld, operations: Operations, provider: Provider): World {
  return {
    provider,
    agent: kind.name,
    directory: kit.directory,
    modulesFolder: kind.modulesFolder,
    reportFile: kind.reportFile,
    read: (path) => readFile(join(kit.directory, path), 'utf8'),
    edit: (path, text) => kit.write(path, text),
    git: async (...args) => void (await kit.sh(['git', ...args])),
    gitFails: async (...args) => void (await kit.sh(['git', ...args], { mayFail: true })),
    upstream: (files, message) => kit.upstream(files, message),
    async removeModule() {
      const folder = await kind.module(kit.directory);
      for (const name of await readdir(folder))
        if (name.startsWith('friendly')) await rm(join(folder, name), { recursive: true });
    },
    // Put there whole: the agent takes it away the moment it sees it.
    async task(name) {
      const [fresh, folder] = [join(kit.directory, '.task'), join(kit.directory, 'tasks')];
      await mkdir(folder, { recursive: true });
      await writeFile(fresh, `${name}\n`);
      await rename(fresh, join(folder, name));
    },
    stop: async () => void (await operations.control(kind.name, 'stop', 'demo')),
    start: async () => void (await operations.control(kind.name, 'start', 'demo')),
    pid: () => pidOf(kind.name, operations),
  };
}

/** Throws when the agent does not run: a signal to "process 0" would hit everybody near us. */
async function pidOf(agent: string, operations: Operations): Promise<number> {
  const pid = (await operations.status()).services.find((service) => service.name === agent)?.pid;
  if (!pid) throw new Error(`${agent} is not running`);
  return pid;
}
