// Repositories for drills: one with a bare upstream beside it, and a colleague who pushes to it.

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KitPlace } from './kit-packages.ts';

/** A person who commits in drills; nobody's own git configuration is read. */
export const GIT_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Drill',
  GIT_AUTHOR_EMAIL: 'drill@localhost',
  GIT_COMMITTER_NAME: 'Drill',
  GIT_COMMITTER_EMAIL: 'drill@localhost',
} as const;

/** The project becomes a repository with one commit on `main`, which follows a bare repository. */
export async function makeRepository(
  place: KitPlace,
  upstream: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const { directory, sh, write } = place;
  for (const [path, text] of Object.entries(files)) await write(path, text);
  await sh(['git', 'init', '--quiet', '--bare', '--initial-branch=main', upstream]);
  await sh(['git', 'init', '--quiet', '--initial-branch=main', directory]);
  await sh(['git', 'config', 'user.name', 'Drill']);
  await sh(['git', 'config', 'user.email', 'drill@localhost']);
  await sh(['git', 'remote', 'add', 'origin', upstream]);
  await sh(['git', 'add', '--', ...Object.keys(files)]);
  await sh(['git', 'commit', '--quiet', '--allow-empty', '-m', 'first']);
  await sh(['git', 'push', '--quiet', '--set-upstream', 'origin', 'main']);
}

/** Commits through a clone of its own, so that the project does not know yet. */
export async function commitUpstream(
  place: KitPlace,
  scratch: string,
  files: Readonly<Record<string, string>>,
  message: string,
): Promise<void> {
  const { sh, write } = place;
  const upstream = (await sh(['git', 'config', '--get', 'remote.origin.url'])).trim();
  const clone = await mkdtemp(join(scratch, 'colleague-'));
  const there = { cwd: clone };
  await sh(['git', 'clone', '--quiet', upstream, '.'], there);
  for (const [path, text] of Object.entries(files)) await write(join(clone, path), text);
  await sh(['git', 'add', '--all'], there);
  await sh(['git', 'commit', '--quiet', '-m', message], there);
  await sh(['git', 'push', '--quiet', 'origin', 'HEAD'], there);
  await rm(clone, { recursive: true });
}
