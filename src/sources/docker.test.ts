// The container source against a real HTTP server on a unix socket that speaks as the engine does.

import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Cursor } from '../store/contract.ts';
import { DockerEngine } from '../testing/docker-engine.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { keepsTheSourceContract } from '../testing/source-contract.ts';
import { SourceRig } from '../testing/source-rig.ts';
import { createDockerSource } from './docker.ts';

let scratch: Scratch;
let engine: DockerEngine;

beforeEach(async () => {
  scratch = createScratch();
  engine = await DockerEngine.start(scratch.path('engine.sock'));
  scratch.later(() => engine.close());
  engine.create('agent');
});
afterEach(() => scratch.close());

async function follow(cursor: Cursor | null = null): Promise<SourceRig> {
  const socket = scratch.path('engine.sock');
  const rig = new SourceRig(createDockerSource({ service: 's', container: 'agent', socket, retryMs: 20 }), cursor);
  scratch.later(() => rig.stop().then(() => {}));
  return rig.ready();
}

keepsTheSourceContract('docker', async () => {
  const own = createScratch();
  const socket = own.path('engine.sock');
  const standIn = await DockerEngine.start(socket);
  standIn.create('agent');
  return {
    source: createDockerSource({ service: 's', container: 'agent', socket, retryMs: 20 }),
    absent: createDockerSource({ service: 's', container: 'nobody', socket, retryMs: 20 }),
    write: (line) => standIn.write('agent', `${line}\n`),
    close: async () => {
      await standIn.close();
      await own.close();
    },
  };
});

it('joins the parts of long lines and keeps the two outputs apart', async () => {
  const rig = await follow();
  const long = 'x'.repeat(40_000);
  engine.write('agent', long.slice(0, 16_384), 'stderr');
  engine.write('agent', 'between\n');
  engine.write('agent', `${long.slice(16_384)} end\n`, 'stderr');
  await rig.untilLines(2);
  const of = (name: string) => rig.lines.filter(({ stream }) => stream.endsWith(name)).map(({ text }) => text);
  expect(of('stdout')).toEqual(['between']);
  expect(of('stderr')).toEqual([`${long} end`]);
});

it('tells messages of the same nanosecond apart after a restart', async () => {
  const first = await follow();
  engine.write('agent', 'one\n');
  engine.write('agent', 'two\n', 'stderr', true);
  await first.untilLines(2);
  const cursor = await first.stop();
  engine.write('agent', 'three\n', 'stdout', true);
  const second = await follow(cursor);
  await second.untilLines(1);
  expect(second.texts).toEqual(['three']);
});

it('goes on with a container that was made anew under the same name, from its start', async () => {
  const rig = await follow();
  engine.write('agent', 'old\n');
  await rig.untilLines(1);
  engine.create('agent');
  engine.write('agent', 'new\n');
  await rig.untilLines(2);
  expect(rig.lines.map(({ text, line }) => [text, line])).toEqual([
    ['old', 0],
    ['new', 1],
  ]);
});

it('gives out the last words of a container that ended within a line', async () => {
  const rig = await follow();
  engine.write('agent', 'no line end');
  engine.stop('agent');
  await rig.untilLines(1);
  expect(rig.texts).toEqual(['no line end']);
});

it('reads a container with a terminal, whose output has no frames', async () => {
  engine.create('agent', true);
  const rig = await follow();
  engine.write('agent', 'one\r\n');
  engine.write('agent', 'two\r\n');
  await rig.untilLines(2);
  expect(rig.texts).toEqual(['one', 'two']);
});

it('is blind while there is no engine, and sees when there is one', async () => {
  await engine.close();
  const rig = await follow();
  await rig.until((seen) => seen.sights.at(-1)?.kind === 'blind');
  expect(rig.sights.at(-1)?.reason).toContain('no engine');
  engine = await DockerEngine.start(scratch.path('engine.sock'));
  scratch.later(() => engine.close());
  engine.create('agent');
  await rig.until((seen) => seen.sights.at(-1)?.kind === 'sighted');
  engine.write('agent', 'hello\n');
  await rig.untilLines(1);
});
