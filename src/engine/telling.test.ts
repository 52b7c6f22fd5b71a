import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTelegramMemory } from '../chat/memory.ts';
import { Secret } from '../config/secret.ts';
import { advance, type Incident, type IncidentEvent } from '../core/incident.ts';
import type { Notification } from '../core/notification.ts';
import type { Plan } from '../core/plan.ts';
import type { Notifier } from '../notifiers/contract.ts';
import { createTelegramNotifier, createWebhookNotifier } from '../notifiers/index.ts';
import type { OutboxRow, Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { sampleIncident } from '../testing/samples.ts';
import { SwiftClock } from '../testing/swift-clock.ts';
import { FakeTelegram } from '../testing/telegram.ts';
import { createTelling, type Telling, type TellingDeps } from './telling.ts';

const CONFIG: TellingDeps['config'] = {
  node: 'box',
  notifyOnFix: true,
  notifyOnCritical: true,
  quietHours: null,
  digestIntervalMs: 3_600_000,
  maxAutoFixAttempts: 3,
  services: [],
};
/** However busy the machine is. */
const eventually = (holds: () => boolean | Promise<boolean>) => vi.waitUntil(holds, { timeout: 30_000 });
const MINUTE = 60_000;
const HOUR = 3_600_000;

let folder: string;
let store: Store;
let clock: SwiftClock;
let api: FakeTelegram;
let stop: AbortController;
let telling: Telling;
let running: Promise<void>;

async function begin(
  config: Partial<TellingDeps['config']> = {},
  others: readonly Notifier[] = [],
  memory: Store = store,
): Promise<void> {
  const notifier = createTelegramNotifier(
    { token: new Secret(api.token), allowedUsers: [1001], chat: 1001, apiRoot: api.url },
    createTelegramMemory(store, clock),
  );
  stop = new AbortController();
  telling = createTelling({ store: memory, notifiers: [notifier, ...others], config: { ...CONFIG, ...config }, clock });
  running = telling.run(stop.signal);
}

async function end(): Promise<void> {
  stop.abort();
  await running;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selfheal-telling-'));
  clock = new SwiftClock(40, Date.UTC(2026, 0, 5, 12));
  store = await openStore({ directory: folder, clock });
  await createTelegramMemory(store, clock).heard(1_000);
  api = await FakeTelegram.start({ limit: { count: 1_000, windowMs: 1_000 } });
});

afterEach(async () => {
  await end();
  await api.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function anIncident(changes: Partial<Incident> = {}): Incident {
  const at = clock.now();
  return sampleIncident({ state: { name: 'open', notBefore: at }, firstSeen: at, lastSeen: at, ...changes });
}

async function put(incident: Incident): Promise<Incident> {
  await store.saveIncident(incident);
  await telling.told(incident);
  return incident;
}

async function step(incident: Incident, event: IncidentEvent): Promise<Incident> {
  const current = (await store.incident(incident.id)) ?? incident;
  const next = advance(current, event);
  if (!next) throw new Error(`${event.kind} is not possible from ${current.state.name}`);
  return put(next);
}

function seen(times: number): IncidentEvent {
  return {
    kind: 'seen',
    at: clock.now(),
    times,
    severity: 'low',
    facts: {},
    trusted: true,
    sample: null,
    symptom: null,
  };
}

function aPlan(incident: Incident, changes: Partial<Plan> = {}): Plan {
  return {
    id: `p${incident.id}`,
    incident: incident.id,
    service: incident.service,
    node: 'box',
    fix: 'install-package',
    family: 'install-package',
    type: incident.type,
    title: 'install wordtrim 1.2.0 into .venv',
    why: 'main.py imports wordtrim; requirements.txt pins 1.2.0; the venv has none.',
    facts: {},
    steps: [
      {
        kind: 'wait',
        title: 'wait for the limit to end',
        until: 0,
        undo: { kind: 'none', reason: 'nothing is changed' },
      },
      {
        kind: 'run',
        title: 'reload the agent',
        argv: ['/srv/agent/reload', '--now', 'a b'],
        cwd: '/srv/agent',
        timeoutMs: 1000,
        idempotent: true,
        undo: { kind: 'restore-snapshot' },
      },
    ],
    checks: [{ kind: 'file-absent', path: '/x', title: 'the import works', proves: 'operation', failsBefore: true }],
    settleMs: 1000,
    risk: 'reversible',
    scope: 'service',
    restart: 'none',
    resources: [],
    decision: { verdict: 'ask', autonomy: 'approve', reason: 'install-package is set to approve' },
    createdAt: clock.now(),
    expiresAt: clock.now() + 30 * MINUTE,
    hash: `hash-of-${incident.id}-0123456789abcdef`,
    ...changes,
  };
}

const texts = () => api.sent().map((m) => m.text);

/** Resolves once the outbox has a message about the incident. */
async function taken(id: string): Promise<void> {
  const current = await store.incident(id);
  const end = `#${current?.revision}`;
  await eventually(async () =>
    (await store.outbox({})).some(({ notification: n }) => n.incident === id && n.id.endsWith(end)),
  );
}

/** Resolves once nothing is waiting in the outbox any more. */
async function settled(): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const waiting = (await store.outbox({})).some((row) => row.state === 'pending' && row.notBefore <= clock.now());
    quiet = waiting ? 0 : quiet + 1;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

/**
 * The channel is away for this long, from when the many messages have become one. Resolves when a whole attempt was made after it: the one that was under way when
 * time passed chose its words before, and may have been about to knock.
 */
async function away(ms: number): Promise<void> {
  const tries = async () => Math.max(...(await store.outbox({})).map((row) => row.tries));
  const isTried = ({ notification, tries: n }: OutboxRow) => notification.key.startsWith('digest:') && n > 0;
  await eventually(async () => (await store.outbox({})).some(isTried));
  clock.jump(ms);
  const before = await tries();
  await eventually(async () => (await tries()) >= before + 2);
}

async function heal(incident: Incident): Promise<Incident> {
  const plan = aPlan(incident, { decision: { verdict: 'run', autonomy: 'auto', reason: 'auto' } });
  await store.savePlan(plan);
  await step(incident, {
    kind: 'plan-starts',
    plan: plan.id,
    fix: plan.fix,
    owner: '1:1',
    leaseUntil: 0,
    reason: plan.title,
  });
  await step(incident, { kind: 'steps-done', since: clock.now(), quietUntil: clock.now() + 1000, reason: 'quiet' });
  return step(incident, {
    kind: 'finished',
    retryAt: null,
    outcome: {
      kind: 'fixed',
      reason: 'the import works again',
      evidence: [{ check: 'import wordtrim', passed: true, text: 'exit 0' }],
      at: clock.now(),
      plan: plan.id,
    },
  });
}

describe('telling', () => {
  it('sends one card, edits it, and says in a second message that it is fixed', async () => {
    await begin();
    const incident = await put(anIncident());
    await api.until(() => api.sent().length === 1);
    expect(texts()[0]).toContain('⚠️ #1 agent · import_error');
    await heal(incident);
    await api.until(() => api.sent().length === 2);
    await settled();
    expect(texts()[1]).toContain('✅ #1 agent · import_error: fixed');
    expect(texts()[1]).toContain('✓ import wordtrim: exit 0');
    expect(texts()[0]).toContain('✅');
    expect(api.sent()).toHaveLength(2);
  });

  it('says a problem that is healed at once in one message', async () => {
    await begin();
    clock.freeze();
    await heal(await put(anIncident()));
    await taken('1');
    clock.thaw();
    await settled();
    expect(texts()).toHaveLength(1);
    expect(texts()[0]).toContain('fixed');
  });

  it('asks with what, why, exact steps, undo, risk and expiry', async () => {
    await begin();
    clock.freeze();
    const incident = await put(anIncident());
    const plan = aPlan(incident);
    await store.savePlan(plan);
    await step(incident, { kind: 'plan-asks', plan: plan.id, fix: plan.fix, until: plan.expiresAt, reason: 'asks' });
    await taken('1');
    clock.thaw();
    await api.until(() => api.sent().length === 1);
    const [card] = api.sent();
    expect(card?.text).toContain('What: install wordtrim 1.2.0 into .venv');
    expect(card?.text).toContain("$ /srv/agent/reload --now 'a b'");
    expect(card?.text).toContain('undo: puts what it made aside');
    expect(card?.text).toContain('Risk: reversible');
    expect(card?.text).toMatch(/valid until \d\d:\d\d/);
    expect(card?.buttons.flat().map((b) => b.text)).toEqual(['Approve', 'Deny', 'Details', 'Silence 2 h']);
  });

  it('counts ten thousand repeats by editing one message', async () => {
    await begin();
    const incident = await put(anIncident());
    await api.until(() => api.sent().length === 1);
    for (let i = 0; i < 20; i++) await step(incident, seen(500));
    clock.jump(MINUTE);
    await api.until(() => texts()[0]?.includes('Seen 10001 times') ?? false);
    expect(api.sent()).toHaveLength(1);
  });

  it('follows the severity table: low is kept, medium waits for the digest, high goes at once', async () => {
    await begin();
    await put(anIncident({ id: '1', severity: 'low' }));
    await put(anIncident({ id: '2', severity: 'medium' }));
    await put(anIncident({ id: '3', severity: 'medium' }));
    await put(anIncident({ id: '4', severity: 'high' }));
    await api.until(() => api.sent().length === 1);
    expect(texts()[0]).toContain('#4');
    clock.jump(HOUR);
    await api.until(() => api.sent().length === 2);
    expect(texts()[1]).toContain('📋 Digest: 2 messages');
    expect(texts()[1]).toContain('#2, #3');
    const low = (await store.outbox({})).find((row) => row.notification.incident === '1');
    expect(low).toMatchObject({ state: 'withheld', notification: { reason: 'low: shown on request only' } });
  });

  it('merges an outage of three days into one digest and keeps questions that can still be answered', async () => {
    await begin();
    await api.down();
    clock.freeze();
    for (let i = 1; i <= 30; i++) {
      const incident = await put(anIncident({ id: String(i), service: `s${i % 3}` }));
      if (i % 2) await heal(incident);
    }
    await taken('30');
    clock.thaw();
    await away(3 * 24 * HOUR);
    clock.freeze();
    const late = await put(anIncident({ id: '99', severity: 'high' }));
    const plan = aPlan(late);
    await store.savePlan(plan);
    await step(late, { kind: 'plan-asks', plan: plan.id, fix: plan.fix, until: plan.expiresAt, reason: 'asks' });
    await taken('99');
    clock.thaw();
    await api.up();
    await api.until(() => api.sent().length >= 2);
    await settled();
    expect(texts()).toHaveLength(2);
    const digest = texts().find((t) => t.includes('could not reach you'));
    expect(digest).toContain('30 messages');
    expect(texts().some((t) => t.includes('may I fix it?'))).toBe(true);
    expect((await store.outbox({})).filter((row) => row.state === 'failed')).toEqual([]);
  });

  it('says that it could not reach anybody, also when nothing new has happened since', async () => {
    await begin();
    await api.down();
    clock.freeze();
    for (let i = 1; i <= 8; i++) await put(anIncident({ id: String(i) }));
    await taken('8');
    clock.thaw();
    await away(3 * 24 * HOUR);
    await api.up();
    await api.until(() => api.sent().length > 0);
    expect(texts()[0]).toContain('could not reach you for 3 days');
    expect(texts()[0]).toContain('8 messages');
  });

  it('turns a storm into a few messages and one digest that is edited', async () => {
    await begin();
    for (let i = 1; i <= 60; i++) {
      await put(anIncident({ id: String(i), type: 'timeout' }));
      clock.jump(2_000);
    }
    clock.jump(2 * MINUTE);
    await settled();
    const digests = texts().filter((t) => t.startsWith('🌪'));
    expect(digests).toHaveLength(1);
    expect(api.sent().length).toBeLessThanOrEqual(12);
    const rows = await store.outbox({});
    const told = rows.filter(
      (r) => r.notification.incident && (r.state === 'sent' || r.error?.startsWith('merged into')),
    );
    expect(new Set(told.map((r) => r.notification.incident)).size).toBe(60);
  });

  it('does not tire people with questions: a few by themselves, the rest in one message', async () => {
    await begin();
    clock.freeze();
    for (let i = 1; i <= 30; i++) {
      const incident = await put(anIncident({ id: String(i) }));
      const plan = aPlan(incident);
      await store.savePlan(plan);
      await step(incident, { kind: 'plan-asks', plan: plan.id, fix: plan.fix, until: plan.expiresAt, reason: 'asks' });
    }
    await taken('30');
    clock.thaw();
    await api.until(() => texts().some((text) => text.startsWith('🌪')));
    await settled();
    const asked = texts().filter((text) => text.includes('may I fix it?\n'));
    expect(asked.length).toBeGreaterThanOrEqual(3);
    expect(asked.length).toBeLessThanOrEqual(6);
    expect(texts().find((text) => text.startsWith('🌪'))).toMatch(/❓ agent · import_error: may I fix it\? ×2[0-9] \(#/);
  });

  it('lets people sleep: only what is critical rings within quiet hours', async () => {
    await begin({ quietHours: { from: '11:00', to: '18:00', timezone: 'UTC' } });
    await put(anIncident({ id: '1', severity: 'high' }));
    await put(anIncident({ id: '2', severity: 'critical' }));
    await api.until(() => api.sent().length === 1);
    expect(texts()[0]).toContain('#2');
    clock.jump(6 * HOUR);
    await api.until(() => api.sent().length === 2);
    expect(texts()[1]).toContain('#1');
  });

  it('tells after a restart what a former process did not live to tell, and nothing twice', async () => {
    await begin();
    const incident = await put(anIncident());
    await api.until(() => api.sent().length === 1);
    await end();
    const current = (await store.incident(incident.id)) as Incident;
    const given = advance(current, {
      kind: 'given-up',
      at: clock.now(),
      reason: 'no way',
      outcome: null,
      suggestion: null,
    });
    await store.saveIncident(given as Incident);
    await begin();
    await api.until(() => api.sent().length === 2);
    await settled();
    expect(texts()[1]).toContain('needs you');
    expect(texts()).toHaveLength(2);
  });

  it('looks at the outbox once for much that happens in a moment', async () => {
    let looks = 0;
    const dueOutbox: Store['dueOutbox'] = (...query) => (looks++, store.dueOutbox(...query));
    await begin({}, [], { ...store, dueOutbox });
    await eventually(() => looks > 0);
    clock.freeze();
    const before = looks;
    for (let i = 1; i <= 30; i++) {
      await put(anIncident({ id: String(i) }));
      await taken(String(i));
    }
    expect(looks - before).toBeLessThanOrEqual(2);
    clock.thaw();
    await api.until(() => texts().some((text) => text.includes('30 messages')));
  });

  it('does not look up after a restart what has not changed since it was told', async () => {
    await begin();
    for (let i = 1; i <= 20; i++) await put(anIncident({ id: String(i), severity: 'low' }));
    await put(anIncident({ id: '21', severity: 'low', count: 2 }));
    await taken('21');
    await end();
    await store.saveIncident({ ...((await store.incident('21')) as Incident), count: 9, revision: 2 });
    const read: string[] = [];
    const incident: Store['incident'] = (id) => (read.push(id), store.incident(id));
    await begin({}, [], { ...store, incident });
    const swept = async () => ((await store.value<number>('telling/alive')) ?? 0) >= clock.now() - MINUTE;
    await eventually(swept);
    clock.jump(5 * MINUTE);
    await eventually(() => read.length > 0);
    await eventually(swept);
    expect([...new Set(read)]).toEqual(['21']);
  });

  it('does not send again what arrived while the answer was cut', async () => {
    await begin();
    await put(anIncident({ id: '1' }));
    await api.until(() => api.sent().length === 1);
    let cut = true;
    api.fault = (call) =>
      call.method === 'sendMessage' && cut ? ((cut = false), { kind: 'cut', when: 'after' }) : undefined;
    await put(anIncident({ id: '2' }));
    await settled();
    expect(texts().filter((t) => t.includes('#2'))).toHaveLength(1);
    const row = (await store.outbox({})).find((r) => r.notification.incident === '2') as { externalId: string | null };
    expect(row.externalId).toBe(String(api.sent()[1]?.messageId));
  });

  /** A process that is killed after its message was taken and before that was recorded. */
  async function killedAfterSending(about: () => Promise<unknown>): Promise<void> {
    const updateOutbox: Store['updateOutbox'] = (row) => {
      if (row.state !== 'sent') return store.updateOutbox(row);
      stop.abort();
      return Promise.reject(new Error('killed'));
    };
    await begin({}, [], { ...store, updateOutbox });
    await about();
    await running;
  }

  it('does not send the very first message about an incident twice, even when people write before it is looked for', async () => {
    await killedAfterSending(() => put(anIncident()));
    expect(texts()).toHaveLength(1);
    await createTelegramMemory(store, clock).heard(api.say('what is it?'));
    await begin();
    await eventually(async () => (await store.outbox({})).some((row) => row.state === 'sent'));
    await settled();
    expect(texts()).toHaveLength(1);
    expect((await store.lastSent('telegram', 'incident:1:1'))?.externalId).toBe(String(api.sent()[0]?.messageId));
  });

  it('clears up what is in doubt before it asks, so that no card is taken for another', async () => {
    await killedAfterSending(() => put(anIncident({ id: '1' })));
    const asking = await put(anIncident({ id: '2' }));
    const plan = aPlan(asking);
    await store.savePlan(plan);
    await step(asking, { kind: 'plan-asks', plan: plan.id, fix: plan.fix, until: plan.expiresAt, reason: 'asks' });
    await begin();
    await api.until(() => api.sent().length === 2);
    await settled();
    expect(texts()).toEqual([expect.stringContaining('#1'), expect.stringContaining('#2 agent · import_error: may I')]);
    expect(api.sent().every(({ past }) => past.every((text) => !text.includes('may I')))).toBe(true);
  });

  it('greets before it says anything else where nothing was ever said, so that there is a place to look from', async () => {
    await store.setValue('telegram/newest', null);
    await killedAfterSending(() => put(anIncident({ severity: 'critical' })));
    await begin();
    await api.until(() => texts().some((text) => text.includes('#1')));
    await settled();
    // Only the greeting may come twice.
    expect(texts().map((text) => text.split(' ')[0])).toEqual(['👋', '👋', '🚨']);
    await end();
    await begin();
    await settled();
    expect(texts()).toHaveLength(3);
  });

  it('delivers to a webhook what its receiver refused at first, under the same id and signed', async () => {
    const got: { readonly id: unknown; readonly signature: unknown; readonly body: string }[] = [];
    const receiver = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { 'webhook-id': id, 'webhook-signature': signature } = request.headers;
      got.push({ id, signature, body });
      response.writeHead(got.length < 3 ? 503 : 200).end();
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    try {
      await begin({}, [createWebhookNotifier({ url, secret: new Secret('a secret of some length') }, clock)]);
      await put(anIncident());
      const sent = (row: OutboxRow) => row.channel === 'webhook' && row.state === 'sent';
      await eventually(async () => (await store.outbox({})).some(sent));
      expect(got.map(({ id }) => id)).toEqual(Array(3).fill('incident:1:1#1'));
      expect(got.every(({ signature }) => String(signature).startsWith('v1,'))).toBe(true);
      expect(JSON.parse(got[2]?.body ?? '')).toMatchObject({ incident: '1', severity: 'high' });
      expect((await store.outbox({})).filter((row) => row.channel === 'webhook')).toHaveLength(1);
    } finally {
      receiver.closeAllConnections();
      receiver.close();
    }
  });

  it('honours retry_after', async () => {
    await begin();
    let refused = 0;
    api.fault = (call) =>
      call.method === 'sendMessage' && refused++ === 0 ? { kind: 'status', status: 429, retryAfter: 35 } : undefined;
    const before = clock.now();
    await put(anIncident());
    await api.until(() => api.sent().length === 1);
    expect(clock.now() - before).toBeGreaterThanOrEqual(35_000);
    expect(api.callsOf('sendMessage')).toHaveLength(2);
  });

  it('says once a day that all is quiet', async () => {
    await begin();
    clock.jump(30_000);
    await settled();
    clock.jump(24 * HOUR);
    await api.until(() => api.sent().length === 1);
    expect(texts()[0]).toContain('🩺 box: all quiet');
  });

  it('says once that all is quiet when it could not say so for days', async () => {
    await begin();
    clock.jump(30_000);
    await settled();
    await api.down();
    for (let day = 0; day < 3; day++) {
      const before = (await store.outbox({})).length;
      clock.jump(24 * HOUR);
      await eventually(async () => (await store.outbox({})).length > before);
    }
    await api.up();
    clock.jump(10 * MINUTE);
    await api.until(() => api.sent().length > 0);
    await settled();
    expect(texts()).toEqual([expect.stringContaining('🩺 box: all quiet')]);
  });

  it('records a reason for every message', async () => {
    await begin();
    await heal(await put(anIncident()));
    await settled();
    const reasons = (await store.outbox({})).map((row) => row.notification.reason);
    expect(reasons.every((reason) => reason.length > 5)).toBe(true);
  });
});

describe('notices', () => {
  it('are messages of their own', async () => {
    await begin();
    const notice: Pick<Notification, 'title' | 'body' | 'severity' | 'urgency' | 'reason' | 'key'> = {
      key: 'breaker',
      severity: 'high',
      title: '🧯 The breaker is open',
      body: 'ten changes within an hour',
      urgency: 'now',
      reason: 'the breaker opened: at once',
    };
    await telling.notice(notice);
    await telling.notice(notice);
    await api.until(() => api.sent().length === 1);
    await settled();
    expect(texts()).toHaveLength(1);
  });
});
