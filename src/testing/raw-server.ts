// A server that hands out bare connections: for upstreams that say what no proper server says, or never end.

import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface RawServer {
  readonly port: number;
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  /** Cuts every connection. */
  close(): Promise<void>;
}

/**
 * Listens on the loopback, and calls `connected` for each connection; `index` counts them.
 *
 * @example
 * const server = await openRawServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
 */
export async function openRawServer(connected: (socket: Socket, index: number) => void): Promise<RawServer> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    connected(socket, count++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
