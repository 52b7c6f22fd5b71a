import { closeSync, existsSync, mkdirSync, openSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { sweepKeptOutput } from './kept-output.ts';

const DAY_MS = 86_400_000;
const now = Date.UTC(2026, 0, 9);
let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.close());

/** A folder as a run that was killed `ageMs` ago has left it. */
function left(name: string, ageMs: number, files: readonly string[] = ['stdout', 'stderr']): string {
  const folder = scratch.path(name);
  mkdirSync(folder, { mode: 0o700 });
  const at = new Date(now - ageMs);
  for (const file of files) {
    writeFileSync(join(folder, file), 'said\n');
    utimesSync(join(folder, file), at, at);
  }
  utimesSync(folder, at, at);
  return folder;
}

it('what a killed run has left is removed after a day, and nothing else is', () => {
  const old = left('selfheal-run-aaaaaa', 2 * DAY_MS);
  const kept = [
    left('selfheal-run-bbbbbb', DAY_MS / 2),
    left('selfheal-run-cccccc', 2 * DAY_MS, ['stdout', 'notes.txt']),
    left('selfheal-test-dddddd', 2 * DAY_MS),
  ];
  symlinkSync(kept[2] as string, scratch.path('selfheal-run-eeeeee'));
  expect(sweepKeptOutput(now, scratch.directory)).toEqual([old]);
  expect(existsSync(old)).toBe(false);
  expect(kept.every((folder) => existsSync(join(folder, 'stdout')))).toBe(true);
});

it('a file that a process still holds stays until it is let go', () => {
  const folder = left('selfheal-run-aaaaaa', 2 * DAY_MS);
  const descriptor = openSync(join(folder, 'stderr'), 'r');
  expect(sweepKeptOutput(now, scratch.directory)).toEqual([]);
  closeSync(descriptor);
  expect(sweepKeptOutput(now, scratch.directory)).toEqual([folder]);
});
