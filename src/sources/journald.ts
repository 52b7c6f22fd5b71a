// The journal of one systemd unit, followed through journalctl. What a program can write into an entry
// decides nothing: the unit is taken from the fields that journald itself fills in.

import type { Level, LogRecord } from '../core/record.ts';
import type { FollowedProgram, StartJournal } from '../host/journal.ts';
import type { Cursor } from '../store/contract.ts';
import type { Source, SourceContext, SourceItem } from './contract.ts';

export interface JournaldSourceOptions {
  readonly service: string;
  /** systemd unit, e.g. `agent.service`; without a suffix `.service` is meant, as everywhere in systemd. */
  readonly unit: string;
  readonly journal: StartJournal;
  /** First pause after journalctl has ended by itself, milliseconds; doubled up to a minute. Default 1000. */
  readonly retryMs?: number;
}

const RETRY_MS = 1_000;
const RETRY_MOST_MS = 60_000;
/** A longer entry is left out and counted; journald itself takes up to 768 MB in one field. */
const ENTRY_CAP_BYTES = 4 * 1024 * 1024;
/** What is kept of a text, half of it from the end. */
const TEXT_CAP_CHARS = 256 * 1024;
/** Priorities of syslog, RFC 5424 section 6.2.1. */
const LEVELS: readonly Level[] = ['fatal', 'fatal', 'fatal', 'error', 'warn', 'info', 'info', 'debug'];
/** journald gives this to whatever a program prints; it says nothing about the text. */
const PRINTED = 'stdout';

/** Where reading stands: the entry given out last, and its time in microseconds for when the entry is gone. */
interface Place {
  readonly entry: string | null;
  readonly micros: number;
}

/**
 * Entries of a unit in their order, each once.
 *
 * @example createJournaldSource({ service: 'agent', unit: 'agent.service', journal: createJournalStarter() })
 */
export function createJournaldSource(options: JournaldSourceOptions): Source {
  return {
    id: `journald:${options.service}`,
    service: options.service,
    open: (context) => new Follower(options, context).items(),
  };
}

class Follower {
  readonly #options: JournaldSourceOptions;
  readonly #context: SourceContext;
  readonly #stream: string;
  readonly #unit: string;
  #place: Place;
  #blindSince: number | null = null;
  /** The stored entry must be the first that comes: it is passed over exactly once. */
  #expected: string | null = null;
  /** The stored entry could not be used; go on by its time. */
  #byTime = false;

  constructor(options: JournaldSourceOptions, context: SourceContext) {
    this.#options = options;
    this.#context = context;
    this.#unit = options.unit.includes('.') ? options.unit : `${options.unit}.service`;
    this.#stream = `journald:${this.#unit}`;
    this.#place = parsePlace(context.cursor) ?? { entry: null, micros: context.clock.now() * 1_000 };
  }

  async *items(): AsyncGenerator<SourceItem> {
    const { clock, signal, ready, cursor } = this.#context;
    // From the very first moment on there is a place to go on from, even if nothing is ever said.
    if (cursor === null) yield this.#sight('sighted', `following ${this.#unit}`);
    ready?.();
    for (let pause = this.#options.retryMs ?? RETRY_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_MOST_MS)) {
      const before = this.#place;
      const reason = yield* this.#run();
      if (signal.aborted) return;
      if (this.#place !== before) pause = this.#options.retryMs ?? RETRY_MS;
      // journalctl refuses a place that it cannot read, before it has given anything.
      else if (/cursor/i.test(reason)) this.#byTime = true;
      if (this.#blindSince === null) yield this.#sight('blind', reason);
      await clock.sleep(pause, signal);
    }
  }

  /** One run of journalctl, from the place to its end. Returns why it ended. */
  async *#run(): AsyncGenerator<SourceItem, string> {
    this.#expected = this.#byTime ? null : this.#place.entry;
    const { signal } = this.#context;
    const journal = this.#start();
    const stop = (): void => journal.stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      for await (const line of linesOf(journal.output)) yield* this.#take(line);
    } catch (error) {
      return `journalctl cannot be read: ${(error as Error).message}`;
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
    return journal.ended;
  }

  #start(): FollowedProgram {
    const { entry, micros } = this.#place;
    const from = this.#expected === null ? `--since=@${Math.floor(micros / 1e6)}` : `--cursor=${entry}`;
    const args = ['--follow', '--no-tail', '--all', '--no-pager', '--output=json', `--unit=${this.#unit}`, from];
    return this.#options.journal(args);
  }

  *#take(line: Buffer | 'too long'): Generator<SourceItem> {
    if (line === 'too long') return yield* this.#gap(`an entry of more than ${ENTRY_CAP_BYTES} bytes was left out`);
    const entry = parseEntry(line);
    if (!entry) return yield* this.#gap('an entry that is no JSON was left out');
    const expected = this.#expected;
    this.#expected = null;
    if (expected !== null && entry.cursor === expected) return yield* this.#see();
    if (expected !== null)
      yield* this.#gap('the journal no longer holds the entry that was read last: older ones may be missing');
    else yield* this.#see();
    // Going on by time shows what was read once more.
    if (entry.micros < this.#place.micros || (this.#byTime && entry.micros === this.#place.micros)) return;
    this.#byTime = false;
    this.#place = { entry: entry.cursor, micros: entry.micros };
    if (!isOf(this.#unit, entry.fields)) return;
    yield { kind: 'event', record: this.#record(entry), cursor: this.#cursor() };
  }

  #record({ fields, micros }: Entry): LogRecord {
    const text = clipped(textOf(fields.MESSAGE));
    const level = levelOf(fields);
    const logger = textOf(fields.SYSLOG_IDENTIFIER ?? fields._COMM ?? '');
    return {
      source: this.#stream,
      service: this.#options.service,
      span: { line: 0, endLine: 0, startByte: 0, endByte: 0 },
      time: micros / 1_000,
      seenAt: this.#context.clock.now(),
      ...(level === undefined ? {} : { level }),
      ...(logger === '' ? {} : { logger }),
      message: text.split('\n', 1)[0] ?? '',
      text,
    };
  }

  *#gap(reason: string): Generator<SourceItem> {
    yield this.#sight('blind', reason);
    yield this.#sight('sighted', 'reading goes on');
  }

  *#see(): Generator<SourceItem> {
    if (this.#blindSince !== null) yield this.#sight('sighted', 'can be read again');
  }

  #sight(kind: 'blind' | 'sighted', reason: string): SourceItem {
    const since = this.#context.clock.now();
    this.#blindSince = kind === 'blind' ? since : null;
    return { kind, stream: this.#stream, reason, since, cursor: this.#cursor() };
  }

  #cursor(): Cursor {
    return { ...this.#place };
  }
}

// ---------------------------------------------------------------- entries

type Fields = Readonly<Record<string, unknown>>;

interface Entry {
  readonly cursor: string;
  readonly micros: number;
  readonly fields: Fields;
}

function parseEntry(line: Buffer): Entry | null {
  try {
    const fields = JSON.parse(line.toString('utf8')) as Fields;
    const { __CURSOR: cursor, __REALTIME_TIMESTAMP: time } = fields;
    const micros = Number(time);
    return typeof cursor === 'string' && micros > 0 ? { cursor, micros, fields } : null;
  } catch {
    return null;
  }
}

/**
 * Fields with an underscore are journald's own (systemd.journal-fields(7)). The manager, process 1, speaks about a unit
 * in UNIT; root's helpers, such as systemd-coredump, in OBJECT_SYSTEMD_UNIT or COREDUMP_UNIT. From others those are claims.
 */
function isOf(unit: string, fields: Fields): boolean {
  if (fields._SYSTEMD_UNIT === unit) return true;
  if (fields._PID === '1' && fields.UNIT === unit) return true;
  return fields._UID === '0' && (fields.OBJECT_SYSTEMD_UNIT === unit || fields.COREDUMP_UNIT === unit);
}

/** A field is a string, null when it was too large, a list of bytes when it is no UTF-8, or a list when it was given twice. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return '';
  if (value.every((part) => typeof part === 'number')) return Buffer.from(value as number[]).toString('utf8');
  return value.map(textOf).join('\n');
}

function levelOf({ PRIORITY: priority, _TRANSPORT: transport }: Fields): Level | undefined {
  if (typeof priority !== 'string' || !/^[0-7]$/.test(priority)) return undefined;
  return transport === PRINTED && priority === '6' ? undefined : LEVELS[Number(priority)];
}

function clipped(text: string): string {
  if (text.length <= TEXT_CAP_CHARS) return text;
  const half = TEXT_CAP_CHARS / 2;
  return `${text.slice(0, half)} [... ${text.length - TEXT_CAP_CHARS} characters cut ...] ${text.slice(-half)}`;
}

async function* linesOf(output: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer | 'too long'> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const bytes of output) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const isTooLong = held + end - from > ENTRY_CAP_BYTES;
      yield isTooLong ? 'too long' : Buffer.concat([...parts, chunk.subarray(from, end)]);
      [parts, held, from] = [[], 0, end + 1];
    }
    held += chunk.length - from;
    // Of what is too long only the length is remembered.
    if (held > ENTRY_CAP_BYTES) parts = [];
    else if (from < chunk.length) parts.push(chunk.subarray(from));
  }
}

function parsePlace(cursor: Cursor | null): Place | null {
  if (!cursor || typeof cursor.micros !== 'number') return null;
  return { entry: typeof cursor.entry === 'string' ? cursor.entry : null, micros: cursor.micros };
}
