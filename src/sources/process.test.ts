// The output of a supervised program as a source like any other. Starting and ending programs is tested with the supervisor.

import { appendFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Generation, Supervisor } from '../host/contract.ts';
import { createScratch } from '../testing/scratch.ts';
import { keepsTheSourceContract } from '../testing/source-contract.ts';
import { SourceRig } from '../testing/source-rig.ts';
import { createProcessSource } from './process.ts';

/** One program that was started once and goes on. */
function supervising(generation: Generation | null): Supervisor {
  return {
    services: [],
    async *generations(_service, signal) {
      if (generation) yield generation;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
    consumed: async () => {},
  };
}

function startedIn(stdout: string, stderr: string): Generation {
  writeFileSync(stdout, '');
  writeFileSync(stderr, '');
  return { service: 's', number: 1, pid: 1, startTicks: 1, startedAt: 1, stdout, stderr, ended: null };
}

keepsTheSourceContract('process', () => {
  const scratch = createScratch();
  const generation = startedIn(scratch.path('1.out'), scratch.path('1.err'));
  return {
    source: createProcessSource({ supervisor: supervising(generation), service: 's' }),
    absent: createProcessSource({ supervisor: supervising(null), service: 's' }),
    write: (line) => appendFileSync(generation.stdout, `${line}\n`),
    close: () => scratch.close(),
  };
});

it('gives half a line of a program with its end, not before', async () => {
  const scratch = createScratch();
  const generation = startedIn(scratch.path('1.out'), scratch.path('1.err'));
  const rig = new SourceRig(createProcessSource({ supervisor: supervising(generation), service: 's' }));
  try {
    await rig.until(({ cursor }) => cursor !== null);
    appendFileSync(generation.stdout, 'half ');
    appendFileSync(generation.stderr, 'other\n');
    await rig.untilLines(1);
    appendFileSync(generation.stdout, 'a line\n');
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['other', 'half a line']);
  } finally {
    await rig.stop();
    await scratch.close();
  }
});
