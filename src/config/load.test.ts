import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, ConfigError, type ConfigProblem } from './contract.ts';
import { type LoadOptions, loadConfig } from './load.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfheal-config-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Extra = Partial<LoadOptions>;

const load = async (yaml: string | null, extra: Extra = {}): Promise<Config> => {
  if (yaml !== null) await writeFile(join(folder, 'selfheal.yaml'), yaml);
  return loadConfig({ cwd: folder, environment: { HOME: folder }, ...extra });
};

const problemsOf = async (yaml: string, extra: Extra = {}): Promise<readonly ConfigProblem[]> => {
  const error = await load(yaml, extra).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).problems;
};

describe('a configuration that can be used', () => {
  it('has the defaults of the contract when there is no file', async () => {
    const config = await load(null);
    expect(config).toMatchObject({
      file: null,
      node: hostname(),
      enabled: true,
      autoFix: true,
      checkIntervalMs: 300_000,
      maxAutoFixAttempts: 3,
      notifyOnFix: true,
      notifyOnCritical: true,
      autoFixTypes: null,
      state: join(folder, '.selfheal'),
      services: [],
      telegram: null,
      dashboard: null,
      gateway: null,
      limits: { changesPerHour: 10, changesPerDay: 30, restartsPerHour: 5 },
    });
  });

  it('reads the block of the specification unchanged', async () => {
    const config = await load(`
self_healing:
  enabled: true
  auto_fix: true
  check_interval: 300
  notify_on_fix: true
  notify_on_critical: true

  # Which errors to auto-fix
  auto_fix_types:
    - rate_limit
    - import_error
    - git_error
    - config_error
`);
    expect(config.autoFixTypes).toEqual(['rate_limit', 'import_error', 'git_error', 'config_error']);
    expect(config.checkIntervalMs).toBe(300_000);
  });

  it('reads every key of the contract', async () => {
    const config = await load(
      `
state: ./state
services:
  agent:
    directory: srv/agent
    command: [python, main.py, 8080]
    logs: [data/logs/*.log, /var/log/agent.log]
    journald: claude-agent.service
    docker: agent-container
    restart: {systemd: claude-agent}
    health: {http: http://127.0.0.1:8080/healthz}
    settle: 1m30s
    role: critical
    env_file: .env
    disposable: ["data/logs/*.log.*", "tmp/**"]
    package_index: https://pypi.example/simple/
    environment: {DEBUG: true, LEVEL: 3}
    model_switch: {file: .env, set: {LLM_MODEL: "qwen3:8b"}, check: [python, ask.py]}
    fixes: {install-package: auto, sync-git: approve, free-disk: off}
telegram:
  token: \${TELEGRAM_BOT_TOKEN}
  allowed_users: [123456789]
  chat: 123456789
  api_root: https://api.telegram.org
dashboard: {listen: 127.0.0.1:7331}
gateway:
  listen: 127.0.0.1:7332
  upstreams:
    - {name: primary, kind: anthropic, base_url: https://api.anthropic.com, api_key: "\${ANTHROPIC_API_KEY}"}
    - {name: local, kind: openai, base_url: http://127.0.0.1:11434/v1, model: smollm2, fallback: true}
  embedded: {model: models/tiny.gguf, context: 2048, runtime: ~/llama, idle: 5m}
`,
      { environment: { HOME: folder, TELEGRAM_BOT_TOKEN: '1:abc', ANTHROPIC_API_KEY: 'sk-1' } },
    );
    const directory = join(folder, 'srv/agent');
    expect(config.state).toBe(join(folder, 'state'));
    expect(config.services[0]).toMatchObject({
      name: 'agent',
      directory,
      command: ['python', 'main.py', '8080'],
      logs: [join(directory, 'data/logs/*.log'), '/var/log/agent.log'],
      journald: 'claude-agent.service',
      docker: 'agent-container',
      restart: { kind: 'systemd', unit: 'claude-agent' },
      health: { kind: 'http', url: 'http://127.0.0.1:8080/healthz' },
      settleMs: 90_000,
      role: 'critical',
      envFile: join(directory, '.env'),
      disposable: ['data/logs/*.log.*', 'tmp/**'],
      pipIndex: 'https://pypi.example/simple',
      environment: { DEBUG: 'true', LEVEL: '3' },
      modelSwitch: {
        file: join(directory, '.env'),
        set: { LLM_MODEL: 'qwen3:8b' },
        check: { argv: ['python', 'ask.py'], cwd: directory },
      },
      fixes: { 'install-package': 'auto', 'sync-git': 'approve', 'free-disk': 'off' },
    });
    expect(config.telegram?.token.reveal()).toBe('1:abc');
    expect(config.telegram).toMatchObject({ allowedUsers: [123456789], chat: 123456789 });
    expect(config.dashboard).toEqual({ host: '127.0.0.1', port: 7331 });
    expect(config.gateway?.upstreams).toMatchObject([
      { name: 'primary', kind: 'anthropic', baseUrl: 'https://api.anthropic.com', model: null, fallback: false },
      { name: 'local', kind: 'openai', apiKey: null, model: 'smollm2', fallback: true },
    ]);
    expect(config.gateway?.upstreams[0]?.apiKey?.reveal()).toBe('sk-1');
    expect(config.gateway?.embedded).toEqual({
      model: join(folder, 'models/tiny.gguf'),
      runtime: join(folder, 'llama'),
      contextTokens: 2048,
      threads: null,
      idleMs: 300_000,
    });
    expect(JSON.stringify(config)).not.toMatch(/1:abc|sk-1/);
  });

  it.each([
    ['{pm2: web}', { kind: 'pm2', name: 'web' }],
    ['{docker: box}', { kind: 'docker', container: 'box' }],
    ['{command: [./ctl, restart]}', { kind: 'command', argv: ['./ctl', 'restart'] }],
  ])('takes restart: %s', async (yaml, expected) => {
    const config = await load(`services: {a: {restart: ${yaml}}}`);
    expect(config.services[0]?.restart).toMatchObject(expected);
  });

  it.each([
    ['{tcp: "localhost:5432"}', { kind: 'tcp', host: 'localhost', port: 5432 }],
    ['{command: [true]}', null],
    ['{command: ["true"]}', { kind: 'command', argv: ['true'] }],
  ])('takes or refuses health: %s', async (yaml, expected) => {
    const result = load(`services: {a: {health: ${yaml}}}`);
    if (expected === null) await expect(result).rejects.toBeInstanceOf(ConfigError);
    else expect((await result).services[0]?.health).toEqual(expected);
  });

  it('takes an empty file, empty blocks and a service without keys', async () => {
    expect((await load('')).services).toEqual([]);
    const config = await load('telegram:\nself_healing:\nservices:\n  agent:\n');
    expect(config.services.map((s) => [s.name, s.directory])).toEqual([['agent', folder]]);
    expect(config.telegram).toBeNull();
  });

  it('finds the files of which good copies are kept, and leaves lock files, samples and selfheal.yaml alone', async () => {
    for (const name of ['config.json', 'app.yml', 'x.toml', 'package-lock.json', '.env.example', 'notes.txt'])
      await writeFile(join(folder, name), '');
    const config = await load('services: {a: {}}');
    expect(config.services[0]?.configFiles).toEqual(
      ['.env', 'app.yml', 'config.json', 'x.toml'].map((name) => join(folder, name)),
    );
  });

  it('looks up patterns of config_files and keeps plain names that are missing', async () => {
    await mkdir(join(folder, 'conf/deep'), { recursive: true });
    await writeFile(join(folder, 'conf/a.json'), '');
    await writeFile(join(folder, 'conf/deep/b.json'), '');
    const config = await load('services: {a: {config_files: ["conf/**/*.json", gone.yaml]}}');
    expect(config.services[0]?.configFiles).toEqual(
      ['conf/a.json', 'conf/deep/b.json', 'gone.yaml'].map((name) => join(folder, name)),
    );
  });

  it('pins the package indexes that the venv, .npmrc and our environment name, in this order', async () => {
    const environment = {
      HOME: folder,
      PIP_INDEX_URL: 'http://127.0.0.1:1/env/',
      npm_config_registry: 'http://127.0.0.1:1/npm-env',
    };
    const before = await load('services: {a: {}}', { environment });
    expect(before.services[0]).toMatchObject({
      pipIndex: 'http://127.0.0.1:1/env',
      npmRegistry: 'http://127.0.0.1:1/npm-env',
    });
    await mkdir(join(folder, '.venv'));
    await writeFile(join(folder, '.venv/pip.conf'), '[global]\nindex-url = http://127.0.0.1:2/simple\n');
    await writeFile(join(folder, '.npmrc'), 'registry=http://127.0.0.1:2/\n');
    const after = await load('services: {a: {}}', { environment });
    expect(after.services[0]).toMatchObject({
      pipIndex: 'http://127.0.0.1:2/simple',
      npmRegistry: 'http://127.0.0.1:2',
    });
  });
});

describe('the order of authority', () => {
  const yaml = 'self_healing: {auto_fix: true, check_interval: 10, max_auto_fix_attempts: 1}';

  it('is defaults, file, .env, environment, flags', async () => {
    expect((await load(yaml)).checkIntervalMs).toBe(10_000);
    await writeFile(join(folder, '.env'), 'HEALTH_CHECK_INTERVAL=20\nAUTO_FIX_ENABLED=no\n');
    expect(await load(yaml)).toMatchObject({ checkIntervalMs: 20_000, autoFix: false, maxAutoFixAttempts: 1 });
    const environment = { HOME: folder, HEALTH_CHECK_INTERVAL: '30s', SELF_HEALING_ENABLED: 'false' };
    expect(await load(yaml, { environment })).toMatchObject({ checkIntervalMs: 30_000, enabled: false });
    const flags = { checkIntervalMs: 40_000, autoFix: true, state: 'elsewhere' };
    expect(await load(yaml, { environment, flags })).toMatchObject({
      checkIntervalMs: 40_000,
      autoFix: true,
      state: join(folder, 'elsewhere'),
    });
  });

  it('refuses a variable that makes no sense, and names it', async () => {
    const problems = await problemsOf(yaml, { environment: { HOME: folder, MAX_AUTO_FIX_ATTEMPTS: 'many' } });
    expect(problems).toMatchObject([{ file: null, key: 'MAX_AUTO_FIX_ATTEMPTS' }]);
    expect(problems[0]?.message).toMatch(/MAX_AUTO_FIX_ATTEMPTS: expected a whole number.*"many"/);
  });

  it('looks in the working folder, then in the user’s, then gives up without complaint', async () => {
    const environment = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'xdg') };
    await mkdir(join(folder, 'xdg/selfheal'), { recursive: true });
    await writeFile(join(folder, 'xdg/selfheal/selfheal.yaml'), 'node: from-xdg');
    expect((await load(null, { environment })).node).toBe('from-xdg');
    expect((await load('node: from-here', { environment })).node).toBe('from-here');
  });
});

describe('references to the environment', () => {
  it('are replaced once, in texts and inside texts, with defaults and a way to escape', async () => {
    const config = await load('node: "${A}-${B:-two}-$${C}"\ntelegram: {token: "${T}", allowed_users: "${U}"}', {
      environment: { HOME: folder, A: '${B}', T: 't', U: '77' },
    });
    expect(config.node).toBe('${B}-two-${C}');
    expect(config.telegram).toMatchObject({ allowedUsers: [77], chat: 77 });
  });

  it('take variables from the .env beside the file, which the environment beats', async () => {
    await writeFile(join(folder, '.env'), 'A="from file"\nB=file\n');
    const config = await load('node: "${A} ${B}"', { environment: { HOME: folder, B: 'shell' } });
    expect(config.node).toBe('from file shell');
  });

  it('that are not set are an error at their place, unless only looking', async () => {
    const yaml = 'node: n\ntelegram:\n  token: ${NOPE_TOKEN}\n  allowed_users: [1]\n';
    const problems = await problemsOf(yaml);
    expect(problems).toMatchObject([{ line: 3, column: 10, key: 'telegram.token' }]);
    expect(problems[0]?.message).toContain('NOPE_TOKEN is not set');
    expect((await load(yaml, { lenient: true })).telegram).toBeNull();
    await expect(load('node: ${NOPE}', { lenient: true })).rejects.toBeInstanceOf(ConfigError);
  });
});

describe('selfheal run', () => {
  it('works without any file: one supervised service, named after the program', async () => {
    const config = await load(null, { flags: { command: ['python', '-u', 'src/agent.py'] } });
    expect(config.services).toMatchObject([
      { name: 'agent', directory: folder, command: ['python', '-u', 'src/agent.py'], restart: { kind: 'supervised' } },
    ]);
    expect(config.state).toBe(join(folder, '.selfheal'));
  });

  it('gives the command to the only service of the file, or to the named one', async () => {
    const one = 'services: {web: {directory: app, settle: 3s, restart: {systemd: web}}}';
    const command = ['./serve'];
    expect((await load(one, { flags: { command } })).services).toMatchObject([
      { name: 'web', directory: join(folder, 'app'), command, settleMs: 3000, restart: { kind: 'supervised' } },
    ]);
    const named = await load(one, { flags: { command, name: 'other' } });
    expect(named.services.map((s) => [s.name, s.command])).toEqual([
      ['web', null],
      ['other', command],
    ]);
  });

  it.each([
    [['node', 'dist/index.mjs'], 'index'],
    [['/usr/sbin/nginx', '-g', 'x'], 'nginx'],
    [['uv', 'run', 'bot.py'], 'bot'],
    [['./my agent'], 'my-agent'],
    [['...'], 'service'],
    [['python3.11'], 'python3.11'],
  ])('names %j %s', async (command, name) => {
    expect((await load(null, { flags: { command } })).services[0]?.name).toBe(name);
  });
});

describe('a configuration that cannot be used', () => {
  // yaml, line, column, key, what the message must say
  const CASES: [string, number, number, string, RegExp][] = [
    [
      'self_healing:\n  auto_fxi: true\n',
      2,
      3,
      'self_healing.auto_fxi',
      /unknown key "auto_fxi".*did you mean auto_fix\?/,
    ],
    ['node: a\nservces: {}\n', 2, 1, 'servces', /did you mean services\?/],
    ['check_interval: 5\n', 1, 1, 'check_interval', /it belongs to self_healing/],
    ['services:\n  a:\n    token: x\n', 3, 5, 'services.a.token', /it belongs to telegram/],
    ['services:\n  a:\n    log: [x]\n', 3, 5, 'services.a.log', /did you mean logs\?/],
    ['zzzzzz: 1\n', 1, 1, 'zzzzzz', /known keys: .*self_healing, node, state/],
    [
      'services:\n  a:\n    fixes:\n      install-pakage: auto\n',
      4,
      7,
      'services.a.fixes.install-pakage',
      /did you mean install-package\?/,
    ],
    [
      'services:\n  a:\n    fixes: {sync-git: automatic}\n',
      3,
      23,
      'services.a.fixes.sync-git',
      /not one of off, suggest, approve, auto; did you mean auto\?/,
    ],
    ['services:\n  a:\n    fixes: {sync-git: true}\n', 3, 23, 'services.a.fixes.sync-git', /true is not one of off/],
    [
      'self_healing: {auto_fix_types: [rate_limt]}\n',
      1,
      33,
      'self_healing.auto_fix_types.0',
      /did you mean rate_limit\?/,
    ],
    ['self_healing: {enabled: maybe}\n', 1, 25, 'self_healing.enabled', /expected true or false, found "maybe"/],
    [
      'self_healing: {check_interval: soon}\n',
      1,
      32,
      'self_healing.check_interval',
      /expected a duration.*found "soon"/,
    ],
    ['self_healing: {check_interval: 0}\n', 1, 32, 'self_healing.check_interval', /at least one second/],
    [
      'self_healing: {max_auto_fix_attempts: 1.5}\n',
      1,
      39,
      'self_healing.max_auto_fix_attempts',
      /whole number from 0 to 100/,
    ],
    [
      'self_healing: {check_interval: [1]}\n',
      1,
      32,
      'self_healing.check_interval',
      /expected a duration.*found a list/,
    ],
    ['services: [a]\n', 1, 11, 'services', /expected a block of keys, found a list/],
    ['services:\n  "bad name": {}\n', 2, 3, 'services.bad name', /letters, digits/],
    ['services:\n  a:\n    command: python main.py\n', 3, 14, 'services.a.command', /no shell is used/],
    ['services:\n  a:\n    command: []\n', 3, 14, 'services.a.command', /must name a program/],
    ['services:\n  a:\n    restart: {systemd: x, pm2: y}\n', 3, 14, 'services.a.restart', /exactly one of systemd/],
    ['services:\n  a:\n    restart: {systemd: "*"}\n', 3, 24, 'services.a.restart.systemd', /one plain name/],
    ['services:\n  a:\n    restart: {systemd: --host=x}\n', 3, 24, 'services.a.restart.systemd', /one plain name/],
    ['services:\n  a:\n    health: {http: localhost}\n', 3, 20, 'services.a.health.http', /http:\/\/ or https/],
    ['services:\n  a:\n    health: {tcp: "host"}\n', 3, 19, 'services.a.health.tcp', /address with a port/],
    ['services:\n  a:\n    disposable: ["**"]\n', 3, 18, 'services.a.disposable.0', /would match everything/],
    ['services:\n  a:\n    disposable: ["../x"]\n', 3, 18, 'services.a.disposable.0', /stay inside/],
    ['services:\n  a:\n    disposable: [/etc/x]\n', 3, 18, 'services.a.disposable.0', /stay inside/],
    ['services:\n  a:\n    logs: [/proc/kmsg]\n', 3, 12, 'services.a.logs.0', /kernel/],
    ['state: s\nservices:\n  a:\n    logs: ["s/*.log"]\n', 4, 12, 'services.a.logs.0', /own state/],
    ['services:\n  a:\n    logs: [[x]]\n', 3, 12, 'services.a.logs.0', /expected a text, found a list/],
    ['telegram: {allowed_users: [1]}\n', 1, 1, 'telegram.token', /is required/],
    [
      'telegram: {token: x, allowed_users: [me]}\n',
      1,
      38,
      'telegram.allowed_users.0',
      /expected the number of a Telegram account, not its name.*found "me"/,
    ],
    ['telegram: {token: x, allowed_users: []}\n', 1, 37, 'telegram.allowed_users', /at least one/],
    ['dashboard: {listen: "0.0.0.0:80"}\n', 1, 21, 'dashboard.listen', /this machine only/],
    [
      'gateway: {listen: ":1", upstreams: [{name: a, kind: openia, base_url: "http://x"}]}\n',
      1,
      53,
      'gateway.upstreams.0.kind',
      /did you mean openai\?/,
    ],
    [
      'gateway:\n  listen: ":1"\n  embedded: {model: m}\n  upstreams: [{name: embedded, kind: openai, base_url: "http://x"}]\n',
      4,
      22,
      'gateway.upstreams.0.name',
      /"embedded" is the model of gateway.embedded; give this upstream another name/,
    ],
    [
      'gateway: {listen: ":1", upstreams: [{name: a, kind: openai, base_url: "http://x"}, {name: a, kind: openai, base_url: "http://y"}]}\n',
      1,
      91,
      'gateway.upstreams.1.name',
      /"a" is gateway.upstreams.0 already; give this upstream another name/,
    ],
    ['quiet_hours: {from: 25:00, to: "07:00"}\n', 1, 21, 'quiet_hours.from', /time of day/],
    ['quiet_hours: {from: "22:00", to: "07:00", timezone: Berlin}\n', 1, 53, 'quiet_hours.timezone', /time zone/],
    ['severities: {my-rule: bad}\n', 1, 23, 'severities.my-rule', /critical, high, medium, low/],
    ['node: ${1X}\n', 1, 7, 'node', /names no variable/],
    ['- a\n- b\n', 1, 1, '', /expected a block of keys, found a list/],
    ['just text\n', 1, 1, '', /expected a block of keys, found the text/],
    ['node: a\nnode: b\n', 2, 1, '', /map keys must be unique/i],
    ['node: [a\n', 2, 1, '', /flow sequence/i],
    ['services:\n  a: &x\n    environment: *x\n', 3, 18, '', /contains itself/],
    ['a: 1\n---\nb: 2\n', 2, 1, '', /multiple documents/],
  ];

  it.each(CASES)('%j is refused at %i:%i', async (yaml, line, column, key, message) => {
    const [problem] = await problemsOf(yaml);
    expect(problem?.message).toMatch(message);
    expect({ line: problem?.line, column: problem?.column, key: problem?.key }).toEqual({ line, column, key });
    expect(problem?.file).toBe(join(folder, 'selfheal.yaml'));
  });

  it('reports everything that is wrong at once, each as file:line:column', async () => {
    const error = await load('nod: x\nself_healing: {enabld: 1}\nstate: [1]\n').catch((e: unknown) => e as ConfigError);
    const file = join(folder, 'selfheal.yaml');
    const starts = (error as ConfigError).message.split('\n').map((line) => line.split(': ')[0]);
    expect(starts).toEqual([`${file}:1:1`, `${file}:2:16`, `${file}:3:8`]);
  });

  it('that is not there says what to do', async () => {
    const error = await load(null, { file: 'other.yaml' }).catch((e: unknown) => e as ConfigError);
    expect((error as ConfigError).message).toBe(
      `${join(folder, 'other.yaml')}: there is no such file; \`selfheal init\` writes one`,
    );
    const directory = await load(null, { file: '.' }).catch((e: unknown) => e as ConfigError);
    expect((directory as ConfigError).message).toMatch(/is a directory/);
  });
});

describe('whatever a file holds', () => {
  const outcome = async (yaml: string): Promise<unknown> =>
    load(yaml).then(
      () => 'used',
      (error: unknown) => error,
    );
  const acceptable = (result: unknown): boolean => result === 'used' || result instanceof ConfigError;

  it('the loader gives a configuration or a ConfigError: random text', async () => {
    const piece = fc.constantFrom(
      ...[
        'services:',
        ' ',
        '\n',
        '  ',
        '- ',
        ': ',
        '&a ',
        '*a',
        '{',
        '}',
        '[',
        ']',
        '"',
        "'",
        '|',
        '>',
        '#',
        '!!x ',
        '? ',
      ],
      ...[
        '<<: ',
        'agent',
        '${X}',
        '$${',
        '\t',
        '\u0000',
        '__proto__: ',
        'constructor: ',
        '---\n',
        '%YAML 1.1\n',
        '...',
      ],
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 40 }).map((p) => p.join('')),
        ),
        async (yaml) => {
          expect(acceptable(await outcome(yaml))).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('the loader gives a configuration or a ConfigError: known keys with random values', async () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const key = fc.constantFrom(
      'self_healing',
      'services',
      'telegram',
      'gateway',
      'limits',
      'node',
      'rules',
      '__proto__',
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value), async (data) => {
        expect(acceptable(await outcome(JSON.stringify(data)))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${`*${'abcdefghi'[i]},`.repeat(9)}]`)
        .join('\n')}\n`,
    ],
    ['deep nesting', `node: ${'['.repeat(20_000)}`],
    ['deep nesting that ends', `node: ${'['.repeat(3000)}${']'.repeat(3000)}`],
    ['two megabytes', `node: ${'x'.repeat(2_000_000)}`],
  ])('refuses %s', async (_, yaml) => {
    expect(await outcome(yaml)).toBeInstanceOf(ConfigError);
  });
});
