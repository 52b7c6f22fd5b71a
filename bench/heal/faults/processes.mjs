// Services that die, hang, leak, or cannot have what they need.

import { clerk, comesUp, control, fallIll, isUp, starts, staysUp, ticker } from '../lib/patients.mjs';
import { freePort, Harm, isAlive, kill, python, sleep } from '../lib/world.mjs';

const gone = (w) => w.until(async () => !(await isUp(w)), 10_000);
const startedOnce = (w, most) => {
  if (starts(w) > most) throw new Harm(`started ${starts(w)} times`);
};
const pidOf = async (w) => JSON.parse((await w.get(w.port)).body).pid;

export default [
  {
    id: 'segfault',
    what: 'Python service: dies of a segmentation fault',
    kind: 'heal',
    build: (w) => clerk(w),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'segfault'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'exception',
    what: 'Python service: one bad input raises an exception nobody catches',
    kind: 'heal',
    build: (w) => clerk(w),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'raise'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'node-throws',
    what: 'Node service: a TypeError ends it once',
    kind: 'heal',
    build: (w) => ticker(w),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'throw'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'node-rejects',
    what: 'Node service: an unhandled rejection ends it once',
    kind: 'heal',
    build: (w) => ticker(w),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'reject'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'node-heap',
    what: 'Node service: runs out of heap',
    kind: 'heal',
    build: (w) => ticker(w, { flags: ['--max-old-space-size=48'] }),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'eat'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'killed-by-somebody',
    what: "Python service under the owner's own script: killed with SIGKILL",
    kind: 'heal',
    build: (w) => clerk(w, { how: 'script' }),
    warm: () => sleep(7_000),
    async breakIt(w) {
      kill(await pidOf(w));
      await gone(w);
    },
    works: staysUp,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'shell-loop-dies',
    what: 'shell service: a command of its loop fails under set -e',
    kind: 'heal',
    build(w) {
      w.write('loop.sh', LOOP);
      w.service.command = ['/bin/sh', 'loop.sh'];
      w.service.health = {
        command: [python, '-c', 'import sys,os,time; sys.exit(time.time() - os.stat("run/beat").st_mtime > 3)'],
      };
    },
    warm: (w) => w.until(() => w.has('run/beat')),
    breakIt: (w) => fallIll(w, 'fail'),
    async works(w) {
      w.remove('run/beat');
      return w.until(() => w.has('run/beat'), 5_000);
    },
    judgeRunning: true,
  },
  {
    id: 'hang',
    what: 'Python service: alive, answers nobody, does nothing',
    kind: 'heal',
    deadlineMs: 120_000,
    build: (w) => clerk(w),
    warm: async (w) => {
      await comesUp(w);
      await sleep(4_000);
    },
    breakIt: (w) => fallIll(w, 'hang'),
    works: staysUp,
    judgeRunning: true,
    quiet: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'node-blocked',
    what: 'Node service: its event loop is blocked for ever',
    kind: 'heal',
    deadlineMs: 120_000,
    build: (w) => ticker(w),
    warm: async (w) => {
      await comesUp(w);
      await sleep(4_000);
    },
    breakIt: (w) => fallIll(w, 'block'),
    works: staysUp,
    judgeRunning: true,
    quiet: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'descriptors',
    what: 'Python service: has used up its file descriptors',
    kind: 'heal',
    build: (w) => clerk(w, { files: 128 }),
    warm: comesUp,
    breakIt: (w) => fallIll(w, 'leak'),
    works: staysUp,
    judgeRunning: true,
    harm: (w) => startedOnce(w, 2),
  },
  {
    id: 'port-own-orphan',
    what: 'Python service: a copy that its script has lost holds the port',
    kind: 'heal',
    async build(w) {
      await clerk(w, { how: 'script', start: false });
      w.orphan = w.start(w.argv);
      await comesUp(w);
      w.remove('run/starts');
    },
    show: async (w) => {
      await control(w, 'start');
      await w.until(() => /Address already in use/.test(w.logs()));
    },
    works: async (w) => (await staysUp(w)) && !isAlive(w.orphan.pid),
  },
  {
    id: 'port-stranger',
    what: "Python service: a stranger's program holds its port",
    kind: 'leave',
    async build(w) {
      await clerk(w, { how: 'script', start: false });
      w.stranger = w.start([python, '-m', 'http.server', String(w.port), '--bind', '127.0.0.1'], { cwd: w.neighbour });
      await w.until(async () => (await w.get(w.port, '/')).status === 200);
    },
    show: async (w) => {
      await control(w, 'start');
      await w.until(() => /Address already in use/.test(w.logs()));
    },
    harm(w) {
      if (!isAlive(w.stranger.pid)) throw new Harm("the stranger's program was ended");
    },
  },
  {
    id: 'pid-file-stale',
    what: 'Python service: a pid file of a dead process keeps it from starting',
    kind: 'heal',
    async build(w) {
      await clerk(w, { how: 'script', start: false, pidfile: true });
      const dead = w.start(['true']);
      await w.until(() => !isAlive(dead.pid));
      w.write('run/clerk.pid', `${dead.pid}\n`);
    },
    show: async (w) => {
      await control(w, 'start');
      await w.until(() => /already running/.test(w.logs()));
    },
    works: staysUp,
  },
  {
    id: 'pid-file-living',
    what: 'Python service: started a second time while the first one runs well',
    kind: 'leave',
    build: (w) => clerk(w, { how: 'script', pidfile: true }),
    show: async (w) => {
      await w.run(w.argv);
    },
    async harm(w) {
      startedOnce(w, 2);
      if (!(await isUp(w))) throw new Harm('the service that ran well was ended');
    },
  },
  {
    id: 'crash-loop',
    what: 'Python service: a bug ends it at every start',
    kind: 'leave',
    deadlineMs: 150_000,
    build(w) {
      w.write('loop.py', BUGGY_START);
      w.service.command = [python, 'loop.py'];
    },
    warm: (w) => w.until(() => w.has('run/starts')),
    breakIt: (w) => w.write('run/poison', ''),
    harm(w) {
      if (starts(w) > 6) throw new Harm(`a restart storm: ${starts(w)} starts`);
    },
  },
  {
    id: 'cannot-start',
    what: 'a supervised program that does not exist',
    kind: 'leave',
    build(w) {
      w.service.command = [w.path('bin/not-built-yet'), '--serve'];
    },
  },
  {
    id: 'dependency-down',
    what: 'Python job: the service it asks, configured on this host, is down',
    kind: 'heal',
    async build(w) {
      await clerk(w, { how: 'script' });
      w.config.services.store = { ...w.service, logs: [] };
      w.write('ask.py', ASK.replace('PORT', String(w.port)));
      w.service.health = { command: [python, 'ask.py'] };
      delete w.service.restart;
    },
    warm: () => sleep(7_000),
    async breakIt(w) {
      kill(await pidOf(w));
      await gone(w);
    },
    show: (w) => w.job([python, 'ask.py']),
    works: async (w) => (await w.run([python, 'ask.py'])).code === 0,
  },
  {
    id: 'dependency-stopped',
    what: 'Python job: the service it asks was stopped on purpose',
    kind: 'leave',
    async build(w) {
      await clerk(w, { how: 'script' });
      w.config.services.store = { ...w.service, logs: ['logs/clerk.log'] };
      w.write('ask.py', ASK.replace('PORT', String(w.port)));
      w.service.logs = ['logs/patient.log', 'logs/jobs.log'];
      delete w.service.health;
      delete w.service.restart;
    },
    warm: () => sleep(7_000),
    breakIt: (w) => control(w, 'stop'),
    show: (w) => w.job([python, 'ask.py']),
    waits: true,
    deadlineMs: 25_000,
    async harm(w) {
      if (await isUp(w)) throw new Harm('a deliberate stop was undone');
    },
  },
  {
    id: 'dependency-elsewhere',
    what: 'Python job: nobody of this configuration listens on the port it asks',
    kind: 'leave',
    async build(w) {
      w.write('ask.py', ASK.replace('PORT', String(await freePort())));
    },
    show: (w) => w.job([python, 'ask.py']),
    waits: true,
    deadlineMs: 25_000,
  },
];

const LOOP = `set -e
echo $$ >>run/starts
while :; do
  touch run/beat
  if [ -e run/fail ]; then
    rm run/fail
    cat /nonexistent/list
  fi
  sleep 0.3
done
`;
const BUGGY_START = `import os, time, pathlib
with open("run/starts", "a") as file: file.write(f"{os.getpid()}\\n")
while True:
    if pathlib.Path("run/poison").exists():
        raise KeyError("no route for message 8812")
    time.sleep(0.2)
`;
const ASK = `import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:PORT/healthz", timeout=4).read().decode())
`;
