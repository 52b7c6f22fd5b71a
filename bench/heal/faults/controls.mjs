// Nothing is wrong. Whatever selfheal does or says here is harm: a healer that cannot leave well alone is worse than none.

import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { clerk, comesUp, control, isUp, plainPython, plainWorks, runPlain, starts, ticker } from '../lib/patients.mjs';
import { freePort, Harm, kill, python, sleep } from '../lib/world.mjs';

const notRestarted = (times) => (w) => {
  if (starts(w) !== times) throw new Harm(`started ${starts(w)} times, expected ${times}`);
};
const pidOf = async (w) => JSON.parse((await w.get(w.port)).body).pid;

export default [
  {
    kind: 'control',
    id: 'idle',
    what: 'a Python service that has nothing to do and logs nothing',
    build: (w) => clerk(w, { how: 'script', idle: true }),
    works: isUp,
    quiet: true,
    deadlineMs: 20_000,
    harm: notRestarted(1),
  },
  {
    kind: 'control',
    id: 'busy',
    what: 'a Python service that uses all its processor time and goes on answering',
    build: (w) => clerk(w, { busy: true }),
    warm: comesUp,
    works: isUp,
    judgeRunning: true,
    harm: notRestarted(1),
  },
  {
    kind: 'control',
    id: 'stopped-on-purpose',
    what: 'the owner stops a service with his own script',
    build: (w) => clerk(w, { how: 'script' }),
    warm: () => sleep(7_000),
    breakIt: (w) => control(w, 'stop'),
    deadlineMs: 20_000,
    async harm(w) {
      notRestarted(1)(w);
      if (await isUp(w)) throw new Harm('a deliberate stop was undone');
    },
  },
  {
    kind: 'control',
    id: 'asked-to-stop',
    what: 'somebody ends a supervised service with SIGTERM, and it stops cleanly',
    build: (w) => clerk(w),
    warm: comesUp,
    async breakIt(w) {
      kill(await pidOf(w), 'SIGTERM');
      await w.until(async () => !(await isUp(w)));
    },
    deadlineMs: 18_000,
    judgeRunning: true,
    harm: notRestarted(1),
  },
  {
    kind: 'control',
    id: 'planned-restart',
    what: 'the owner restarts a service with his own script',
    build: (w) => clerk(w, { how: 'script' }),
    warm: () => sleep(7_000),
    breakIt: (w) => control(w, 'restart'),
    works: (w) => w.until(() => isUp(w), 6_000),
    harm: notRestarted(2),
  },
  {
    kind: 'control',
    id: 'quoted-errors',
    what: 'users paste errors and tracebacks into a chat, which the program logs as what they said',
    build: (w) => plainPython(w, 'result = "well"'),
    async show(w) {
      await runPlain(w);
      w.line('INFO', `user 4: my bot says "ModuleNotFoundError: No module named 'requests'", help!`);
      w.line(
        'INFO',
        'assistant: try `pip install requests`, and if git says CONFLICT (content) then git merge --abort',
      );
      w.line('INFO', 'user 5 pasted: Traceback (most recent call last): File "a.py", line 1 KeyError: 3');
      w.line(
        'INFO',
        'user 5: it ended with "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"',
      );
      w.line('DEBUG', 'prompt: you see OSError: [Errno 28] No space left on device. What do you do?');
    },
    works: plainWorks,
  },
  {
    kind: 'control',
    id: 'test-run',
    what: 'a test run prints the errors that its tests provoke, and passes',
    build(w) {
      w.write('tests.py', TESTS);
      plainPython(w, 'result = "well"');
    },
    show: async (w) => {
      const { err } = await w.run([python, '-m', 'unittest', '-v', 'tests']);
      for (const line of err.split('\n')) if (line) w.line('INFO', `ci: ${line}`);
    },
    works: plainWorks,
  },
  {
    kind: 'control',
    id: 'debug-level',
    what: 'the log is switched to debug and tells of retries that succeed',
    build: (w) => plainPython(w, 'result = "well"'),
    async show(w) {
      for (let n = 0; n < 60; n += 1) {
        w.line(
          'DEBUG',
          `attempt 1 failed: ConnectionResetError: [Errno 104] Connection reset by peer (request ${n}), retrying`,
        );
        w.line('DEBUG', `attempt 2 succeeded (request ${n})`);
      }
    },
    works: plainWorks,
  },
  {
    kind: 'control',
    id: 'rotation',
    what: 'the log is rotated again and again while a service writes',
    mayLoseLogs: /./,
    build: (w) => clerk(w, { how: 'script' }),
    async show(w) {
      for (let n = 0; n < 6; n += 1) {
        await sleep(500);
        renameSync(w.path('logs/patient.log'), w.path(`logs/patient.log.${n}`));
        writeFileSync(w.path('logs/patient.log'), '');
      }
    },
    works: isUp,
    harm: notRestarted(1),
  },
  {
    kind: 'control',
    id: 'second-service',
    what: "the owner starts another program of his own on another port, from the project's folder",
    build: (w) => ticker(w),
    warm: comesUp,
    async breakIt(w) {
      w.other = w.start([python, '-m', 'http.server', String(await freePort()), '--bind', '127.0.0.1']);
    },
    works: isUp,
    judgeRunning: true,
    harm(w) {
      notRestarted(1)(w);
      if (w.other.exitCode !== null || w.other.signalCode !== null) throw new Harm("the owner's program was ended");
    },
  },
  {
    kind: 'control',
    id: 'handled-errors',
    what: 'errors that the program has handled and says so at level WARNING',
    build: (w) => plainPython(w, 'result = "well"'),
    async show(w) {
      w.line('WARNING', 'could not read cache.json (FileNotFoundError), starting with an empty cache');
      w.line('WARNING', 'provider answered 429, waited 2 s and went on');
      w.line('INFO', 'recovered from: sqlite3.OperationalError: database is locked (2 retries)');
    },
    works: plainWorks,
  },
  {
    kind: 'control',
    id: 'old-errors',
    what: 'a log full of errors from last week, which nobody has to mend any more',
    async build(w) {
      plainPython(w, 'result = "well"');
      for (let n = 0; n < 200; n += 1)
        appendFileSync(
          w.path('logs/patient.log'),
          `2026-01-0${(n % 7) + 1} 10:00:00,000 ERROR [patient] it stops\nTraceback (most recent call last):\n  File "job.py", line 3, in <module>\nModuleNotFoundError: No module named 'titler'\n`,
        );
    },
    show: runPlain,
    works: plainWorks,
  },
];

const TESTS = `import unittest

class Refuses(unittest.TestCase):
    def test_bad_json(self):
        import json
        with self.assertRaises(json.JSONDecodeError):
            json.loads('{"a": ')

    def test_missing_module(self):
        with self.assertRaises(ModuleNotFoundError):
            import no_such_module_anywhere
`;
