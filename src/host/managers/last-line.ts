// The last line of the newest of some log files: how a program took its leave.

import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import picomatch from 'picomatch';

/** What programs say when they were asked to stop. Only ever a reason NOT to start something. */
export const CLEAN_STOP =
  /\bSIG(?:TERM|INT)\b|\bshut(?:ting)? ?down\b|\b(?:stopp(?:ed|ing)|exit(?:ed|ing)) (?:clean|grace|normal|on request|by)|\bgraceful(?:ly)?\b|\bgoodbye\b/i;

const TAIL_BYTES = 4_096;

/** Last line that is not empty; null when there is none. Patterns are absolute, with wildcards in the last part only. */
export async function lastLogLine(patterns: readonly string[]): Promise<string | null> {
  const files = (await Promise.all(patterns.map(expand))).flat();
  const dated = await Promise.all(
    files.map(async (path) => {
      const status = await stat(path).catch(() => null);
      return { path, size: status?.isFile() ? status.size : 0, at: status?.mtimeMs ?? 0 };
    }),
  );
  const newest = dated.filter((file) => file.size > 0).sort((a, b) => b.at - a.at)[0];
  if (!newest) return null;
  const text = await tail(newest.path, newest.size);
  return text.split('\n').findLast((line) => line.trim() !== '') ?? null;
}

async function expand(pattern: string): Promise<readonly string[]> {
  const folder = dirname(pattern);
  const matches = picomatch(basename(pattern), { dot: true });
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => matches(name)).map((name) => `${folder}/${name}`);
}

async function tail(path: string, size: number): Promise<string> {
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) return '';
  try {
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, start);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await handle.close();
  }
}
