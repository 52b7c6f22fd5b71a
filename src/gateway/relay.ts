// One request of an agent, from its arrival to its end: who is asked, in which order, and what happens when one of
// them fails before, at or within the answer. The agent sees one answer, or an honest error.

import type { Clock } from '../core/clock.ts';
import type { OpenBreaker } from './breaker.ts';
import { CallError, pathAt } from './calling.ts';
import { type Candidate, candidatesOf } from './candidates.ts';
import type { Caller } from './caller.ts';
import type { Deadlines, FallbackPolicy, GatewayEvent, Verdict } from './contract.ts';
import type { Progress } from './dialects/contract.ts';
import { type Answer, joined, readAll } from './http/answer.ts';
import { CallerGone } from './http/exchange.ts';
import { isObject, parseJson } from './json.ts';
import { passStream } from './raw-stream.ts';
import { type AgentRequest, bodyFor, headersFor, passedHeaders, sizeOf } from './requesting.ts';
import type { StreamEnd } from './stream.ts';
import { adviceOf, type Refusal, troubleOf, waitsOf, withoutAdvice } from './trouble.ts';
import type { Known, Upstreams } from './upstreams.ts';
import { brokenBy, verdictOf } from './verdict.ts';
import { isErrorBody, isSuspect, isUnmeasured, isWhole, streamOf } from './whole.ts';
import { writeStream } from './written-stream.ts';

export interface RelayOptions {
  readonly request: AgentRequest;
  /** Path and query as the agent asked, without its token. */
  readonly path: string;
  readonly caller: Caller;
  readonly service: string | null;
  readonly policy: FallbackPolicy;
  readonly upstreams: Upstreams;
  readonly deadlines: Deadlines;
  readonly pauseMs: number;
  readonly clock: Clock;
  readonly tell: (event: GatewayEvent) => void;
  /** Told of bugs of ours. */
  readonly problem: (message: string, error: unknown) => void;
  readonly count: (what: 'failovers' | 'spliced' | 'lost') => void;
}

type Attempt = { readonly kind: 'done' | 'gone' } | { readonly kind: 'failed'; readonly refusal: Refusal };

const ERROR_CAP = 1024 * 1024;
const ERROR_MS = 10_000;
const ANSWER_CAP = 32 * 1024 * 1024;
const WRONG: ReadonlySet<string | undefined> = new Set<Verdict['kind']>(['invalid', 'too-long']);
/** So often one upstream is asked for one answer, when it failed without being told to wait. */
const TRIES = 2;
const TRIMS = 2;
/** How much longer than others a fallback may take. */
const FALLBACK_PATIENCE = 2.5;
/** A look at an upstream by somebody else is waited for this long. */
const PROBE_WAIT_MS = 3_000;

export class Relay {
  readonly #o: RelayOptions;
  readonly #tried = new Map<string, number>();
  /** The first failure of this request: what the agent is told when nobody helps. */
  #first: Refusal | null = null;
  #last: Refusal | null = null;
  #progress: Progress | null = null;
  #pausedUntil: number | null = null;
  #trims = 0;
  /** The permission for the attempt that is under way. */
  #ticket = 0;
  /** Who would have answered on a good day. */
  #meant: Known | null = null;
  /** Whose answer the agent is getting. */
  #answering: Candidate | null = null;

  constructor(options: RelayOptions) {
    this.#o = options;
  }

  /** Resolves when the agent has its answer, or has gone. Rejects only for bugs. */
  async run(): Promise<void> {
    for (;;) {
      const candidate = await this.#next();
      if (candidate === 'gone') return;
      if (candidate === null) return this.#giveUp();
      const attempt = await this.#attempt(candidate);
      if (attempt.kind !== 'failed') return;
      if (this.#isFinal(attempt.refusal)) return this.#pass(attempt.refusal);
    }
  }

  // -------------------------------------------------------------- who is asked

  /** The first candidate that may be asked now; waits for the first choice where its limit is short. */
  async #next(): Promise<Candidate | 'gone' | null> {
    for (;;) {
      if (this.#o.caller.gone.aborted) return 'gone';
      const found = await this.#choose(this.#o.clock.now());
      if (found !== 'again') return found;
    }
  }

  async #choose(now: number): Promise<Candidate | 'again' | null> {
    let isFirst = true;
    for (const candidate of this.#candidates(now)) {
      const mayPause = isFirst;
      isFirst = false;
      if (this.#triesOf(candidate) >= TRIES) continue;
      const permission = this.#o.upstreams.breakers.ask(candidate.target, now);
      if (permission.kind !== 'wait') {
        this.#ticket = permission.ticket;
        return candidate;
      }
      const waitMs = mayPause ? this.#pause(candidate, permission.breaker, permission.until, now) : null;
      if (waitMs === null) continue;
      await this.#wait(candidate, permission.breaker, waitMs);
      return 'again';
    }
    return null;
  }

  /** Milliseconds to wait for the first choice, or null: a short and stated limit, or a look that is under way. */
  #pause(candidate: Candidate, breaker: OpenBreaker, until: number, now: number): number | null {
    const { pauseMs } = this.#o;
    const limit = this.#pausedUntil ?? now + pauseMs;
    if (candidate.known.upstream.fallback || pauseMs === 0) return null;
    if (until <= now) {
      const left = Math.min(limit, now + PROBE_WAIT_MS) - now;
      return left > 0 ? left : null;
    }
    const waitable = breaker.kind === 'limited' || breaker.kind === 'overloaded';
    return waitable && breaker.stated && until <= limit ? until - now : null;
  }

  async #wait(candidate: Candidate, breaker: OpenBreaker, waitMs: number): Promise<void> {
    const { upstreams, caller, clock, request } = this.#o;
    if (this.#pausedUntil === null) {
      this.#pausedUntil = clock.now() + this.#o.pauseMs;
      const verdict = this.#last?.verdict ?? {
        ...brokenBy('transport', breaker.kind, breaker.message),
        kind: 'limited' as const,
        until: breaker.until,
      };
      this.#tell({
        kind: 'paused',
        upstream: candidate.known.upstream.name,
        verdict,
        waitSec: Math.ceil(waitMs / 1000),
      });
    }
    if (request.wantsStream) caller.keepWaiting();
    await upstreams.changed(waitMs, caller.gone);
  }

  #triesOf(candidate: Candidate): number {
    return this.#tried.get(candidate.known.upstream.name) ?? 0;
  }

  #candidates(now: number): Iterable<Candidate> {
    const { candidates, meant } = candidatesOf(this.#o, now);
    this.#meant = meant;
    return candidates;
  }

  // -------------------------------------------------------------- asking

  async #attempt(candidate: Candidate): Promise<Attempt> {
    const { known } = candidate;
    const { caller, clock, upstreams } = this.#o;
    this.#tried.set(known.upstream.name, this.#triesOf(candidate) + 1);
    let release: (() => void) | null = null;
    try {
      if (known.upstream.concurrency !== null && this.#o.request.wantsStream) caller.keepWaiting();
      release = await known.slots.take(caller.gone);
      const response = await this.#call(candidate);
      upstreams.readQuotas(known, response.headers, clock.now());
      return await this.#understood(candidate, response);
    } catch (error) {
      if (error instanceof CallError) return this.#refused(candidate, error.verdict, null);
      // Nothing was learned: whoever comes next may look.
      upstreams.breakers.abandoned(candidate.target, this.#ticket);
      if (error instanceof CallerGone) return { kind: 'gone' };
      throw error;
    } finally {
      release?.();
    }
  }

  #call(candidate: Candidate): Promise<Answer> {
    const { request, path, caller, upstreams } = this.#o;
    const deadlines = this.#patience(candidate);
    const { known, dialect, model } = candidate;
    const { upstream, place } = known;
    const body = bodyFor(request, {
      upstream,
      model,
      dialect,
      progress: this.#progress,
      contextTokens: this.#contextOf(known),
    });
    const headers = headersFor(request.headers, upstream, place.host, dialect.name, request.dialect.name);
    headers['content-type'] ??= 'application/json';
    headers['content-length'] = String(sizeOf(body));
    const query = path.indexOf('?');
    const asked = dialect.name === request.dialect.name && !upstream.fallback && query >= 0 ? path.slice(query) : '';
    return upstreams.lines.call({
      place,
      method: 'POST',
      path: pathAt(place, dialect.path) + asked,
      headers,
      body,
      connectMs: deadlines.connectMs,
      headMs: Math.min(deadlines.headMs, deadlines.wholeMs),
      // Only then it matters whether a stream is wanted: it has to begin soon, anything else takes its whole generation.
      patienceMs: () => (request.wantsStream ? deadlines.headMs : deadlines.wholeMs),
      signal: caller.gone,
    });
  }

  /** Local models load for minutes when they are cold, and behind a fallback there is nobody to turn to. */
  #patience({ known }: Candidate): Deadlines {
    const { deadlines } = this.#o;
    if (!known.upstream.fallback) return deadlines;
    const firstMs = deadlines.firstMs * FALLBACK_PATIENCE;
    return {
      ...deadlines,
      firstMs,
      headMs: Math.max(deadlines.headMs, firstMs),
      stallMs: deadlines.stallMs * FALLBACK_PATIENCE,
    };
  }

  /** Half of it once the server has said that it was still too long. */
  #contextOf({ upstream, contextTokens }: Known): number | null {
    const known = contextTokens ?? upstream.contextTokens;
    if (this.#trims === 0) return known;
    return Math.floor((known ?? this.#o.request.size / 3) / 2 ** (this.#trims - (contextTokens === null ? 0 : 1)));
  }

  /** What came may break us in a way that nobody has thought of: then it is told, and somebody else is asked. */
  async #understood(candidate: Candidate, response: Answer): Promise<Attempt> {
    try {
      return await this.#received(candidate, response);
    } catch (error) {
      if (error instanceof CallerGone || error instanceof CallError) throw error;
      const { name } = candidate.known.upstream;
      this.#o.problem(`an answer of ${name} broke its reader`, error);
      response.destroy();
      return this.#refused(candidate, brokenBy('transport', 'unreadable', 'its answer could not be read'), null);
    }
  }

  async #received(candidate: Candidate, response: Answer): Promise<Attempt> {
    const { status } = response;
    const type = response.headers['content-type'] ?? '';
    if (status >= 400) return this.#errorAnswer(candidate, response, status);
    if (type.includes('text/event-stream')) return this.#stream(candidate, response, status);
    if (type.includes('text/html')) {
      response.destroy();
      return this.#refused(candidate, brokenBy('transport', 'html', 'a web page came instead of an answer'), null);
    }
    return this.#whole(candidate, response, status);
  }

  async #errorAnswer(candidate: Candidate, response: Answer, status: number): Promise<Attempt> {
    const headers = passedHeaders(response.fields);
    const body = await readAll(response, ERROR_CAP, ERROR_MS, this.#o.caller.gone, 'cut');
    const text = joined(body).toString('utf8');
    const verdict = verdictOf(
      { status, headers: response.headers, body: parseJson(text) ?? text },
      this.#o.clock.now(),
    );
    return this.#refused(candidate, verdict, { status, headers, body });
  }

  // -------------------------------------------------------------- answers

  /** An answer in one piece is held until it is complete: cut off, it comes from elsewhere. */
  async #whole(candidate: Candidate, response: Answer, status: number): Promise<Attempt> {
    const { request, caller, deadlines, clock } = this.#o;
    const body = await readAll(response, ANSWER_CAP, deadlines.wholeMs, caller.gone);
    if (isUnmeasured(response) && !isWhole(joined(body), candidate.dialect))
      throw new CallError(brokenBy('transport', 'cut', 'the answer was cut off'));
    const json = isSuspect(body) ? parseJson(joined(body).toString('utf8')) : null;
    if (isErrorBody(json)) {
      const verdict = verdictOf({ status: null, headers: response.headers, body: json }, clock.now());
      return this.#refused(candidate, verdict, { status: 502, headers: [], body });
    }
    if (this.#progress !== null || caller.headSent) return this.#wholeIntoStream(candidate, body);
    this.#succeeded(candidate);
    const marks = this.#marks(candidate);
    if (candidate.dialect.name === request.dialect.name) {
      caller.answer(status, [...passedHeaders(response.fields), ...marks], body);
      return { kind: 'done' };
    }
    const answer = parseJson(joined(body).toString('utf8'));
    const written = request.dialect.writeAnswer(candidate.dialect.readAnswer(isObject(answer) ? answer : {}));
    caller.answer(200, ['content-type', 'application/json', ...marks], JSON.stringify(written));
    return { kind: 'done' };
  }

  /** The agent waits for a stream, and a server answered in one piece. */
  #wholeIntoStream(candidate: Candidate, body: readonly Buffer[]): Attempt {
    const { caller, request } = this.#o;
    const json = parseJson(joined(body).toString('utf8'));
    if (!isObject(json)) return this.#refused(candidate, brokenBy('transport', 'json', 'the answer is no JSON'), null);
    const answer = candidate.dialect.readAnswer(json);
    const text = streamOf(answer, request.dialect.writer(this.#progress ?? undefined));
    this.#succeeded(candidate);
    caller.open();
    caller.write(Buffer.from(text));
    caller.end();
    return { kind: 'done' };
  }

  async #stream(candidate: Candidate, response: Answer, status: number): Promise<Attempt> {
    const { caller, clock, request } = this.#o;
    const deadlines = this.#patience(candidate);
    const common = { response, caller, deadlines, now: () => clock.now(), committed: () => this.#succeeded(candidate) };
    const marks = this.#marks(candidate);
    const isRaw = candidate.dialect.name === request.dialect.name && this.#progress === null;
    const end: StreamEnd = isRaw
      ? await passStream({
          ...common,
          head: { status, fields: [...passedHeaders(response.fields), ...marks] },
        })
      : await writeStream({ ...common, dialect: candidate.dialect, from: this.#progress, marks });
    if (end.kind === 'gone') throw new CallerGone();
    if (end.kind === 'broken') return this.#refused(candidate, end.verdict, null);
    // Without content (an empty answer) nothing was reported yet.
    if (this.#answering !== candidate) this.#succeeded(candidate);
    return { kind: 'done' };
  }

  /** Degraded answers say so; those of the first choice come untouched. */
  #marks({ known, target }: Candidate): readonly string[] {
    if (known === this.#meant) return [];
    return ['x-selfheal-upstream', printable(known.upstream.name), 'x-selfheal-model', printable(target.model)];
  }

  #succeeded(candidate: Candidate): void {
    const { upstreams, clock } = this.#o;
    if (this.#answering === candidate) return;
    this.#answering = candidate;
    const { upstream } = candidate.known;
    const now = clock.now();
    const was = upstreams.succeeded(candidate.known, candidate.target, now, this.#ticket);
    if (was && !upstream.fallback) this.#tell({ kind: 'restored', upstream: upstream.name, downMs: now - was.since });
    if (candidate.known !== this.#meant) this.#o.count('failovers');
    if (this.#first === null || this.#first.from.known === candidate.known) return;
    this.#tellFailover(upstream.name, this.#progress === null ? 'before' : 'within');
  }

  // -------------------------------------------------------------- failures

  #refused(candidate: Candidate, verdict: Verdict, answer: Refusal['answer']): Attempt {
    const { upstreams, clock, caller } = this.#o;
    const { known } = candidate;
    const refusal: Refusal = { from: candidate, verdict, answer };
    this.#last = refusal;
    if (verdict.kind === 'unsupported' && candidate.dialect.name !== 'chat' && known.upstream.dialects.length > 1) {
      // It does not speak this dialect: asked once more in another one.
      known.unspoken.add(candidate.dialect.name);
      this.#tried.set(known.upstream.name, 0);
      upstreams.breakers.abandoned(candidate.target, this.#ticket);
      return { kind: 'failed', refusal };
    }
    if (verdict.kind === 'too-long' && known.upstream.fallback && this.#trims < TRIMS) {
      this.#trims += 1;
      if (verdict.contextTokens !== null) known.contextTokens = verdict.contextTokens;
      this.#tried.set(known.upstream.name, 0);
      upstreams.breakers.abandoned(candidate.target, this.#ticket);
      return { kind: 'failed', refusal };
    }
    upstreams.failed(known, candidate.target, verdict, clock.now(), this.#ticket);
    this.#first ??= refusal;
    if (caller.committed && this.#answering === candidate) this.#brokenWithin(refusal);
    return { kind: 'failed', refusal };
  }

  /** The agent has a part of the answer: where it stands decides whether it can be continued. */
  #brokenWithin(refusal: Refusal): void {
    const frames = this.#o.caller.frames();
    this.#first = refusal;
    this.#answering = null;
    this.#progress = frames === null ? null : this.#o.caller.dialect.progress(frames);
    this.#tried.clear();
    this.#o.count('spliced');
  }

  /** True when nobody else is to be asked about this. */
  #isFinal(refusal: Refusal): boolean {
    const { from, verdict } = refusal;
    const { caller, request } = this.#o;
    if (caller.committed && (this.#progress === null || this.#progress.open === 'reasoning' || !request.mayContinue))
      return true;
    if (request.bound !== null) return true;
    if (from.known.upstream.fallback || this.#first !== refusal) return false;
    return (
      verdict.kind === 'invalid' ||
      verdict.kind === 'too-long' ||
      (verdict.kind === 'unsupported' && from.known.unspoken.size === 0)
    );
  }

  /** The error as the upstream said it, with what we know better. */
  #pass(refusal: Refusal): void {
    const { caller } = this.#o;
    const isForeign = refusal.from.dialect.name !== this.#o.request.dialect.name;
    if (refusal.answer === null || caller.headSent || isForeign) return this.#fail(refusal);
    const { status, headers, body } = refusal.answer;
    const isOurs = refusal.verdict.kind !== 'invalid' && refusal.verdict.kind !== 'too-long';
    if (!isOurs) caller.answer(status, headers, body);
    else this.#fail(refusal);
  }

  #giveUp(): void {
    const refusal = this.#first ?? this.#last;
    if (refusal && this.#first) this.#tellFailover(null, this.#progress === null ? 'before' : 'within');
    this.#fail(refusal);
  }

  /** The honest end: what went wrong, and when it is worth another try. */
  #fail(refusal: Refusal | null): void {
    const { caller, clock, request } = this.#o;
    this.#o.count('lost');
    const now = clock.now();
    // A wrong request is as wrong later; but what a fallback does not take, the first choice may.
    const isWrong = !refusal?.from.known.upstream.fallback && WRONG.has(refusal?.verdict.kind);
    const waits = isWrong ? [] : waitsOf(this.#candidates(now), this.#o.upstreams.breakers, now);
    const trouble = troubleOf(refusal, waits);
    if (caller.headSent) {
      caller.write(Buffer.from(request.dialect.errorFrame(trouble)));
      return caller.end();
    }
    const isOwn = refusal?.from.dialect.name === request.dialect.name;
    const answer = isOwn && refusal?.answer && refusal.answer.status >= 400 ? refusal.answer : null;
    const advice = adviceOf(waits, now);
    if (answer) {
      return caller.answer(answer.status, [...withoutAdvice(answer.headers), ...advice], answer.body);
    }
    caller.answer(
      trouble.status,
      ['content-type', 'application/json', ...advice],
      JSON.stringify(request.dialect.errorBody(trouble)),
    );
  }

  #tellFailover(to: string | null, moment: 'before' | 'within'): void {
    if (this.#first === null) return;
    const { from, verdict } = this.#first;
    const now = this.#o.clock.now();
    const wait = this.#o.upstreams.breakers.peek(from.target, now);
    const waitSec = wait ? Math.ceil((wait.until - now) / 1000) : null;
    this.#tell({ kind: 'failover', from: from.known.upstream.name, to, verdict, waitSec, moment });
  }

  #tell(event: GatewayEventBody): void {
    this.#o.tell({ at: this.#o.clock.now(), service: this.#o.service, ...event } as GatewayEvent);
  }
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type GatewayEventBody = Without<GatewayEvent, 'at' | 'service'>;
