// A small HTTP server on 127.0.0.1 for tests and drills: a path in, a body out, a port of the
// kernel's choice.

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LocalServer {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface LocalAnswer {
  readonly body: string | Buffer;
  /** Content type. */
  readonly type: string;
  /** Default 200. */
  readonly status?: number;
}

/** Answers GET requests by their decoded path; null is a 404. */
export async function serve(
  answer: (path: string, headers: IncomingHttpHeaders) => LocalAnswer | null,
): Promise<LocalServer> {
  const server = createServer((request, response) => {
    request.resume();
    const found = answer(decodeURIComponent((request.url ?? '/').split('?')[0] ?? '/'), request.headers);
    response.writeHead(found === null ? 404 : (found.status ?? 200), { 'content-type': found?.type ?? 'text/plain' });
    response.end(found?.body ?? 'not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
