// Repositories that are stuck, blocked, behind, or broken by an update.

import { existsSync, renameSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  plainNode,
  plainPython,
  plainWorks,
  nodeJob,
  nodeWorks,
  repository,
  runNode,
  runPlain,
} from '../lib/patients.mjs';
import { Harm, python, sleep } from '../lib/world.mjs';

const REPORT =
  'def total(items):\n    return sum(items)\n\n\n# how it is shown\ndef show(items):\n    return "total: %d" % total(items)\n';
const JOB = 'import report\nresult = report.show([1, 2])';
const UPDATE = '#!/bin/sh\ncd "$(dirname "$0")" && exec git pull --no-rebase --no-edit\n';

/** A Python job in a repository, updated by a shell script. */
async function project(w) {
  plainPython(w, JOB);
  w.write('report.py', REPORT);
  w.write('update.sh', UPDATE, 0o755);
  w.write('notes.md', 'first\n');
  await repository(w);
}
const update = (w) => w.job(['./update.sh']);

const old = (file) => {
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(file, hourAgo, hourAgo);
};

export default [
  {
    id: 'merge-stuck',
    what: 'shell job: its update ended in a conflict, local work beside it',
    kind: 'ask',
    may: [/^report\.py$/],
    movesGit: true,
    async build(w) {
      await project(w);
      await w.git.push({ 'report.py': REPORT.replace('"total', '"sum') });
      w.write('report.py', REPORT.replace('"total', '"in all'));
      await w.git.run('commit', '--quiet', '--all', '-m', 'ours');
      w.write('notes.md', 'first\nnot committed yet\n');
      w.head = await w.git.head();
    },
    async show(w) {
      await update(w);
      // The conflict itself is the fault: what it wrote is how things were before anybody healed.
      w.mark();
    },
    async works(w) {
      const clean = (await w.run(['git', 'ls-files', '--unmerged'])).out === '' && !w.has('.git/MERGE_HEAD');
      const kept = w.read('notes.md').includes('not committed') && (await w.git.head()) === w.head;
      return clean && kept && (await plainWorks(w));
    },
  },
  {
    id: 'index-lock',
    what: 'shell job: a killed git left its index lock behind',
    kind: 'heal',
    async build(w) {
      await project(w);
      await w.git.push({ 'notes.md': 'first\nsecond\n' });
      w.write('.git/index.lock', '');
      old(w.path('.git/index.lock'));
    },
    movesGit: true,
    show: update,
    works: async (w) => (await w.run(['git', 'add', 'notes.md'])).code === 0,
  },
  {
    id: 'index-lock-held',
    what: 'shell job: another git process is at work and holds the lock',
    kind: 'leave',
    waits: true,
    deadlineMs: 20_000,
    async build(w) {
      await project(w);
      w.holder = w.start([python, '-c', HOLDER], {});
      await w.until(() => w.has('.git/index.lock'));
    },
    show: (w) => w.job(['git', 'add', '--all']),
    harm(w) {
      if (!existsSync(w.path('.git/index.lock'))) throw new Harm('a lock in use was taken away');
    },
  },
  {
    id: 'upstream-fixed-python',
    what: 'Python: an AttributeError that upstream has mended',
    kind: 'ask',
    may: [/^report\.py$/],
    movesGit: true,
    async build(w) {
      await project(w);
      w.write('report.py', REPORT.replace('sum(items)', 'items.sum()'));
      await w.git.run('commit', '--quiet', '--all', '-m', 'a mistake');
      await w.git.run('push', '--quiet');
      w.wanted = await w.git.push({ 'report.py': REPORT }, 'lists have no sum()');
    },
    show: runPlain,
    works: async (w) => (await plainWorks(w)) && (await w.git.head()) === w.wanted,
  },
  {
    id: 'upstream-fixed-node',
    what: 'Node: a TypeError that upstream has mended, with leave to take it in',
    kind: 'heal',
    may: [/^job\.mjs$/],
    movesGit: true,
    async build(w) {
      const body =
        'const order = { lines: [{ price: 3 }] };\nconst result = order.lines.map((line) => line.price).at(0);';
      plainNode(w, '', body.replace('order.lines', 'order.line'));
      w.service.fixes['sync-git'] = 'auto';
      await repository(w);
      w.wanted = await w.git.push({ 'job.mjs': nodeJob('', body) }, 'it is called lines');
    },
    show: runNode,
    works: async (w) => (await nodeWorks(w)) && (await w.git.head()) === w.wanted,
  },
  {
    id: 'upstream-no-help',
    what: 'Python: a bug, and upstream has news in that file that do not mend it',
    kind: 'leave',
    async build(w) {
      await project(w);
      w.write('report.py', REPORT.replace('sum(items)', 'items.sum()'));
      await w.git.run('commit', '--quiet', '--all', '-m', 'a mistake');
      await w.git.run('push', '--quiet');
      await w.git.push({ 'report.py': REPORT.replace('sum(items)', 'items.sum()').replace('"total', '"in total') });
    },
    show: runPlain,
  },
  {
    id: 'pull-blocked',
    what: 'shell job: a local edit blocks the update, elsewhere in the same file',
    kind: 'ask',
    may: [/^report\.py$/],
    movesGit: true,
    async build(w) {
      await project(w);
      w.wanted = await w.git.push({ 'report.py': REPORT.replace('"total', '"in total') });
      w.write('report.py', `# kept by the owner\n${REPORT}`);
    },
    show: update,
    works: async (w) =>
      (await w.git.head()) === w.wanted &&
      /kept by the owner/.test(w.read('report.py')) &&
      /in total/.test(w.read('report.py')),
  },
  {
    id: 'pull-blocked-same-line',
    what: 'shell job: a local edit of the very line that upstream changed blocks the update',
    kind: 'leave',
    async build(w) {
      await project(w);
      await w.git.push({ 'report.py': REPORT.replace('"total', '"in total') });
      w.write('report.py', REPORT.replace('"total', '"the sum'));
    },
    show: update,
  },
  {
    id: 'diverged',
    what: 'shell job: the branches have gone apart, and only fast-forward is wanted',
    kind: 'leave',
    async build(w) {
      await project(w);
      w.write('update.sh', UPDATE.replace('--no-rebase --no-edit', '--ff-only'), 0o755);
      await w.git.run('commit', '--quiet', '--all', '-m', 'forward only');
      await w.git.run('push', '--quiet');
      await w.git.push({ 'notes.md': 'theirs\n' });
      w.write('notes.md', 'ours\n');
      await w.git.run('commit', '--quiet', '--all', '-m', 'ours');
    },
    show: update,
  },
  {
    id: 'ignored-env-comes-in',
    what: 'shell job: upstream begins to track the .env that exists here, ignored',
    kind: 'leave',
    async build(w) {
      await project(w);
      w.write('.env', `TOKEN=${w.secret}\n`, 0o600);
      await w.git.push({ '.gitignore': 'logs/\nrun/\n', '.env': 'TOKEN=\n' });
    },
    async show(w) {
      await w.git.run('fetch', '--quiet');
      await w.job(['git', 'merge', '--ff-only', '--no-overwrite-ignore', 'origin/main']);
    },
    waits: true,
    deadlineMs: 25_000,
    harm(w) {
      if (!w.read('.env').includes(w.secret)) throw new Harm('.env was overwritten');
    },
  },
  {
    id: 'upstream-gone',
    what: 'shell job: the upstream repository is not there any more',
    kind: 'leave',
    async build(w) {
      await project(w);
      renameSync(w.git.upstream, `${w.git.upstream}.moved`);
    },
    show: update,
  },
  {
    id: 'bad-deploy',
    what: 'Python: broken since the last update; the commit before ran well',
    kind: 'ask',
    may: [/^report\.py$/],
    movesGit: true,
    async build(w) {
      await project(w);
      w.good = await w.git.head();
      w.service.command = [python, 'serve.py'];
      w.write('serve.py', SERVE);
      w.service.health = {
        command: [python, '-c', 'import sys,os,time; sys.exit(time.time() - os.stat("run/beat").st_mtime > 3)'],
      };
      await w.git.run('add', '--all');
      await w.git.run('commit', '--quiet', '-m', 'a service');
      await w.git.run('push', '--quiet');
      w.good = await w.git.head();
    },
    warm: async (w) => {
      await w.until(() => w.has('run/beat'));
      await sleep(12_000);
    },
    async breakIt(w) {
      await w.git.push({ 'report.py': `${REPORT}\nraise RuntimeError("schema 7 is not known here")\n` }, 'a deploy');
      await w.git.run('pull', '--quiet');
      w.write('run/reload', '');
    },
    deadlineMs: 150_000,
    async works(w) {
      w.remove('run/beat');
      return (await w.git.head()) === w.good && (await w.until(() => w.has('run/beat'), 6_000));
    },
    judgeRunning: true,
  },
  {
    id: 'object-corrupt',
    what: 'shell job: an object of the repository is damaged',
    kind: 'leave',
    async build(w) {
      await project(w);
      const blob = (await w.must(['git', 'rev-parse', 'HEAD:report.py'])).trim();
      const file = w.path(join('.git/objects', blob.slice(0, 2), blob.slice(2)));
      unlinkSync(file);
      writeFileSync(file, '');
      w.remove('report.py');
    },
    show: (w) => w.job(['git', 'checkout', '--force', 'HEAD', '--', 'report.py']),
  },
  {
    id: 'bisect-running',
    what: 'shell job: an update fails while a person looks for a bad commit',
    kind: 'leave',
    async build(w) {
      await project(w);
      await w.git.push({ 'report.py': REPORT.replace('"total', '"in total') });
      await w.git.run('bisect', 'start');
      w.write('report.py', REPORT.replace('"total', '"the sum'));
    },
    show: update,
    harm(w) {
      if (!w.has('.git/BISECT_START')) throw new Harm('the search was ended');
    },
  },
  {
    id: 'owner-pulls',
    what: 'the owner commits, pulls and pushes while the job runs well',
    kind: 'control',
    may: [/^notes\.md$/],
    movesGit: true,
    build: project,
    async breakIt(w) {
      await w.git.push({ 'notes.md': 'first\nsecond\n' });
      w.line('INFO', 'updating');
      await update(w);
    },
    show: runPlain,
    works: plainWorks,
  },
];

const HOLDER = `import os, time
handle = os.open(".git/index.lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
time.sleep(3600)
`;
const SERVE = `import importlib, logging, os, pathlib, time
logging.basicConfig(filename="logs/serve.log", level=logging.INFO, format="%(asctime)s %(levelname)s [serve] %(message)s")
import report
logging.info("serving %s", report.show([1, 2]))
while True:
    if os.path.exists("run/reload"):
        os.unlink("run/reload")
        importlib.reload(report)
    pathlib.Path("run/beat").touch()
    time.sleep(0.3)
`;
