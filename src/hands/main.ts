// Composition root of the process that acts: `node hands/main.js --state DIR --plan ID --do act|verify|undo|recover`.
// Prints its answer as one line of JSON. Exit codes: 0 an answer was printed, 2 wrong usage, 3 it could not work.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../host/clock.ts';
import type { ServiceFacts } from '../host/contract.ts';
import { createMachine } from '../host/machine.ts';
import { StoreError, VALUE_KEYS, type Store } from '../store/contract.ts';
import { dropBallast, lockOnHost, openStore, startTicksOf } from '../store/index.ts';
import { printedAnswer } from './client.ts';
import { failpoint } from './failpoint.ts';
import { runHands } from './hands.ts';
import { HANDS_VERBS, type HandsDeps, type HandsVerb } from './session.ts';

interface Wish {
  readonly state: string;
  readonly plan: string;
  readonly verb: HandsVerb;
}

function readWish(): Wish | null {
  try {
    const options = { state: { type: 'string' }, plan: { type: 'string' }, do: { type: 'string' } } as const;
    const { values } = parseArgs({ options, strict: true });
    const verb = HANDS_VERBS.find((one) => one === values.do);
    // The id becomes the name of a folder.
    if (!values.state || !verb || !/^[\w-][\w.-]*$/.test(values.plan ?? '')) return null;
    return { state: values.state, plan: values.plan as string, verb };
  } catch {
    return null;
  }
}

async function main(): Promise<number> {
  const wish = readWish();
  if (wish === null) {
    process.stderr.write('usage: hands --state DIR --plan ID --do act|verify|undo|recover\n');
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
  const store = await openStore({ directory: wish.state, clock: systemClock });
  try {
    const answer = await runHands(await depsFor(wish, store, stop.signal), wish.plan, wish.verb);
    if (answer.kind === 'died') throw new Error(answer.reason);
    process.stdout.write(`${printedAnswer(answer)}\n`);
    return 0;
  } catch (error) {
    // Room for whoever comes next and has to write down how this plan ends.
    if (error instanceof StoreError && error.code === 'full') await dropBallast(wish.state);
    throw error;
  } finally {
    await store.close();
  }
}

async function depsFor({ state, plan }: Wish, store: Store, signal: AbortSignal): Promise<HandsDeps> {
  const services = (await store.value<readonly ServiceFacts[]>(VALUE_KEYS.services)) ?? [];
  const frozen = await store.plan(plan);
  const machine = createMachine({
    services,
    node: frozen?.node ?? '',
    store,
    clock: systemClock,
    stateDirectory: state,
    environment: process.env,
  });
  const service = services.find((one) => one.name === frozen?.service);
  return {
    ...machine,
    store,
    stateDirectory: state,
    clock: systemClock,
    signal,
    lockOnHost,
    self: {
      pid: process.pid,
      startTicks: startTicksOf(process.pid),
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    },
    digest: (text) => createHash('sha256').update(text).digest('hex'),
    snapshotFolder: async (id, step) => {
      const folder = join(state, 'snapshots', id, String(step));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return folder;
    },
    reach: failpoint(process.env),
    secrets: await secretsOf(machine.probe, service),
    ...impatience(process.env),
  };
}

/** Tests whose checks are meant to fail need not wait for them to come up. */
function impatience(environment: NodeJS.ProcessEnv): Pick<HandsDeps, 'patienceMs'> {
  const given = environment['SELFHEAL_TEST'] === '1' ? Number(environment['SELFHEAL_PATIENCE_MS']) : Number.NaN;
  return Number.isFinite(given) ? { patienceMs: given } : {};
}

/** Values of the service's own environment file: no text that is stored may hold one of them. */
async function secretsOf(probe: HandsDeps['probe'], service: ServiceFacts | undefined): Promise<readonly string[]> {
  if (!service?.envFile) return [];
  const text = await probe.files.text(service.envFile);
  const parsed = text === null ? null : probe.files.parse(text, 'env');
  return parsed?.ok ? [...parsed.values.values()] : [];
}

main().then(
  (code) => void (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`hands: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(3);
  },
);
