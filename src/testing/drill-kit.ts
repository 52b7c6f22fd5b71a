// What a drill may build its world with: a scratch service folder on the real machine.

import type { ServiceFacts } from '../host/contract.ts';

/** A wheel to be served by the kit's local package index. */
export interface KitWheel {
  readonly name: string;
  readonly version: string;
  /** Path inside the wheel → content. */
  readonly files: Readonly<Record<string, string>>;
  /** Requirements as the metadata states them, e.g. `textbase>=1`. */
  readonly requires?: readonly string[];
  /** Commands it brings: name → `module:function`. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** When it was published, ISO 8601. Default: the index does not say. */
  readonly published?: string;
  /** Withdrawn by its publisher. */
  readonly yanked?: boolean;
  /** Put into the venv as well, as if pip had installed it. */
  readonly installed?: boolean;
}

/** A package to be served by the kit's local npm registry. */
export interface KitPackage {
  readonly name: string;
  readonly version: string;
  /** Path inside the package → content; `package.json` is made. */
  readonly files: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  /** Lifecycle scripts, e.g. `{ install: 'node-gyp rebuild' }`. */
  readonly scripts?: Readonly<Record<string, string>>;
}

/** A model gateway whose provider refuses. */
export interface KitGateway {
  readonly primary: { readonly status: number; readonly retryAfterSec: number | null };
  readonly local: 'answers' | 'none';
}

export interface DrillKit {
  /** The service's folder; removed after the drill. */
  readonly directory: string;
  write(path: string, text: string, mode?: number): Promise<void>;
  /** Runs a program in the folder and fails the drill when it fails, unless `mayFail`. */
  sh(argv: readonly string[], options?: { readonly cwd?: string; readonly mayFail?: boolean }): Promise<string>;
  /** A repository with one commit and a bare upstream beside it. */
  repository(files: Readonly<Record<string, string>>): Promise<void>;
  /** A colleague commits and pushes to the upstream. */
  upstream(files: Readonly<Record<string, string>>, message: string): Promise<void>;
  /** A venv at `.venv` and a local index that serves these wheels. */
  venv(wheels: readonly KitWheel[]): Promise<void>;
  /**
   * A local npm registry that serves these packages. Writes `.npmrc`, `package.json` (unless it is there) with the
   * packages that no other one needs, and a `package-lock.json` that pins all of them. Installs nothing.
   */
  npm(packages: readonly KitPackage[]): Promise<void>;
  /** A real gateway between the service and two stand-ins for models. */
  gateway(wanted: KitGateway): Promise<void>;
  /** Saves the file's present content as seen working by the service. */
  goodCopy(path: string): Promise<void>;
  /** Starts a process that is ended after the drill; resolves once `ready` appears in its output. */
  start(
    argv: readonly string[],
    options?: { readonly ready?: string; readonly cwd?: string },
  ): Promise<{ readonly pid: number }>;
  /** Changes what the service declares. */
  service(changes: Partial<ServiceFacts>): void;
  freePort(): Promise<number>;
  later(cleanup: () => Promise<void> | void): void;
}
