// The last link of the chain before the honest error: a model of our own. Connections to it are accepted here and handed to a
// process that is started for the first of them: a broken model aborts its process, and an unused one should cost no memory.

import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { basename } from 'node:path';
import { EMBEDDED_UPSTREAM } from '../../core/gateway.ts';
import type { Upstream } from '../contract.ts';
import type { EmbeddedSpec, Serving, StartServing } from './contract.ts';

export interface EmbeddedOptions {
  readonly spec: EmbeddedSpec;
  readonly start: StartServing;
  /** Hears of a process that ended by itself. */
  readonly problem: (message: string, error: unknown) => void;
}

export interface Embedded {
  /** As the gateway asks it, like any model server of this machine. */
  readonly upstream: Upstream;
  close(): Promise<void>;
}

/** Listens on the loopback; nothing is loaded before somebody asks. */
export async function openEmbedded({ spec, start, problem }: EmbeddedOptions): Promise<Embedded> {
  const name = basename(spec.model).replace(/\.gguf$/i, '');
  const token = randomBytes(24).toString('base64url');
  let serving: Serving | null = null;
  let isClosed = false;
  const give = (connection: Socket): void => {
    try {
      serving ??= start({ kind: 'start', ...spec, name, token }, ended);
    } catch (error) {
      // No memory or no files left for another process: the breaker decides when it is tried again.
      connection.destroy();
      return problem('the embedded model could not be started', error);
    }
    serving.give(connection);
  };
  const ended = (how: string, untaken: readonly Socket[]): void => {
    serving = null;
    for (const connection of untaken) give(connection);
    if (how !== IDLE) problem('the embedded model ended', new Error(how));
  };
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (connection) => {
    connection.on('error', () => {});
    if (isClosed) return void connection.destroy();
    give(connection);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    upstream: {
      name: EMBEDDED_UPSTREAM,
      kind: 'openai',
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      apiKey: token,
      model: name,
      fallback: true,
      dialects: ['chat'],
      contextTokens: spec.contextTokens,
      concurrency: 1,
      keepWarm: false,
    },
    close: async () => {
      isClosed = true;
      // It listens no longer from here on. Its end is not waited for: it would wait for connections that were given away.
      server.close();
      await serving?.close();
    },
  };
}

/** How a process ends that was not needed any more. */
const IDLE = 'ended with 0';
