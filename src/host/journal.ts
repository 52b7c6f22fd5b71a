// Starts journalctl(1) for whoever follows the journal: a fixed search path, nothing of our environment.

import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** A program that is read while it runs. */
export interface FollowedProgram {
  readonly output: AsyncIterable<Uint8Array>;
  /** Why it ended: its last words, or how. Never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to end; harmless when it has. */
  stop(): void;
}

/** Starts journalctl with these arguments. */
export type StartJournal = (args: readonly string[]) => FollowedProgram;

const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const COMPLAINT_CHARS = 2_000;

/**
 * `searchPath`: where `journalctl` is looked for; default: the system's own folders.
 *
 * @example createJournalStarter()(['--follow', '--output=json'])
 */
export function createJournalStarter(searchPath: string = SEARCH_PATH): StartJournal {
  return (args) => {
    // Its complaints are read: they must not be translated.
    const env = { PATH: searchPath, LC_ALL: 'C.UTF-8' };
    const child = spawn('journalctl', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const complaint = lastWords(child.stderr);
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ENOENT' ? 'journalctl is not installed' : error.message),
      );
      child.once('close', (code, by) => resolve(complaint() || `journalctl ended (${by ?? `exit code ${code}`})`));
    });
    return { output: child.stdout, ended, stop: () => void child.kill('SIGTERM') };
  };
}

function lastWords(output: Readable): () => string {
  let said = '';
  output.setEncoding('utf8');
  output.on('data', (text: string) => {
    said = (said + text).slice(-COMPLAINT_CHARS);
  });
  return () => said.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}
