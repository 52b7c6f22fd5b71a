// A LogRecord is one event of a source with its lines joined: a stack trace is one
// record. It is parsed once, here is what everybody downstream may rely on.

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** One frame of a stack trace, innermost LAST (the order Python prints them). */
export interface Frame {
  readonly file: string;
  readonly line?: number;
  readonly function?: string;
  /** False for frames of the runtime or of installed packages. */
  readonly inApp: boolean;
}

/** A parsed stack trace. `causes` go from the immediate cause to the root cause. */
export interface Trace {
  readonly language: 'python' | 'node' | 'java' | 'go' | 'ruby' | 'rust' | 'php' | 'csharp' | 'other';
  readonly type: string;
  readonly message: string;
  readonly frames: readonly Frame[];
  readonly causes: readonly Trace[];
}

/** Where a record stands in its stream. Lines count from 1, bytes from 0; `endByte` is exclusive. */
export interface Span {
  readonly line: number;
  readonly endLine: number;
  readonly startByte: number;
  readonly endByte: number;
}

/** How a supervised process ended, attached to the record that reports it. */
export interface ProcessExit {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** True when selfheal or its owner asked for the stop. A deliberate stop is never an error. */
  readonly deliberate: boolean;
  readonly uptimeMs: number;
}

export interface LogRecord {
  /** Stream the record came from, e.g. `file:/srv/agent/data/logs/agent.log`. */
  readonly source: string;
  /** File path, where the stream is a file. */
  readonly file?: string;
  /** Service the stream belongs to, or null for a plain scan. */
  readonly service: string | null;
  readonly span: Span;
  /** Epoch milliseconds as the text says; absent when the text carries no time. */
  readonly time?: number;
  /** Epoch milliseconds when we read it. */
  readonly seenAt: number;
  readonly level?: Level;
  readonly logger?: string;
  /** The first line of the message, prefixes peeled off. */
  readonly message: string;
  readonly trace?: Trace;
  /** The whole text, lines joined with `\n`, prefixes kept, capped. */
  readonly text: string;
  readonly exit?: ProcessExit;
}
