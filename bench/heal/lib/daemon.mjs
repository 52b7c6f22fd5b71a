// selfheal as a black box: the built program, started as an owner would, and asked through its command line.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kill, Miss, node, sleep } from './world.mjs';

const CLI = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));
const READY_MS = 60_000;
const STOP_MS = 15_000;

export class Daemon {
  #world;
  #child = null;
  #said;
  /** Everything the command line has answered. */
  answers = '';

  constructor(world) {
    this.#world = world;
    this.#said = join(world.root, 'daemon.log');
    this.config = join(world.root, 'selfheal.yaml');
  }

  async start() {
    // JSON is YAML.
    writeFileSync(this.config, `${JSON.stringify(this.#world.config, null, 2)}\n`);
    const output = openSync(this.#said, 'a');
    this.#child = spawn(node, [CLI, 'watch', '--config', this.config], {
      cwd: this.#world.root,
      env: this.#world.environment,
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    const ready = await this.#world.until(() => this.said().includes('selfheal ready') || this.#over(), READY_MS);
    if (!ready || this.#over()) throw new Miss(`selfheal did not become ready: ${this.said().slice(-300)}`);
  }

  said() {
    return readFileSync(this.#said, 'utf8');
  }

  #over() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async ask(...words) {
    const answer = await this.#world.run([node, CLI, ...words, '--config', this.config], { cwd: this.#world.root });
    this.answers += answer.out + answer.err;
    return answer;
  }

  async incidents() {
    const { out } = await this.ask('incidents', '--all', '--json');
    return out
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }

  approve(incident) {
    return this.ask('approve', incident.id);
  }

  /** SIGTERM, as an owner's service manager would. False when it had to be killed. */
  async stop() {
    if (this.#child === null || this.#over()) return true;
    const ended = once(this.#child, 'exit');
    kill(this.#child.pid, 'SIGTERM');
    const clean = await Promise.race([ended.then(() => true), sleep(STOP_MS).then(() => false)]);
    if (!clean) {
      kill(-this.#child.pid);
      await ended;
    }
    return clean;
  }
}
