// Configuration files that are cut off, emptied, gone or closed. Each program ran well with the file before.

import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, truncateSync } from 'node:fs';
import { nodeWorks, plainNode, plainPython, plainWorks, runNode, runPlain } from '../lib/patients.mjs';
import { Harm, python, sleep } from '../lib/world.mjs';

/** Two check intervals: a configuration becomes the last good one once the service has run with it for one. */
const WARM_MS = 9_000;
const SETTINGS = `${JSON.stringify(
  { title: 'Daily report', workers: 3, limits: { daily: 120, burst: 8 }, channels: ['mail', 'chat'] },
  null,
  2,
)}\n`;
const READS_JSON =
  'import json\nsettings = json.load(open("settings.json"))\nresult = settings["title"], settings["limits"]["daily"]';

const warm = (run) => async (w) => {
  await run(w);
  await sleep(WARM_MS);
};
const jsonJob = (w) => {
  w.write('settings.json', SETTINGS);
  plainPython(w, READS_JSON);
};
const ENV = 'API_URL=http://127.0.0.1:9/v1\nMAIL_FROM=agent@example.invalid\nBATCH=25\n';
const READS_ENV = `import os
for line in open(".env"):
    name, _, value = line.strip().partition("=")
    os.environ[name] = value
result = os.environ["MAIL_FROM"], int(os.environ["BATCH"])`;
const envJob = (w) => {
  w.write('.env', `${ENV}API_KEY=${w.secret}\n`, 0o600);
  plainPython(w, READS_ENV);
};

export default [
  {
    id: 'json-cut',
    what: 'Python: settings.json was cut off in the middle',
    kind: 'heal',
    may: [/^settings\.json$/],
    build: jsonJob,
    warm: warm(runPlain),
    breakIt: (w) => truncateSync(w.path('settings.json'), 60),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'json-comma',
    what: 'Node: settings.json has lost a comma',
    kind: 'heal',
    may: [/^settings\.json$/],
    build(w) {
      w.write('settings.json', SETTINGS);
      plainNode(
        w,
        "import { readFileSync } from 'node:fs';",
        "const result = JSON.parse(readFileSync('settings.json', 'utf8')).limits.daily;",
      );
    },
    warm: warm(runNode),
    breakIt: (w) => w.write('settings.json', SETTINGS.replace('3,\n', '3\n')),
    show: runNode,
    works: nodeWorks,
  },
  {
    id: 'json-empty',
    what: 'Python: settings.json is empty',
    kind: 'heal',
    may: [/^settings\.json$/],
    build: jsonJob,
    warm: warm(runPlain),
    breakIt: (w) => w.write('settings.json', ''),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'json-shrunk',
    what: 'Python: settings.json parses, and has lost most of its keys',
    kind: 'heal',
    may: [/^settings\.json$/],
    build: jsonJob,
    warm: warm(runPlain),
    breakIt: (w) => w.write('settings.json', '{ "title": "Daily report" }\n'),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'json-gone',
    what: 'Python: settings.json was deleted',
    kind: 'heal',
    may: [/^settings\.json$/],
    build: jsonJob,
    warm: warm(runPlain),
    breakIt: (w) => w.remove('settings.json'),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'toml-broken',
    what: 'Python: a TOML file does not parse any more',
    kind: 'heal',
    may: [/^app\.toml$/],
    needs: () => (spawnSync(python, ['-c', 'import tomllib']).status === 0 ? null : 'Python 3.11 is needed'),
    build(w) {
      w.write('app.toml', TOML);
      plainPython(w, 'import tomllib\nresult = tomllib.load(open("app.toml", "rb"))["server"]["host"]');
    },
    warm: warm(runPlain),
    breakIt: (w) => w.write('app.toml', TOML.replace('"127.0.0.1"', '"127.0.0.1')),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'env-gone',
    what: 'Python: .env was deleted',
    kind: 'heal',
    may: [/^\.env$/],
    build: envJob,
    warm: warm(runPlain),
    breakIt: (w) => w.remove('.env'),
    show: runPlain,
    works: async (w) => (await plainWorks(w)) && w.read('.env').includes(w.secret),
  },
  {
    id: 'env-key-gone',
    what: 'Python: one variable has vanished from .env, another was changed meanwhile',
    kind: 'heal',
    may: [/^\.env$/],
    build: envJob,
    warm: warm(runPlain),
    breakIt: (w) => w.write('.env', `API_URL=http://127.0.0.1:9/v2\nBATCH=25\nAPI_KEY=${w.secret}\n`),
    show: runPlain,
    works: async (w) => (await plainWorks(w)) && w.read('.env').includes('/v2'),
  },
  {
    id: 'placeholder',
    what: 'Python: a value of settings.json was overwritten with a placeholder nobody filled in',
    kind: 'heal',
    may: [/^settings\.json$/],
    build(w) {
      w.write('settings.json', SETTINGS);
      plainPython(
        w,
        'import json\nsettings = json.load(open("settings.json"))\nif settings["title"].startswith("$"): raise ValueError("config: title is not set: " + settings["title"])\nresult = settings["title"]',
      );
    },
    warm: warm(runPlain),
    breakIt: (w) => w.write('settings.json', SETTINGS.replace('Daily report', '${REPORT_TITLE}')),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'never-worked',
    what: 'Python: settings.json is broken, and no good copy was ever seen',
    kind: 'leave',
    build(w) {
      jsonJob(w);
      w.write('settings.json', SETTINGS.slice(0, 50));
    },
    show: runPlain,
  },
  {
    id: 'example-secret',
    what: 'Python: .env is missing from the start, and only .env.example knows the key',
    kind: 'leave',
    build(w) {
      plainPython(w, 'import os\nresult = os.environ["PAYMENT_SECRET"]');
      w.write('.env.example', 'PAYMENT_SECRET=change-me\n');
    },
    show: runPlain,
  },
  {
    id: 'key-file-open',
    what: 'Python: a key file has become readable for everybody, and the client refuses it',
    kind: 'heal',
    may: [/^keys\/deploy$/],
    build(w) {
      w.write('keys/deploy', 'not really a key\n', 0o600);
      w.service.config_files = ['keys/deploy'];
      plainPython(
        w,
        `import os
mode = os.stat("keys/deploy").st_mode & 0o777
if mode & 0o077:
    raise PermissionError("Permissions 0%o for '%s' are too open." % (mode, os.path.abspath("keys/deploy")))
result = "signed"`,
      );
    },
    warm: warm(runPlain),
    breakIt: (w) => chmodSync(w.path('keys/deploy'), 0o644),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'restored-service',
    what: 'Python service: its configuration was cut off, and it cannot start',
    kind: 'heal',
    may: [/^settings\.json$/],
    build(w) {
      w.write('settings.json', SETTINGS);
      w.write('serve.py', SERVE);
      w.service.command = [python, 'serve.py'];
      w.service.health = {
        command: [python, '-c', 'import sys,os,time; sys.exit(time.time() - os.stat("run/beat").st_mtime > 3)'],
      };
    },
    warm: async (w) => {
      await w.until(() => w.has('run/beat'));
      await sleep(WARM_MS);
    },
    async breakIt(w) {
      truncateSync(w.path('settings.json'), 40);
      w.write('run/reload', '');
    },
    async works(w) {
      w.remove('run/beat');
      return w.until(() => w.has('run/beat'), 5_000);
    },
  },
  {
    id: 'owner-edits',
    what: 'the owner changes a value and adds a key; the program goes on working',
    kind: 'control',
    may: [/^settings\.json$/],
    build: jsonJob,
    warm: warm(runPlain),
    breakIt: (w) =>
      w.write('settings.json', SETTINGS.replace('120', '90').replace('"workers"', '"colour": "blue",\n  "workers"')),
    show: runPlain,
    works: plainWorks,
    harm(w) {
      if (!w.read('settings.json').includes('blue')) throw new Harm("the owner's edit was taken back");
    },
  },
  {
    id: 'env-grows',
    what: 'the owner adds a variable to .env; the program goes on working',
    kind: 'control',
    may: [/^\.env$/],
    build: envJob,
    warm: warm(runPlain),
    breakIt: (w) => appendFileSync(w.path('.env'), 'NEW_FLAG=1\n'),
    show: runPlain,
    works: plainWorks,
    harm(w) {
      if (!w.read('.env').includes('NEW_FLAG')) throw new Harm("the owner's edit was taken back");
    },
  },
];

const TOML = '[server]\nhost = "127.0.0.1"\nport = 8080\n\n[limits]\ndaily = 40\n';
const SERVE = `import json, logging, os, pathlib, time
logging.basicConfig(filename="logs/serve.log", level=logging.INFO, format="%(asctime)s %(levelname)s [serve] %(message)s")
def load():
    return json.load(open("settings.json"))
settings = load()
logging.info("serving %s", settings["title"])
while True:
    if os.path.exists("run/reload"):
        os.unlink("run/reload")
        settings = load()
    pathlib.Path("run/beat").touch()
    time.sleep(0.3)
`;
