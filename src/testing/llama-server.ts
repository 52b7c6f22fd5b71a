// A small chat server on a real llama.cpp runtime, as local servers are seen from outside: `node llama-server.js FOLDER
// MODEL`. FOLDER's node_modules holds the runtime. A process of its own: a broken model aborts it.

import type { AddressInfo } from 'node:net';
import { modelServer } from '../gateway/embedded/model-server.ts';
import { systemClock } from '../host/clock.ts';

const [runtime = '', model = ''] = process.argv.slice(2);
const server = modelServer({
  ...{ runtime, model, name: 'scripted', token: null },
  contextTokens: 8_192,
  // One thread: the model is tiny, and on a busy machine more of them only wait for each other.
  threads: 1,
  idleMs: 2 ** 31 - 1,
  idle: () => {},
  now: () => systemClock.now(),
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
process.on('disconnect', () => process.exit(0));
