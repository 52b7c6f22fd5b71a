// A program of our own that serves connections which somebody else has accepted: it gets `{kind: 'connection', id}` with each, and says
// `{taken: id}` once it has it.

import { fork } from 'node:child_process';
import type { Socket } from 'node:net';

export interface ServingOptions {
  /** Compiled program, absolute. */
  readonly program: string;
  /** Its first message. */
  readonly hello: object;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * How it ended, once; not called when it was closed. `untaken` are connections that it had not got yet: for another one, when this one has taken
   * some. Who has taken none would end like this again: they are hung up.
   */
  readonly ended: (how: string, untaken: readonly Socket[]) => void;
}

const GRACE_MS = 3_000;

/** Starts it; throws, or says in `ended`, when the machine has no room for it. `give` hands a connection over, and hangs it up when that cannot be done. */
export function startServing({ program, hello, env, ended }: ServingOptions) {
  // Nothing of the folder that we were started in is its business: a runtime may look for libraries where it stands.
  const options = { cwd: '/', execArgv: [], env: { ...env } };
  const child = fork(program, [], { ...options, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let [said, isClosing] = ['', false];
  // Ours until it says that it has them: what is on its way to a process that dies would be open for ever.
  const onTheirWay = new Map<number, Socket>();
  let [count, hasServed] = [0, false];
  child.on('message', ({ taken }: { readonly taken: number }) => {
    hasServed = true;
    onTheirWay.get(taken)?.destroy();
    onTheirWay.delete(taken);
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString('utf8')).slice(-2_000);
  });
  const over = new Promise<void>((resolve) => {
    const end = (how: string): void => {
      resolve();
      const untaken = [...onTheirWay.values()];
      onTheirWay.clear();
      if (isClosing || !hasServed) for (const connection of untaken) connection.destroy();
      if (!isClosing) ended(how, hasServed ? untaken : []);
      isClosing = true;
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => {
      const last = said.trim().split('\n').at(-1) ?? '';
      end(`ended with ${signal ?? code}${last === '' || code === 0 ? '' : `: ${last}`}`);
    });
  });
  child.send(hello, () => {});
  return {
    give: (connection: Socket): void => {
      const id = count++;
      onTheirWay.set(id, connection);
      // Its end is told soon.
      if (!child.connected) return;
      child.send({ kind: 'connection', id }, connection, { keepOpen: true }, () => {});
    },
    close: async (): Promise<void> => {
      isClosing = true;
      // It ends by itself when the channel closes.
      if (child.connected) child.disconnect();
      const killed = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await over;
      clearTimeout(killed);
    },
  };
}
