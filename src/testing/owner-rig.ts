// A small selfheal around a fake Bot API: real store, planner, fixer, operations, outbox and chat. Only the
// fix and the hands are scripted, so that a test can say what happens on the machine.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTelegramMemory, type Said } from '../chat/memory.ts';
import { startTelegramChat, type TelegramChat } from '../chat/telegram.ts';
import type { Config, ServiceConfig } from '../config/contract.ts';
import { Secret } from '../config/secret.ts';
import { detectionRow } from '../core/detection.ts';
import { advance, type Incident, type IncidentEvent } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import { AutoFixer, type HandsAnswer, type HandsVerb } from '../engine/fixer.ts';
import { Planner } from '../engine/planner.ts';
import { createTelling, type Telling } from '../engine/telling.ts';
import { defineFix, propose, type Diagnosis } from '../fixes/contract.ts';
import type { Probe } from '../host/contract.ts';
import { createTelegramNotifier } from '../notifiers/index.ts';
import type { WhyAnswer } from '../answers.ts';
import { createOperations, type Operations } from '../operations.ts';
import type { JournalEntry, OutboxRow, Store } from '../store/contract.ts';
import { openStore } from '../store/index.ts';
import { sampleConfig, sampleDetection, sampleIncident, sampleService } from './samples.ts';
import { SwiftClock } from './swift-clock.ts';
import { FakeTelegram, type FakeMessage, type FakeTelegramOptions } from './telegram.ts';

export interface RigOptions {
  readonly speed?: number;
  readonly config?: Partial<Config>;
  readonly allowedUsers?: readonly number[];
  readonly chat?: number;
  readonly telegram?: FakeTelegramOptions;
  /** True: nothing has ever been said in the chat. Default false. */
  readonly fresh?: boolean;
}

/** What the scripted part of the world does. */
export interface RigScript {
  diagnose: () => Diagnosis;
  hands: (plan: string, verb: HandsVerb) => Promise<HandsAnswer>;
}

export const OWNER = 1001;

/**
 * @example
 * const rig = await OwnerRig.start();
 * await rig.breaks({ type: 'import_error' });
 * await rig.api.until(() => rig.api.sent().length > 0);
 * await rig.close();
 */
export class OwnerRig {
  readonly clock: SwiftClock;
  readonly api: FakeTelegram;
  readonly store: Store;
  readonly script: RigScript;
  readonly said: string[] = [];
  /** Ids of the messages that answered something, in order. */
  readonly answers: number[] = [];
  /** Questions that are not answered yet, by their message. */
  #asked: readonly number[] = [];
  readonly #looking = new Set<() => void>();
  telling!: Telling;
  operations!: Operations;
  #chat: TelegramChat | null = null;
  #fixer: AutoFixer | null = null;
  #stop = new AbortController();
  #flows: Promise<unknown>[] = [];
  readonly #folder: string;
  readonly #options: RigOptions;

  private constructor(options: RigOptions, folder: string, clock: SwiftClock, api: FakeTelegram, store: Store) {
    this.#options = options;
    this.#folder = folder;
    this.clock = clock;
    this.api = api;
    this.store = store;
    this.script = { diagnose: () => installWordtrim(), hands: (plan, verb) => this.scripted(plan, verb) };
  }

  static async start(options: RigOptions = {}): Promise<OwnerRig> {
    const folder = await mkdtemp(join(tmpdir(), 'selfheal-rig-'));
    const clock = new SwiftClock(options.speed ?? 20, Date.UTC(2026, 0, 5, 12));
    const api = await FakeTelegram.start({
      limit: { count: 1_000, windowMs: 1_000 },
      now: () => clock.now(),
      ...options.telegram,
    });
    const store = await openStore({ directory: folder, clock });
    const rig = new OwnerRig(options, folder, clock, api, store);
    // Somebody has written to the bot before, else it could not write to them.
    if (!options.fresh) await createTelegramMemory(store, clock).heard(1_000);
    await rig.begin();
    return rig;
  }

  get config(): Config {
    return sampleConfig({
      node: 'box',
      state: this.#folder,
      services: [service('agent')],
      telegram: {
        token: new Secret(this.api.token),
        allowedUsers: this.#options.allowedUsers ?? [OWNER],
        chat: this.#options.chat ?? OWNER,
        apiRoot: this.api.url,
      },
      // Never quiet (it ends when it begins), but the times in messages are the same on every machine.
      quietHours: { from: '03:00', to: '03:00', timezone: 'UTC' },
      limits: { changesPerHour: 100, changesPerDay: 1_000, restartsPerHour: 100 },
      ...this.#options.config,
    });
  }

  /** Starts the process, so to speak. */
  async begin(): Promise<void> {
    const { config, store, clock } = this;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const log = (message: string, fields: Readonly<Record<string, unknown>>) =>
      void this.said.push(`${message} ${JSON.stringify(fields)}`);
    const telegram = config.telegram as NonNullable<Config['telegram']>;
    const notifier = createTelegramNotifier(telegram, createTelegramMemory(store, clock));
    this.telling = createTelling({ store, notifiers: [notifier], config, clock, log });
    const changed = ({ incident }: { readonly incident: Incident }) => this.telling.told(incident);
    const probe = scriptedProbe(clock);
    const fix = defineFix({
      name: 'install-package',
      family: 'install-package',
      title: 'Install a missing Python package',
      handles: ['import_error'],
      risk: 'reversible',
      scope: 'service',
      autonomy: 'approve',
      order: 1,
      diagnose: async () => this.script.diagnose(),
      drills: [],
    });
    const planner = new Planner({ config, fixes: [fix], probe, store, clock, node: 'box', digest: sha256 });
    const hands = (plan: string, verb: HandsVerb) => this.#journalled(plan, verb);
    const fixer = (this.#fixer = new AutoFixer({ config, store, planner, hands, clock, owner: '1:1', changed }));
    this.operations = createOperations({
      config,
      store,
      planner,
      fixer,
      probe,
      clock,
      node: 'box',
      explain: async (text) => scriptedExplanation(text),
      daemon: async () => ({ running: true, here: true, pid: 4711 }),
      alone: (work) => work(signal),
      changed,
      close: async () => {},
    });
    const chat = { config: telegram, operations: this.operations, store: this.#overheard(), clock, log, signal };
    this.#chat = await startTelegramChat(chat);
    this.#flows = [this.telling.run(signal), fixer.run(signal)];
  }

  /** Ends the process; the store and the Bot API stay. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#chat?.stop();
    await Promise.all(this.#flows);
  }

  async close(): Promise<void> {
    await this.end();
    await this.api.close();
    await this.store.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** A problem is seen for the first time. */
  async breaks(changes: Partial<Incident> = {}): Promise<Incident> {
    const at = this.clock.now();
    const id = changes.id ?? (await this.store.nextIncidentId());
    const incident = sampleIncident({
      id,
      node: 'box',
      message: "ModuleNotFoundError: No module named 'wordtrim'",
      fingerprint: { version: 1, kind: `k${id}`, place: `p${id}`, template: 'No module named <*>' },
      state: { name: 'open', notBefore: at },
      firstSeen: at,
      lastSeen: at,
      samples: [
        {
          at,
          source: 'file:/srv/agent/agent.log',
          line: 12,
          endLine: 15,
          text: "Traceback…\nModuleNotFoundError: No module named 'wordtrim'",
        },
      ],
      ...changes,
    });
    await this.store.saveIncident(incident);
    await this.telling.told(incident);
    this.#fixer?.wake();
    return incident;
  }

  /** Something happens to an incident. */
  async happens(id: string, event: IncidentEvent): Promise<Incident> {
    for (;;) {
      const incident = await this.store.incident(id);
      const next = incident && advance(incident, event);
      if (!next) throw new Error(`${event.kind} is not possible for incident ${id} (${incident?.state.name})`);
      if (!(await this.store.saveIncident(next))) continue;
      await this.telling.told(next);
      this.#fixer?.wake();
      return next;
    }
  }

  /**
   * The owner writes; resolves with the answer, whatever else is said meanwhile, once all of it has been sent. Time stands
   * still until then, so that however slow this machine is, the answer comes at once: for commands that need time, say
   * so with `takes`, a text of the answer to wait for.
   */
  async ask(
    text: string,
    { takes, ...options }: Parameters<FakeTelegram['say']>[1] & { readonly takes?: string } = {},
  ): Promise<FakeMessage> {
    // Whoever waits before a new attempt at polling would wait for ever while time stands still.
    await this.api.until(() => this.api.polled);
    await this.#until(() => this.#asked.length === 0);
    const before = this.answers.length;
    const answer = () => this.api.messages.find(({ messageId }) => messageId === this.answers[before]);
    if (takes === undefined) this.clock.freeze();
    try {
      this.api.say(text, options);
      await this.#until(() => answer() !== undefined && this.#asked.length === 0);
    } finally {
      this.clock.thaw();
    }
    const found = answer() as FakeMessage;
    if (takes !== undefined && !found.text.includes(takes)) throw new Error(`answered "${found.text}", not "${takes}"`);
    return found;
  }

  /** Resolves once this many answers have been given in all, and nothing waits for one. */
  answered(count: number): Promise<void> {
    return this.#until(() => this.answers.length >= count && this.#asked.length === 0);
  }

  /** The store, and what the chat writes down about its own answers. */
  #overheard(): Store {
    const setValue: Store['setValue'] = async (key, value) => {
      await this.store.setValue(key, value);
      if (key === 'telegram/asked') this.#asked = (value as readonly { question: number }[]).map((a) => a.question);
      else if (key === 'telegram/answers') this.answers.push((value as readonly Said[]).at(-1)?.message ?? 0);
      else return;
      for (const look of [...this.#looking]) look();
    };
    return { ...this.store, setValue };
  }

  async #until(condition: () => boolean, timeoutMs = 30_000): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#looking.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#looking.delete(look);
        reject(new Error(`no answer within ${timeoutMs} ms; said so far: ${JSON.stringify(this.texts().slice(-5))}`));
      }, timeoutMs);
      this.#looking.add(look);
    });
  }

  /** The owner presses a button; resolves with what the tap was answered. Time stands still as for `ask`. */
  async press(
    message: FakeMessage,
    label: string,
    { takes, ...options }: Parameters<FakeTelegram['press']>[2] & { readonly takes?: boolean } = {},
  ): Promise<string> {
    await this.api.until(() => this.api.polled);
    if (!takes) this.clock.freeze();
    try {
      const made = this.api.press(message, label, options);
      await this.api.until(() => made.answers.length > 0);
      return made.answers.join('|');
    } finally {
      this.clock.thaw();
    }
  }

  /** Resolves once the incident is in the state. */
  async reaches(id: string, state: Incident['state']['name'], withinMs = 30_000): Promise<Incident> {
    const end = Date.now() + withinMs;
    for (;;) {
      const incident = await this.store.incident(id);
      if (incident?.state.name === state) return incident;
      if (Date.now() > end) throw new Error(`incident ${id} is ${incident?.state.name}, not ${state}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Resolves once nothing that is due waits in the outbox. */
  async delivered(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const rows = await this.store.outbox({});
      const waiting = rows.some((row) => row.state === 'pending' && row.notification.urgency === 'now');
      quiet = waiting ? 0 : quiet + 1;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  /** Resolves once a message could not be delivered. */
  async tried(): Promise<void> {
    const failed = ({ tries, state, error }: OutboxRow) =>
      tries > 0 && state === 'pending' && !error?.endsWith('sending');
    while (!(await this.store.outbox({})).some(failed)) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Resolves once the outbox holds something about so many incidents. */
  async queued(incidents: number): Promise<void> {
    const about = (rows: readonly OutboxRow[]) =>
      new Set(rows.flatMap(({ notification }) => notification.incident ?? []));
    while (about(await this.store.outbox({})).size < incidents) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Texts of the bot's messages, oldest first. */
  texts(chat?: number): readonly string[] {
    return this.api.sent(chat).map((message) => message.text);
  }

  /** The scripted hands, with the rows that real ones would leave. */
  async #journalled(plan: string, verb: HandsVerb): Promise<HandsAnswer> {
    const write = async (step: number, phase: JournalEntry['phase'], data: JournalEntry['data'] = {}) =>
      void (await this.store.appendJournal({ plan, step, phase, at: this.clock.now(), data }));
    if (verb === 'act') await write(-1, 'claimed');
    const answer = await this.script.hands(plan, verb);
    if (verb === 'act' && answer.kind === 'acted') await write(0, 'done');
    if (answer.kind !== 'finished') return answer;
    if (verb === 'undo') await write(0, 'undone');
    await write(-1, 'finished', { outcome: answer.outcome });
    return answer;
  }

  /** What the hands do unless the script says otherwise: everything works. */
  async scripted(plan: string, verb: HandsVerb): Promise<HandsAnswer> {
    const evidence = [{ check: "python imports 'wordtrim'", passed: true as const, text: 'exit 0' }];
    if (verb === 'act') return { kind: 'acted', evidence };
    const kind = verb === 'undo' ? 'rolled-back' : 'fixed';
    const reason = verb === 'undo' ? 'taken back, byte for byte' : 'the import works and the error stayed away';
    const outcome: Outcome = { kind, reason, evidence: verb === 'undo' ? [] : evidence, at: this.clock.now(), plan };
    return { kind: 'finished', outcome };
  }
}

export function service(name: string): ServiceConfig {
  return sampleService({ name, settleMs: 2_000 });
}

/** A proposal as the fix for Python packages makes it. */
export function installWordtrim(): Diagnosis {
  return propose({
    title: 'install wordtrim 1.2.0 into .venv',
    why: 'main.py imports wordtrim; requirements.txt pins 1.2.0; the venv has none.',
    facts: { module: 'wordtrim' },
    steps: [
      {
        kind: 'pip-install',
        title: 'install wordtrim==1.2.0 from https://pypi.org/simple into /srv/agent/.venv',
        interpreter: '/srv/agent/.venv/bin/python',
        directory: '/srv/agent',
        index: 'https://pypi.org/simple',
        packages: [{ name: 'wordtrim', version: '1.2.0', hashes: [] }],
        undo: { kind: 'restore-snapshot' },
      },
    ],
    checks: [
      {
        kind: 'python-import',
        title: "python imports 'wordtrim'",
        proves: 'operation',
        failsBefore: true,
        interpreter: '/srv/agent/.venv/bin/python',
        module: 'wordtrim',
        directory: '/srv/agent',
      },
    ],
    resources: ['path:/srv/agent/.venv'],
    needsRestart: true,
  });
}

/** As the detector explains a text that one rule knows. */
function scriptedExplanation(text: string): Omit<WhyAnswer, 'incident'> {
  const module = /No module named '(\w+)'/.exec(text)?.[1];
  const fingerprint = { place: 'p1', kind: 'k1', template: "ModuleNotFoundError: No module named '<word>'" };
  if (!module) return { detection: null, because: 'no rule matches', nearMisses: [], masks: [], fingerprint: null };
  const row = detectionRow(sampleDetection('import_error', 'p1', { rule: 'python-import', facts: { module } }));
  return {
    detection: row,
    because: 'the last line of a Python traceback names the exception',
    nearMisses: [{ rule: 'node-import', because: 'the trace is not from Node' }],
    masks: [{ from: module, to: '<word>' }],
    fingerprint,
  };
}

/** Only what planner and operations look at; anything else is a bug of the test. */
function scriptedProbe(clock: SwiftClock): Probe {
  const state = {
    running: true,
    process: null,
    stoppedOnPurpose: false,
    recentStarts: 0,
    supervisorGaveUp: false,
    evidence: 'scripted',
  };
  const probe = {
    clock,
    services: {
      state: async () => state,
      health: async () => ({ passed: 'unknown' as const, evidence: 'no probe is declared' }),
      facts: () => null,
      all: () => [],
    },
    git: { repository: async () => null },
    // No file pauses this host.
    files: { status: async () => ({ kind: 'absent' as const }) },
  };
  // A test that reaches further fails loudly on the missing part.
  return probe as unknown as Probe;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
