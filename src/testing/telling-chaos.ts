// The chaos run of telling: a real process that tells of thousands of incidents, killed again and again
// without warning, against a Bot API that refuses, cuts and goes away. Afterwards every message is accounted for.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutboxRow, Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { systemClock } from '../host/clock.ts';
import { compile } from './compiled.ts';
import { FakeTelegram, type FakeFault, type FakeMessage } from './telegram.ts';

export interface ChaosOptions {
  readonly incidents: number;
  /** Virtual time over which they appear. */
  readonly overMs: number;
  /** Virtual milliseconds per real one. */
  readonly speed: number;
  /** Real time between two kills of the telling process, on average. */
  readonly killEveryMs: number;
  /** Real time between two outages of the Bot API, on average. */
  readonly outageEveryMs: number;
  /** Virtual time between two digests. */
  readonly digestIntervalMs: number;
  readonly seed: number;
}

export interface ChaosReport {
  readonly incidents: number;
  /** Messages that people had to get, whether by themselves or merged. */
  readonly news: number;
  readonly messages: number;
  readonly edits: number;
  readonly merged: number;
  /** News that neither arrived, nor stands in a digest that did, nor was overtaken by a message that did. */
  readonly lost: readonly string[];
  /** Messages in the chat that no row of the outbox accounts for: something was sent twice. */
  readonly duplicated: readonly string[];
  /** Changes of state that made more than one message of their own. */
  readonly repeated: readonly string[];
  /** Digests that count other than what was merged into them. */
  readonly miscounted: readonly string[];
  /** Incidents whose last state nobody was told. */
  readonly untold: readonly string[];
  readonly peakPerMinute: number;
  readonly kills: number;
  readonly outages: number;
  readonly faults: number;
}

const BEGAN = Date.UTC(2026, 0, 5, 12);
const FAULT_SHARE = 0.2;

/** Runs the chaos and accounts for every message. Rejects when the process itself breaks. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const folder = await mkdtemp(join(tmpdir(), 'selfheal-chaos-'));
  const compiled = await compile([
    'engine/telling.ts',
    'notifiers/index.ts',
    'chat/memory.ts',
    'config/secret.ts',
    'store/index.ts',
    'core/incident.ts',
    'testing/samples.ts',
    'testing/swift-clock.ts',
  ]);
  const origin = Date.now();
  const now = () => BEGAN + (Date.now() - origin) * options.speed;
  const api = await FakeTelegram.start({ now, limit: { count: 1_000, windowMs: 1_000 } });
  const chaos = new Chaos(options, api, folder, origin);
  try {
    await compiled.program('chaos.js', CHILD);
    await chaos.run(compiled.path('chaos.ts'));
    const store = await openStore({ directory: folder, clock: systemClock });
    const report = await account(store, api, chaos);
    await store.close();
    return report;
  } finally {
    chaos.end();
    await api.close();
    await compiled.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

class Chaos {
  kills = 0;
  outages = 0;
  faults = 0;
  readonly #options: ChaosOptions;
  readonly #api: FakeTelegram;
  readonly #folder: string;
  readonly #origin: number;
  readonly #random: () => number;
  #child: ChildProcess | null = null;
  #made = false;

  constructor(options: ChaosOptions, api: FakeTelegram, folder: string, origin: number) {
    this.#options = options;
    this.#api = api;
    this.#folder = folder;
    this.#origin = origin;
    this.#random = randomFrom(options.seed);
  }

  async run(program: string): Promise<void> {
    this.#api.fault = () => this.#fault();
    this.#start(program);
    const outages = this.#outages();
    while (!this.#made) {
      await sleep(this.#options.killEveryMs * (0.3 + 1.4 * this.#random()));
      if (this.#made) break;
      this.kills++;
      await this.#kill();
      this.#start(program);
    }
    await outages;
    // Calm: what waits must arrive now, without anybody's help.
    this.#api.fault = () => undefined;
    if (this.#child?.exitCode === null) await once(this.#child, 'exit');
  }

  end(): void {
    this.#child?.kill('SIGKILL');
  }

  async #outages(): Promise<void> {
    while (!this.#made) {
      await sleep(this.#options.outageEveryMs * (0.3 + 1.4 * this.#random()));
      this.outages++;
      await this.#api.down();
      await sleep(this.#options.outageEveryMs * 0.2 * this.#random());
      await this.#api.up();
    }
  }

  #fault(): FakeFault | undefined {
    if (this.#random() > FAULT_SHARE) return undefined;
    this.faults++;
    const kinds: readonly FakeFault[] = [
      { kind: 'status', status: 429, retryAfter: 1 + Math.floor(this.#random() * 5) },
      { kind: 'html', status: 502 },
      { kind: 'cut', when: 'before' },
      { kind: 'cut', when: 'after' },
      { kind: 'slow', ms: 30 },
    ];
    return kinds[Math.floor(this.#random() * kinds.length)];
  }

  async #kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  #start(program: string): void {
    const { incidents, overMs, speed, seed, digestIntervalMs } = this.#options;
    const work = {
      folder: this.#folder,
      root: this.#api.url,
      token: this.#api.token,
      incidents,
      overMs,
      speed,
      seed,
      digestIntervalMs,
      began: BEGAN,
      origin: this.#origin,
    };
    const child = spawn(process.execPath, [program, JSON.stringify(work)], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.on('data', (text) => {
      if (String(text).includes('made')) this.#made = true;
    });
    this.#child = child;
  }
}

/** Numbers that are the same for the same seed (mulberry32, public domain). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// ---------------------------------------------------------------- accounts

async function account(store: Store, api: FakeTelegram, chaos: Chaos): Promise<ChaosReport> {
  const rows = await store.outbox({});
  const byId = new Map(rows.map((row) => [row.notification.id, row]));
  const news = rows.filter(
    (row) => (row.notification.manner ?? 'news') === 'news' && row.notification.urgency !== 'none',
  );
  const known = new Set(rows.filter((row) => row.state === 'sent').map((row) => row.externalId));
  const sent = api.sent();
  const incidents = await store.incidents({ limit: 1_000_000 });
  const told = new Set(rows.map((row) => row.notification.id.split('#')[0]?.split(':')[1]));
  const ends = new Set(
    rows.filter((row) => row.notification.key.includes(':end:')).map((row) => row.notification.incident),
  );
  return {
    incidents: incidents.length,
    news: news.length,
    messages: sent.length,
    edits: api.callsOf('editMessageText').filter((call) => call.status === 200).length,
    merged: news.filter((row) => row.error?.startsWith('merged into')).length,
    lost: news
      .filter((row) => !arrived(row, byId, new Set()))
      .map((row) => `${row.notification.id} ${row.state} ${row.error}`),
    duplicated: sent
      .filter((message) => !known.has(String(message.messageId)))
      .map((message) => message.text.slice(0, 80)),
    repeated: repeated(rows, sent),
    miscounted: miscounted(rows, sent),
    untold: incidents
      .filter((i) => !told.has(i.id) || (['resolved', 'needs-human'].includes(i.state.name) && !ends.has(i.id)))
      .map((i) => `${i.id} ${i.state.name}`),
    peakPerMinute: peak(sent.map((message) => message.at)),
    kills: chaos.kills,
    outages: chaos.outages,
    faults: chaos.faults,
  };
}

/** Did what this row says reach the person, by itself or through a message that says it too? */
function arrived(row: OutboxRow, byId: ReadonlyMap<string, OutboxRow>, seen: Set<string>): boolean {
  if (row.state === 'sent') return true;
  const by = /^(?:merged into|overtaken by|told with) (.+)$/.exec(row.error ?? '')?.[1];
  const next = by === undefined ? undefined : byId.get(by);
  if (row.state !== 'withheld' || !next || seen.has(row.notification.id)) return false;
  return arrived(next, byId, seen.add(row.notification.id));
}

/** By our own books, and by what stands in the chat: no two messages began with the same words about one incident. */
function repeated(rows: readonly OutboxRow[], sent: readonly FakeMessage[]): readonly string[] {
  const messages = new Map<string, Set<string>>();
  const note = (change: string, message: string) =>
    messages.set(change, (messages.get(change) ?? new Set()).add(message));
  for (const { notification, externalId, state } of rows)
    if (state === 'sent' && notification.manner === 'news' && notification.incident !== null && externalId !== null)
      note(`#${notification.incident}, revision ${notification.id.split('#')[1]}`, externalId);
  for (const { text, past, messageId } of sent) {
    const [born = ''] = (past[0] ?? text).split('\n');
    if (/#\d+ /.test(born)) note(born, String(messageId));
  }
  return [...messages].filter(([, ids]) => ids.size > 1).map(([change]) => change);
}

/** A digest stands for every message that was merged into it: its number must be theirs. */
function miscounted(rows: readonly OutboxRow[], sent: readonly FakeMessage[]): readonly string[] {
  const merged = new Map<string, number>();
  for (const { error } of rows.filter(({ notification }) => (notification.manner ?? 'news') === 'news')) {
    const key = /^merged into (digest:.+)#\d+$/.exec(error ?? '')?.[1];
    if (key) merged.set(key, (merged.get(key) ?? 0) + 1);
  }
  return [...merged].flatMap(([key, count]) => {
    const row = rows.find((r) => r.notification.key === key && r.state === 'sent');
    const text = sent.find((message) => String(message.messageId) === row?.externalId)?.text ?? '';
    const told = Number(/: (\d+) messages?\b/.exec(text)?.[1]);
    return told === count ? [] : [`${key} tells of ${told}, stands for ${count}`];
  });
}

function peak(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 60_000) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** The process that is killed: makes incidents, changes them, tells of them, and starts over where it was. */
const CHILD = `
import { createTelling } from './engine/telling.js';
import { createTelegramNotifier } from './notifiers/index.js';
import { createTelegramMemory } from './chat/memory.js';
import { Secret } from './config/secret.js';
import { openStore } from './store/index.js';
import { advance } from './core/incident.js';
import { sampleIncident } from './testing/samples.js';
import { SwiftClock } from './testing/swift-clock.js';

const work = JSON.parse(process.argv[2]);
const clock = new SwiftClock(work.speed, work.began + (Date.now() - work.origin) * work.speed);
const store = await openStore({ directory: work.folder, clock });
const access = { token: new Secret(work.token), allowedUsers: [1001], chat: 1001, apiRoot: work.root };
const memory = createTelegramMemory(store, clock);
// A bot can only write to people who wrote to it first.
await memory.heard(1000);
const notifier = createTelegramNotifier(access, memory);
const config = { node: 'box', services: [], notifyOnFix: true, notifyOnCritical: true, quietHours: null, digestIntervalMs: work.digestIntervalMs, maxAutoFixAttempts: 3 };
const telling = createTelling({ store, notifiers: [notifier], config, clock });
const stop = new AbortController();
const running = telling.run(stop.signal);
const TYPES = ['import_error', 'git_error', 'timeout', 'config_error', 'out_of_memory'];
const SEVERITIES = ['critical', 'high', 'high', 'medium', 'low'];

async function change(incident, event) {
  const next = advance(incident, event);
  if (!next || !(await store.saveIncident(next))) return incident;
  await telling.told(next);
  return next;
}
const seen = (times) => ({ kind: 'seen', at: clock.now(), times, severity: 'low', facts: {}, sample: null, symptom: null });

for (;;) {
  const made = (await store.value('made')) ?? 0;
  if (made >= work.incidents) break;
  const due = work.began + (made * work.overMs) / work.incidents;
  if (due > clock.now()) await clock.sleep(due - clock.now());
  const at = clock.now();
  const id = await store.nextIncidentId();
  const n = (made * 7 + work.seed) % 100;
  let incident = sampleIncident({ id, service: 's' + (n % 7), type: TYPES[n % 5], severity: SEVERITIES[n % 5], state: { name: 'open', notBefore: at }, firstSeen: at, lastSeen: at, fingerprint: { version: 1, kind: id, place: id, template: 't' } });
  await store.saveIncident(incident);
  await store.setValue('made', made + 1);
  await telling.told(incident);
  if (n % 3 === 0) incident = await change(incident, seen(n));
  if (n % 4 === 0) incident = await change(incident, { kind: 'given-up', at, reason: 'no fix is known', outcome: null, suggestion: null });
  if (n % 4 === 1) {
    const plan = 'p' + id;
    incident = await change(incident, { kind: 'plan-starts', plan, fix: 'x', owner: '1:1', leaseUntil: 0, reason: 'x' });
    incident = await change(incident, { kind: 'finished', retryAt: null, outcome: { kind: n % 8 === 1 ? 'fixed' : 'rolled-back', reason: 'r', evidence: [], at: clock.now(), plan } });
  }
}
console.log('made');
// Until nothing is on its way any more: the digests too have their time.
for (let quiet = 0; quiet < 5; ) {
  await clock.sleep(60_000);
  const waiting = (await store.outbox({})).some((row) => row.state === 'pending');
  quiet = waiting ? 0 : quiet + 1;
}
stop.abort();
await running;
await store.close();
`;
