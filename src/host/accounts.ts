// Whose program a program is: as root we become the owner of the folder it works in, never more.

import { readFile, stat } from 'node:fs/promises';

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/** The owner of a path, when we are root and it is not root's; null when we stay who we are. */
export async function accountOf(path: string): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const status = await stat(path).catch(() => null);
  if (!status || status.uid === 0) return null;
  const line = await passwdLine(status.uid);
  return {
    uid: status.uid,
    gid: Number(line?.[3] ?? status.gid),
    name: line?.[0] ?? String(status.uid),
    home: line?.[5] ?? '/nonexistent',
  };
}

async function passwdLine(uid: number): Promise<readonly string[] | undefined> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[2] === String(uid));
}
