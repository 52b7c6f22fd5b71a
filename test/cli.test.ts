// The command line as other programs see it: the built program, real files, real processes, exit codes
// and what stands on stdout.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist/cli.js');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

let folder = '';
const running = new Set<ChildProcess>();

beforeAll(() => {
  execFileSync('sh', [join(root, 'scripts/setup.sh')], { stdio: 'ignore' });
}, 600_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selfheal-cli-'));
});
afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => {
  expect(running.size).toBe(0);
});

interface Options {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** Resolves when this stands on stdout. */
  said(text: string): Promise<void>;
  /** Resolves when this stands on stderr. */
  complained(text: string): Promise<void>;
}

function start(argv: readonly string[], options: Options = {}): Started {
  const child = spawn(process.execPath, [program, ...argv], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  const waiting: (() => void)[] = [];
  child.stdout.on('data', (text) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr.on('data', (text) => {
    stderr += text;
    for (const look of waiting) look();
  });
  child.stdin.on('error', () => undefined);
  if (options.input !== undefined) child.stdin.end(options.input);
  const ended = new Promise<Ran>((resolve) =>
    child.on('close', (code) => {
      running.delete(child);
      resolve({ code, stdout, stderr });
    }),
  );
  const holds = (all: () => string, text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (all().includes(text)) resolve();
      };
      waiting.push(look);
      look();
      void ended.then((ran) => reject(new Error(`ended without saying ${text}: ${JSON.stringify(ran)}`)));
    });
  return {
    child,
    ended,
    said: (text) => holds(() => stdout, text),
    complained: (text) => holds(() => stderr, text),
  };
}

const selfheal = (argv: readonly string[], options: Options = {}): Promise<Ran> =>
  start(argv, { input: '', ...options }).ended;

const write = (path: string, content: string | Uint8Array): string => {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content);
  return path;
};

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const GOOD = '2026-01-05 10:00:00,000 INFO agent: started\n';
const BAD = `2026-01-05 10:00:01,000 ERROR agent: could not start
Traceback (most recent call last):
  File "/srv/agent/main.py", line 3, in <module>
    import wordtrim
ModuleNotFoundError: No module named 'wordtrim'
`;

describe('usage', () => {
  it('--help names every command of the contract and ends with 0', async () => {
    const { code, stdout, stderr } = await selfheal(['--help']);
    const commands = ['watch', 'run', 'scan', 'health', 'errors', 'report', 'fix', 'history', 'incidents', 'incident'];
    const more = ['plan', 'approve', 'deny', 'rollback', 'silence', 'pause', 'resume', 'why', 'init', 'doctor', 'demo'];
    for (const name of [...commands, ...more, 'status', 'config', 'rules'])
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each([['scan'], ['run'], ['incident'], ['config', 'check'], ['rules', 'test']])(
    '%s %s has help of its own',
    async (...command) => {
      const { code, stdout } = await selfheal([...command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: selfheal ${command.join(' ')}`);
      expect(stdout).toContain('--config <file>');
      expect(stdout).toContain('--json');
    },
  );

  it.each(['doctor', 'watch', 'run', 'gateway'])(
    'the help of %s ends its summary with one mark and leaves no word alone on a line',
    async (command) => {
      const { stdout } = await selfheal([command, '--help']);
      expect(stdout).not.toContain('?.');
      expect(stdout).not.toMatch(/^\S+(?: \S+)?\n(?=\S)/m);
    },
  );

  it('--version prints the version of the package', async () => {
    expect(await selfheal(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['incidnets'], /unknown command 'incidnets'\n\(Did you mean incidents\?\)/],
    [['scan', '--sinc', '5m'], /unknown option '--sinc'\n\(Did you mean --since\?\)/],
    [['incident'], /missing required argument 'id'/],
    [['watch', '--log-level', 'loud'], /Allowed choices are debug, info/],
    [['scan', 'x', '--since', 'soon'], /--since: expected 60m/],
    [['silence', '1', '--for', 'ever'], /--for: expected a duration/],
    [['errors', '--minutes', '-3'], /expected a whole number/],
    [['approve', '1', '--hash', 'zz'], /at least six characters/],
    [[], /Usage: selfheal/],
    [['watch'], /there is no configuration: `selfheal init` writes one/],
    [['incident', '99'], /there is no incident 99/],
    [['fix', '99'], /there is no incident 99/],
    [['status', '--config', 'missing.yaml'], /missing\.yaml: there is no such file/],
    [['demo', '--json'], /for people/],
  ])('%j is wrong usage: exit 2, nothing on stdout', async (argv, message) => {
    const { code, stdout, stderr } = await selfheal(argv);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('a wrong configuration is named with file, line, column and the nearest key', async () => {
    write('selfheal.yaml', 'self_healing:\n  auto_fxi: true\n');
    for (const command of ['watch', 'incidents', 'health']) {
      const { code, stdout, stderr } = await selfheal([command, '--json']);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toBe(
        `${join(folder, 'selfheal.yaml')}:2:3: unknown key "auto_fxi" in self_healing; did you mean auto_fix?\n`,
      );
    }
  });
});

describe('scan', () => {
  it('ends with 0 and says nothing in JSON when all is well', async () => {
    write('ok.log', GOOD);
    expect(await selfheal(['scan', 'ok.log', '--json'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await selfheal(['scan', 'ok.log'])).stdout).toBe('No errors in 1 line of 1 file.\n');
  });

  it('prints one JSON object for each error, in the order of the files, and ends with 1', async () => {
    write('b.log', GOOD + BAD);
    write('a.log.gz', gzipSync(BAD));
    const { code, stdout, stderr } = await selfheal(['scan', 'b.log', 'a.log.gz', '--json']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(jsonLines(stdout)).toMatchObject([
      { file: 'b.log', line: 2, endLine: 6, type: 'import_error', facts: { module: 'wordtrim' } },
      { file: 'a.log.gz', line: 1, endLine: 5, time: '2026-01-05T10:00:01.000Z', fixable: true },
    ]);
    expect(Object.keys(jsonLines(stdout)[0] ?? {})).toEqual([
      ...['file', 'line', 'endLine', 'time', 'type', 'severity', 'message', 'rule', 'fingerprint', 'fixable', 'facts'],
    ]);
  });

  it('reads a pipe, named or not', async () => {
    for (const argv of [
      ['scan', '-', '--json'],
      ['scan', '--json'],
    ]) {
      const { code, stdout } = await selfheal(argv, { input: GOOD + BAD });
      expect(code).toBe(1);
      expect(jsonLines(stdout)).toMatchObject([{ file: null, line: 2 }]);
    }
  });

  it('groups equal errors for people', async () => {
    write('x.log', BAD.repeat(30));
    const { code, stdout } = await selfheal(['scan', 'x.log']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/import_error +30 × +fixable +1…146 +ModuleNotFoundError: No module named 'wordtrim'/);
    expect(stdout).toMatch(/30 errors, 1 problem, in 150 lines of 1 file\./);
  });

  it('reads the configured logs when no file is named', async () => {
    write('selfheal.yaml', 'services: {a: {directory: app, logs: ["logs/*.log"]}}');
    write('app/logs/one.log', BAD);
    const { code, stdout } = await selfheal(['scan', '--json']);
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toMatchObject([{ file: join(folder, 'app/logs/one.log') }]);
  });

  it('leaves out what is older than --since', async () => {
    const at = (ms: number): string => new Date(ms).toISOString();
    const line = (time: string, name: string): string =>
      `${time} ERROR agent: ModuleNotFoundError: No module named '${name}'\n`;
    write('x.log', line(at(Date.now() - 7_200_000), 'older') + line(at(Date.now() - 60_000), 'newer'));
    const { stdout } = await selfheal(['scan', 'x.log', '--since', '60m', '--json']);
    expect(jsonLines(stdout).map((row) => row['facts'])).toMatchObject([{ module: 'newer' }]);
  });

  it('says what cannot be read, reads the rest, and ends with 2', async () => {
    write('x.log', BAD);
    const { code, stdout, stderr } = await selfheal(['scan', 'missing.log', 'x.log', '--json']);
    expect(code).toBe(2);
    expect(jsonLines(stdout)).toHaveLength(1);
    expect(stderr).toBe('selfheal: missing.log: there is no such file\n');
  });

  it('ends quietly when its reader has gone', async () => {
    write('big.log', BAD.repeat(20_000));
    const command = `"${process.execPath}" "${program}" scan big.log --json | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const out = execFileSync('bash', ['-c', command], { cwd: folder, encoding: 'utf8' });
    const lines = out.trim().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ line: 1 });
    expect(lines.slice(1)).toEqual(['0']);
  });

  it('ends at Ctrl-C with whole lines only', async () => {
    const scan = start(['scan', '-', '--json']);
    scan.child.stdin?.write(BAD.repeat(3000));
    await scan.said('import_error');
    scan.child.kill('SIGINT');
    scan.child.stdin?.write(BAD.repeat(3000));
    scan.child.stdin?.end();
    const { code, stdout } = await scan.ended;
    expect(code).toBe(130);
    expect(() => jsonLines(stdout)).not.toThrow();
  });

  it('uses colours only when they are wanted', async () => {
    write('x.log', BAD);
    const plain = (await selfheal(['scan', 'x.log'])).stdout;
    const forced = (await selfheal(['scan', 'x.log'], { env: { FORCE_COLOR: '1' } })).stdout;
    const refused = (await selfheal(['scan', 'x.log'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout;
    expect([plain, forced, refused].map((text) => text.includes('\u001b['))).toEqual([false, true, false]);
  });

  it('shows hostile text without obeying it', async () => {
    write(
      'x.log',
      `2026-01-05 10:00:00,000 ERROR agent: ModuleNotFoundError: No module named 'a\u001b]0;owned\u0007\u202eb'\n`,
    );
    const { stdout } = await selfheal(['scan', 'x.log']);
    expect(stdout).not.toMatch(/[\u001b\u0007\u202e]/);
  });
});

describe('questions', () => {
  it.each(['status', 'health', 'errors', 'report', 'history'])('%s --json is one document', async (command) => {
    write('selfheal.yaml', 'services: {a: {}}');
    const { code, stdout, stderr } = await selfheal([command, '--json']);
    // Nobody is watching: how selfheal is, and whether all is well, cannot be said.
    expect(code).toBe(['status', 'health'].includes(command) ? 3 : 0);
    expect(jsonLines(stdout)).toHaveLength(1);
    expect(stderr).toBe('');
    expect((await selfheal([command])).stdout).not.toBe('');
  });

  it('incidents --json is a stream, empty when there are none', async () => {
    expect(await selfheal(['incidents', '--all', '--json'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await selfheal(['incidents'])).stdout).toBe('No open incidents.\n');
  });

  it('why says that there is no incident of a number', async () => {
    const { code, stdout } = await selfheal(['why', '99', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ incident: null, because: expect.stringContaining('no incident 99') });
  });

  it('why explains a line', async () => {
    const { code, stdout } = await selfheal(['why', "ModuleNotFoundError: No module named 'wordtrim'", '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ detection: { type: 'import_error', facts: { module: 'wordtrim' } } });
  });

  it('a decision about nothing is bad news', async () => {
    for (const command of [
      ['approve', '9'],
      ['deny', '9'],
      ['rollback', '9'],
      ['silence', '9'],
    ])
      expect(await selfheal(command)).toMatchObject({ code: 1, stdout: expect.stringContaining('9') as string });
  });

  it('pause and resume are remembered', async () => {
    expect((await selfheal(['pause', 'moving', 'house'])).code).toBe(0);
    const paused = JSON.parse((await selfheal(['status', '--json'])).stdout) as {
      paused: { by: string; reason: string };
    };
    expect(paused.paused).toMatchObject({ by: expect.stringMatching(/^cli:/) as string, reason: 'moving house' });
    expect((await selfheal(['resume'])).code).toBe(0);
    expect(JSON.parse((await selfheal(['status', '--json'])).stdout)).toMatchObject({ paused: null });
  });

  it('a store that cannot be opened is exit 3', async () => {
    write('state', 'a file, not a folder');
    write('selfheal.yaml', 'state: state\nservices: {a: {}}');
    for (const command of ['incidents', 'status']) {
      const { code, stdout, stderr } = await selfheal([command, '--json']);
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
      expect(stderr).toMatch(/^selfheal: the store cannot be reached/);
    }
  });
});

describe('the monitor', () => {
  it('run supervises a command without any configuration, answers meanwhile, and stops cleanly', async () => {
    write(
      'agent.py',
      `import sys, time\nprint("up", flush=True)\nsys.stderr.write("""${BAD}""")\nsys.stderr.flush()\ntime.sleep(600)\n`,
    );
    const monitor = start(['run', '--json', '--', 'python3', 'agent.py']);
    await monitor.said('\n');
    let rows: Record<string, unknown>[] = [];
    while (rows.length === 0) rows = jsonLines((await selfheal(['incidents', '--all', '--json'])).stdout);
    expect(rows).toMatchObject([{ id: '1', service: 'agent', type: 'import_error', facts: { module: 'wordtrim' } }]);
    const status = await selfheal(['status', '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ daemon: { running: true, pid: monitor.child.pid } });
    // Other commands have no configuration to read here, and know the service all the same.
    const health = JSON.parse((await selfheal(['health', '--json'])).stdout) as Record<string, unknown>;
    expect(health).toMatchObject({ watching: true, services: [{ name: 'agent', pid: expect.any(Number) as number }] });
    expect((await selfheal(['plan', '1'])).stdout).not.toContain('not configured');
    const detail = await selfheal(['incident', '1']);
    expect(detail.stdout).toContain("ModuleNotFoundError: No module named 'wordtrim'");
    expect(statSync(join(folder, '.selfheal')).mode & 0o777).toBe(0o700);
    const second = await selfheal(['run', '--', 'true']);
    expect(second).toMatchObject({ code: 3, stdout: '' });
    expect(second.stderr).toMatch(/^selfheal: selfheal already runs here, as pid \d+ with the state folder /);
    expect((await selfheal(['status'])).stdout).toMatch(
      /\nNext:\n {2}next check in \d+ (?:s|min); logs are read all the time\n/,
    );
    const paused = JSON.parse((await selfheal(['pause', '--json'])).stdout) as Record<string, unknown>;
    expect(paused).toMatchObject({ ok: true, state: join(folder, '.selfheal') });
    expect(paused['message']).not.toContain('no selfheal runs');
    monitor.child.kill('SIGTERM');
    const { code, stdout, stderr } = await monitor.ended;
    expect(code).toBe(0);
    const told = jsonLines(stdout);
    expect(told.filter(({ event }) => event === 'ready')).toEqual([
      { event: 'ready', dashboard: null, gateway: null, pid: monitor.child.pid },
    ]);
    expect(told).toContainEqual(expect.objectContaining({ event: 'incident', happened: 'seen' }));
    expect(told).toContainEqual({ event: 'output', stream: 'stdout', text: 'up\n' });
    expect(told.filter(({ event }) => !['ready', 'incident', 'output'].includes(String(event)))).toEqual([]);
    for (const line of jsonLines(stderr)) expect(line).toMatchObject({ logger: 'selfheal' });
    expect(() => execFileSync('pgrep', ['-f', join(folder, 'agent.py')])).toThrow();
  });

  it('an error that nobody caught is said, ends what it supervises, and makes the exit code one of failure', async () => {
    const broken = "process.on('SIGUSR2', () => void Promise.reject(new Error('a part broke')))";
    write('break.mjs', broken);
    write('agent.py', 'import time; time.sleep(300)');
    const options = { env: { NODE_OPTIONS: `--import=${join(folder, 'break.mjs')}` } };
    const monitor = start(['run', '--json', '--', 'python3', join(folder, 'agent.py')], options);
    await monitor.said('"ready"');
    monitor.child.kill('SIGUSR2');
    const { code, stderr } = await monitor.ended;
    expect(code).toBe(70);
    const said = jsonLines(stderr).find(({ message }) => message === 'an error that nobody caught; stopping');
    expect(said).toMatchObject({ level: 'error', error: expect.stringContaining('a part broke') });
    expect(() => execFileSync('pgrep', ['-f', join(folder, 'agent.py')])).toThrow();
  });

  it('run passes the output on and tells what happens; with --quiet it does neither', async () => {
    write('agent.py', `import sys, time\nprint("up", flush=True)\nsys.stderr.write("""${BAD}""")\ntime.sleep(600)\n`);
    const monitor = start(['run', '--no-auto-fix', '--', 'python3', 'agent.py']);
    await monitor.said('up\n');
    await monitor.said('selfheal ready');
    await monitor.complained('selfheal: #1 seen');
    monitor.child.kill('SIGTERM');
    const { code, stdout, stderr } = await monitor.ended;
    expect({ code, stdout: stdout.split('\n').sort() }).toEqual({ code: 0, stdout: ['', 'selfheal ready', 'up'] });
    expect(stderr).toContain(BAD);
    expect(stderr).toContain("#1 seen       import_error in agent: ModuleNotFoundError: No module named 'wordtrim'");
    expect(stderr).not.toContain('\u001b');

    const quiet = start(['run', '--quiet', '--no-auto-fix', '--state', 'elsewhere', '--', 'python3', 'agent.py']);
    await quiet.said('selfheal ready');
    const incidents = ['incidents', '--all', '--json', '--state', 'elsewhere'];
    while (jsonLines((await selfheal(incidents)).stdout).length === 0);
    quiet.child.kill('SIGTERM');
    expect(await quiet.ended).toEqual({ code: 0, stdout: 'selfheal ready\n', stderr: '' });
  });

  it('run says at once that there is no such program', async () => {
    const { code, stdout, stderr } = await selfheal(['run', '--', 'no-such-program', 'x']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('there is no program no-such-program');
  });

  it('watch says that it is ready, and follows the configured logs', async () => {
    write('selfheal.yaml', 'self_healing: {auto_fix: false}\nservices: {a: {logs: ["*.log"]}}');
    write('a.log', GOOD);
    const monitor = start(['watch']);
    await monitor.said('selfheal ready');
    writeFileSync(join(folder, 'a.log'), BAD, { flag: 'a' });
    let rows: Record<string, unknown>[] = [];
    while (rows.length === 0) rows = jsonLines((await selfheal(['incidents', '--json'])).stdout);
    expect(rows[0]).toMatchObject({ service: 'a', type: 'import_error' });
    monitor.child.kill('SIGINT');
    expect((await monitor.ended).code).toBe(0);
  });
});

describe('set-up', () => {
  it('init --yes writes a file that the loader accepts, and never replaces one unasked', async () => {
    write('data/logs/agent.log', GOOD);
    write('node_modules/x/y.log', GOOD);
    const flags = ['--yes', '--name', 'agent', '--restart', 'systemd:agent.service', '--health', 'http://127.0.0.1:1/'];
    expect(await selfheal(['init', ...flags, '--telegram-chat', '77'])).toMatchObject({ code: 0, stderr: '' });
    expect(statSync(join(folder, 'selfheal.yaml')).mode & 0o777).toBe(0o600);
    const check = await selfheal(['config', 'check', '--json'], { env: { TELEGRAM_BOT_TOKEN: '1:x' } });
    expect(check.code).toBe(0);
    expect(JSON.parse(check.stdout)).toMatchObject({
      ok: true,
      config: {
        services: [
          {
            name: 'agent',
            directory: folder,
            logs: [join(folder, 'data/logs/*.log')],
            restart: { kind: 'systemd', unit: 'agent.service' },
            health: { kind: 'http', url: 'http://127.0.0.1:1' },
          },
        ],
        telegram: { token: '[secret]', allowedUsers: [77], chat: 77 },
      },
    });
    expect(await selfheal(['init', '--yes'])).toMatchObject({ code: 2, stdout: '' });
    expect((await selfheal(['init', '--yes', '--force'])).code).toBe(0);
    expect(readFileSync(join(folder, 'selfheal.yaml.before'), 'utf8')).toContain('systemd');
  });

  it('config check prints what a file comes to, or what is wrong with it', async () => {
    write('other.yaml', 'services: {a: {command: [python, a.py], logs: [x.log]}}');
    const good = await selfheal(['config', 'check', 'other.yaml']);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toContain('runs python a.py');
    write('bad.yaml', 'services: {a: {comand: [x]}}');
    const bad = await selfheal(['config', 'check', 'bad.yaml', '--json']);
    expect(bad).toMatchObject({ code: 2, stderr: '' });
    expect(JSON.parse(bad.stdout)).toMatchObject({
      ok: false,
      problems: [{ file: join(folder, 'bad.yaml'), line: 1, column: 16, key: 'services.a.comand' }],
    });
  });

  it('config check warns of what is not there, and shows problems from top to bottom', async () => {
    write('main.py', '');
    write(
      'selfheal.yaml',
      'services:\n  a:\n    command: [python3, man.py]\n    logs: [data/*.log]\n  b:\n    directory: nowhere\n' +
        '  c:\n    command: [no-such-program]\n  d:\n    command: [python3, main.py]\n',
    );
    const { code, stdout } = await selfheal(['config', 'check', '--json']);
    const { warnings } = JSON.parse(stdout) as { warnings: { line: number; key: string }[] };
    expect({ code, at: warnings.map(({ line, key }) => [line, key]) }).toEqual({
      code: 0,
      at: [
        [3, 'services.a.command'],
        [4, 'services.a.logs.0'],
        [6, 'services.b.directory'],
        [8, 'services.c.command'],
      ],
    });
    const text = (await selfheal(['config', 'check'])).stdout;
    expect(text).toContain(
      `! ${join(folder, 'selfheal.yaml')}:3:14: services.a.command: there is no file ${join(folder, 'man.py')}`,
    );
    write(
      'bad.yaml',
      'zzz: 1\nservices:\n  a: {environment: {A: [1]}, comand: [x]}\nfixes:\n  - {name: abc, title: t, handles: [], steps: [], checks: []}\n',
    );
    const bad = await selfheal(['config', 'check', 'bad.yaml']);
    const places = bad.stderr
      .trim()
      .split('\n')
      .map((line) => line.slice(line.indexOf('bad.yaml:') + 9).split(': ')[0]);
    expect(places).toEqual(['1:1', '3:24', '3:30', '5:36', '5:47', '5:59']);
    expect(bad.stderr).not.toMatch(/Invalid|Too small|expected array/);
  });

  it('rules test says what is wrong in the words of the file', async () => {
    write(
      'rules.yaml',
      'rules:\n  - name: Mine\n    type: import_eror\n    pattern: [x]\n    patterns:\n      - {match: 3, confidence: 7}\n',
    );
    const { code, stderr } = await selfheal(['rules', 'test', 'rules.yaml']);
    expect(code).toBe(2);
    expect(stderr).toContain('did you mean import_error?');
    expect(stderr).toContain('unknown key "pattern" in rules.0; did you mean patterns?');
    expect(stderr).toMatch(/rules\.yaml:6:17: rules\.0\.patterns\.0\.match: expected a text, found 3/);
    expect(stderr).toContain('confidence: must be at most 1');
    expect(stderr).not.toMatch(/Invalid|Too (?:small|big)/);
  });

  it('init without anything to read says what is missing', async () => {
    const { code, stdout } = await selfheal(['init', '--yes', '--name', 'agent']);
    expect(code).toBe(0);
    expect(stdout).toContain('Nothing would be read yet');
    expect(readFileSync(join(folder, 'selfheal.yaml'), 'utf8')).toContain('# command: [python, main.py]');
  });

  it('doctor looks at everything and says what to do', async () => {
    write('selfheal.yaml', `services: {a: {directory: ${folder}, logs: [a.log]}}`);
    write('a.log', GOOD);
    const good = await selfheal(['doctor', '--json']);
    expect(good.code).toBe(0);
    const findings = jsonLines(good.stdout);
    expect(new Set(findings.map((finding) => finding['state']))).not.toContain('problem');
    const names = findings.map((finding) => finding['name']);
    expect(names).toEqual(
      expect.arrayContaining(['configuration', 'node', 'git', 'python', 'npm', 'store', 'service a']),
    );
    const gateway = 'gateway: {listen: "127.0.0.1:1", embedded: {model: m.gguf, runtime: r}}';
    write('selfheal.yaml', `services: {a: {directory: nowhere}}\n${gateway}`);
    const bad = await selfheal(['doctor']);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/✗ service a +.*nowhere is not a directory/);
    expect(bad.stdout).toMatch(/✗ embedded model +there is no file .*m\.gguf that can be read/);
    expect(bad.stdout).toMatch(/✗ embedded model +the package @fugood\/llama\.node is not installed in .*\/r\b/);
  });
});
