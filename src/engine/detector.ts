// ErrorDetector: bytes and events in, detections out, in stream order. Splits lines, lets the framer join
// them, reads each interesting record once and asks the rules. Keeps open records between calls.

import { type Detection, detectionRow } from '../core/detection.ts';
import type { Facts } from '../core/facts.ts';
import type { LogRecord } from '../core/record.ts';
import { redact } from '../core/redact.ts';
import { oneLine } from '../core/visible.ts';
import type { ErrorType, Severity } from '../core/words.ts';
import type { WhyAnswer } from '../operations.ts';
import type { Rule } from '../rules/contract.ts';
import { rules as catalogue } from '../rules/index.ts';
import type { Block, Event } from '../sources/contract.ts';
import { completeFacts, factsPass } from './facts.ts';
import { fingerprintOf, templateOf } from './fingerprint.ts';
import { Framer, lineParts } from './framer.ts';
import type { Framed } from './open-record.ts';
import { type Match, match, type NearMiss, NO_LEVEL } from './matcher.ts';
import { covering, LEVEL_SHAPES, LINE_KEPT, type Prefilter, prefilterOf } from './prefilter.ts';
import { type Reading, read, type Stream } from './reading.ts';
import { PAD } from './sampler.ts';
import { Repeats } from './repeats.ts';
import { isInnocent } from './sieve.ts';
import { type Sieve, Skimmer } from './skimmer.ts';
import { compileRules, type MatchRule, needsEveryLine, wordsOf } from './rule-set.ts';

export interface DetectorOptions {
  /** Default: the whole catalogue. */
  readonly rules?: readonly Rule[];
  /** Rules of the user, compiled by `loadUserRules`; they go before the catalogue. */
  readonly userRules?: readonly MatchRule[];
  /** Types some fix handles. Default: none, so nothing is marked fixable. */
  readonly handledTypes?: ReadonlySet<ErrorType>;
  /** Severity by rule name, as the owner sees it: it goes before what the rule and the record say. */
  readonly severities?: Readonly<Record<string, Severity>>;
  /** Exact values that must never appear in a message. */
  readonly knownSecrets?: () => readonly string[];
  /** Epoch milliseconds. Default: the system clock. */
  readonly now?: () => number;
  /** Where `scanRecentLogs` reads from; needed only for that method. */
  readonly readLogs?: (files: readonly string[] | undefined) => AsyncIterable<Block>;
}

interface StreamState {
  readonly stream: Stream;
  readonly framer: Framer;
  /** Bytes of a line whose end has not come yet, as latin1. */
  rest: string;
  /** Characters of that line that were left out. */
  cut: number;
  restByte: number;
  /** Mark of the item in which that line began. */
  restMark: number;
  nextLine: number;
  nextByte: number;
}

const MESSAGE_KEPT = 300;
/** A small block is not worth a skimmer's preparations. */
const SKIMMED_FROM = 8 * 1024;
const SKIMMED_AT_ONCE = 256 * 1024;
/** Where the skimmer looks at lines: all detectors take turns. */
const SPACE = Buffer.from(new ArrayBuffer(SKIMMED_AT_ONCE + 2 * PAD)).fill(0x0a);
const SPACE_WORDS = new Int32Array(SPACE.buffer);
/** What is worked out of the rules once, however many texts are looked at. */
interface Ready {
  readonly rules: readonly MatchRule[];
  readonly prefilter: Prefilter;
  readonly sieve: Sieve;
  /** Made for the first large block. Null when some rule wants to see every line. */
  readonly skimmer: () => Skimmer | null;
}

/** The rules are data that nobody changes: what was worked out of a list of them is good for every detector. */
const PREPARED = new WeakMap<readonly Rule[], Ready>();

function prepare({ rules: given = catalogue, userRules = [] }: DetectorOptions): Ready {
  if (userRules.length > 0) return readyOf([...userRules, ...compileRules(given)]);
  const ready = PREPARED.get(given) ?? readyOf(compileRules(given));
  PREPARED.set(given, ready);
  return ready;
}

function readyOf(rules: readonly MatchRule[]): Ready {
  const words = covering(wordsOf(rules));
  const sieve: Sieve = (text, now) => isInnocent(lineParts(text), rules, now);
  if (needsEveryLine(rules)) return { rules, prefilter: prefilterOf(words, [/^/]), sieve, skimmer: () => null };
  const prefilter = prefilterOf(words, LEVEL_SHAPES);
  let skimmer: Skimmer | null = null;
  return { rules, prefilter, sieve, skimmer: () => (skimmer ??= new Skimmer(words, prefilter, sieve)) };
}

export class ErrorDetector {
  readonly #options: DetectorOptions;
  readonly #ready: Ready;
  readonly #streams = new Map<string, StreamState>();
  /** Streams that were added to since `provisional` was asked. */
  readonly #fed = new Set<StreamState>();
  #withdrawn: LogRecord[] = [];
  readonly #repeats = new Repeats();
  #reachesBackTo = Number.POSITIVE_INFINITY;

  constructor(options: DetectorOptions = {}, ready: Ready = prepare(options)) {
    this.#options = options;
    this.#ready = ready;
  }

  /**
   * Takes the next bytes or the next event of a stream; gives the detections that are complete by now. `mark` is a
   * number of the caller's for this item, not less than the one before: `openSince` answers in it.
   */
  feed(item: Block | Event, mark = 0): readonly Detection[] {
    return item.kind === 'event' ? this.#feedEvent(item, mark) : this.#feedBlock(item, mark);
  }

  /** For each `record.source` with something that waits for its end: the mark of the item in which the oldest began. */
  openSince(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const { stream, framer, rest, cut, restMark } of this.#streams.values()) {
      const held = rest === '' && cut === 0 ? Number.POSITIVE_INFINITY : restMark;
      const mark = Math.min(held, framer.openSince ?? held, found.get(stream.source) ?? held);
      if (mark < Number.POSITIVE_INFINITY) found.set(stream.source, mark);
    }
    return found;
  }

  /**
   * The lowest mark under which something began that went on in the item that was fed last: whoever begins to read
   * between that mark and this item meets only the rest of a record. Infinite when the item goes on with nothing.
   */
  get reachesBackTo(): number {
    return this.#reachesBackTo;
  }

  /**
   * Detections of records that may still go on, as if nothing more came; for who must know at once. Each record gives
   * its final detection as usual when it ends, or is `withdrawn` then.
   */
  provisional(): readonly Detection[] {
    const found: Detection[] = [];
    for (const { framer, stream } of this.#fed)
      for (const framed of framer.glimpse()) found.push(...this.#detectRecord(framed, stream));
    this.#fed.clear();
    return found;
  }

  /** Records since the last call that have ended and are no error after all, though `provisional` had looked at them. */
  withdrawn(): readonly LogRecord[] {
    return this.#withdrawn.splice(0);
  }

  /**
   * Ends open records and gives their detections: of one stream or of all, and only those nothing was added to for
   * `olderThanMs` (default 0). Call it on a timer while following, and once at the end.
   */
  flush(stream?: string, olderThanMs = 0): readonly Detection[] {
    const out: Detection[] = [];
    const before = this.#now() - olderThanMs;
    for (const [name, state] of this.#streams) {
      if (stream !== undefined && name !== stream) continue;
      if (olderThanMs === 0) this.#endLine(state);
      state.framer.flush(olderThanMs === 0 ? undefined : before);
      out.push(...this.#detect(state));
    }
    return out;
  }

  /** True while a record waits for its end: only then the caller's flush timer has anything to do. */
  get waiting(): boolean {
    for (const state of this.#streams.values()) if (state.framer.waiting) return true;
    return false;
  }

  /** All detections of a text, as `scan` gives them. */
  scanText(text: string, options: { readonly file?: string } = {}): readonly Detection[] {
    const detector = new ErrorDetector(this.#options, this.#ready);
    const bytes = Buffer.from(text, 'utf8');
    const stream = options.file === undefined ? 'text' : `file:${options.file}`;
    const place = options.file === undefined ? {} : { file: options.file };
    const block: Block = {
      kind: 'block',
      stream,
      ...place,
      service: null,
      bytes,
      startByte: 0,
      startLine: 1,
      final: true,
    };
    return [...detector.feed(block), ...detector.flush()];
  }

  /** Detections of the last `minutes` in the configured logs, or in `files`. */
  async scanRecentLogs(options: {
    readonly minutes: number;
    readonly files?: readonly string[];
  }): Promise<readonly Detection[]> {
    const { readLogs } = this.#options;
    if (!readLogs) throw new Error('scanRecentLogs needs the option readLogs: this detector has nothing to read from');
    const since = this.#now() - options.minutes * 60_000;
    const detector = new ErrorDetector(this.#options, this.#ready);
    const out: Detection[] = [];
    for await (const block of readLogs(options.files)) out.push(...detector.feed(block));
    out.push(...detector.flush());
    return out.filter(({ record }) => record.time === undefined || record.time >= since);
  }

  /** Why a text is, or is not, an error: the rule, the near misses, the masks and the fingerprint. */
  explain(text: string): Omit<WhyAnswer, 'incident'> {
    const framer = new Framer();
    const now = this.#now();
    let at = 0;
    Buffer.from(text, 'utf8')
      .toString('latin1')
      .split('\n')
      .forEach((line, i) => {
        framer.push({ text: line, number: i + 1, startByte: at, endByte: at + line.length + 1, hit: true }, now);
        at += line.length + 1;
      });
    framer.flush();
    const readings = framer.take().map((one) => read(one, { source: 'text', service: null }, now));
    const answers = readings.map((reading) => this.#answer(reading));
    return answers.find((answer) => answer.detection !== null) ?? answers[0] ?? NO_ANSWER;
  }

  // -------------------------------------------------------------- blocks

  #feedBlock(block: Block, mark: number): readonly Detection[] {
    const state = this.#state(block);
    state.framer.mark = mark;
    this.#fed.add(state);
    const bytes = Buffer.from(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
    const isOpen = state.rest !== '' || state.cut > 0;
    const began = isOpen && state.restMark < mark ? state.restMark : Number.POSITIVE_INFINITY;
    const first = isOpen ? bytes.indexOf(0x0a) + 1 : 0;
    if (first > 0) this.#split(state, bytes.toString('latin1', 0, first), block.startByte);
    const passed = isOpen && first === 0 ? 0 : this.#skim(state, bytes, first, block.startByte);
    this.#split(state, bytes.toString('latin1', passed), block.startByte + passed);
    this.#reachesBackTo = Math.min(began, state.framer.takeReach());
    if (block.final) {
      this.#endLine(state);
      state.framer.flush();
      this.#streams.delete(block.stream);
      this.#fed.delete(state);
    }
    return this.#detect(state);
  }

  #state(block: Block): StreamState {
    const known = this.#streams.get(block.stream);
    if (known) return known;
    const stream: Stream = {
      source: block.stream,
      ...(block.file === undefined ? {} : { file: block.file }),
      service: block.service,
    };
    const state: StreamState = {
      stream,
      framer: new Framer(),
      rest: '',
      cut: 0,
      restByte: block.startByte,
      restMark: 0,
      nextLine: Math.max(1, block.startLine),
      nextByte: block.startByte,
    };
    this.#streams.set(block.stream, state);
    return state;
  }

  /** Passes over the innocent among the whole lines of a large block; returns up to where it came. */
  #skim(state: StreamState, bytes: Buffer, from: number, startByte: number): number {
    if (bytes.length - from < SKIMMED_FROM) return from;
    const skimmer = this.#ready.skimmer();
    if (!skimmer) return from;
    let at = from;
    while (bytes.length - at >= SKIMMED_FROM) {
      const end = bytes.lastIndexOf(0x0a, Math.min(bytes.length, at + SKIMMED_AT_ONCE) - 1) + 1;
      if (end <= at) break;
      bytes.copy(SPACE, PAD, at, end);
      SPACE.fill(0x0a, PAD + end - at, PAD + end - at + PAD);
      let made: string | null = null;
      const to = PAD + end - at;
      const text = (): string => (made ??= SPACE.toString('latin1', PAD, to));
      const lines = { bytes: SPACE, words: SPACE_WORDS, end: to, text, startByte: startByte + at };
      state.nextLine += skimmer.skim({ ...lines, startLine: state.nextLine, now: this.#now() }, state.framer);
      at = end;
      state.nextByte = startByte + at;
    }
    return at;
  }

  /** Cuts a block into lines and hands each to the framer, with the answer of the cheap first look. */
  #split(state: StreamState, text: string, startByte: number): void {
    const now = this.#now();
    let from = 0;
    let hit = this.#ready.prefilter.next(text, 0);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      if (state.rest !== '' || end - from > LINE_KEPT) {
        this.#hold(state, text.slice(from, end), startByte + from);
        this.#endLine(state, startByte + end + 1);
      } else {
        if (hit && hit.at < from) hit = this.#ready.prefilter.next(text, from);
        const isHit = hit !== null && hit.at < end;
        this.#line(state, text.slice(from, end), startByte + from, startByte + end + 1, isHit, now);
      }
      from = end + 1;
    }
    if (from < text.length) this.#hold(state, text.slice(from), startByte + from);
    state.nextByte = startByte + text.length;
  }

  /** Keeps the beginning of a line whose end is not here yet. */
  #hold(state: StreamState, text: string, startByte: number): void {
    if (state.rest === '' && state.cut === 0) {
      state.restByte = startByte;
      state.restMark = state.framer.mark;
    }
    const room = LINE_KEPT - state.rest.length;
    state.rest += text.slice(0, room);
    state.cut += Math.max(0, text.length - room);
  }

  #endLine(state: StreamState, endByte = state.nextByte): void {
    if (state.rest === '' && state.cut === 0) return;
    const hit = this.#ready.prefilter.next(state.rest, 0) !== null;
    const text = state.cut > 0 ? `${state.rest} [${state.cut} bytes cut]` : state.rest;
    state.rest = '';
    state.cut = 0;
    this.#line(state, text, state.restByte, endByte, hit, this.#now());
  }

  #line(state: StreamState, text: string, startByte: number, endByte: number, hit: boolean, now: number): void {
    const clean = text.charCodeAt(text.length - 1) === 0x0d ? text.slice(0, -1) : text;
    const isHit = hit && (clean.length > LINE_KEPT || !this.#ready.sieve(clean, now));
    state.framer.push({ text: clean, number: state.nextLine++, startByte, endByte, hit: isHit }, now);
  }

  // -------------------------------------------------------------- events

  #feedEvent(event: Event, mark: number): readonly Detection[] {
    const { record } = event;
    const name = `event:${record.source}`;
    let state = this.#streams.get(name);
    if (!state) {
      const stream: Stream = { source: record.source, service: record.service };
      state = { stream, framer: new Framer(), rest: '', cut: 0, restByte: 0, restMark: 0, nextLine: 1, nextByte: 0 };
      this.#streams.set(name, state);
    }
    state.framer.mark = mark;
    this.#fed.add(state);
    if (record.exit) {
      this.#reachesBackTo = Number.POSITIVE_INFINITY;
      state.framer.flush();
      return [...this.#detect(state), ...this.#exit(event)];
    }
    const hit =
      this.#ready.prefilter.next(record.text, 0) !== null || record.level === 'error' || record.level === 'fatal';
    state.framer.pushEvent(record, hit, this.#now());
    this.#reachesBackTo = state.framer.takeReach();
    return this.#detect(state);
  }

  /** A process that ended by itself, and not well. A stop somebody asked for is never an error. */
  #exit({ record }: Event): readonly Detection[] {
    const exit = record.exit;
    if (!exit || exit.deliberate || (exit.exitCode === 0 && exit.signal === null)) return [];
    if (exit.signal === 'SIGTERM' || exit.signal === 'SIGINT') return [];
    const how = exit.signal === null ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
    const facts: Facts = {
      pid: exit.pid,
      ...(exit.exitCode === null ? {} : { exitCode: exit.exitCode }),
      ...(exit.signal === null ? {} : { signal: exit.signal }),
    };
    return [
      {
        rule: 'process-exit',
        type: 'service_crash',
        severity: this.#ownersView('process-exit') ?? 'critical',
        confidence: 1,
        fingerprint: fingerprintOf({
          type: 'service_crash',
          said: `process ended with ${how}`,
          identity: [how],
          trace: undefined,
        }),
        facts,
        fixable: this.#options.handledTypes?.has('service_crash') ?? false,
        trusted: true,
        message: oneLine(redact(record.message || `process ended with ${how}`, this.#secrets()), MESSAGE_KEPT),
        record,
      },
    ];
  }

  // -------------------------------------------------------------- records

  #detect(state: StreamState): readonly Detection[] {
    const out: Detection[] = [];
    for (const framed of state.framer.take()) {
      const found = this.#detectRecord(framed, state.stream);
      out.push(...found);
      if (framed.glimpsed) this.#withdraw(framed, state.stream, found);
    }
    return out;
  }

  /** What was looked at before it was complete, and of which nothing is found now: the record, or the report in it. */
  #withdraw(framed: Framed, stream: Stream, found: readonly Detection[]): void {
    const isParted = framed.reportAt > 0 && framed.report;
    for (const part of isParted ? halves(framed, framed.report) : [framed])
      if (!found.some(({ record }) => record.span.startByte === part.span.startByte))
        this.#withdrawn.push(this.#read(part, stream).record);
  }

  #read(framed: Framed, stream: Stream): Reading {
    return read(framed, stream, framed.event?.seenAt ?? this.#now());
  }

  #detectRecord(framed: Framed, stream: Stream): readonly Detection[] {
    const about = { stream, now: framed.event?.seenAt ?? this.#now(), secrets: this.#secrets() };
    return this.#repeats.of(framed, about, (one) =>
      this.#verdicts(one, stream).map(({ best, reading }) => this.#detection(best, reading)),
    );
  }

  /** One verdict, as a rule. A line that surely says one thing and a trace below it that surely says another are two problems. */
  #verdicts(framed: Framed, stream: Stream): readonly Verdict[] {
    const whole = this.#verdict(framed, stream);
    if (!whole || framed.reportAt <= 0 || !framed.report) return whole ? [whole] : [];
    const [upper, lower] = halves(framed, framed.report).map((half) => this.#verdict(half, stream));
    return upper && lower && areTwo(upper.best, lower.best) ? [upper, lower] : [whole];
  }

  #verdict(framed: Framed, stream: Stream): Verdict | null {
    const reading = this.#read(framed, stream);
    if (reading.own) return null;
    const { best } = match(reading, this.#ready.rules);
    return best ? { best, reading } : null;
  }

  #detection(best: Match, reading: Reading): Detection {
    const { rule, pattern } = best;
    const said = pattern.on === 'text' ? spokenOf(best, reading) : best.said;
    const secrets = this.#secrets();
    const facts = withoutSecrets(completeFacts(rule.type, best.facts, said, reading), secrets);
    const trusted = isTrusted(best, facts, reading);
    return {
      rule: rule.name,
      type: rule.type,
      severity: this.#ownersView(rule.name) ?? severityOf(pattern.severity ?? rule.severity, reading),
      confidence: best.confidence,
      fingerprint: fingerprintOf({
        type: rule.type,
        said: redact(said.text, secrets),
        identity: identityOf(rule, facts),
        trace: reading.record.trace,
      }),
      facts,
      fixable: trusted && pattern.fixable && (this.#options.handledTypes?.has(rule.type) ?? false),
      trusted,
      message: oneLine(redact(said.text.split('\n', 1)[0] ?? '', secrets), MESSAGE_KEPT),
      record: reading.record,
    };
  }

  #ownersView(rule: string): Severity | undefined {
    const { severities = {} } = this.#options;
    return Object.hasOwn(severities, rule) ? severities[rule] : undefined;
  }

  #answer(reading: Reading): Omit<WhyAnswer, 'incident'> {
    if (reading.own) return { ...NO_ANSWER, because: 'it is our own output, which is never looked at' };
    const { best, nearMisses } = match(reading, this.#ready.rules);
    const said = best?.said.text ?? reading.record.message;
    const { masks } = templateOf(redact(said, this.#secrets()));
    const near = toldMisses(nearMisses, best !== null);
    if (!best)
      return { detection: null, because: silenceOf(reading, near), nearMisses: near, masks, fingerprint: null };
    const detection = this.#detection(best, reading);
    const { place, kind, template } = detection.fingerprint;
    const doubt = reading.suspicion ? `; not to be acted on, because ${reading.suspicion}` : '';
    return {
      detection: detectionRow(detection),
      because: `${best.pattern.because}${doubt}`,
      nearMisses: near,
      masks,
      fingerprint: { place, kind, template },
    };
  }

  #secrets(): readonly string[] {
    return this.#options.knownSecrets?.() ?? [];
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

interface Verdict {
  readonly best: Match;
  readonly reading: Reading;
}

/** From here on a match is one of a code, a class or a program's fixed text. */
const SURE = 0.93;

/** A head that names a fault of another kind than the trace below it does not announce that trace. */
function areTwo(head: Match, trace: Match): boolean {
  if (head.rule.type === trace.rule.type || trace.confidence < SURE_TRACE || trace.said.role !== 'exception')
    return false;
  // A program that cannot reach its database names the peer above and the reason below.
  if (head.rule.type === 'database_error' && REASONS.has(trace.rule.type)) return false;
  return head.confidence >= SURE || (head.rule.type === 'unknown' && head.confidence > GENERAL);
}

const REASONS = new Set<ErrorType>(['api_error', 'timeout', 'auth_error', 'permission_error']);
/** A trace names its class: wording weighs less there than in a message. */
const SURE_TRACE = 0.88;
/** What says only that something failed is no surer than this. */
const GENERAL = 0.4;

/** The lines above a trace, and the trace. */
function halves(framed: Framed, report: { readonly line: number; readonly startByte: number }): readonly Framed[] {
  const { reportAt: at, lines, from, span } = framed;
  return [
    {
      ...framed,
      lines: lines.slice(0, at),
      from: from.slice(0, at),
      span: { ...span, endLine: Math.max(span.line, report.line - 1), endByte: report.startByte },
      reportAt: -1,
      report: null,
    },
    {
      ...framed,
      lines: lines.slice(at),
      from: from.slice(at),
      span: { ...span, line: report.line, startByte: report.startByte },
      reportAt: 0,
      before: lines[0] ?? null,
      event: null,
    },
  ];
}

/** What a calm line says may at most make us wait; what may be an imitation makes us do nothing. */
function isTrusted({ rule, facts: matched }: Match, facts: Facts, reading: Reading): boolean {
  if (reading.suspicion !== null || !factsPass(matched, facts)) return false;
  return reading.voice !== 'calm' || WAITING.has(rule.type);
}

/** What a program calls fatal has ended it: never less than high. */
function severityOf(severity: Severity, { record }: Reading): Severity {
  return record.level === 'fatal' && (severity === 'medium' || severity === 'low') ? 'high' : severity;
}

const WAITING = new Set<ErrorType>(['rate_limit', 'quota_exhausted', 'provider_overloaded', 'api_error', 'timeout']);

const NO_ANSWER: Omit<WhyAnswer, 'incident'> = {
  detection: null,
  because: 'there is nothing to look at',
  nearMisses: [],
  masks: [],
  fingerprint: null,
};

type Told = WhyAnswer['nearMisses'];

/** Each once. That a text names no level is worth a word only where nothing else called it an error. */
function toldMisses(misses: readonly NearMiss[], isError: boolean): Told {
  const told = misses
    .filter(({ because }) => !isError || because !== NO_LEVEL)
    .map(({ rule, because }) => ({ rule: rule.name, because }));
  const seen = new Set<string>();
  return told.filter(({ rule, because }) => seen.size < seen.add(`${rule} ${because}`).size).slice(0, 10);
}

function silenceOf(reading: Reading, near: Told): string {
  if (reading.voice === 'silent') return 'it reads like a list or prose, not like a program reporting an error';
  const told = near.filter(({ because }) => because !== NO_LEVEL);
  const first = told.find(({ because }) => because.startsWith('but ')) ?? told[0];
  if (first) return `rule ${first.rule} nearly did: ${first.because}`;
  if (reading.voice === 'calm')
    return `its level is ${reading.record.level}, and no rule calls this text an error at that level`;
  if (near.length > 0) return 'no rule knows these words, and the text names no level of its own';
  return 'no rule knows these words';
}

/** A pattern on the whole text says nothing on which part of it is the message: the exception is, or the line where it matches. */
function spokenOf({ pattern, said }: Match, { utterances }: Reading): Match['said'] {
  const exception = utterances.find((one) => one.role === 'exception');
  if (exception) return exception;
  const at = pattern.exec(said.text)?.index ?? 0;
  const end = said.text.indexOf('\n', at);
  const line = said.text.slice(said.text.lastIndexOf('\n', at) + 1, end < 0 ? undefined : end);
  return utterances.find(({ text }) => text !== '' && line.includes(text)) ?? utterances[0] ?? said;
}

function identityOf(rule: MatchRule, facts: Facts): readonly (string | number)[] | null {
  const values = rule.identity.map((name) => facts[name]);
  return values.length > 0 && values.every((value) => value !== undefined)
    ? [rule.name, ...(values as (string | number)[])]
    : null;
}

/** A fact that holds a secret is worth less than the secret. */
function withoutSecrets(facts: Facts, secrets: readonly string[]): Facts {
  const entries = Object.entries(facts).filter(
    ([, value]) => typeof value !== 'string' || redact(value, secrets) === value,
  );
  return Object.fromEntries(entries) as Facts;
}
