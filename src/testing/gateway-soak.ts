// Many streams through gateways whose provider misbehaves in every way it can, and what the agents got. Every request
// meets its fault: time leaps between requests, so that no breaker stays open.

import { request as httpRequest } from 'node:http';
import { systemClock } from '../host/clock.ts';
import { framesOf } from '../gateway/sse.ts';
import { dialects } from '../gateway/dialects/index.ts';
import { openGatewayRig } from './gateway-rig.ts';
import type { FakeBehaviour, FakeDialect, FakeSaying } from './model-server.ts';

export const SOAK_BEHAVIOURS = [
  ...(['fine', 'limited', 'broken', 'reset', 'error-first', 'error-within', 'cut', 'short', 'tool-cut'] as const),
  ...(['stall', 'silence'] as const),
];
export type SoakBehaviour = (typeof SOAK_BEHAVIOURS)[number];

export interface SoakOptions {
  readonly dialect: FakeDialect;
  /** Streams for each behaviour. */
  readonly streams: number;
  readonly behaviours?: readonly SoakBehaviour[];
  /** After which a silent provider is given up, in milliseconds; the local model has two and a half times as long. */
  readonly deadlineMs: number;
  /** Agents at a time, each with a gateway of its own. Default 8. */
  readonly agents?: number;
}

export interface SoakTally {
  readonly streams: number;
  /** No answer, or an error. */
  lost: number;
  /** Ended normally with a text that is not whole. */
  truncated: number;
  /** The same piece twice. */
  duplicated: number;
  /** A call whose input is no JSON, or not the one that was made. */
  halfTools: number;
  /** What went wrong first, for people. */
  example: string;
  /** Milliseconds until the first content, sorted. */
  readonly firstMs: number[];
}

const PIECES = ['Alpha ', 'beta ', 'gamma ', 'delta ', 'epsilon.'];
const LOCAL = ['One ', 'two ', 'three.'];
const TOOL = { id: 'call_1', name: 'get_weather', input: ['{"ci', 'ty": "Pa', 'ris"}'] };
const LEAP_MS = 86_400_000 * 2;

export async function soak({
  dialect,
  streams,
  deadlineMs,
  behaviours = SOAK_BEHAVIOURS,
  agents = 8,
}: SoakOptions): Promise<SoakTally> {
  const queue = behaviours.flatMap((behaviour) => Array.from({ length: streams }, (_, i) => ({ behaviour, i })));
  // Faults of all kinds in any order, the same in each run.
  for (let i = queue.length - 1, state = 7; i > 0; i--) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const j = state % (i + 1);
    [queue[i], queue[j]] = [queue[j] as (typeof queue)[number], queue[i] as (typeof queue)[number]];
  }
  const tally: SoakTally = {
    streams: queue.length,
    lost: 0,
    truncated: 0,
    duplicated: 0,
    halfTools: 0,
    example: '',
    firstMs: [],
  };
  await Promise.all(Array.from({ length: agents }, () => agent(dialect, deadlineMs, queue, tally)));
  tally.firstMs.sort((a, b) => a - b);
  return tally;
}

async function agent(
  dialect: FakeDialect,
  deadlineMs: number,
  queue: { behaviour: SoakBehaviour; i: number }[],
  tally: SoakTally,
): Promise<void> {
  let [current, now]: [FakeBehaviour, number] = [{ kind: 'answer' }, Date.now()];
  const rig = await openGatewayRig({
    primary: { dialects: [dialect], saying: { text: PIECES }, behave: () => current },
    local: { dialects: [dialect], saying: { text: LOCAL } },
    spec: { stateDirectory: null },
    deadlines: { headMs: deadlineMs, firstMs: deadlineMs, stallMs: deadlineMs },
    clock: { ...systemClock, now: () => now, monotonic: () => systemClock.monotonic() },
  });
  try {
    for (let job = queue.pop(); job; job = queue.pop()) {
      now += LEAP_MS;
      current = behaviourOf(job.behaviour, dialect, job.i);
      rig.primary.calls.length = 0;
      rig.local.calls.length = 0;
      rig.local.behave = () => ({
        kind: 'answer',
        saying: job.behaviour === 'tool-cut' ? { tools: [TOOL] } : { text: LOCAL },
      });
      judge(job.behaviour, dialect, await stream(rig.url, dialect), tally);
    }
  } finally {
    await rig.close();
  }
}

function behaviourOf(name: SoakBehaviour, dialect: FakeDialect, i: number): FakeBehaviour {
  // The place of the cut wanders over the whole answer.
  const first = { messages: 4, chat: 2, responses: 5 }[dialect];
  const after = first + (i % PIECES.length);
  const tool: FakeSaying = { text: ['Let me look.'], tools: [TOOL] };
  const begun = { messages: 6, chat: 3, responses: 8 }[dialect];
  switch (name) {
    case 'fine':
      return { kind: 'answer' };
    case 'limited':
      return { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '30' } };
    case 'broken':
      return { kind: 'error', status: [500, 502, 503, 529][i % 4] ?? 500 };
    case 'tool-cut':
      return { kind: 'cut', saying: tool, after: begun + (i % 3) };
    case 'error-within':
    case 'cut':
    case 'short':
    case 'stall':
      return { kind: name, after };
    default:
      return { kind: name };
  }
}

interface Received {
  readonly text: string;
  readonly tools: readonly string[];
  readonly ended: boolean;
  readonly error: string | null;
  readonly firstMs: number;
}

function judge(behaviour: SoakBehaviour, dialect: FakeDialect, got: Received, tally: SoakTally): void {
  const [whole, local] = [PIECES.join(''), LOCAL.join('')];
  const begun = got.text.endsWith(local) ? got.text.slice(0, -local.length) : got.text;
  const isWhole =
    behaviour === 'tool-cut'
      ? got.tools.length === 1 && /^(?:Let me look\.)?$/.test(got.text)
      : got.text === whole || (got.text.endsWith(local) && whole.startsWith(begun));
  const problem = !got.ended || got.error !== null ? 'lost' : isWhole ? null : 'truncated';
  const half = got.tools.some((input) => input !== TOOL.input.join(''));
  const twice = PIECES.some((piece) => got.text.split(piece).length > 2) || got.text.split(local).length > 2;
  if (problem) tally[problem] += 1;
  if (half) tally.halfTools += 1;
  if (twice) tally.duplicated += 1;
  if ((problem || half || twice) && tally.example === '')
    tally.example = `${dialect} ${behaviour}: ${JSON.stringify(got)}`;
  tally.firstMs.push(got.firstMs);
}

/** One streamed request, read with the dialect's own reader. */
function stream(url: string, dialect: FakeDialect): Promise<Received> {
  const { path, reader } = dialects[dialect];
  const turn = [{ role: 'user', content: 'x' }];
  const body = JSON.stringify({
    model: 'm',
    max_tokens: 99,
    stream: true,
    ...(dialect === 'responses' ? { input: turn } : { messages: turn }),
  });
  const began = performance.now();
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let firstMs = 0;
    const finish = (error: string | null): void => {
      const events = framesOf(Buffer.concat(chunks)).flatMap((frame) => read.push(frame));
      const failed = events.find((event) => event.kind === 'error');
      const tools: string[] = [];
      for (const event of events) {
        if (event.kind === 'tool-call') tools.push('');
        if (event.kind === 'arguments') tools[tools.length - 1] += event.text;
      }
      resolve({
        text: events.flatMap((event) => (event.kind === 'text' ? event.text : [])).join(''),
        tools,
        ended: events.at(-1)?.kind === 'end',
        error: error ?? (failed ? JSON.stringify(failed) : null),
        firstMs,
      });
    };
    const read = reader();
    const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
    const request = httpRequest(`${url}${path}`, { method: 'POST', headers }, (response) => {
      response.on('data', (chunk: Buffer) => {
        if (chunks.length === 0) firstMs = performance.now() - began;
        chunks.push(chunk);
      });
      response.on('end', () => finish(response.statusCode === 200 ? null : `HTTP ${response.statusCode}`));
      response.on('error', (error) => finish(error.message));
    });
    request.on('error', (error) => finish(error.message));
    request.end(body);
  });
}
