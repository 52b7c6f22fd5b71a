// The process of the embedded model: it is told what to load, given connections, and ends with its parent, or when nobody
// has asked for a while. A process of its own, for a broken model aborts it.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import type { ModelStart } from './gateway/embedded/contract.ts';
import { modelServer } from './gateway/embedded/model-server.ts';
import { systemClock } from './host/clock.ts';

let server: Server | null = null;

function start(hello: ModelStart): void {
  goFirst();
  server = modelServer({ ...hello, now: () => systemClock.now(), idle: () => process.exit(0) });
}

/** When the memory of the machine runs out, this process is the one that can be missed. */
function goFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '800');
  } catch {
    // Not on this system.
  }
}

type Message = ModelStart | { readonly kind: 'connection'; readonly id: number };

process.on('message', (message: Message, connection?: Socket) => {
  if (message.kind === 'start') return start(message);
  process.send?.({ taken: message.id });
  // It may have been closed on its way to us.
  if (connection) server?.emit('connection', connection);
});
process.on('disconnect', () => process.exit(0));
// Signals of the terminal are the parent's business: it closes the channel.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
