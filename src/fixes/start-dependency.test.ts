// A dependency needs a second service, which a drill's world has not: shown here with two real ones.

import { mkdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Incident } from '../core/incident.ts';
import { systemClock } from '../host/clock.ts';
import type { ServiceFacts } from '../host/contract.ts';
import { createMachine } from '../host/machine.ts';
import { openStore } from '../store/index.ts';
import { createScratch, freePort, python, type Scratch } from '../testing/scratch.ts';
import fix from './start-dependency.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

function service(name: string, more: Partial<ServiceFacts>): ServiceFacts {
  mkdirSync(scratch.path(name), { recursive: true });
  return {
    name,
    directory: scratch.path(name),
    command: null,
    restart: null,
    health: null,
    envFile: null,
    disposable: [],
    pipIndex: null,
    npmRegistry: null,
    settleMs: 1_000,
    ...more,
  };
}

async function diagnose(port: number, services: readonly ServiceFacts[]) {
  const store = await openStore({ directory: scratch.path('state'), clock: systemClock });
  scratch.later(() => store.close());
  const { probe } = createMachine({
    services,
    node: 'test',
    store,
    clock: systemClock,
    stateDirectory: scratch.path('state'),
    environment: {},
  });
  const claim = { facts: { host: '127.0.0.1', port }, message: `connect ECONNREFUSED 127.0.0.1:${port}`, samples: [] };
  // Of an incident this fix reads no more than that.
  const incident = claim as unknown as Incident;
  return fix.diagnose({ incident, service: services[0] as ServiceFacts, probe });
}

it('starts the service that has died, and proves it by the refused port', async () => {
  const port = await freePort();
  scratch.write('cache/cache.pid', '4194399');
  const cache = service('cache', {
    health: { kind: 'tcp', host: '127.0.0.1', port },
    restart: { kind: 'command', argv: ['./ctl'], cwd: scratch.path('cache') },
  });
  const diagnosis = await diagnose(port, [service('agent', {}), cache]);
  expect(diagnosis).toMatchObject({
    kind: 'proposal',
    proposal: {
      steps: [{ kind: 'restart', service: 'cache', before: null }],
      resources: ['service:cache', `port:${port}`],
    },
  });
  expect(diagnosis.kind === 'proposal' && diagnosis.proposal.checks.map((check) => check.kind)).toEqual([
    'running-anew',
    'health',
    'tcp',
  ]);
});

it('leaves a dependency alone that its owner has stopped', async () => {
  const port = await freePort();
  const cache = service('cache', {
    health: { kind: 'tcp', host: '127.0.0.1', port },
    restart: { kind: 'command', argv: ['./ctl'], cwd: scratch.path('cache') },
  });
  expect((await diagnose(port, [service('agent', {}), cache])).kind).toBe('refused');
});

it('is not needed when the dependency listens by now', async () => {
  const port = await freePort();
  const serve = `import socket,time; s=socket.socket(); s.bind(("127.0.0.1",${port})); s.listen(); print("up",flush=True); time.sleep(60)`;
  const { pid } = await scratch.start([python, '-c', serve], { ready: 'up' });
  expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toContain('python');
  const cache = service('cache', { health: { kind: 'tcp', host: '127.0.0.1', port } });
  expect((await diagnose(port, [service('agent', {}), cache])).kind).toBe('not-applicable');
});
