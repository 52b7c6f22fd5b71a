// The few things we ask of pip: fetch wheels of exactly these versions, look into them, put them
// into a folder of ours. Configuration files, variables and building from source are all off.

import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Resolution, ResolvedWheel, Run, WantedDistribution } from './contract.ts';
import { isIndexUrl, withoutCredentials } from './package-index.ts';
import { choosePin } from './pins.ts';
import { SYSTEM_PATH } from './programs.ts';
import { askPython } from './python-child.ts';
import { INSPECT_WHEELS } from './python-scripts.ts';
import { publishedAt, youthOf } from './release-age.ts';
import {
  exactVersion,
  isDistributionName,
  normalizeName,
  parseRequirement,
  type RequirementPin,
} from './requirements.ts';

/** A pip that can act on an environment: its own, that of the Python it was made from, or the bundled wheel. */
export interface PipTool {
  readonly kind: 'own' | 'base' | 'wheel';
  readonly path: string;
}

/** What pip needs to know of an environment. Paths are absolute and real. */
export interface PipTarget {
  readonly interpreter: string;
  readonly venv: string;
  readonly purelib: string;
  readonly scripts: string;
  readonly pip: PipTool;
}

export interface PipCall {
  readonly run: Run;
  readonly target: PipTarget;
  /** Epoch milliseconds, for the age of releases. */
  readonly now?: () => number;
  readonly signal?: AbortSignal;
}

const DOWNLOAD_MS = 100_000;
const INSTALL_MS = 120_000;
/** A dependency chain longer than this is not followed: a person should look. */
const MOST_ROUNDS = 8;

/** Never asks, never looks elsewhere, never builds. The index is given by variable: it may hold credentials. */
function environment(index: string | null): Readonly<Record<string, string>> {
  return {
    PIP_CONFIG_FILE: '/dev/null',
    PIP_NO_INPUT: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PYTHONIOENCODING: 'utf-8',
    ...(index === null ? { PIP_NO_INDEX: '1' } : { PIP_INDEX_URL: index }),
  };
}

function pipArgv(target: PipTarget): readonly string[] {
  const python = [target.interpreter, '-I', '-B'];
  switch (target.pip.kind) {
    case 'own':
      return [...python, '-m', 'pip'];
    case 'base':
      return [...python, join(target.pip.path, 'pip', '__pip-runner__.py')];
    case 'wheel':
      return [...python, join(target.pip.path, 'pip')];
  }
}

/** Folder from which `pip._vendor` can be imported; null when the environment itself has it. */
export function pipImportPath(target: PipTarget): string | null {
  return target.pip.kind === 'own' ? null : target.pip.path;
}

export type Fetched =
  | { readonly kind: 'fetched'; readonly warnings: readonly string[] }
  | Exclude<Resolution, { kind: 'wheels' }>;

/** Downloads one wheel per requirement into `folder`, and nothing else. With hashes, only a file that has one of them. */
export async function fetchWheels(
  call: PipCall,
  index: string,
  wanted: readonly WantedDistribution[],
  folder: string,
): Promise<Fetched> {
  if (!isIndexUrl(index)) return { kind: 'impossible', reason: 'the package index is not an http address' };
  const warnings: string[] = [];
  // pip wants hashes for all requirements of a call or for none.
  for (const group of [wanted.filter((w) => w.hashes.length > 0), wanted.filter((w) => w.hashes.length === 0)]) {
    if (group.length === 0) continue;
    const list = join(folder, `requirements-${group[0]?.hashes.length ? 'hashed' : 'plain'}.txt`);
    await writeFile(list, `${group.map(requirementLine).join('\n')}\n`);
    const result = await call.run(
      [
        ...pipArgv(call.target),
        ...[
          'download',
          '--no-deps',
          '--only-binary=:all:',
          '--retries',
          '1',
          '--timeout',
          '15',
          '--progress-bar',
          'off',
        ],
        ...['--dest', folder, ...(group[0]?.hashes.length ? ['--require-hashes'] : []), '-r', list],
      ],
      {
        cwd: folder,
        env: environment(index),
        timeoutMs: DOWNLOAD_MS,
        asOwnerOf: call.target.venv,
        ...(call.signal ? { signal: call.signal } : {}),
      },
    );
    await rm(list, { force: true });
    if (result.code !== 0) return failure(result, group, index);
    warnings.push(...yankedNames(result.stderr));
  }
  return { kind: 'fetched', warnings };
}

function requirementLine(wanted: WantedDistribution): string {
  return [`${wanted.name}${wanted.constraint}`, ...wanted.hashes.map((hash) => `--hash=${hash}`)].join(' ');
}

const UNREACHABLE =
  /Retrying \(Retry|Max retries exceeded|NewConnectionError|timed out|Temporary failure in name|\b5\d\d (?:Server Error|error)/;

function failure(result: Awaited<ReturnType<Run>>, wanted: readonly WantedDistribution[], index: string): Fetched {
  const place = withoutCredentials(index);
  const names = wanted.map((w) => `${w.name}${w.constraint}`).join(', ');
  const text = `${result.stderr}\n${result.stdout}`;
  if (result.timedOut) return { kind: 'unreachable', reason: `the package index ${place} took too long for ${names}` };
  if (/DO NOT MATCH THE HASHES/.test(text)) {
    return {
      kind: 'impossible',
      reason: `the index ${place} serves other files for ${names} than the project pins by hash`,
    };
  }
  if (UNREACHABLE.test(text)) return { kind: 'unreachable', reason: `the package index ${place} does not answer` };
  if (/No matching distribution found|Could not find a version/.test(text)) {
    return { kind: 'impossible', reason: `the index ${place} has no ready-made wheel of ${names} for this Python` };
  }
  const said = /^ERROR: (.*)$/m.exec(text)?.[1] ?? result.failure ?? 'pip failed without a word';
  return { kind: 'impossible', reason: said.slice(0, 300) };
}

/** pip installs a withdrawn release when it is pinned, with a warning. */
function yankedNames(stderr: string): readonly string[] {
  return [...stderr.matchAll(/yanked version: '([A-Za-z0-9._-]+)' candidate/g)].map((m) => normalizeName(m[1] ?? ''));
}

/** One wheel as `INSPECT_WHEELS` reports it. Paths are relative to the environment. */
export interface InspectedWheel {
  readonly file: string;
  readonly name: string;
  readonly version: string;
  readonly hash: string;
  readonly modules: readonly string[];
  readonly concerns: readonly string[];
  readonly overwrites: readonly string[];
  readonly replaces: string | null;
  /** Files of the installed version that would go. */
  readonly leaving: readonly string[];
}

export interface Inspection {
  readonly wheels: readonly InspectedWheel[];
  readonly broken: readonly string[];
  readonly unsatisfied: readonly {
    readonly name: string;
    readonly by: string;
    /** The version that comes along, or an address instead of a version, contradicts it. */
    readonly clash: boolean;
    readonly ranges: readonly string[];
  }[];
  readonly breaks: readonly string[];
}

/** Looks into the wheels of a folder without running anything of them. A text is the reason why it could not. */
export async function inspectWheels(call: PipCall, folder: string): Promise<Inspection | string> {
  const { target } = call;
  const answer = await askPython(call.run, {
    interpreter: target.interpreter,
    owner: target.venv,
    script: INSPECT_WHEELS,
    data: {
      folder,
      prefix: target.venv,
      purelib: target.purelib,
      scripts: target.scripts,
      pip: pipImportPath(target),
      commands: SYSTEM_PATH,
    },
    ...(call.signal ? { signal: call.signal } : {}),
  });
  return answer.ok ? (answer.value as Inspection) : `the wheels could not be looked into: ${answer.error}`;
}

/** Installs these versions from the wheels of `folder` under `prefix`, laid out as in the environment, running nothing of them. */
export async function installWheels(
  call: PipCall,
  versions: readonly { readonly name: string; readonly version: string }[],
  folder: string,
  prefix: string,
): Promise<{ readonly ok: boolean; readonly error: string }> {
  const result = await call.run(
    [
      ...pipArgv(call.target),
      ...['install', '--no-deps', '--no-index', '--ignore-installed', '--no-compile', '--no-warn-script-location'],
      ...['--only-binary=:all:', '--find-links', folder, '--prefix', prefix],
      ...versions.map(({ name, version }) => `${name}==${version}`),
    ],
    {
      cwd: prefix,
      env: environment(null),
      timeoutMs: INSTALL_MS,
      asOwnerOf: call.target.venv,
      ...(call.signal ? { signal: call.signal } : {}),
    },
  );
  const said = /^ERROR: (.*)$/m.exec(result.stderr)?.[1] ?? result.failure ?? result.stderr.trim().slice(-300);
  return { ok: result.code === 0, error: said };
}

/** Downloads and inspects the wanted distributions and what they need, in a scratch folder that is removed again. */
export async function resolveWheels(
  call: PipCall,
  index: string,
  wanted: readonly WantedDistribution[],
  pins: readonly RequirementPin[],
): Promise<Resolution> {
  const folder = await scratchFolder(call.target.venv);
  try {
    return await resolveIn(folder, call, index, wanted, pins);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A private folder that the environment's owner can write to. */
async function scratchFolder(venv: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'selfheal-wheels-'));
  const owner = await stat(venv);
  if (process.getuid?.() === 0 && owner.uid !== 0) await chown(folder, owner.uid, owner.gid);
  return folder;
}

async function resolveIn(
  folder: string,
  call: PipCall,
  index: string,
  wanted: readonly WantedDistribution[],
  pins: readonly RequirementPin[],
): Promise<Resolution> {
  const pinned = new Set(wanted.map((w) => normalizeName(w.name)));
  const yanked = new Set<string>();
  const exact = new Set<string>();
  let round = wanted;
  for (let count = 0; count < MOST_ROUNDS; count++) {
    for (const one of round) if (exactVersion(one.constraint) !== null) exact.add(normalizeName(one.name));
    const fetched = await fetchWheels(call, index, round, folder);
    if (fetched.kind !== 'fetched') return fetched;
    for (const name of fetched.warnings) yanked.add(name);
    const inspection = await inspectWheels(call, folder);
    if (typeof inspection === 'string') return { kind: 'impossible', reason: inspection };
    const problem = problemOf(inspection);
    if (problem !== null) return { kind: 'impossible', reason: problem };
    if (inspection.unsatisfied.length === 0) {
      const asked = new Set(wanted.map((w) => normalizeName(w.name)));
      const wheels = inspection.wheels.map((wheel) => resolved(wheel, asked, pinned, yanked));
      return { kind: 'wheels', wheels: await Promise.all(wheels.map((wheel) => aged(wheel, call, index, exact))) };
    }
    const next = inspection.unsatisfied.map((need) => dependency(need, pins, pinned));
    const bad = next.find((n) => typeof n === 'string');
    if (bad !== undefined) return { kind: 'impossible', reason: bad as string };
    round = next as readonly WantedDistribution[];
  }
  return { kind: 'impossible', reason: 'the chain of dependencies is too long to be followed' };
}

/** A version that the project names exactly was somebody's choice; one that was only newest may be too new. */
async function aged(
  wheel: ResolvedWheel,
  call: PipCall,
  index: string,
  exact: ReadonlySet<string>,
): Promise<ResolvedWheel> {
  if (exact.has(wheel.name) || call.now === undefined) return wheel;
  const youth = youthOf(await publishedAt(index, wheel.name, wheel.hash), call.now());
  return youth === null ? wheel : { ...wheel, concerns: [...wheel.concerns, youth] };
}

/** Why these wheels must not go in as they are; null when nothing speaks against them. */
export function problemOf(inspection: Inspection): string | null {
  const { broken, breaks, wheels, unsatisfied } = inspection;
  if (broken[0] !== undefined) return `a wheel cannot be used: ${broken[0]}`;
  if (breaks[0] !== undefined) return `it would break what is installed: ${breaks[0]}`;
  const over = wheels.find((wheel) => wheel.overwrites.length > 0);
  if (over) return `${over.name} ${over.version} would overwrite or hide ${over.overwrites.slice(0, 3).join(', ')}`;
  const clash = unsatisfied.find((need) => need.clash);
  return clash ? `${clash.by} needs ${clash.name}${clash.ranges.join(',')}, which contradicts the plan` : null;
}

/** What to fetch for a requirement that nothing satisfies; a text says why nothing may be fetched. */
function dependency(
  need: Inspection['unsatisfied'][number],
  pins: readonly RequirementPin[],
  pinned: Set<string>,
): WantedDistribution | string {
  const range = need.ranges.filter((r) => r !== '').join(',');
  if (!isDistributionName(need.name) || parseRequirement(`${need.name}${range}`) === null) {
    return `${need.by} names a dependency that cannot be read`;
  }
  const choice = choosePin(pins, [need.name]);
  if (choice.kind === 'unclear') return choice.reason;
  if (choice.kind === 'none') return { name: need.name, constraint: range, hashes: [] };
  pinned.add(normalizeName(need.name));
  const constraint = [choice.constraint, range].filter((part) => part !== '').join(',');
  return { name: need.name, constraint, hashes: choice.hashes };
}

function resolved(
  wheel: InspectedWheel,
  asked: ReadonlySet<string>,
  pinned: ReadonlySet<string>,
  yanked: ReadonlySet<string>,
): ResolvedWheel {
  const name = normalizeName(wheel.name);
  const withdrawn = yanked.has(name) ? ['its publisher withdrew this release'] : [];
  return {
    name,
    version: wheel.version,
    hash: wheel.hash,
    modules: wheel.modules,
    replaces: wheel.replaces,
    wanted: asked.has(name),
    pinned: pinned.has(name),
    concerns: [...wheel.concerns, ...withdrawn],
  };
}
