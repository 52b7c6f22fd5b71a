// A configuration file is cut off, does not parse, has lost most of its keys, or has values nobody filled in: put the last copy
// back with which the service ran. The broken file is kept beside it, or in the state folder when it may hold secrets.

import { formatOf, type ConfigFormat } from '../core/config-format.ts';
import type { Check, CheckResult, Step } from '../core/plan.ts';
import type { ErrorType } from '../core/words.ts';
import type { FileStatus, ParsedText, ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import {
  type Damage,
  type ServiceCopy,
  type Diagnosis,
  defineFix,
  type FixContext,
  later,
  notApplicable,
  propose,
  refuse,
  refuseUnlessMended,
} from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { healthCheck } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';
import { ago, provenCopy, type ProvenCopy } from './shared/proven-copy.ts';

const GOOD = '{\n  "workers": 4,\n  "limits": {"daily": 250, "burst": 5},\n  "tools": ["search"]\n}\n';
/** Reads a configuration the way small programs do, and complains the way they do. */
const READER = `import json
config = json.load(open("config.json"))
assert set(config) <= {"workers", "limits", "tools"}, "Unrecognized key"
print(int(config["workers"]), config["limits"]["daily"])
`;

const world =
  (broken: string) =>
  async (kit: DrillKit): Promise<void> => {
    await kit.write('main.py', READER);
    await kit.write('config.json', GOOD, 0o640);
    kit.service({ health: { kind: 'command', argv: ['python3', 'main.py'] } });
    await kit.goodCopy('config.json');
    await kit.write('config.json', broken, 0o640);
    await settled(kit);
  };

/** What was written a moment ago may still be half written, so the drills look at older files. */
async function settled(kit: DrillKit, name = 'config.json'): Promise<void> {
  await kit.sh(['touch', '-d', '10 seconds ago', name]);
}

export default defineFix({
  name: 'restore-broken-config',
  family: 'restore-config',
  title: 'Restore a broken configuration file',
  handles: ['config_error', 'syntax_error', 'auth_error', 'service_crash', 'type_error', 'attribute_error', 'unknown'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 30,
  diagnose,
  damage,
  drills: [
    {
      given: 'a JSON file was cut off',
      world: world(GOOD.slice(0, 30)),
      facts: { exception: 'JSONDecodeError', file: '/usr/lib/python3.11/json/decoder.py' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'a JSON file was cut off, the service declares no health, and its error has no rule of its own',
      world: async (kit) => {
        await kit.write('config.json', GOOD);
        await kit.goodCopy('config.json');
        await kit.write('config.json', GOOD.slice(0, 30));
        await settled(kit);
      },
      facts: { exception: 'json.decoder.JSONDecodeError' },
      message: 'json.decoder.JSONDecodeError: Unterminated string starting at: line 1 column 23 (char 22)',
      type: 'unknown',
      expect: ['write-file'],
    },
    {
      given: 'a JSON file has lost a key, no health is declared, and the error speaks of something else',
      world: async (kit) => {
        await kit.write('config.json', GOOD);
        await kit.goodCopy('config.json');
        await kit.write('config.json', '{"tools": []}');
        await settled(kit);
      },
      facts: {},
      message: 'json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)',
      type: 'unknown',
      expect: 'not-applicable',
    },
    {
      given: 'a JSON file has lost most of its keys',
      world: world('{"tools": []}'),
      facts: { exception: 'KeyError' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'a JSON file has lost one key that the program asks for',
      world: world('{"limits": {"daily": 250, "burst": 5}, "tools": ["search"]}'),
      facts: { exception: 'KeyError' },
      message: "KeyError: 'workers'",
      type: 'unknown',
      expect: ['write-file'],
    },
    {
      given: 'a value was never filled in',
      world: world(GOOD.replace('4', '"${WORKERS}"')),
      facts: { path: 'config.json' },
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'the program does not know a key that was added',
      world: world(GOOD.replace('{\n', '{\n  "thinking": true,\n')),
      facts: {},
      message: 'config.json: Unrecognized key: "thinking"',
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'a YAML file does not parse, and the service declares no health',
      world: async (kit) => {
        await kit.write('settings.yaml', 'name: agent\nlimits:\n  daily: 5\n');
        await kit.goodCopy('settings.yaml');
        await kit.write('settings.yaml', 'name: agent: x\nlimits:\n  daily: 5\n');
        await settled(kit, 'settings.yaml');
      },
      facts: {},
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'the broken file is being written this very moment',
      world: async (kit) => {
        await kit.write('config.json', GOOD);
        await kit.goodCopy('config.json');
        await kit.write('config.json', GOOD.slice(0, 30));
      },
      facts: {},
      type: 'config_error',
      expect: 'later',
    },
    {
      given: 'the broken file never worked as far as we know',
      world: async (kit) => {
        await kit.write('config.json', GOOD.slice(0, 30));
        await settled(kit);
      },
      facts: { path: '{directory}/config.json' },
      type: 'config_error',
      expect: 'refused',
    },
    {
      given: 'the service died of a text it could not read, and its configuration never worked as far as we know',
      world: async (kit) => {
        await kit.write('config.json', GOOD.slice(0, 30));
        await settled(kit);
        kit.service({ health: { kind: 'command', argv: ['false'] } });
      },
      facts: {},
      message: 'json.decoder.JSONDecodeError: Expecting value: line 1 column 27 (char 26)',
      type: 'service_crash',
      expect: 'refused',
    },
    {
      given: 'an environment file has lost a key and got another value',
      world: async (kit) => {
        await kit.write('.env', 'KEY_ONE=1\nREGION=eu\n');
        await kit.goodCopy('.env');
        await kit.write('.env', 'REGION=us\n');
        await settled(kit, '.env');
        kit.service({ health: { kind: 'command', argv: ['grep', '-q', 'KEY_ONE', '.env'] } });
      },
      facts: { env: 'KEY_ONE' },
      type: 'config_error',
      expect: 'not-applicable',
    },
    {
      given: 'a value of an environment file was never filled in',
      world: async (kit) => {
        await kit.write('.env', 'KEY_ONE=1\nREGION=eu\n');
        await kit.goodCopy('.env');
        await kit.write('.env', 'KEY_ONE=${KEY_ONE}\nREGION=eu\n');
        await settled(kit, '.env');
        kit.service({ health: { kind: 'command', argv: ['grep', '-q', 'KEY_ONE=1', '.env'] } });
      },
      facts: {},
      type: 'config_error',
      expect: ['write-file'],
    },
    {
      given: 'the owner has changed a value, and the service is healthy',
      world: world(GOOD.replace('250', '300')),
      facts: { path: 'config.json' },
      type: 'config_error',
      expect: 'not-applicable',
    },
    {
      given: 'a link stands where the configuration was',
      world: async (kit) => {
        await kit.write('config.json', GOOD);
        await kit.goodCopy('config.json');
        await kit.write('../elsewhere.json', '{');
        await kit.sh(['ln', '-sf', '../elsewhere.json', 'config.json']);
      },
      facts: { path: '{directory}/config.json' },
      type: 'config_error',
      expect: 'not-applicable',
    },
  ],
});

/** An editor or a program may be in the middle of writing: what is younger than this is looked at again. */
const SETTLE_MS = 3_000;
const MOST_FILES = 100;
/** More keys than a person wants to read on a card; the copy itself is whole. */
const MOST_KEYS = 200;

/** Of these types a configuration is a usual cause. Any other says little, so the owner's own probe must agree. */
const SAYS_ENOUGH: ReadonlySet<ErrorType> = new Set(['config_error', 'syntax_error', 'service_crash']);

/** What is wrong with a file. `unlike`: it parses, and differs from the copy in values only. */
interface Finding {
  readonly path: string;
  readonly format: ConfigFormat;
  readonly status: FileStatus;
  readonly sha256: string;
  readonly good: ProvenCopy | null;
  readonly flaw: 'broken' | 'shrunk' | 'lost-key' | 'placeholder' | 'unknown-key' | 'unlike';
  readonly said: string;
  /** Values that are other ones than in the copy, and would go with it. */
  readonly edited: readonly string[];
}

/** Cuts a configuration file off in the middle. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  for (const path of service.configFiles ?? []) {
    const format = formatOf(path);
    const text = format === 'json' || format === 'toml' || format === 'yaml' ? await probe.files.text(path) : null;
    if (format === null || text === null || (await provenCopy(probe, service.name, path)) === null) continue;
    const half = text.slice(0, Math.floor(text.length / 2));
    if (probe.files.parse(half, format).ok) continue;
    await kit.write(path, half);
    await kit.sh(['touch', '-d', '1 minute ago', '--', path]);
    return { what: `${path} is cut off`, type: 'config_error', facts: { path }, message: `cannot parse ${path}` };
  }
  return null;
}

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe, incident } = context;
  const health = (await probe.services.health(service.name)).passed;
  const isSaid = SAYS_ENOUGH.has(incident.type) || health === false;
  // Without a probe the machine still confirms one thing: that a file does not parse.
  if (!isSaid && !SPEAKS_OF_A_TEXT.test(incident.message))
    return notApplicable('nothing on the machine confirms that the service is ill');
  const findings: Finding[] = [];
  for (const path of await candidates(context)) {
    const finding = await examine(context, path);
    if (finding && (isSaid || finding.flaw === 'broken')) findings.push(finding);
  }
  const plain = findings.filter(({ flaw }) => flaw !== 'unlike');
  const wanted = plain.length > 0 ? plain : findings.filter((finding) => isSuspect(context, finding, health));
  const [first] = wanted;
  if (first === undefined) return notApplicable('every configuration file is as it was when the service ran');
  const now = probe.clock.now();
  const fresh = wanted.find(({ status }) => now - status.modifiedAt < SETTLE_MS);
  if (fresh) return later(now + SETTLE_MS, `${fresh.path} was written a moment ago`);
  const mendable = wanted.filter((finding): finding is Mendable => finding.good !== null);
  if (mendable.length === 0) return withoutCopy(context, first);
  const unprovable = mendable.find(({ flaw }) => flaw !== 'broken' && flaw !== 'shrunk' && flaw !== 'lost-key');
  if (unprovable && health !== false)
    return refuse(`${unprovable.path} ${unprovable.said}; without a failing health check nothing would prove a repair`);
  return proposal(context, mendable, health);
}

type Mendable = Finding & { readonly good: ProvenCopy };

/** Something could not be read as what it should be: with a broken configuration beside it, that is no coincidence. */
const SPEAKS_OF_A_TEXT =
  /JSON|YAML|TOML|\bpars(?:e|er|ing)\b|unexpected (?:token|end)|mapping values|decod(?:e|ing) error/i;

async function withoutCopy({ incident, service, probe }: FixContext, { path, said }: Finding): Promise<Diagnosis> {
  const [unproven] = await probe.goodCopies(service.name, path);
  const why = unproven
    ? `the copy that is kept of it has not proven itself (${service.name} must run with it for a check_interval without errors)`
    : `no copy of it is known with which ${service.name} ran`;
  const reason = `${path} ${said}, and ${why}: it must be mended by hand`;
  const hasDied = incident.type === 'service_crash' || incident.symptoms.includes('service_crash');
  if (incident.type === 'config_error' || (hasDied && SPEAKS_OF_A_TEXT.test(claimOf(incident)))) return refuse(reason);
  if (!hasDied) return notApplicable(reason);
  // The crash may have another cause: one start may show it. A second one would only burn attempts.
  return incident.attempts > 0 ? refuse(`it was started again and died; ${reason}`) : refuseUnlessMended(reason);
}

// ---------------------------------------------------------------- which files

const PATTERNS = ['*', 'config/*', 'conf/*', 'settings/*', 'etc/*'].flatMap((base) =>
  ['json', 'yaml', 'yml', 'toml'].map((extension) => `${base}.${extension}`),
);
const NO_CONFIG =
  /(?:^|\/)(?:package(?:-lock)?\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|tsconfig[^/]*\.json)$|\.selfheal-|(?:example|sample|template)/i;

/** The file the log names comes first, then what the owner declared, then what looks like a configuration. */
async function candidates({ incident, service, probe }: FixContext): Promise<readonly string[]> {
  const named = [incident.facts.path, incident.facts.file].filter((path) => path !== undefined);
  const declared = [...(service.configFiles ?? []), ...(service.envFile === null ? [] : [service.envFile]), '.env'];
  const around = (await probe.files.glob(service.directory, PATTERNS)).filter((path) => !NO_CONFIG.test(path));
  const found = new Set<string>();
  for (const path of [...named, ...declared, ...around]) {
    const real = formatOf(path) === null ? null : await probe.files.inside(service.directory, path);
    if (real !== null && found.size < MOST_FILES) found.add(real);
  }
  return [...found];
}

// ---------------------------------------------------------------- what is wrong with one

async function examine(context: FixContext, path: string): Promise<Finding | null> {
  const { service, probe } = context;
  const format = formatOf(path);
  const sha256 = await probe.files.sha256(path);
  const [status, text] = await Promise.all([probe.files.status(path), probe.files.text(path)]);
  if (format === null || format === 'jsonl' || text === null || sha256 === null) return null;
  const good = await provenCopy(probe, service.name, path);
  if (good?.text === text) return null;
  const parsed = probe.files.parse(text, format);
  const base = { path, format, status, sha256, good };
  if (!parsed.ok) return { ...base, flaw: 'broken', said: `is ${parsed.error}`, edited: [] };
  if (!good?.parsed) return null;
  const { values } = good.parsed;
  // An environment file that has lost keys is completed, never replaced: another fix does that.
  if (format === 'env' && good.parsed.keys.some((key) => !parsed.values.has(key))) return null;
  const edited = [...parsed.values].filter(([key, value]) => values.has(key) && values.get(key) !== value);
  return { ...base, ...flawBetween(context, parsed, good.parsed), edited: edited.map(([key]) => key) };
}

type Parsed = Extract<ParsedText, { ok: true }>;

function flawBetween({ incident }: FixContext, now: Parsed, good: Parsed): Pick<Finding, 'flaw' | 'said'> {
  const blank = [...now.values].filter(
    ([key, value]) => PLACEHOLDER.test(value) && !PLACEHOLDER.test(good.values.get(key) ?? '${X}'),
  );
  if (blank.length > 0)
    return { flaw: 'placeholder', said: `has placeholders where values were: ${listed(blank.map(([key]) => key))}` };
  const lost = good.keys.filter((key) => !now.keys.includes(key));
  if (now.keys.length * 2 <= good.keys.length)
    return { flaw: 'shrunk', said: `has lost ${lost.length} of ${good.keys.length} keys: ${listed(lost)}` };
  const missed = lost.filter((key) => isQuoted(incident.message, lastPart(key)));
  if (missed.length > 0) return { flaw: 'lost-key', said: `has lost ${listed(missed)}, which the program asks for` };
  const added = now.keys.filter((key) => !good.keys.includes(key));
  const blamed = added.filter((key) => isBlamed(incident.message, lastPart(key)));
  if (blamed.length > 0)
    return { flaw: 'unknown-key', said: `has a key that the program does not know: ${listed(blamed)}` };
  return { flaw: 'unlike', said: 'differs from what the service ran with' };
}

const lastPart = (key: string): string => key.slice(key.lastIndexOf('.') + 1);

/** The key in quotes, as `KeyError: 'limits'` and its like have it. */
function isQuoted(message: string, key: string): boolean {
  return key.length > 1 && [`'${key}'`, `"${key}"`, `\`${key}\``].some((quoted) => message.includes(quoted));
}

const PLACEHOLDER = /\$\{[A-Za-z_]\w*(?::?-[^}]*)?\}|^<[A-Za-z][\w -]*>$/;

function isBlamed(message: string, key: string): boolean {
  const complains =
    /unrecogni[sz]ed|unknown|unexpected|not (?:allowed|permitted|supported)|additional|extra|invalid (?:key|option|setting)/i;
  return key.length > 1 && complains.test(message) && message.includes(key);
}

/** A file with other values is only suspect when all else fits: the service is ill, and it began with that change. */
function isSuspect({ incident }: FixContext, { good, status }: Finding, health: CheckResult['passed']): boolean {
  if (incident.type !== 'config_error' || health !== false || good === null) return false;
  return status.modifiedAt > good.provenAt && incident.firstSeen + SETTLE_MS > status.modifiedAt;
}

// ---------------------------------------------------------------- what to do

function proposal(
  { service, probe }: FixContext,
  findings: readonly Mendable[],
  health: CheckResult['passed'],
): Diagnosis {
  const now = probe.clock.now();
  const names = listed(findings.map(({ path }) => nameIn(service, path)));
  const reasons = findings.flatMap((finding) => reasonToAsk(service, finding));
  return propose({
    title: `restore ${names} from the last copy the service ran with`,
    why: findings
      .map(
        ({ path, said, good }) =>
          `${nameIn(service, path)} ${said}. ${service.name} last ran with the copy ${ago(now, good.provenAt)}.`,
      )
      .join(' '),
    facts: { path: findings[0]?.path ?? '' },
    steps: findings.map(stepFor),
    checks: [...findings.map((finding) => parseCheck(service, finding)), ...healthCheck(service.name, health)],
    resources: findings.map(({ path }) => `path:${path}`),
    needsRestart: service.command !== null || service.restart !== null,
    ...(reasons.length === 0 ? {} : { mustAsk: reasons.join('; ') }),
  });
}

/** A broken file holds no wish that anybody could read. One that parses may. */
function reasonToAsk(service: ServiceFacts, { path, flaw, edited }: Mendable): readonly string[] {
  const name = nameIn(service, path);
  if (flaw === 'unlike')
    return [`${name} parses and may hold a wish of yours; only values differ from what the service ran with`];
  return edited.length === 0 || flaw === 'placeholder'
    ? []
    : [`${name} has other values of ${listed(edited)}, which would go`];
}

function stepFor({ path, format, good, status, sha256 }: Mendable): Step {
  const name = path.slice(path.lastIndexOf('/') + 1);
  // Beside an .env that git ignores, a copy under another name is one that `git add -A` takes, with its secrets.
  const beside = format !== 'env';
  return {
    kind: 'write-file',
    title: `write the good copy over ${path}; the present file is kept ${beside ? 'beside it' : "in selfheal's state folder"}`,
    undo: { kind: 'restore-snapshot' },
    path,
    content: { copy: good.copy.id },
    before: sha256,
    mode: status.mode,
    ...(beside ? { keepAs: `${name}.selfheal-broken-{plan}` } : {}),
  };
}

function parseCheck(service: ServiceFacts, { path, format, good, flaw }: Mendable): Check {
  const failsBefore = flaw === 'broken' || flaw === 'shrunk' || flaw === 'lost-key';
  const keys = (good.parsed?.keys ?? []).slice(0, MOST_KEYS);
  const title = `${nameIn(service, path)} has all its keys again`;
  return { kind: 'file-parses', title, proves: 'operation', failsBefore, path, format, keys };
}

function nameIn({ directory }: ServiceFacts, path: string): string {
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path;
}
