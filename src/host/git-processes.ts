// Who is at work in a repository right now: live git processes that are not ours, and who holds a lock file.

import type { ProcessInfo } from './contract.ts';
import { GIT_MARK } from './git-command.ts';
import { readDescriptor, readDescriptors, readPids, readProcess, readVariable } from './proc.ts';

/** Git programs of others that work in this work tree or git directory. As far as the kernel lets us see them. */
export async function gitProcesses(workTree: string, gitDirectory: string): Promise<readonly ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const pid of await readPids()) {
    const candidate = await readProcess(pid);
    if (!candidate || !isGit(candidate) || !worksIn(candidate, [workTree, gitDirectory])) continue;
    if ((await readVariable(pid, GIT_MARK)) === null) found.push(candidate);
  }
  return found;
}

function isGit({ executable, argv }: ProcessInfo): boolean {
  const names = [executable, argv[0]].map((path) => path?.slice(path.lastIndexOf('/') + 1) ?? '');
  return names.some((name) => /^git(?:-|$)/.test(name));
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
