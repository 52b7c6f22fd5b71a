// The model inside selfheal: what its process is told, and how it is started.

import type { Socket } from 'node:net';

export interface EmbeddedSpec {
  /** A model in llama.cpp's format, absolute. */
  readonly model: string;
  /** Folder whose `node_modules` holds the runtime; null: where selfheal itself finds it. */
  readonly runtime: string | null;
  /** Tokens that fit in. */
  readonly contextTokens: number;
  readonly threads: number;
  /** Unused for so long, it is unloaded; in milliseconds. */
  readonly idleMs: number;
}

/** First message to its process. `token` is asked of whoever connects. */
export interface ModelStart extends EmbeddedSpec {
  readonly kind: 'start';
  readonly name: string;
  readonly token: string;
}

/** A process that serves connections which we have accepted. */
export interface Serving {
  give(connection: Socket): void;
  close(): Promise<void>;
}

/** Starts one; `ended` hears how it ended, once, unless it was closed, and which connections it did not take. */
export type StartServing = (hello: ModelStart, ended: (how: string, untaken: readonly Socket[]) => void) => Serving;
