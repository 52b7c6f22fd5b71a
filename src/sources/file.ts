// Log files, followed through rotation, truncation and restarts: each line once. The files are the queue:
// nothing is read before it is asked for, and what was not read yet is still there after a crash.

import type { Cursor } from '../store/contract.ts';
import type { Block, Blindness, Source, SourceContext, SourceItem } from './contract.ts';
import { FileCursor } from './reading/file-cursor.ts';
import { FollowedFiles, type Told } from './reading/followed-files.ts';
import { Globs } from './reading/globs.ts';

export interface FileSourceOptions {
  /** Stable across restarts; key of the stored cursor. */
  readonly id: string;
  readonly service: string | null;
  /** Absolute paths or globs: `*`, `?`, `[a-z]`, `{a,b}`, `**` for any depth. Files that appear later are read from their start. */
  readonly patterns: readonly string[];
  /** Globs of files never to be read: selfheal's own log, above all. Default: none. */
  readonly ignore?: readonly string[];
  /** How often every file is looked at, whatever the kernel's events say. Milliseconds, default 1000. */
  readonly pollMs?: number;
  /** Where files begin that stand there when this source is opened for the very first time. Default: `end`. */
  readonly startAt?: 'end' | 'beginning';
  /** Listen to the kernel's events; without them a line is seen at the next look. Default true. */
  readonly events?: boolean;
  /** How long a rotated or deleted file stays open for writers that still hold it. Milliseconds, default 30,000. */
  readonly lingerMs?: number;
  /** Files kept open at the same time; quiet ones are closed first and found again by content. Default 512. */
  readonly maxOpen?: number;
  /** Unread bytes of one file from which on the source calls itself blind (it goes on reading). Default 1 GiB. */
  readonly tooFarBytes?: number;
}

/** Rotated-away files whose last write is this much older than our first start are old news; clocks of file systems are coarse. */
const CLOCK_GRAIN_MS = 50;
/** Other tasks of the process get their turn after so much uninterrupted reading. */
const TURN_MS = 10;

/**
 * @example
 * const source = createFileSource({ id: 'file:agent', service: 'agent', patterns: ['/srv/agent/logs/*.log'] });
 * for await (const item of source.open({ cursor: null, signal, clock })) if (item.kind === 'block') detector.feed(item);
 */
export function createFileSource(options: FileSourceOptions): Source {
  return {
    id: options.id,
    service: options.service,
    open: (context) => follow(options, context),
  };
}

async function* follow(options: FileSourceOptions, context: SourceContext): AsyncGenerator<SourceItem> {
  const { clock, signal } = context;
  const bell = new Bell();
  const stopped = new AbortController();
  const stop = () => {
    stopped.abort();
    bell.ring();
  };
  signal.addEventListener('abort', stop, { once: true });
  let isLookDue = false;
  const scheduleLook = async () => {
    await clock.sleep(options.pollMs ?? 1_000, stopped.signal);
    isLookDue = true;
    bell.ring();
  };
  const files = openFiles(options, context, bell);
  try {
    files.start();
    context.ready?.();
    void scheduleLook();
    let turnEnds = clock.monotonic() + TURN_MS;
    while (!signal.aborted) {
      const told = await files.next();
      if (told) yield itemOf(told, options.service, files.cursor.toJson());
      if (told && clock.monotonic() < turnEnds) continue;
      await (told ? breath() : bell.heard());
      turnEnds = clock.monotonic() + TURN_MS;
      if (!isLookDue) continue;
      isLookDue = false;
      files.look();
      void scheduleLook();
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stopped.abort();
    files.close();
  }
}

function openFiles(options: FileSourceOptions, { clock, cursor }: SourceContext, bell: Bell): FollowedFiles {
  const known = cursor && FileCursor.parse(cursor);
  return new FollowedFiles({
    globs: new Globs(options.patterns, options.ignore ?? []),
    id: options.id,
    cursor: known ?? FileCursor.empty(clock.now() - CLOCK_GRAIN_MS),
    startAtEnd: known === null && (options.startAt ?? 'end') === 'end',
    events: options.events ?? true,
    lingerMs: options.lingerMs ?? 30_000,
    maxOpen: options.maxOpen ?? 512,
    tooFarBytes: options.tooFarBytes ?? 1024 ** 3,
    note: cursor && !known ? 'the stored position could not be used: reading begins anew' : null,
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    onHint: () => bell.ring(),
  });
}

function itemOf(told: Told, service: string | null, cursor: Cursor): SourceItem {
  if (told.kind !== 'piece') {
    return { ...told, cursor } satisfies Blindness & { cursor: Cursor };
  }
  const { stream, file, piece } = told;
  const { bytes, startByte, startLine, cutBytes, final } = piece;
  const block: Block = { kind: 'block', stream, file, service, bytes, startByte, startLine, cutBytes, final };
  return { ...block, cursor };
}

/** Remembers that it was rung while nobody waited. */
class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async heard(): Promise<void> {
    if (!this.#rung) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#rung = false;
    this.#wake = null;
  }
}

function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
