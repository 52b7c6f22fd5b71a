// host/ is the only door to the machine. Probes look and change nothing; effects change and
// can be undone. The brain is handed probes only; hands alone get effects.

import type { Clock } from '../core/clock.ts';
import type { ConfigFormat } from '../core/config-format.ts';
import type { GatewayReport } from '../core/gateway.ts';
import type { Check, CheckKind, CheckOf, CheckResult, Step, StepKind, StepOf } from '../core/plan.ts';
import type { Autonomy, Family } from '../core/words.ts';
import type { GoodCopy, Store } from '../store/contract.ts';

export type { ConfigFormat };

// ---------------------------------------------------------------- running programs

export interface RunOptions {
  readonly cwd: string;
  /** Added to the minimal environment (PATH, HOME, LANG). Nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Bytes kept of each stream, head and tail. Default 64 KiB. */
  readonly outputCap?: number;
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Run as the owner of this path when we are root. Default: `cwd`. */
  readonly asOwnerOf?: string;
  /** How tightly the program is held. Default `namespace`. */
  readonly leash?: Leash;
  /** What the owner would find in his shell (PATH and variables) is found. Default: not on the leash `namespace`, else it is. */
  readonly likeTheOwner?: boolean;
  /** Marks every process of this run, for whoever has to end them after our death. Default: a new one each time. */
  readonly mark?: string;
}

/**
 * `namespace`: sees only its own processes where the kernel allows it; nothing it starts outlives it, double forks
 * included. For tools (git, pip, npm, interpreters). `group`: the same promise, but it sees the processes of the host:
 * for commands of the owner that look at pid files. `none`: what it starts lives on: for a control script that starts a service.
 */
export type Leash = 'namespace' | 'group' | 'none';

export interface RunResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  /** Set when the program could not be started at all. */
  readonly failure: string | null;
  readonly tookMs: number;
}

/** Starts a program without a shell, in its own process group, and leaves nothing behind. Never throws for what the program does. */
export type Run = (argv: readonly string[], options: RunOptions) => Promise<RunResult>;

// ---------------------------------------------------------------- services

export type RestartVia =
  | { readonly kind: 'supervised' }
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'pm2'; readonly name: string }
  | { readonly kind: 'docker'; readonly container: string }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly cwd: string };

export type HealthProbe =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'command'; readonly argv: readonly string[] };

/** How an agent that reads no base URL is moved to another model: lines of its environment file, and a question that proves it. */
export interface ModelSwitch {
  /** Absolute. */
  readonly file: string;
  readonly set: Readonly<Record<string, string>>;
  /** Ends with 0 when a model answers with what the file says. */
  readonly check: { readonly argv: readonly string[]; readonly cwd: string };
}

/** What host and fixes need to know of a configured service. Paths are absolute. */
export interface ServiceFacts {
  readonly name: string;
  readonly directory: string;
  /** Set when selfheal starts and supervises it. */
  readonly command: readonly string[] | null;
  readonly restart: RestartVia | null;
  readonly health: HealthProbe | null;
  readonly envFile: string | null;
  readonly disposable: readonly string[];
  /** Package index pinned at start: for pip and for npm, where known. */
  readonly pipIndex: string | null;
  readonly npmRegistry: string | null;
  readonly settleMs: number;
  /** Glob patterns of its log files, absolute. A log that grows is a sign of progress. */
  readonly logs?: readonly string[];
  /** Quiet by design: silence means nothing. */
  readonly idle?: boolean;
  /** What the owner allows per family of fixes; absent: nothing was said. */
  readonly fixes?: Readonly<Partial<Record<Family, Autonomy>>>;
  /** Configuration files whose good copies are kept, absolute. A file may be missing just now. */
  readonly configFiles?: readonly string[];
  /** Declared by the owner for limits of the model provider. */
  readonly modelSwitch?: ModelSwitch | null;
}

/** A running process, identified beyond pid reuse. */
export interface ProcessInfo {
  readonly pid: number;
  readonly startTicks: number;
  readonly ppid: number;
  readonly uid: number;
  readonly executable: string | null;
  readonly argv: readonly string[];
  readonly cwd: string | null;
  /** True when it has a controlling terminal: a person started it there and may be looking at it. */
  readonly terminal?: boolean;
}

/** What a process uses at this moment. */
export interface ProcessUsage {
  /** Epoch milliseconds, exact to about 20 ms. */
  readonly startedAt: number;
  /** Kernel's word: `R` runs, `S` sleeps, `D` waits for a device, `T` stopped, `Z` dead and not collected. */
  readonly state: string;
  /** Processor time so far, its own and of children it has collected, in milliseconds. */
  readonly cpuMs: number;
  /** Bytes read and written so far, pipes and sockets included; null when the kernel will not tell us. */
  readonly ioBytes: number | null;
  readonly residentBytes: number;
  /** Open descriptors and the soft limit; null when the kernel will not tell us. */
  readonly openFiles: number | null;
  readonly maxOpenFiles: number | null;
  /** Threads it runs. */
  readonly tasks: number;
  /** Soft limit on the tasks of its user; null when there is none, or the kernel will not tell us. */
  readonly maxTasks: number | null;
}

/** A file that was deleted and is still held open: its room comes back when the holder closes it. */
export interface DeletedFile {
  readonly process: ProcessInfo;
  readonly path: string;
  readonly bytes: number;
}

// ---------------------------------------------------------------- probes

export interface FileStatus {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other' | 'absent' | 'denied';
  readonly bytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly links: number;
  readonly modifiedAt: number;
}

/** A configuration text as its format understands it. Errors name the place and never quote the text: it may hold secrets. */
export type ParsedText =
  | {
      readonly ok: true;
      /** Dotted paths of every key, parents included, in the order of the text. */
      readonly keys: readonly string[];
      /** Scalars by dotted path, as text. Never to be stored or shown. */
      readonly values: ReadonlyMap<string, string>;
    }
  | { readonly ok: false; readonly error: string; readonly line: number | null };

export interface FileProbe {
  /** lstat: links are not followed. */
  status(path: string): Promise<FileStatus>;
  /** Text of a regular file with one link; null when absent, a link, a device, unreadable or over `maxBytes` (default 1 MiB). */
  text(path: string, maxBytes?: number): Promise<string | null>;
  sha256(path: string): Promise<string | null>;
  /** Canonical absolute path when `path` (relative to `root`) stays inside `root` after resolving links; else null. */
  inside(root: string, path: string): Promise<string | null>;
  list(directory: string): Promise<readonly string[]>;
  /** Regular files below `root` that match; links not followed; at most 10,000. */
  glob(root: string, patterns: readonly string[]): Promise<readonly string[]>;
  /** Understands a configuration text. Pure, never throws. */
  parse(text: string, format: ConfigFormat): ParsedText;
  /** Room on the file system of `path`. */
  room(path: string): Promise<{
    readonly freeBytes: number;
    readonly totalBytes: number;
    readonly freeInodes: number;
    readonly totalInodes: number;
    readonly readOnly: boolean;
  } | null>;
}

export interface GitRepository {
  readonly directory: string;
  readonly gitDirectory: string;
  readonly head: string | null;
  /** Short branch name; null when detached. */
  readonly branch: string | null;
  readonly upstream: { readonly remote: string; readonly branch: string; readonly url: string } | null;
  readonly operation: 'merge' | 'rebase' | 'cherry-pick' | 'revert' | 'bisect' | 'am' | null;
  /** True when a person is at it: files touched a moment ago, or a live git process. */
  readonly inUse: boolean;
  readonly unmerged: readonly string[];
  readonly modified: readonly string[];
  readonly staged: readonly string[];
  readonly untracked: readonly string[];
  /** Configuration keys that could run programs or redirect traffic. Any makes every plan ask. */
  readonly suspicious: readonly string[];
  readonly indexLock: {
    readonly path: string;
    readonly inode: number;
    readonly ageMs: number;
    readonly holder: ProcessInfo | null;
  } | null;
  /** Why git itself cannot work here (foreign owner, damaged object); null when it can. */
  readonly trouble: string | null;
  /** Epoch milliseconds when HEAD last moved, by its reflog; null when there is none. */
  readonly headMovedAt: number | null;
}

/** Why nothing came from upstream. `gone`: the remote answers, and has no such repository or branch. */
export type FetchTrouble = 'no-upstream' | 'refused-address' | 'auth' | 'host-key' | 'gone' | 'unreachable' | 'damaged';

/** What the upstream branch has that HEAD has not. Fetched into a mirror of ours; the owner's repository is untouched. */
export interface GitIncoming {
  readonly commit: string;
  readonly commits: number;
  /** True when HEAD is an ancestor: a fast-forward is possible. */
  readonly fastForward: boolean;
  readonly changed: readonly { readonly path: string; readonly status: string; readonly mode: string }[];
  /** Changed paths that could run code by themselves or overwrite local files, with the reason. */
  readonly risky: readonly { readonly path: string; readonly reason: string }[];
  readonly subjects: readonly string[];
}

/** One file with both sides' changes, merged in memory. */
export interface MergedText {
  /** False when both sides changed the same lines: `text` has conflict marks then. */
  readonly clean: boolean;
  readonly text: string;
  /** The file as HEAD has it. */
  readonly base: string;
  /** SHA-256 of the file as it lies in the work tree, and as the incoming commit has it. */
  readonly oursSha256: string;
  readonly theirsSha256: string;
}

export interface GitProbe {
  repository(directory: string): Promise<GitRepository | null>;
  /** Fetches. Null with a reason when the remote cannot be reached or refuses. */
  incoming(repository: GitRepository): Promise<{
    readonly incoming: GitIncoming | null;
    readonly reason: string;
    readonly trouble: FetchTrouble | null;
  }>;
  /** Text of one file at a commit (own or incoming); null when absent. */
  textAt(repository: GitRepository, commit: string, path: string): Promise<string | null>;
  /** Checks out a commit into a scratch folder outside the project, runs `use` there, removes it. */
  withWorktree<T>(repository: GitRepository, commit: string, use: (directory: string) => Promise<T>): Promise<T | null>;
  /** True when `older` is `newer` or one of its ancestors; null when one of them is not known here. */
  isAncestor(repository: GitRepository, older: string, newer: string): Promise<boolean | null>;
  /** Paths that differ between two commits of the repository. */
  changedBetween(repository: GitRepository, from: string, to: string): Promise<readonly string[] | null>;
  /**
   * The work tree's text of one file with the incoming changes merged in; null when a text is missing or not UTF-8.
   */
  mergedText(repository: GitRepository, commit: string, path: string): Promise<MergedText | null>;
  /**
   * Tries a commit in a scratch work tree: compiles these files without running them and then, only when `argv` is given,
   * runs that command of the owner there. `unknown` when it fails for want of something the scratch tree does not have.
   */
  tryCommit(
    repository: GitRepository,
    commit: string,
    trial: {
      readonly files: readonly string[];
      readonly service: ServiceFacts;
      readonly argv: readonly string[] | null;
      /** What the failed operation said: the same text again means the commit does not mend it. */
      readonly symptom: string | null;
    },
  ): Promise<CheckResult>;
}

export interface PythonEnvironment {
  /** Absolute path of the venv's interpreter. */
  readonly interpreter: string;
  readonly venv: string;
  readonly version: string;
  readonly sitePackages: string;
  /** Effective package index, without credentials; null when none may be used. */
  readonly index: string | null;
  /** Reasons why no plan for this environment may run by itself: a second index, an index that changed since the start. */
  readonly doubts: readonly string[];
}

/** A requirement as a lock file or manifest of the project states it. */
export interface Pin {
  readonly name: string;
  /** Exact version; null when the project states only a range. */
  readonly version: string | null;
  /** The range as written, e.g. `>=1.2,<2`. */
  readonly range: string | null;
  readonly hashes: readonly string[];
  readonly file: string;
  readonly line: number;
  /** `registry` is the only kind that is installed without asking. */
  readonly kind: 'registry' | 'url' | 'vcs' | 'path' | 'editable';
}

/** What the project's own files say about a module's distribution. */
export type PinChoice =
  /** `constraint` is a PEP 440 specifier (`==1.2.0`, `>=1.2,<2`) or empty when any version will do. */
  | { readonly kind: 'pinned'; readonly pin: Pin; readonly constraint: string; readonly hashes: readonly string[] }
  /** No plain requirement names a candidate; near misses are names of the project that look alike. */
  | { readonly kind: 'none'; readonly nearMisses: readonly string[] }
  /** No file of the project names it, but an installed distribution requires it. */
  | { readonly kind: 'required'; readonly name: string; readonly constraint: string; readonly by: string }
  /** The project does name one, but in a way that must not be installed unasked, or contradicts itself. */
  | { readonly kind: 'unclear'; readonly reason: string };

/** What `PythonProbe.resolve` is asked for. `constraint` is a PEP 440 specifier, or empty. */
export interface WantedDistribution {
  readonly name: string;
  readonly constraint: string;
  /** `sha256:<hex>` of the acceptable files; empty when the project pins none. */
  readonly hashes: readonly string[];
}

/** A wheel that an install would bring in, downloaded and looked into, never run. */
export interface ResolvedWheel {
  readonly name: string;
  readonly version: string;
  /** `sha256:<hex>` */
  readonly hash: string;
  /** Importable names at its top level. */
  readonly modules: readonly string[];
  /** Installed version that it would replace; null when the distribution is not there. */
  readonly replaces: string | null;
  /** True when it was asked for, false when it comes along as a dependency. */
  readonly wanted: boolean;
  /** True when a lock file or manifest of the project names this version exactly or by a range. */
  readonly pinned: boolean;
  /** What a person should know before it goes in: runs at each start, shadows a command, was withdrawn. */
  readonly concerns: readonly string[];
}

/** What pip would do, found out without installing. */
export type Resolution =
  | { readonly kind: 'wheels'; readonly wheels: readonly ResolvedWheel[] }
  /** No such version, no ready-made wheel, a wrong hash, contradicting requirements. */
  | { readonly kind: 'impossible'; readonly reason: string }
  /** The index does not answer: try later. */
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface PythonProbe {
  /** The service's own venv; null when it has none (the system's Python is never touched). */
  environment(service: ServiceFacts): Promise<PythonEnvironment | null>;
  /** Imports the module in a child of that interpreter, without writing bytecode. */
  imports(
    environment: PythonEnvironment,
    module: string,
    directory: string,
  ): Promise<{ readonly ok: boolean | 'unknown'; readonly error: string }>;
  distributions(
    environment: PythonEnvironment,
  ): Promise<readonly { readonly name: string; readonly version: string; readonly modules: readonly string[] }[]>;
  /** True for the standard library and builtins of that interpreter. */
  isStandard(environment: PythonEnvironment, module: string): Promise<boolean>;
  /** Parsed imports (not strings or comments) of one file: top-level names. */
  importsOf(environment: PythonEnvironment, file: string): Promise<readonly string[]>;
  /** Python files of the project (not of its venv) that really import this name. At most 20. */
  importers(environment: PythonEnvironment, directory: string, module: string): Promise<readonly string[]>;
  /** File or folder of the project itself that goes by this module name; null when there is none. */
  ownModule(directory: string, module: string): Promise<string | null>;
  pins(directory: string): Promise<readonly Pin[]>;
  /** Distribution names that may provide a module: installed metadata, then a curated table, then the name itself. */
  distributionsFor(environment: PythonEnvironment, module: string): Promise<readonly string[]>;
  /** The one requirement of the project that speaks for these distribution names. */
  choosePin(environment: PythonEnvironment, directory: string, candidates: readonly string[]): Promise<PinChoice>;
  /** Downloads and inspects what an install of `wanted` would bring in. Changes nothing in the environment. */
  resolve(
    environment: PythonEnvironment,
    wanted: readonly WantedDistribution[],
    directory: string,
  ): Promise<Resolution>;
}

export interface NodeProject {
  readonly directory: string;
  readonly declared: Readonly<Record<string, string>>;
  readonly lock: {
    readonly sha256: string;
    /** True when it was made from this very package.json, as `npm ci` demands. */
    readonly matches: boolean;
    /** By place, e.g. `node_modules/express`. */
    readonly packages: Readonly<
      Record<
        string,
        {
          readonly version: string;
          readonly resolved: string | null;
          readonly integrity: string | null;
          readonly hasInstallScript: boolean;
          /** A link to a folder, or what a git repository, a file or a foreign address supplies. */
          readonly foreign: boolean;
          readonly optional: boolean;
          readonly dev: boolean;
        }
      >
    >;
  } | null;
  readonly registry: string;
  /** Packages at the top of node_modules with their versions; empty when there are none. */
  readonly installed: Readonly<Record<string, string>>;
  /** Keys of project rc files that could run programs or redirect downloads. */
  readonly suspicious: readonly string[];
  /** Ways other than one plain npm project: `pnpm`, `yarn`, `bun`, `workspaces`. */
  readonly otherManagers: readonly string[];
}

export interface NodeProbe {
  project(service: ServiceFacts): Promise<NodeProject | null>;
  resolves(from: string, module: string): Promise<{ readonly ok: boolean | 'unknown'; readonly error: string }>;
  /** Module names that one file really imports or requires (not strings or comments), as written. */
  importsOf(file: string): Promise<readonly string[]>;
  /** Source files of the project (not of node_modules) that really import this package. At most 20. */
  importers(directory: string, name: string): Promise<readonly string[]>;
  isBuiltin(module: string): boolean;
}

export interface ProcessProbe {
  process(pid: number): Promise<ProcessInfo | null>;
  /** Who listens on a TCP port of this host; `unknown` when the kernel will not tell us. */
  listener(port: number): Promise<ProcessInfo | 'unknown' | null>;
  /** Processes that hold this file open or locked. */
  holders(path: string): Promise<readonly ProcessInfo[]>;
  /** Those of the paths that some process has open or locked: one look for all of them. */
  inUse(paths: readonly string[]): Promise<ReadonlySet<string>>;
  children(pid: number): Promise<readonly ProcessInfo[]>;
  /** Every process that can be seen. */
  list(): Promise<readonly ProcessInfo[]>;
  usage(pid: number): Promise<ProcessUsage | null>;
  /** Deleted files on the file system of `path` that somebody holds open, biggest first. */
  deletedFiles(path: string): Promise<readonly DeletedFile[]>;
  /** Load average per core, 1 minute. */
  load(): Promise<number>;
  availableMemory(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>;
}

export interface ServiceState {
  readonly running: boolean | 'unknown';
  readonly process: ProcessInfo | null;
  /** Counts the starts, where somebody does. It tells that a program was started that is gone before anybody looks. */
  readonly starts?: number;
  /** A person (or a clean exit) stopped it: nobody starts it again but a person. */
  readonly stoppedOnPurpose: boolean;
  /** Starts within the last ten minutes. */
  readonly recentStarts: number;
  readonly supervisorGaveUp: boolean;
  /** Set when the program could not be started at all: a missing file or folder. Starting it again would not help. */
  readonly failure?: string;
  /** True when the service's unit changed on disk and its manager has not read it again. */
  readonly needsReload?: boolean;
  readonly evidence: string;
}

export interface ServiceProbe {
  state(service: string): Promise<ServiceState>;
  /** The declared health probe; `unknown` when none is declared. */
  health(service: string): Promise<CheckResult>;
  facts(service: string): ServiceFacts | null;
  all(): readonly ServiceFacts[];
}

export interface NetworkProbe {
  resolves(host: string): Promise<CheckResult>;
  tcp(host: string, port: number): Promise<CheckResult>;
  /** Loopback and configured addresses only; an address out of a log is never fetched. */
  http(url: string): Promise<CheckResult & { readonly status: number | null }>;
  /** True when the default route, the resolver and no configured peer answer: the fault is ours, not theirs. */
  offline(): Promise<boolean>;
}

/** Everything a fix may look at. */
export interface Probe {
  readonly clock: Clock;
  readonly files: FileProbe;
  readonly git: GitProbe;
  readonly python: PythonProbe;
  readonly node: NodeProbe;
  readonly processes: ProcessProbe;
  readonly services: ServiceProbe;
  readonly network: NetworkProbe;
  /** What the running model gateway last told of itself; null when none runs. */
  readonly gateway: () => Promise<GatewayReport | null>;
  /** Copies of this file as it was when the service ran without errors, newest proven first. */
  readonly goodCopies: (service: string, path: string) => Promise<readonly GoodCopy[]>;
  readonly goodCopyText: (id: string) => Promise<string | null>;
}

// ---------------------------------------------------------------- supervised services

/** What the supervisor needs to know of a service that selfheal runs itself. */
export interface SupervisedService extends ServiceFacts {
  readonly command: readonly string[];
  /** Besides the environment selfheal was started with. */
  readonly environment: Readonly<Record<string, string>>;
}

/** One run of a supervised service, from its start to its end. */
export interface Generation {
  readonly service: string;
  /** Counts up with each start, also across restarts of selfheal. */
  readonly number: number;
  /** Null when the program could not be started. */
  readonly pid: number | null;
  readonly startTicks: number;
  readonly startedAt: number;
  /** Files the program writes to. They outlive us: an adopted program goes on writing, and nothing it says is lost. */
  readonly stdout: string;
  readonly stderr: string;
  /** Null while it runs. */
  readonly ended: GenerationEnd | null;
}

export interface GenerationEnd {
  readonly at: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** True when selfheal or the owner asked for it, and for a clean exit. */
  readonly deliberate: boolean;
  readonly uptimeMs: number;
  /** Set when the program could not be started at all. */
  readonly failure: string | null;
}

/** Starts and stops the programs of the services. It never restarts by itself: a crash is an incident, and healing it is a fix. */
export interface Supervisor {
  readonly services: readonly SupervisedService[];
  /** The present generation, then each change of it, until the signal aborts. */
  generations(service: string, signal: AbortSignal): AsyncIterable<Generation>;
  /** Room of the streams before these positions is no longer needed. */
  consumed(generation: Generation, stdoutBytes: number, stderrBytes: number): Promise<void>;
}

// ---------------------------------------------------------------- effects and checks

/** Plain JSON, stored in the journal before the effect. */
export type Snapshot = Readonly<Record<string, unknown>>;

export interface EffectContext {
  readonly plan: string;
  readonly step: number;
  /** Private folder (0700) for the bytes a snapshot needs, one per step; survives until the plan is pruned. */
  readonly snapshotDirectory: string;
  readonly run: Run;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly services: ServiceProbe;
  readonly goodCopyContent: (id: string) => Promise<Uint8Array | null>;
  /** Asks the running daemon to start or stop a supervised service; resolves when it has taken the request. */
  /** Small durable values of this host. */
  readonly values: Pick<Store, 'value' | 'swapValue'>;
  readonly askSupervisor: (verb: 'start-service' | 'stop-service', service: string) => Promise<void>;
}

/**
 * How one kind of step is carried out, looked at after a crash, and taken back. Order of calls:
 * `snapshot` (its result is journaled) → intent is journaled → `apply` → done is journaled. After a crash
 * between intent and done, `probe` tells from the machine alone what happened.
 */
export interface Effect<S extends Step = Step> {
  readonly kind: S['kind'];
  /** Looks, copies what undo will need, and refuses (`precondition`) when the world is not what the plan saw. Changes nothing. */
  snapshot(step: S, context: EffectContext): Promise<Snapshot>;
  /** Makes the change, atomically where the kernel allows. Throws `EffectError`. Returns evidence for people. */
  apply(step: S, snapshot: Snapshot, context: EffectContext): Promise<string>;
  probe(step: S, snapshot: Snapshot, context: EffectContext): Promise<'done' | 'not-done' | 'unclear'>;
  /** Takes it back from any state `apply` can have left, also half way; twice is as good as once. */
  undo(step: S, snapshot: Snapshot, context: EffectContext): Promise<void>;
  /** Byte for byte as the snapshot saw it? Returns the differences; empty means proven. */
  differences(step: S, snapshot: Snapshot, context: EffectContext): Promise<readonly string[]>;
  /** What an undo has left on purpose because it is somebody else's by now, as a sentence; null when nothing. */
  left?(step: S, snapshot: Snapshot, context: EffectContext): Promise<string | null>;
}

/** An effect could not, or must not, go on. `precondition`: the world has changed since the plan; nothing was touched. */
export class EffectError extends Error {
  readonly code: 'precondition' | 'failed' | 'timeout' | 'refused';
  constructor(code: EffectError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EffectError';
    this.code = code;
  }
}

export interface CheckContext {
  readonly run: Run;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Epoch milliseconds when the plan's first step began; identities must be newer. */
  readonly since: number;
}

/** How one kind of check is carried out. Never throws: what cannot be found out is `unknown`. */
export interface CheckRunner<C extends Check = Check> {
  readonly kind: C['kind'];
  run(check: C, context: CheckContext): Promise<CheckResult>;
}

/** One entry of the list of effects: each knows the type of its own step. */
export type AnyEffect = { [K in StepKind]: Effect<StepOf<K>> }[StepKind];
/** One entry of the list of checks. */
export type AnyCheckRunner = { [K in CheckKind]: CheckRunner<CheckOf<K>> }[CheckKind];
