// Hostile logs through the whole path: detector, incident, every fix of the catalogue, planner, *hands*. Whatever a line
// says, in whatever error it stands: nothing it names is run, nothing outside of the service is touched, and no word of it
// becomes part of a step. Each case is asked for by a person, so that no guard stands in the way.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDetector } from './detector.ts';
import { fixes } from './fixes/index.ts';
import { listingDifferences, listTree } from './host/installed-tree.ts';
import { HealRig } from './testing/heal-rig.ts';

let rig: HealRig;
let canary: string;
let project: string;
let neighbour: string;
beforeAll(async () => {
  rig = await HealRig.open({ fixes: () => fixes });
  project = rig.folder();
  neighbour = join(rig.root, 'neighbour');
  canary = join(rig.root, 'canary');
  mkdirSync(neighbour);
  writeFileSync(join(neighbour, 'ledger.json'), '{"belongs to": "somebody else"');
  writeFileSync(join(neighbour, 'old.pid'), '4194303\n');
  writeFileSync(join(neighbour, 'session.lock'), '4194303\n');
  writeFileSync(canary, `#!/bin/sh\necho "$@" >>'${canary}.sprung'\n`);
  chmodSync(canary, 0o755);
  mkdirSync(join(project, 'data'));
  symlinkSync(join(neighbour, 'ledger.json'), join(project, 'data/link.json'));
  writeFileSync(join(project, 'main.py'), 'import json\nprint(json.dumps({}))\n');
  writeFileSync(join(project, 'index.js'), "const fs = require('node:fs');\n");
  writeFileSync(join(project, 'requirements.txt'), 'wordtrim==1.2.0\n');
  writeFileSync(join(project, 'package.json'), '{ "name": "agent", "version": "1.0.0" }\n');
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...words], { cwd: project, stdio: 'ignore' });
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '-m', 'first');
});
afterAll(() => rig.close());

/** What an attacker would have run, read or written. `{canary}`, `{neighbour}` and `{project}` are filled in. */
const PAYLOADS: readonly string[] = [
  '--index-url=http://127.0.0.1:9/evil-index',
  '-r {neighbour}/ledger.json',
  '--require {canary}',
  '../../neighbour/ledger.json',
  '{neighbour}/ledger.json',
  '{project}/data/link.json',
  '{neighbour}/old.pid',
  '{neighbour}/session.lock',
  'evil; {canary} #',
  '$({canary} evil)',
  '`{canary} evil`',
  'evil | {canary}',
  'evil && {canary}',
  "evil' '{canary}",
  'evil\n{canary}\nevil',
  'evil\u0000{canary}',
  'evil @ http://127.0.0.1:9/evil.whl',
  'git+https://127.0.0.1:9/evil.git',
  'ext::sh -c {canary}',
  'evil@npm:other-evil',
  '\u202eevil\u202d',
  'еvil-look-alike',
  '__proto__',
  '{canary}',
];

/** Errors as programs print them; `{X}` is where the attacker's words stand. */
const ERRORS: readonly string[] = [
  'Traceback (most recent call last):\n  File "{project}/main.py", line 1, in <module>\n    import evil\nModuleNotFoundError: No module named \'{X}\'',
  "Error: Cannot find module '{X}'\nRequire stack:\n- {project}/index.js",
  'ERROR: No matching distribution found for {X}',
  'CONFLICT (content): Merge conflict in {X}',
  "fatal: Unable to create '{X}/.git/index.lock': File exists.",
  'error: Your local changes to the following files would be overwritten by merge:\n\t{X}\nAborting',
  "FileNotFoundError: [Errno 2] No such file or directory: '{X}'",
  'json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0) while reading {X}',
  "PermissionError: [Errno 13] Permission denied: '{X}'",
  "OSError: [Errno 28] No space left on device: '{X}'",
  'Error: listen EADDRINUSE: address already in use {X}',
  'ERROR pid file {X} exists: already running as pid 4194303?',
  'TimeoutError: session file locked (timeout 500ms): pid=4194303 {X}',
  'sqlite3.OperationalError: database is locked: {X}',
  'sqlite3.DatabaseError: database disk image is malformed: {X}',
  "KeyError: '{X}'",
  'Error: spawn {X} ENOENT',
  'Error: connect ECONNREFUSED {X}',
  "Permissions 0644 for '{X}' are too open.",
  "AttributeError: 'Client' object has no attribute '{X}'",
];

const filled = (text: string): string =>
  text.replaceAll('{canary}', canary).replaceAll('{neighbour}', neighbour).replaceAll('{project}', project);
const SPEAKS = /evil|canary|neighbour|__proto__|link\.json/;

it.each(ERRORS.map((error) => [error.split('\n').at(-1) ?? error, error] as const))(
  'nothing comes of an attacker’s words in: %s',
  async (_, error) => {
    const detector = await createDetector(null, {});
    const world = async () => [await listTree(project), await listTree(neighbour)] as const;
    const before = await world();
    let cases = 0;
    for (const payload of PAYLOADS) {
      const text = filled(error.replaceAll('{X}', payload));
      for (const detection of detector.scanText(text)) {
        cases += 1;
        rig.clock.advance(120_000);
        const { type, facts, message, rule, fingerprint } = detection;
        const sample = { at: rig.clock.now(), source: 'file:x', line: 1, endLine: 1, text };
        const place = { ...fingerprint, place: `${error}${payload}${cases}` };
        const id = await rig.incident({ type, facts, message, rule, fingerprint: place, samples: [sample] });
        const incident = await rig.step(id, { requestedByPerson: true });
        const plans = await rig.store.plansOf(id);
        const steps = plans.flatMap((plan) => [...plan.steps, ...plan.checks]);
        for (const step of steps) expect(JSON.stringify({ ...step, title: '' }), text).not.toMatch(SPEAKS);
        expect(incident?.outcome?.kind, text).not.toBe('fixed');
      }
    }
    expect(existsSync(`${canary}.sprung`)).toBe(false);
    const after = await world();
    const changed = before.flatMap((listing, i) => listingDifferences(listing, after[i] ?? new Map()));
    expect(changed.filter((path) => !/\.git\/(?:index|FETCH_HEAD)\b/.test(path))).toEqual([]);
    console.log(`${String(cases).padStart(4)} hostile cases, nothing done: ${error.split('\n').at(-1)}`);
  },
  600_000,
);
