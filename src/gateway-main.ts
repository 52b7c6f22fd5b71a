// The process of the gateway: its own, so that a crash of it, or of us, does not take the other along. It is told
// everything over the channel to its parent, and ends with it.

import { runGateway, type RunningGateway } from './gateway/run.ts';
import type { FromGateway, ToGateway } from './gateway-worker.ts';
import { systemClock } from './host/clock.ts';
import { startModel } from './start-model.ts';

const STATUS_EVERY_MS = 1_000;

let running: RunningGateway | null = null;
let timer: NodeJS.Timeout | null = null;
let told = '';

function say(message: FromGateway): void {
  if (process.connected) process.send?.(message);
}

async function start(message: Extract<ToGateway, { kind: 'start' }>): Promise<void> {
  running = await runGateway({
    ...message,
    clock: systemClock,
    startModel,
    onEvent: (event) => {
      say({ kind: 'event', event });
      setImmediate(tell);
    },
    problem: (text, error) =>
      say({ kind: 'problem', text: `${text}: ${error instanceof Error ? error.stack : String(error)}` }),
  });
  running.setRoutes(message.routes);
  say({ kind: 'ready', url: running.url });
  timer = setInterval(tell, STATUS_EVERY_MS);
}

/** Only what is new is told. */
function tell(): void {
  if (running === null) return;
  const status = running.status();
  const text = JSON.stringify(status);
  if (text === told) return;
  told = text;
  say({ kind: 'status', status });
}

async function stop(): Promise<void> {
  if (timer) clearInterval(timer);
  await running?.close();
  process.exit(0);
}

process.on('message', (message: ToGateway) => {
  if (message.kind === 'routes') running?.setRoutes(message.routes);
  else
    start(message).catch((error: Error) => {
      say({ kind: 'failed', reason: error.message });
      process.exitCode = 1;
      process.disconnect();
    });
});
process.on('disconnect', () => void stop());
// Signals of the terminal are the parent's business: it closes the channel.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
