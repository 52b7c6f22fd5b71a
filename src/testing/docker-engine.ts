// A stand-in for the Docker engine: a real HTTP server on a unix socket that answers what a log reader asks,
// in the engine's own format, and refuses what the engine would refuse.

import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';

interface Written {
  readonly stream: 1 | 2;
  readonly time: string;
  readonly nanos: bigint;
  readonly text: string;
}

interface Container {
  readonly id: string;
  readonly isTerminal: boolean;
  readonly written: Written[];
  running: boolean;
}

/** The engine reads a program's output in parts of this size. */
const PART_BYTES = 16 * 1024;

export class DockerEngine {
  readonly #server: Server;
  readonly #containers = new Map<string, Container>();
  readonly #followers = new Set<{ readonly container: Container; readonly answer: ServerResponse }>();
  #nanos = BigInt(Date.now()) * 1_000_000n;
  #made = 0;

  private constructor() {
    this.#server = createServer((asked, answer) => this.#answer(new URL(asked.url ?? '', 'http://engine'), answer));
  }

  static async start(socket: string): Promise<DockerEngine> {
    const engine = new DockerEngine();
    engine.#server.listen(socket);
    await once(engine.#server, 'listening');
    return engine;
  }

  /** Makes a container of this name anew. */
  create(name: string, isTerminal = false): void {
    this.stop(name);
    const id = (++this.#made).toString(16).padStart(64, 'a');
    this.#containers.set(name, { id, isTerminal, written: [], running: true });
  }

  stop(name: string): void {
    const container = this.#containers.get(name);
    if (!container) return;
    container.running = false;
    for (const follower of this.#followers) if (follower.container === container) follower.answer.end();
  }

  /** What a program in it writes, newline included; long lines are cut into parts as the engine does it. `sameTime`: in the same nanosecond. */
  write(name: string, text: string, stream: 'stdout' | 'stderr' = 'stdout', sameTime = false): void {
    const bytes = Buffer.from(text, 'latin1');
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const now = BigInt(Date.now()) * 1_000_000n;
      if (!sameTime) this.#nanos = now > this.#nanos ? now : this.#nanos + 1n;
      this.#add(name, stream === 'stdout' ? 1 : 2, bytes.toString('latin1', at, at + PART_BYTES));
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #add(name: string, stream: 1 | 2, text: string): void {
    const container = this.#containers.get(name) as Container;
    const seconds = new Date(Number(this.#nanos / 1_000_000n)).toISOString().slice(0, 19);
    const time = `${seconds}.${(this.#nanos % 1_000_000_000n).toString().padStart(9, '0')}Z`;
    const written: Written = { stream, time, nanos: this.#nanos, text };
    container.written.push(written);
    for (const follower of this.#followers)
      if (follower.container === container) follower.answer.write(framed(container, written));
  }

  #answer(url: URL, answer: ServerResponse): void {
    const [, wanted = '', what] = /^\/containers\/([\w.-]+)\/(json|logs)$/.exec(url.pathname) ?? [];
    const container =
      this.#containers.get(wanted) ?? [...this.#containers.values()].find((one) => wanted && one.id === wanted);
    if (!container || !what) return void answer.writeHead(404).end(JSON.stringify({ message: 'No such container' }));
    if (what === 'json') {
      const { id, isTerminal, running } = container;
      return void answer.end(JSON.stringify({ Id: id, Config: { Tty: isTerminal }, State: { Running: running } }));
    }
    this.#logs(container, url.searchParams, answer);
  }

  #logs(container: Container, asked: URLSearchParams, answer: ServerResponse): void {
    const { follow, stdout, stderr, timestamps, since = '0', ...other } = Object.fromEntries(asked);
    const isUnderstood = follow === '1' && stdout === '1' && stderr === '1' && timestamps === '1';
    const from = /^(\d+)(?:\.(\d{9}))?$/.exec(since);
    if (!isUnderstood || !from || Object.keys(other).length > 0) return void answer.writeHead(400).end();
    const nanos = BigInt(from[1] ?? 0) * 1_000_000_000n + BigInt(from[2] ?? 0);
    answer.writeHead(200, { 'content-type': 'application/vnd.docker.multiplexed-stream' });
    answer.flushHeaders();
    for (const written of container.written) if (written.nanos >= nanos) answer.write(framed(container, written));
    if (!container.running) return void answer.end();
    const follower = { container, answer };
    this.#followers.add(follower);
    answer.on('close', () => this.#followers.delete(follower));
  }
}

function framed({ isTerminal }: Container, { stream, time, text }: Written): Buffer {
  const message = Buffer.from(`${time} ${text}`, 'latin1');
  if (isTerminal) return message;
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(message.length, 4);
  return Buffer.concat([header, message]);
}
