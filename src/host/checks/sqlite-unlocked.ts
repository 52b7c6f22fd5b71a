// A write can be begun on a SQLite database: the very operation that a lock refuses. It is taken back at once,
// as the owner of the file and in a process of its own; nothing is written.

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';
import { sqliteArgv } from '../sqlite-child.ts';

const CHECK_MS = 20_000;

/** The file must exist: opening would make a new one. `immediate` asks for the lock that every writer needs. */
const SCRIPT = [
  'try {',
  'db.exec("PRAGMA busy_timeout = 1000"); db.exec("BEGIN IMMEDIATE"); db.exec("ROLLBACK"); console.log("free");',
  '} catch (error) { console.log(error.message) }',
].join(' ');

export const sqliteUnlocked: CheckRunner<CheckOf<'sqlite-unlocked'>> = {
  kind: 'sqlite-unlocked',
  async run({ path }, { run, signal }) {
    const status = await stat(path).catch(() => null);
    if (!status?.isFile()) return { passed: 'unknown', evidence: `${path} is no file` };
    const argv = sqliteArgv(SCRIPT, path);
    const result = await run(argv, { cwd: dirname(path), asOwnerOf: path, timeoutMs: CHECK_MS, signal });
    const said = result.stdout.trim();
    if (result.code !== 0 || said === '') return { passed: 'unknown', evidence: 'no SQLite here to look with' };
    if (said === 'free') return { passed: true, evidence: `a write can be begun on ${path}` };
    return { passed: /locked|busy/i.test(said) ? false : 'unknown', evidence: said.slice(0, 200) };
  },
};
