// SQLite in a process of its own: a damaged or huge database must neither crash nor block us.

import { createRequire } from 'node:module';

/** It comes with Node from 22.13 on, and as an optional package before. `db` is open when the script begins. */
const OPEN = [
  'let sqlite; const [file, fallback] = process.argv.slice(1);',
  "try { sqlite = process.getBuiltinModule('node:sqlite') } catch {}",
  'sqlite ??= require(fallback);',
  'const db = new sqlite.DatabaseSync(file);',
].join(' ');

/** The argv that opens `file` and runs a one-line script on it. Ends with an error where there is no SQLite. */
export function sqliteArgv(script: string, file: string): readonly string[] {
  return [process.execPath, '--no-warnings', '-e', `${OPEN} ${script}`, '--', file, fallbackModule()];
}

function fallbackModule(): string {
  try {
    return createRequire(import.meta.url).resolve('@photostructure/sqlite');
  } catch {
    return 'none';
  }
}
