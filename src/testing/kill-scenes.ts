// Small worlds for killing *hands* in: real files, a real repository, a command of the owner's.

import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check, Undo } from '../core/plan.ts';
import type { KillScene } from './kill-points.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const BACK: Undo = { kind: 'restore-snapshot' };

const check = (title: string, ...argv: string[]): Check => ({
  kind: 'run',
  title,
  proves: 'operation',
  failsBefore: true,
  argv,
  cwd: '/',
  timeoutMs: 10_000,
});

/** A broken configuration is kept beside and replaced by its good copy. */
export const restoredFile: KillScene = {
  name: 'write-file from a good copy',
  async build(directory, store) {
    const [path, good] = [join(directory, 'config.json'), '{"port": 8080}\n'];
    await writeFile(path, '{"port": ', { mode: 0o640 });
    await writeFile(join(directory, 'expected.json'), good);
    const copy = await store.saveGoodCopy(
      { service: 'agent', path, sha256: sha256(good), mode: 0o640, bytes: good.length, savedAt: 1, provenAt: 1 },
      Buffer.from(good),
    );
    return {
      steps: [
        {
          kind: 'write-file',
          title: 'restore config.json',
          path,
          content: { copy: copy.id },
          before: sha256('{"port": '),
          mode: 0o640,
          undo: BACK,
        },
      ],
      checks: [check('it is the good one', '/usr/bin/cmp', path, join(directory, 'expected.json'))],
    };
  },
};

/** Three steps on three entries: a poisoned file goes aside, an empty one takes its place, a mode is put right. */
export const quarantinedFile: KillScene = {
  name: 'move, write-file, chmod',
  async build(directory) {
    const [state, secret] = [join(directory, 'state.json'), join(directory, 'secret')];
    await writeFile(state, '\0\0\0 poison', { mode: 0o644 });
    await writeFile(secret, 'x', { mode: 0o600 });
    await chmod(secret, 0o666);
    await mkdir(join(directory, 'quarantine'));
    const aside = join(directory, 'quarantine/state.json');
    return {
      steps: [
        { kind: 'move', title: 'set aside', from: state, to: aside, before: sha256('\0\0\0 poison'), undo: BACK },
        {
          kind: 'write-file',
          title: 'begin anew',
          path: state,
          content: { text: '{}' },
          before: null,
          mode: 0o600,
          undo: BACK,
        },
        { kind: 'chmod', title: 'close it', path: secret, from: 0o666, to: 0o600, undo: BACK },
      ],
      checks: [
        check('it was set aside', '/usr/bin/test', '-f', aside),
        check('there is a new one', '/usr/bin/test', '-s', state),
      ],
    };
  },
};

/** A command that the owner declared, with his own way back; it may be run again. */
export const ownersCommand: KillScene = {
  name: "an owner's command with its undo",
  async build(directory) {
    const [from, to] = [join(directory, 'template'), join(directory, 'made')];
    await writeFile(from, 'made by a command');
    return {
      steps: [
        {
          kind: 'run',
          title: 'make it',
          argv: ['/bin/cp', from, to],
          cwd: directory,
          timeoutMs: 10_000,
          idempotent: true,
          undo: { kind: 'run', argv: ['/bin/rm', '-f', to], cwd: directory },
        },
      ],
      checks: [check('it is there', '/usr/bin/test', '-f', to)],
    };
  },
};

/** A merge that is stuck on a conflict, with local work that must not be lost. */
export const stuckMerge: KillScene = {
  name: 'git-rescue, git-abort',
  async build(directory) {
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        cwd: directory,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        // The same commits in every world.
        env: { PATH: process.env['PATH'], GIT_AUTHOR_DATE: '1700000000 +0000', GIT_COMMITTER_DATE: '1700000000 +0000' },
      }).trim();
    const commit = async (text: string, message: string) => {
      await writeFile(join(directory, 'main.py'), text);
      git('add', '.');
      git('commit', '-q', '-m', message);
    };
    git('init', '-q', '-b', 'main');
    await commit('one\n', 'one');
    git('checkout', '-q', '-b', 'other');
    await commit('theirs\n', 'theirs');
    git('checkout', '-q', 'main');
    await commit('ours\n', 'ours');
    try {
      git('merge', 'other');
    } catch {
      // The conflict is what this world is for.
    }
    await writeFile(join(directory, 'notes.txt'), 'not committed yet');
    return {
      steps: [
        {
          kind: 'git-rescue',
          title: 'keep everything',
          directory,
          ref: 'refs/selfheal/{plan}',
          undo: { kind: 'none', reason: 'a rescue ref only keeps' },
        },
        {
          kind: 'git-abort',
          title: 'abort the merge',
          directory,
          operation: 'merge',
          head: git('rev-parse', 'HEAD'),
          undo: BACK,
        },
      ],
      checks: [check('no merge is under way', '/usr/bin/test', '!', '-e', join(directory, '.git/MERGE_HEAD'))],
    };
  },
  varies: (path) => path === '.git/index',
  // Objects and logs of git only ever grow; what counts is refs, index and files.
  ignore: (path) => /^\.git\/(objects|logs|refs\/selfheal|packed-refs|gc\.log|COMMIT_EDITMSG|ORIG_HEAD)/.test(path),
};

/** Ends what the pid file names, notes what the new process is going to run with, and starts it. It leaves with the folder. */
const SWITCHED_CTL = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
kill -KILL "$(cat service.pid 2>/dev/null)" 2>/dev/null
cp model runs-with
setsid sh -c 'while [ -e ctl ]; do sleep 0.2; done' </dev/null >/dev/null 2>&1 &
echo $! >service.pid
`;

/** A file that a service reads when it starts is changed, and the service started anew: `runs-with` is what it read. */
export const switchedService: KillScene = {
  name: 'write-file, restart',
  ignore: (path) => path === 'service.pid',
  async build(directory) {
    const [model, ctl] = [join(directory, 'model'), join(directory, 'ctl')];
    await writeFile(model, 'big\n');
    await writeFile(ctl, SWITCHED_CTL, { mode: 0o755 });
    execFileSync(ctl);
    const restart = { kind: 'command', argv: [ctl], cwd: directory } as const;
    return {
      steps: [
        {
          kind: 'write-file',
          title: 'switch the model',
          path: model,
          content: { text: 'small\n' },
          before: sha256('big\n'),
          mode: 0o644,
          undo: BACK,
        },
        {
          kind: 'restart',
          title: 'restart agent',
          service: 'agent',
          via: restart,
          undo: { kind: 'none', reason: 'a started service is not stopped again' },
        },
      ],
      checks: [check('it runs with the small one', '/bin/grep', '-q', 'small', join(directory, 'runs-with'))],
      service: { restart },
    };
  },
};
