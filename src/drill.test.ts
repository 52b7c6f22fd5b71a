import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DrillResult } from './cli/composition.ts';
import type { OwnFix, ServiceConfig } from './config/contract.ts';
import { drill } from './drill.ts';
import { drilledKey, fixesOf, refusalToLoad } from './engine/own-fixes.ts';
import { fixes } from './fixes/index.ts';
import { HealRig } from './testing/heal-rig.ts';

const repair: OwnFix = {
  name: 'fill-app-env',
  title: 'Fill app.env from the template',
  handles: ['config_error'],
  contains: null,
  services: null,
  autonomy: 'auto',
  risk: 'reversible',
  steps: [
    { run: ['/bin/cp', '-p', 'app.env', 'app.env.before'], undo: ['/bin/rm', 'app.env.before'], timeoutMs: 5_000 },
    {
      run: ['/bin/sh', '-c', 'echo KEY=value > app.env'],
      undo: ['/bin/cp', '-p', 'app.env.before', 'app.env'],
      timeoutMs: 5_000,
    },
  ],
  checks: [{ run: ['/bin/grep', '-q', 'KEY=', 'app.env'], timeoutMs: 5_000 }],
};

let rig: HealRig;
beforeEach(async () => void (rig = await HealRig.open()));
afterEach(() => rig.close());

async function drilled(own: OwnFix): Promise<readonly DrillResult[]> {
  const config = { ...rig.config, ownFixes: [own] };
  const rows: DrillResult[] = [];
  const request = { config, environment: process.env, names: [own.name], signal: new AbortController().signal };
  for await (const row of drill(request)) if (row.kind === 'result') rows.push(row);
  return rows;
}

describe('a rehearsal of an own fix', () => {
  it('passes on a copy of the service, leaves the service alone, and is remembered', async () => {
    const before = rig.content();
    expect(await drilled(repair)).toEqual([
      { kind: 'result', fix: 'fill-app-env', given: 'a copy of agent', passed: true, problems: [] },
    ]);
    expect([rig.content(), existsSync(`${rig.folder()}/app.env.before`)]).toEqual([before, false]);
    expect(await rig.store.value(drilledKey('fill-app-env'))).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each<[string, Partial<OwnFix>, RegExp]>([
    [
      'its way back leaves something behind',
      {
        steps: [{ run: ['/bin/touch', 'left'], undo: ['/bin/true'], timeoutMs: 5_000 }],
        checks: [{ run: ['/bin/true'], timeoutMs: 5_000 }],
      },
      /after its undo the copy differs: .*left/,
    ],
    ['it proves nothing', { checks: [{ run: ['/bin/false'], timeoutMs: 5_000 }] }, /it proves nothing: \/bin\/false/],
    [
      'a step does not end',
      { steps: [{ run: ['/bin/sleep', '60'], undo: { none: 'a sleep' }, timeoutMs: 200 }] },
      /did not end in time/,
    ],
    [
      'there is no such program',
      { steps: [{ run: ['./no-such-program'], undo: { none: 'nothing' }, timeoutMs: 5_000 }] },
      /no-such-program/,
    ],
  ])('fails when %s', async (_, changes, problem) => {
    const [row] = await drilled({ ...repair, ...changes });
    expect(row?.passed).toBe(false);
    expect(row?.problems.join('\n')).toMatch(problem);
    expect(await rig.store.value(drilledKey('fill-app-env'))).toBeNull();
  });

  it('is not tried when a command names the real folder', async () => {
    const [row] = await drilled({ ...repair, checks: [{ run: ['/bin/ls', rig.folder()], timeoutMs: 5_000 }] });
    expect(row).toMatchObject({ passed: false, problems: [/names the service's own folder/] });
  });
});

describe('an own fix', () => {
  it.each([
    [true, 'verifying'],
    [false, 'awaiting-approval'],
  ])('with a rehearsal passed: %s, goes to %s', async (passed, state) => {
    const other = await HealRig.open({ fixes: () => fixesOf([repair], { isDrilled: async () => passed }) });
    try {
      const id = await other.incident();
      expect((await other.step(id))?.state.name).toBe(state);
      expect(readFileSync(`${other.folder()}/app.env`, 'utf8').includes('KEY=')).toBe(passed);
      if (passed) expect((await other.toTheEnd(id)).outcome?.kind).toBe('fixed');
    } finally {
      await other.close();
    }
  });

  it('is asked only about what it was written for', async () => {
    const [fix] = fixesOf([{ ...repair, contains: 'template', services: ['web'] }], { isDrilled: async () => true });
    const ask = async (service: string) => {
      const id = await rig.incident();
      const incident = await rig.store.incident(id);
      const facts = { ...rig.config.services[0], name: service };
      return fix?.diagnose({ incident, service: facts, probe: undefined } as never);
    };
    expect(await ask('agent')).toMatchObject({ kind: 'not-applicable', reason: /not meant for agent/ });
    expect(await ask('web')).toMatchObject({ kind: 'not-applicable', reason: /does not contain/ });
  });
});

describe('loading', () => {
  it('takes every fix of the catalogue', () => {
    expect(fixes.map((fix) => refusalToLoad(fix, fixes)).filter((reason) => reason !== null)).toEqual([]);
  });

  it('refuses a fix that cannot be rehearsed, has no name, or has that of another one', () => {
    const [first] = fixes;
    if (!first) throw new Error('the catalogue is empty');
    expect(refusalToLoad({ ...first, drills: [] }, fixes)).toMatch(/two are the least|two fixes named/);
    expect(refusalToLoad({ ...first, name: 'alone', drills: [] }, fixes)).toMatch(/0 drills; two are the least/);
    expect(refusalToLoad({ ...first, name: 'No Name' }, fixes)).toMatch(/no name/);
    expect(refusalToLoad({ ...first }, fixes)).toMatch(/two fixes named/);
    const acting = first.drills.filter((one) => Array.isArray(one.expect));
    expect(refusalToLoad({ ...first, name: 'rash', drills: [...acting, ...acting] }, fixes)).toMatch(/holds back/);
  });
});

it('names a fix that does not exist', async () => {
  const rows = drill({ config: null, environment: {}, names: ['none-such'], signal: new AbortController().signal });
  await expect(rows.next()).rejects.toThrow('there is no fix named none-such');
});

it('plays the drills of a fix of the catalogue on this machine', async () => {
  const names = ['report-spent-quota'];
  const rows: DrillResult[] = [];
  for await (const row of drill({
    config: null,
    environment: process.env,
    names,
    signal: new AbortController().signal,
  }))
    if (row.kind === 'result') rows.push(row);
    else expect(row).toMatchObject({ number: rows.length + 1, total: expect.any(Number) });
  expect(rows.length).toBeGreaterThanOrEqual(2);
  expect(rows.every((row) => row.passed === true)).toBe(true);
});

describe('a rehearsal of a fix of the catalogue on a copy of the service', () => {
  const rehearsed = async (name: string, changes: Partial<ServiceConfig> = {}): Promise<DrillResult | undefined> => {
    const [service] = rig.config.services;
    const config = { ...rig.config, services: service ? [{ ...service, ...changes }] : [] };
    const request = { config, environment: process.env, names: [name], signal: new AbortController().signal };
    let last: DrillResult | undefined;
    for await (const row of drill(request)) if (row.kind === 'result' && row.given.startsWith('a copy of')) last = row;
    return last;
  };

  it('damages the copy, heals it and takes it back, and only reads the service', async () => {
    const path = join(rig.folder(), 'settings.json');
    await writeFile(path, '{"workers": 4, "limits": {"daily": 250}}\n');
    const content = await readFile(path);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const copy = { service: 'agent', path, sha256, mode: 0o644, bytes: content.length, savedAt: 1, provenAt: null };
    const { id } = await rig.store.saveGoodCopy(copy, content);
    await rig.store.proveGoodCopy(id, 2);
    const row = await rehearsed('restore-broken-config', { configFiles: [path] });
    expect(row).toMatchObject({ passed: true, problems: [], given: `a copy of agent: ${path} is cut off` });
    expect(await readFile(path)).toEqual(content);
  });

  it('knows torn records and missing folders', async () => {
    const path = join(rig.folder(), 'events.jsonl');
    await writeFile(path, '{"a": 1}\n{"a": 2}\n');
    expect(await rehearsed('repair-torn-jsonl')).toMatchObject({ given: expect.stringMatching(/torn/), passed: true });
    await rm(path);
    await mkdir(join(rig.folder(), 'logs'));
    const logs = [join(rig.folder(), 'logs/*.log')];
    expect(await rehearsed('recreate-missing-folder', { logs })).toMatchObject({ passed: true, problems: [] });
  });

  it('makes no copy where a link or the file of a worktree leads back to the real thing', async () => {
    await mkdir(join(rig.folder(), 'elsewhere'));
    await writeFile(join(rig.folder(), 'elsewhere/agent.log'), 'kept');
    await symlink(join(rig.folder(), 'elsewhere'), join(rig.folder(), 'logs'));
    const logs = [join(rig.folder(), 'logs/*.log')];
    const row = await rehearsed('recreate-missing-folder', { logs });
    expect(row).toMatchObject({ passed: 'skipped', problems: [expect.stringContaining('leads out of the folder')] });
    expect(readFileSync(join(rig.folder(), 'elsewhere/agent.log'), 'utf8')).toBe('kept');
    await rm(join(rig.folder(), 'logs'));
    await writeFile(join(rig.folder(), '.git'), 'gitdir: /srv/repo/.git/worktrees/agent');
    expect(await rehearsed('clear-stale-git-lock')).toMatchObject({ passed: 'skipped' });
  });

  it('leaves out a service that has nothing of the kind', async () => {
    expect(await rehearsed('install-node-package')).toMatchObject({
      passed: 'skipped',
      problems: ['agent has nothing that could be damaged in this way'],
    });
  });
});
