// Who is at work in a repository right now: live git processes, and who holds a lock file.

import type { ProcessInfo } from './contract.ts';
import { GIT_MARK, READS } from './git-command.ts';
import { readDescriptor, readDescriptors, readPids, readProcess, readText, readVariable } from './proc.ts';

/**
 * Git programs that work in this work tree or git directory: those of others, and those of ours that change something (a
 * step whose process was killed may leave one for a moment). As far as the kernel lets us see them.
 */
export async function gitProcesses(workTree: string, gitDirectory: string): Promise<readonly ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const pid of await readPids()) {
    if (!isGitName(await readDescriptor(`/proc/${pid}/exe`)) && !isGitName(await firstArgument(pid))) continue;
    const candidate = await readProcess(pid);
    if (!candidate || !worksIn(candidate, [workTree, gitDirectory])) continue;
    if ((await readVariable(pid, GIT_MARK)) !== READS) found.push(candidate);
  }
  return found;
}

/** Most processes are none of git's: two cheap looks settle that. */
function isGitName(path: string | null): boolean {
  return path !== null && /(?:^|\/)git(?:-[^/]*)?$/.test(path);
}

async function firstArgument(pid: number): Promise<string | null> {
  return (await readText(`/proc/${pid}/cmdline`))?.split('\0')[0] ?? null;
}

function worksIn({ cwd, argv }: ProcessInfo, folders: readonly string[]): boolean {
  return folders.some(
    (folder) => cwd === folder || cwd?.startsWith(`${folder}/`) || argv.some((part) => part.includes(folder)),
  );
}

/** A process that has this very path open, or null. */
export async function holderOf(path: string): Promise<ProcessInfo | null> {
  for (const pid of await readPids()) {
    for (const descriptor of (await readDescriptors(pid)) ?? [])
      if ((await readDescriptor(descriptor)) === path) return readProcess(pid);
  }
  return null;
}
