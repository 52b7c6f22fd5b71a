// Keeps the last known good: configuration files, the commit and the file modes a service ran with. A copy is saved when
// something changes, and counts as good only after the service has run with exactly that, and without errors, for an interval.

import { createHash } from 'node:crypto';
import type { ServiceConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { formatOf } from '../core/config-format.ts';
import { headRecord, modesRecord } from '../core/good-copy-names.ts';
import { modeEntry } from '../core/modes-record.ts';
import type { ErrorType } from '../core/words.ts';
import type { FileProbe, GitProbe } from '../host/contract.ts';
import type { GoodCopy, Store } from '../store/contract.ts';

export interface GoodCopiesDeps {
  readonly store: Pick<Store, 'saveGoodCopy' | 'goodCopies' | 'proveGoodCopy' | 'incidents'>;
  readonly files: FileProbe;
  readonly git: Pick<GitProbe, 'repository'>;
  readonly clock: Pick<Clock, 'now'>;
}

export interface GoodCopies {
  /**
   * Saves what has changed, and proves what the service has run with since the last look. To be called at once after the
   * start and then every check interval: the time between two looks is the interval.
   */
  look(service: ServiceConfig): Promise<void>;
}

/** A configuration is small; what is larger is data. */
const MAX_BYTES = 1024 * 1024;
/** A log line this old was not the beginning of an error that is still being written. */
const SETTLED_MS = 2_000;
/** Trouble of others says nothing about our configuration. */
const FROM_OUTSIDE: ReadonlySet<ErrorType> = new Set([
  ...(['rate_limit', 'api_error', 'timeout', 'quota_exhausted', 'provider_overloaded'] as const),
]);

interface LastLook {
  readonly at: number;
  readonly activity: number | null;
}

interface Present {
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
  /** Since when it has been like this, as far as the file system knows. */
  readonly since: number;
}

/** The keeper of good copies. What it remembers between looks only delays proofs when it is lost. */
export function createGoodCopies(deps: GoodCopiesDeps): GoodCopies {
  const last = new Map<string, LastLook>();
  return {
    async look(service) {
      const before = last.get(service.name) ?? null;
      const activity = await lastActivity(deps, service);
      const witness = before && (await witnessOf(deps, service, before, activity));
      for (const present of await everything(deps, service)) {
        const copies = await deps.store.goodCopies(service.name, present.path);
        const copy = await keep(deps, service, present, copies);
        const isNewest = copies[0]?.id === copy.id && copy.provenAt !== null;
        if (witness && !isNewest && isProof(witness, copy, present))
          await deps.store.proveGoodCopy(copy.id, deps.clock.now());
      }
      last.set(service.name, { at: deps.clock.now(), activity });
    },
  };
}

// ---------------------------------------------------------------- what there is

async function everything(deps: GoodCopiesDeps, service: ServiceConfig): Promise<readonly Present[]> {
  const found: Present[] = [];
  for (const path of service.configFiles) {
    const file = await configuration(deps, service, path);
    if (file) found.push(file);
  }
  const head = await commit(deps, service);
  const modes = await fileModes(deps, service);
  return [...found, ...(head ? [head] : []), ...(modes ? [modes] : [])];
}

/** A file that is a file, inside the service's folder, text, and understood: a broken one is never kept. */
async function configuration({ files }: GoodCopiesDeps, service: ServiceConfig, path: string): Promise<Present | null> {
  const real = await files.inside(service.directory, path);
  if (real === null) return null;
  const [status, text, sha256] = await Promise.all([
    files.status(real),
    files.text(real, MAX_BYTES),
    files.sha256(real),
  ]);
  if (text === null || text.trim() === '' || status.kind !== 'file') return null;
  const content = Buffer.from(text);
  if (digest(content) !== sha256) return null; // not UTF-8, or changed while we looked
  const format = formatOf(real);
  if (format !== null && !files.parse(text, format).ok) return null;
  return { path: real, content, mode: status.mode, since: status.modifiedAt };
}

/** The commit the service runs on, while nothing unfinished hangs over it. */
async function commit({ git, files }: GoodCopiesDeps, service: ServiceConfig): Promise<Present | null> {
  if ((await files.status(`${service.directory}/.git`)).kind === 'absent') return null;
  const repository = await git.repository(service.directory);
  if (!repository?.head || !repository.branch || repository.operation !== null) return null;
  const content = Buffer.from(`${repository.head}\n${repository.branch}\n`);
  return { path: headRecord(repository.directory), content, mode: 0o600, since: repository.headMovedAt ?? 0 };
}

const STATE_PATTERNS = [
  '*',
  'data/**',
  'state/**',
  'var/**',
  'config/**',
  'conf/**',
  'sessions/**',
  'keys/**',
  '.ssh/*',
];
const MOST_MODES = 2_000;
/** Logs come and go with their rotation; packages and repositories look after their own modes. */
const NO_STATE =
  /(?:^|\/)(?:logs?|node_modules|__pycache__|\.venv|venv|\.git|\.selfheal)(?:\/|$)|\.log(?:\.|$)|\.selfheal-/;

async function fileModes({ files }: GoodCopiesDeps, service: ServiceConfig): Promise<Present | null> {
  const root = await files.inside(service.directory, '.');
  if (root === null) return null;
  const paths = (await files.glob(root, STATE_PATTERNS)).map((path) => path.slice(root.length + 1));
  const wanted = paths.filter((path) => !NO_STATE.test(path)).slice(0, MOST_MODES);
  const modes: Record<string, string> = {};
  for (const path of [...new Set([...wanted.flatMap(parents), ...wanted])].sort()) {
    const status = await files.status(`${root}/${path}`);
    const { kind } = status;
    if (kind === 'file' || kind === 'directory') modes[path] = modeEntry({ ...status, kind });
  }
  const content = Buffer.from(JSON.stringify(modes));
  return { path: modesRecord(root), content, mode: 0o600, since: 0 };
}

function parents(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

// ---------------------------------------------------------------- saving and proving

async function keep(
  deps: GoodCopiesDeps,
  service: ServiceConfig,
  present: Present,
  copies: readonly GoodCopy[],
): Promise<GoodCopy> {
  const sha256 = digest(present.content);
  const newest = [...copies].sort((a, b) => b.savedAt - a.savedAt)[0];
  if (newest?.sha256 === sha256 && newest.mode === present.mode) return newest;
  const { path, mode, content } = present;
  const copy = {
    service: service.name,
    path,
    sha256,
    mode,
    bytes: content.length,
    savedAt: deps.clock.now(),
    provenAt: null,
  };
  return deps.store.saveGoodCopy(copy, content);
}

/** What speaks for the service, or against it. */
interface Witness {
  readonly lookedAt: number;
  readonly lastError: number;
  readonly hasOpenError: boolean;
  /** When an error that is still open was seen last; 0 when none is. */
  readonly openErrorAt: number;
  /** When it last did something without an error following; null when nothing could tell. */
  readonly activity: number | null;
}

async function witnessOf(
  { store, clock }: GoodCopiesDeps,
  service: ServiceConfig,
  before: LastLook,
  activity: number | null,
): Promise<Witness> {
  const incidents = await store.incidents({ service: service.name, limit: 500 });
  const own = incidents.filter((incident) => !FROM_OUTSIDE.has(incident.type));
  const open = own.filter((incident) => incident.state.name !== 'resolved');
  const isFresh = activity !== null && clock.now() - activity < SETTLED_MS;
  return {
    lookedAt: before.at,
    lastError: Math.max(0, ...own.map((incident) => incident.lastSeen)),
    hasOpenError: open.length > 0,
    openErrorAt: Math.max(0, ...open.map((incident) => incident.lastSeen)),
    activity: isFresh ? before.activity : activity,
  };
}

/**
 * The copy has been in place for an interval, no error came in that time, and the service has done something with this
 * content and after its last error: a job that is silent until it fails again proves nothing, and neither does what
 * others go on writing into its log while an error that came with this content is still open.
 */
function isProof(witness: Witness, copy: GoodCopy, present: Present): boolean {
  const { lookedAt, lastError, activity, hasOpenError, openErrorAt } = witness;
  if (copy.savedAt > lookedAt || lastError >= lookedAt) return false;
  if (activity === null) return !hasOpenError;
  const since = present.since > 0 ? Math.min(copy.savedAt, present.since) : copy.savedAt;
  return openErrorAt <= since && activity > since && activity > lastError + SETTLED_MS;
}

/** When the service last wrote to a log of its own. Null when it has no log files that we could ask. */
async function lastActivity({ files }: GoodCopiesDeps, service: ServiceConfig): Promise<number | null> {
  if (service.logs.length === 0) return null;
  let latest = 0;
  for (const pattern of service.logs)
    for (const path of await logFiles(files, service, pattern))
      latest = Math.max(latest, (await files.status(path)).modifiedAt);
  return latest;
}

async function logFiles(files: FileProbe, service: ServiceConfig, pattern: string): Promise<readonly string[]> {
  const folder = /^((?:\/[^/*?[\]{}!()]+)*)\/(.+)$/.exec(pattern);
  const [, root, rest] = folder ?? [];
  if (root === undefined || rest === undefined) return files.glob(service.directory, [pattern]);
  return files.glob(root === '' ? '/' : root, [rest]);
}

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
