// A Plan is frozen data: what will be done, what undoes it, what proves it. The approval
// text, the dry run, the journal, the rollback and the audit trail all come from it.

import type { Facts } from './facts.ts';
import type { Autonomy, ErrorType, Risk } from './words.ts';

/** A step that has no way back must say why that is acceptable. */
export type Undo =
  /** Put back what the snapshot holds: content, mode, owner, refs, the installed set. */
  | { readonly kind: 'restore-snapshot' }
  | { readonly kind: 'run'; readonly argv: readonly string[]; readonly cwd: string }
  | { readonly kind: 'none'; readonly reason: string };

interface StepBase {
  /** What a person reads on the approval card, e.g. `install wordtrim 1.2.0 into .venv`. */
  readonly title: string;
  readonly undo: Undo;
}

/** Where the new content of a file comes from. Only `text` carries content in the plan, so secrets never do. */
export type FileContent =
  | { readonly text: string }
  /** A stored copy of this host, by its id. */
  | { readonly copy: string }
  /** The file as it is, with the lines of these keys taken from a stored copy added at its end. Format `env` only. */
  | { readonly append: { readonly copy: string; readonly keys: readonly string[] } }
  /** The file as it is, with this text at its end. */
  | { readonly added: string }
  /** The first bytes of the file as it is: a torn tail goes. */
  | { readonly firstBytes: number };

/** Write a whole file, only if it still is what the plan saw (`before`). Owner and mode are kept. */
export interface WriteFileStep extends StepBase {
  readonly kind: 'write-file';
  readonly path: string;
  readonly content: FileContent;
  /** SHA-256 of the content the plan saw; null when there was no file. */
  readonly before: string | null;
  /** Octal mode for a file that does not exist yet, e.g. 0o600. */
  readonly mode: number;
  /** Name for the present file, kept beside the new one. `{plan}` stands for the plan's id. */
  readonly keepAs?: string;
}

/** Move a file or folder aside (quarantine) or back. Never overwrites. */
export interface MoveStep extends StepBase {
  readonly kind: 'move';
  readonly from: string;
  /** `{plan}` stands for the plan's id. */
  readonly to: string;
  /** SHA-256 of a regular file as the plan saw it; null for a folder. */
  readonly before: string | null;
  /** The very file the plan saw: another one of equal content (an empty lock, newly taken) is left alone. */
  readonly inode?: number;
}

export interface ChmodStep extends StepBase {
  readonly kind: 'chmod';
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** Make one folder that is missing. Its parent must be there; whose that is, the new one is, unless an owner is given. */
export interface MakeFolderStep extends StepBase {
  readonly kind: 'make-folder';
  readonly path: string;
  /** Octal mode, e.g. 0o755. */
  readonly mode: number;
  /** Who owned it when it was last seen. Default: the owner of its parent. Only root can give it to anybody else. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Delete files that the owner declared disposable. They are moved to the trash first where room allows. */
export interface RemoveFilesStep extends StepBase {
  readonly kind: 'remove-files';
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly inode: number }[];
}

/** Run a program of the owner's own declaration. Never a shell string. */
export interface RunStep extends StepBase {
  readonly kind: 'run';
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly timeoutMs: number;
  /** May it run again after a crash in the middle? */
  readonly idempotent: boolean;
  /** Files that say what the command does: it is refused when one of them is not what the plan saw. Default: none. */
  readonly requires?: readonly { readonly path: string; readonly sha256: string }[];
  /**
   * The folder that it makes, which must not be there before. It ends with whoever runs it then, and its undo
   * `restore-snapshot` puts the folder aside: nothing that stands there is deleted. Default: it may make anything.
   */
  readonly makes?: string;
}

/** Wait, because the other side asked us to. */
export interface WaitStep extends StepBase {
  readonly kind: 'wait';
  /** Epoch milliseconds. */
  readonly until: number;
}

/** Save refs, index, work tree and untracked files of a repository under a rescue ref. Changes nothing else. */
export interface GitRescueStep extends StepBase {
  readonly kind: 'git-rescue';
  readonly directory: string;
  /** Full name of the ref, e.g. `refs/selfheal/{plan}`; `{plan}` stands for the plan's id. */
  readonly ref: string;
}

/** Abort a merge, rebase, cherry-pick or revert that is stuck. */
export interface GitAbortStep extends StepBase {
  readonly kind: 'git-abort';
  readonly directory: string;
  readonly operation: 'merge' | 'rebase' | 'cherry-pick' | 'revert';
  /** Full object id of HEAD as the plan saw it. */
  readonly head: string;
}

/** Move a clean branch forward to a commit that was fetched and tried before. */
export interface GitFastForwardStep extends StepBase {
  readonly kind: 'git-fast-forward';
  readonly directory: string;
  readonly branch: string;
  readonly from: string;
  readonly to: string;
}

/** Put a branch and its work tree back to an earlier commit. Local edits are rescued first by a `git-rescue` step. */
export interface GitReturnStep extends StepBase {
  readonly kind: 'git-return';
  readonly directory: string;
  readonly branch: string;
  readonly from: string;
  readonly to: string;
}

/** Install pinned distributions into the service's own venv: staged, inspected, then moved in. */
export interface PipInstallStep extends StepBase {
  readonly kind: 'pip-install';
  /** The venv's own interpreter, absolute. */
  readonly interpreter: string;
  readonly directory: string;
  /** Index the plan is bound to. */
  readonly index: string;
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    /** `sha256:<hex>` of each acceptable wheel: what the project pins, else what the plan saw when it looked into it. */
    readonly hashes: readonly string[];
    /** Top-level import the wheel must provide, when it is the one that was asked for. */
    readonly provides?: string;
    /** Installed version that goes out for it; absent when nothing does. */
    readonly replaces?: string;
    /** What inspection found and the card showed; anything else that hands find stops the step. */
    readonly concerns?: readonly string[];
  }[];
}

/** Install what the lock file pins into a side folder, then swap `node_modules`. */
export interface NpmInstallStep extends StepBase {
  readonly kind: 'npm-install';
  readonly directory: string;
  readonly registry: string;
  /** SHA-256 of package-lock.json as the plan saw it. */
  readonly lock: string;
  /** Leave npm's cache alone: it holds a damaged copy. Default false. */
  readonly freshCache?: boolean;
  /** Leave out what only development needs, as it was left out before. Default false. */
  readonly omitDev?: boolean;
}

/** Start or restart through whoever owns the service. */
export interface RestartStep extends StepBase {
  readonly kind: 'restart';
  readonly service: string;
  /** The process the plan saw (null: none); the step is refused when another runs by now. Absent: whatever runs. */
  readonly before?: { readonly pid: number; readonly startTicks: number } | null;
  /** True when an earlier step of this plan ends what ran: that stop is no person's, and does not keep it down. */
  readonly afterStop?: boolean;
  readonly via:
    | { readonly kind: 'supervised' }
    | { readonly kind: 'systemd'; readonly unit: string }
    | { readonly kind: 'pm2'; readonly name: string }
    | { readonly kind: 'docker'; readonly container: string }
    | { readonly kind: 'command'; readonly argv: readonly string[]; readonly cwd: string };
}

/** End one process that was identified beyond doubt. */
export interface EndProcessStep extends StepBase {
  readonly kind: 'end-process';
  readonly pid: number;
  /** Start time in clock ticks since boot (field 22 of /proc/PID/stat): a recycled pid differs. */
  readonly startTicks: number;
  readonly executable: string;
}

/** Send model traffic to another upstream of the gateway. */
export interface RouteModelStep extends StepBase {
  readonly kind: 'route-model';
  readonly from: string;
  readonly to: string;
  /** Epoch milliseconds; routing falls back by itself then. */
  readonly until: number;
}

export type Step =
  | WriteFileStep
  | MoveStep
  | ChmodStep
  | MakeFolderStep
  | RemoveFilesStep
  | RunStep
  | WaitStep
  | GitRescueStep
  | GitAbortStep
  | GitFastForwardStep
  | GitReturnStep
  | PipInstallStep
  | NpmInstallStep
  | RestartStep
  | EndProcessStep
  | RouteModelStep;
export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

interface CheckBase {
  readonly title: string;
  /**
   * `operation`: the failed operation itself, tried again. `neighbour`: something that worked and must
   * go on working. A plan without an `operation` check is refused: nothing could ever prove it.
   */
  readonly proves: 'operation' | 'neighbour';
  /**
   * True: must fail before the first step; if it passes there is nothing to heal, and the plan ends as
   * `not-applicable` without touching anything.
   */
  readonly failsBefore: boolean;
}

export type Check = CheckBase &
  (
    | {
        readonly kind: 'python-import';
        readonly interpreter: string;
        readonly module: string;
        readonly directory: string;
      }
    | { readonly kind: 'node-resolve'; readonly from: string; readonly module: string }
    | {
        readonly kind: 'file-parses';
        readonly path: string;
        readonly format: 'json' | 'jsonl' | 'yaml' | 'toml' | 'env';
        /** Keys that must be there, as dotted paths. */
        readonly keys: readonly string[];
      }
    | { readonly kind: 'file-mode'; readonly path: string; readonly mode: number }
    | { readonly kind: 'file-absent'; readonly path: string }
    | { readonly kind: 'writable'; readonly directory: string; readonly freeBytes: number }
    | {
        readonly kind: 'git-state';
        readonly directory: string;
        /** Expected HEAD, when the plan moves it. */
        readonly head: string | null;
      }
    | { readonly kind: 'git-works'; readonly directory: string }
    /** The owner's declared health probe (http, tcp or command). */
    | { readonly kind: 'health'; readonly service: string }
    /** The service runs, with an identity that is newer than the plan, and stays up for `forMs`. */
    | { readonly kind: 'running-anew'; readonly service: string; readonly forMs: number }
    | { readonly kind: 'port-owner'; readonly port: number; readonly service: string }
    | { readonly kind: 'port-free'; readonly port: number }
    | { readonly kind: 'http'; readonly url: string; readonly status: readonly number[] }
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'resolves'; readonly host: string }
    | { readonly kind: 'sqlite-sound'; readonly path: string }
    /** A write transaction can be begun (and is taken back at once). */
    | { readonly kind: 'sqlite-unlocked'; readonly path: string }
    | { readonly kind: 'time-passed'; readonly until: number }
    /**
     * The failed operation cannot be tried again here, and why: nothing calls it on demand. Never passes and never fails.
     * The change stays while the error stays away, and the plan ends as `inconclusive`.
     */
    | { readonly kind: 'untried'; readonly reason: string }
    | { readonly kind: 'run'; readonly argv: readonly string[]; readonly cwd: string; readonly timeoutMs: number }
  );
export type CheckKind = Check['kind'];
export type CheckOf<K extends CheckKind> = Extract<Check, { kind: K }>;

/** `unknown` means the check could not be carried out: it can never count as proof. */
export interface CheckResult {
  readonly passed: true | false | 'unknown';
  readonly evidence: string;
}

/** Why a plan may run, must ask, or is refused. Computed by the planner, shown to people. */
export interface Decision {
  readonly verdict: 'run' | 'ask' | 'refuse';
  readonly autonomy: Autonomy;
  readonly reason: string;
}

export interface Plan {
  readonly id: string;
  readonly incident: string;
  readonly service: string;
  readonly node: string;
  /** Fix file and the family that configurations name. */
  readonly fix: string;
  readonly family: string;
  readonly type: ErrorType;
  readonly title: string;
  /** What was found on the machine, in sentences. */
  readonly why: string;
  /** Facts that a probe has confirmed. */
  readonly facts: Facts;
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
  /** How long the error must stay away before the outcome may be `fixed`, in milliseconds. */
  readonly settleMs: number;
  readonly risk: Risk;
  readonly scope: 'service' | 'host' | 'fleet';
  /** `done`: a step restarts. `recommended`: the owner should. `none`: not needed. */
  readonly restart: 'none' | 'done' | 'recommended';
  /** Resources that are locked while the plan runs, e.g. `service:agent`, `path:/srv/agent/.venv`. */
  readonly resources: readonly string[];
  readonly decision: Decision;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** SHA-256 of the canonical JSON of everything above. */
  readonly hash: string;
}

/** JSON with sorted keys and no undefined: equal data gives equal text on every machine. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`);
    return `{${entries.join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

/** What the hash of a plan covers: everything but the hash. */
export function hashedText(plan: Omit<Plan, 'hash'> | Plan): string {
  const { hash: _, ...rest } = plan as Plan;
  return canonicalJson(rest);
}
