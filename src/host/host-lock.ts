// Locks that hold across everything on this host that heals: two daemons with state folders of their own know nothing of
// each other's stores. Each is a name in the kernel, given back by it however its holder dies.

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/** Releases what was taken. */
export type Release = () => Promise<void>;

/**
 * Takes one resource for this process; null when another process of this host has it. The name is an abstract UNIX socket
 * (unix(7)): no file is left behind, and no recycled pid can be mistaken for its holder.
 *
 * @example
 * const release = await lockOnHost('path:/srv/agent');
 * if (release === null) console.log('somebody else is at it');
 */
export async function lockOnHost(resource: string): Promise<Release | null> {
  const name = createHash('sha256').update(resource).digest('hex').slice(0, 40);
  const server = createServer((socket) => socket.destroy());
  // The lock alone must not keep the process alive.
  server.unref();
  return (await listens(server, `\0selfheal/${name}`)) ? () => closed(server) : null;
}

function listens(server: Server, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(name, () => resolve(true));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
