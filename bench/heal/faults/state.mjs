// State that a death has torn, locks that nobody holds, databases.

import { appendFileSync, truncateSync, statSync, writeFileSync, openSync, writeSync, closeSync } from 'node:fs';
import { plainPython, plainWorks, runPlain } from '../lib/patients.mjs';
import { Harm, isAlive, python } from '../lib/world.mjs';

const READS_JSONL = `import json
records = [json.loads(line) for line in open("data/session.jsonl")]
result = len(records)`;
const RECORDS = Array.from({ length: 40 }, (_, n) => `${JSON.stringify({ id: n, text: `message ${n}` })}\n`).join('');

const WRITES_SQLITE = `import sqlite3
db = sqlite3.connect("data/orders.db", timeout=0.5)
db.execute("insert into orders(item) values ('tea')")
db.commit() if "--check" not in sys.argv else db.rollback()
result = "ordered"`;
const makeDatabase = (w) =>
  w.must([
    python,
    '-c',
    'import os, sqlite3\nos.makedirs("data", exist_ok=True)\ndb = sqlite3.connect("data/orders.db")\ndb.execute("create table orders(id integer primary key, item text)")\ndb.executemany("insert into orders(item) values (?)", [("coffee %d" % n,) for n in range(3000)])\ndb.commit()',
  ]);
const LOCKS = `import sqlite3, sys, time
db = sqlite3.connect("data/orders.db", isolation_level=None)
db.execute("begin immediate")
print("locked", flush=True)
time.sleep(float(sys.argv[1]))
db.execute("rollback")
`;
const database = [/^data\/orders\.db(?:-journal|-wal|-shm)?$/];

export default [
  {
    id: 'jsonl-torn',
    what: 'Python: the last record of a session file was cut off by a death',
    kind: 'heal',
    may: [/^data\/session\.jsonl$/],
    build(w) {
      w.write('data/session.jsonl', RECORDS);
      plainPython(w, READS_JSONL);
    },
    breakIt: (w) => appendFileSync(w.path('data/session.jsonl'), '{"id": 40, "text": "half a mess'),
    show: runPlain,
    works: async (w) => (await plainWorks(w)) && w.read('data/session.jsonl') === RECORDS,
  },
  {
    id: 'jsonl-middle',
    what: 'Python: records in the middle of a session file are garbage',
    kind: 'leave',
    build(w) {
      w.write('data/session.jsonl', RECORDS.replace('{"id":7,', '\u0000\u0000').replace('{"id":9,', '{"id":9 '));
      plainPython(w, READS_JSONL);
    },
    show: runPlain,
  },
  {
    id: 'state-poisoned',
    what: 'Python: a state file is garbage, and the program starts without it just as well',
    kind: 'ask',
    may: [/^data\/cursor\.json$/],
    build(w) {
      w.write('data/cursor.json', '{"at": 4711}\n');
      plainPython(
        w,
        'import json, os\nstate = json.load(open("data/cursor.json")) if os.path.exists("data/cursor.json") else {"at": 0}\nresult = state["at"]',
      );
    },
    breakIt: (w) => w.write('data/cursor.json', '\u0000\u0000\u0000\u0000'),
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'session-lock-stale',
    what: 'Python: a session lock of a dead process, and everybody waits for it',
    kind: 'heal',
    may: [/^data\/session\.jsonl\.lock$/],
    async build(w) {
      w.write('data/session.jsonl', RECORDS);
      const dead = w.start(['true']);
      await w.until(() => !isAlive(dead.pid));
      w.write('data/session.jsonl.lock', `${dead.pid}\n`);
      plainPython(w, LOCKED);
    },
    show: runPlain,
    works: plainWorks,
  },
  {
    id: 'session-lock-held',
    what: 'Python: a session lock whose holder lives and works',
    kind: 'leave',
    waits: true,
    deadlineMs: 20_000,
    build(w) {
      w.write('data/session.jsonl', RECORDS);
      const holder = w.start(['sleep', '3600']);
      w.write('data/session.jsonl.lock', `${holder.pid}\n`);
      plainPython(w, LOCKED);
    },
    show: runPlain,
    harm(w) {
      if (!w.has('data/session.jsonl.lock')) throw new Harm('a lock in use was taken away');
    },
  },
  {
    id: 'sqlite-busy',
    what: 'Python: another program writes to the database for some seconds',
    kind: 'heal',
    may: database,
    async build(w) {
      await makeDatabase(w);
      plainPython(w, WRITES_SQLITE);
      w.write('lock.py', LOCKS);
    },
    async show(w) {
      w.start([python, 'lock.py', '9']);
      await w.until(async () => !(await plainWorks(w)));
      await runPlain(w);
    },
    works: plainWorks,
  },
  {
    id: 'sqlite-held',
    what: "Python: somebody else's program holds the database for good",
    kind: 'leave',
    waits: true,
    deadlineMs: 160_000,
    may: database,
    async build(w) {
      await makeDatabase(w);
      plainPython(w, WRITES_SQLITE);
      w.write('lock.py', LOCKS);
    },
    async show(w) {
      w.holder = w.start([python, 'lock.py', '3600']);
      await w.until(async () => !(await plainWorks(w)));
      await runPlain(w);
    },
    harm(w) {
      if (!isAlive(w.holder.pid)) throw new Harm("somebody else's program was ended");
    },
  },
  {
    id: 'sqlite-corrupt',
    what: 'Python: pages of the database are garbage',
    kind: 'leave',
    async build(w) {
      await makeDatabase(w);
      plainPython(
        w,
        'import sqlite3\nresult = sqlite3.connect("data/orders.db").execute("select count(distinct item) from orders").fetchone()',
      );
    },
    breakIt(w) {
      const file = w.path('data/orders.db');
      const handle = openSync(file, 'r+');
      for (let at = 4096; at < statSync(file).size; at += 4096)
        writeSync(handle, Buffer.alloc(4096, 0x5a), 0, 4096, at);
      closeSync(handle);
    },
    show: runPlain,
  },
  {
    id: 'sqlite-not-one',
    what: 'Python: the database file was overwritten with something else',
    kind: 'leave',
    async build(w) {
      await makeDatabase(w);
      plainPython(
        w,
        'import sqlite3\nresult = sqlite3.connect("data/orders.db").execute("select count(*) from orders").fetchone()',
      );
    },
    breakIt(w) {
      truncateSync(w.path('data/orders.db'), 0);
      writeFileSync(w.path('data/orders.db'), 'this is a text that somebody saved under the wrong name\n'.repeat(50));
    },
    show: runPlain,
  },
];

const LOCKED = `import os, pathlib
lock = pathlib.Path("data/session.jsonl.lock").resolve()
try:
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
except FileExistsError:
    raise TimeoutError("session file locked (timeout 500ms): pid=%s %s" % (lock.read_text().strip(), lock)) from None
os.unlink(lock)
result = "one turn"`;
