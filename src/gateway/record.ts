// What happened, as lines: one file per service, which selfheal watches like any other log. So a failover becomes an
// incident in the same way as everything else, and survives a crash on the way.

import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gatewayRecord } from '../core/gateway.ts';
import type { GatewayEvent, Verdict } from './contract.ts';

const SIZE_CAP = 1024 * 1024;

export class Recorder {
  readonly #state: string;
  #writing: Promise<void> = Promise.resolve();

  /** Takes the state folder. */
  constructor(state: string) {
    this.#state = state;
  }

  /** Makes the files that will be watched. */
  async prepare(services: readonly string[]): Promise<void> {
    for (const service of services) {
      const file = gatewayRecord(this.#state, service);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await appendFile(file, '', { mode: 0o600 });
    }
  }

  /** Written in order. A line that cannot be written is lost: the next failure says the same. */
  write(event: GatewayEvent): Promise<void> {
    this.#writing = this.#writing.then(() => this.#append(event)).catch(() => {});
    return this.#writing;
  }

  async #append(event: GatewayEvent): Promise<void> {
    const file = gatewayRecord(this.#state, event.service);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const size = await stat(file).then(
      (s) => s.size,
      () => 0,
    );
    if (size > SIZE_CAP) await rename(file, `${file}.1`);
    await appendFile(file, `${lineOf(event)}\n`, { mode: 0o600 });
  }
}

/** One line, in the words that the rules for providers know. */
export function lineOf(event: GatewayEvent): string {
  const time = new Date(event.at).toISOString();
  switch (event.kind) {
    case 'failover': {
      const { from, to, verdict, waitSec, moment } = event;
      const how =
        to === null
          ? 'nobody else could answer'
          : `${to} ${moment === 'within' ? 'finished its answer' : 'answered instead'}`;
      const wait = waitSec === null ? '' : ` retry after ${waitSec} s;`;
      return `${time} ERROR model gateway: ${from} ${wordsOf(verdict)};${wait} ${how}`;
    }
    case 'paused':
      return `${time} INFO model gateway: ${event.upstream} ${wordsOf(event.verdict)}; waiting ${event.waitSec} s for it`;
    case 'restored':
      return `${time} INFO model gateway: ${event.upstream} answers again after ${Math.round(event.downMs / 1000)} s`;
  }
}

function wordsOf(verdict: Verdict): string {
  const status = verdict.status === null ? '' : `HTTP ${verdict.status} `;
  const message = verdict.message === '' ? '' : ` (${verdict.message.replace(/\s+/g, ' ')})`;
  return `${VERBS[verdict.kind]}: ${status}${verdict.code}${message}`;
}

/** The first words decide the type of the error; what the provider said comes after them. */
const VERBS: Readonly<Record<Verdict['kind'], string>> = {
  limited: 'rate limit reached',
  overloaded: 'model is overloaded',
  exhausted: 'quota exhausted',
  'too-long': 'found the prompt too long',
  invalid: 'refused the request',
  unsupported: 'does not know the path',
  auth: 'refused the key',
  transport: 'connection failed',
  timeout: 'request timed out',
  server: 'internal server error',
};
