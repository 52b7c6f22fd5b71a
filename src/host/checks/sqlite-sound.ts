// A SQLite database passes its own integrity check. Looked at on a copy, in a process of its own: the
// original is never opened, because opening alone may change a damaged file.

import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { CheckOf, CheckResult } from '../../core/plan.ts';
import type { CheckRunner, Run } from '../contract.ts';
import { sqliteArgv } from '../sqlite-child.ts';

const CHECK_MS = 120_000;
/** Bigger files are not copied unasked. */
const COPY_BYTES = 1024 ** 3;
/** A copy made while somebody writes may be torn: made again this often before nothing is said. */
const TRIES = 4;
const SUFFIXES = ['', '-wal', '-shm'] as const;

export const sqliteSound: CheckRunner<CheckOf<'sqlite-sound'>> = {
  kind: 'sqlite-sound',
  async run({ path }, { run, clock }) {
    const size = await sizeOf(path);
    if (size === null) return { passed: 'unknown', evidence: `${path} cannot be read` };
    if (size > COPY_BYTES) return { passed: 'unknown', evidence: `${path} is too big to be copied` };
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const verdict = await checkCopy(path, run);
      if (verdict !== 'torn') return verdict;
      await clock.sleep(300 * attempt);
    }
    return { passed: 'unknown', evidence: `${path} is being written all the time: no copy holds still` };
  },
};

async function checkCopy(path: string, run: Run): Promise<CheckResult | 'torn'> {
  const directory = await mkdtemp(join(tmpdir(), 'selfheal-sqlite-'));
  try {
    const before = await stamps(path);
    for (const suffix of SUFFIXES) {
      await copyFile(path + suffix, join(directory, basename(path) + suffix)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    const isStill = before === (await stamps(path));
    const verdict = await integrityOf(join(directory, basename(path)), directory, run);
    return verdict.passed === true || isStill ? verdict : 'torn';
  } catch (error) {
    return {
      passed: 'unknown',
      evidence: `${path} could not be copied: ${(error as NodeJS.ErrnoException).code ?? ''}`,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Changes whenever somebody writes. */
async function stamps(path: string): Promise<string> {
  const all = await Promise.all(SUFFIXES.map((suffix) => stat(path + suffix).catch(() => null)));
  return all.map((status) => (status ? `${status.ino}:${status.size}:${status.mtimeMs}` : '-')).join(' ');
}

async function sizeOf(path: string): Promise<number | null> {
  const status = await stat(path).catch(() => null);
  return status?.isFile() ? status.size : null;
}

const SCRIPT = [
  "try { console.log(db.prepare('PRAGMA integrity_check(5)').all().map((row) => Object.values(row)[0]).join('; ')) }",
  'catch (error) { console.log(error.message) }',
].join(' ');

async function integrityOf(file: string, directory: string, run: Run): Promise<CheckResult> {
  const result = await run(sqliteArgv(SCRIPT, file), { cwd: directory, timeoutMs: CHECK_MS });
  const said = result.stdout.trim();
  if (result.code !== 0 || said === '') return { passed: 'unknown', evidence: 'no SQLite here to look with' };
  return { passed: said === 'ok', evidence: `integrity check: ${said.slice(0, 200)}` };
}
