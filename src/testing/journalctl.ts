// A stand-in for journalctl(1) that tests put on the search path: a real program that follows a journal of
// JSON lines. It refuses every argument it does not know, as the real one does.

import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type JournalFields = Readonly<Record<string, unknown>>;

const PROGRAM = `
const fs = require('node:fs');
const refuse = (text) => { process.stderr.write(text + '\\n'); process.exit(1); };
const given = {};
for (const argument of process.argv.slice(2)) {
  const [, name, value] = /^--(follow|no-tail|all|no-pager|output|unit|since|cursor)(?:=(.*))?$/.exec(argument) ?? [];
  if (!name) refuse("journalctl: unrecognized option '" + argument + "'");
  given[name] = value ?? true;
}
for (const needed of ['follow', 'no-tail', 'all', 'no-pager', 'unit']) if (!given[needed]) refuse('missing --' + needed);
if (given.output !== 'json') refuse('Unknown output ' + given.output);
if (!given.since === !given.cursor) refuse('exactly one of --since and --cursor');
const timeOf = (cursor) => { const match = /^s=1;t=(\\d+)$/.exec(cursor); return match ? Number(match[1]) : refuse('Failed to seek to cursor: Invalid argument'); };
// A cursor that is gone leads to the entry after it; unlike the real one this lets claims about the unit pass.
const from = given.cursor ? timeOf(given.cursor) : Number(given.since.replace('@', '')) * 1e6;
const mine = (entry) => [entry._SYSTEMD_UNIT, entry.UNIT, entry.OBJECT_SYSTEMD_UNIT, entry.COREDUMP_UNIT].includes(given.unit);
const journal = __dirname + '/journal';
let at = 0;
let rest = '';
const look = () => {
  const bytes = fs.readFileSync(journal).subarray(at);
  at += bytes.length;
  const lines = (rest + bytes.toString('latin1')).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    const entry = JSON.parse(line);
    if (Number(entry.__REALTIME_TIMESTAMP) >= from && mine(entry)) process.stdout.write(line + '\\n', 'latin1');
  }
};
look();
fs.watch(journal, look);
setInterval(look, 50);
`;

export class Journal {
  /** Folder to be given as search path. */
  readonly directory: string;
  readonly #file: string;
  #micros: number;

  constructor(directory: string) {
    this.directory = directory;
    this.#file = join(directory, 'journal');
    this.#micros = Date.now() * 1_000;
    writeFileSync(this.#file, '');
    writeFileSync(join(directory, 'journalctl'), `#!${process.execPath}\n${PROGRAM}`);
    chmodSync(join(directory, 'journalctl'), 0o755);
  }

  /** Adds an entry; its time is later than that of the one before. */
  add(fields: JournalFields): void {
    this.#micros = Math.max(this.#micros + 1, Date.now() * 1_000);
    const stamp = { __CURSOR: `s=1;t=${this.#micros}`, __REALTIME_TIMESTAMP: String(this.#micros) };
    appendFileSync(this.#file, `${JSON.stringify({ ...stamp, ...fields })}\n`);
  }

  addRaw(text: string): void {
    appendFileSync(this.#file, text);
  }

  /** Forgets the oldest entries, as `journalctl --vacuum-files` does. */
  vacuum(count: number): void {
    writeFileSync(this.#file, readFileSync(this.#file, 'utf8').split('\n').slice(count).join('\n'));
  }
}
