// Talks to selfheal as its owner would and writes the dialogue down: docs/telegram.md is this test's output,
// so the page and its picture can show nothing that the program does not say. `npx vitest run src/chat/dialogue -u` renews it.

import { expect, it } from 'vitest';
import { chatPicture } from '../testing/chat-picture.ts';
import { OWNER, OwnerRig, service, type RigOptions } from '../testing/owner-rig.ts';
import type { FakeButton, FakeMessage } from '../testing/telegram.ts';

const HOUR = 3_600_000;

type Picture = Parameters<typeof chatPicture>[0][number];

class Scribe {
  readonly #lines: string[] = [];
  readonly pictures: Picture[] = [];

  heading(text: string, ...about: string[]): void {
    this.#lines.push(`## ${text}`, '', ...about.flatMap((line) => [line, '']));
  }
  talk(lines: readonly string[]): void {
    this.#lines.push('```text', ...lines, '```', '');
  }
  /** Kept as it is now: cards are edited later. */
  draw({ text, entities, buttons }: FakeMessage): void {
    this.pictures.push({ text: stable(text), entities, buttons });
  }
  get page(): string {
    return `${this.#lines.join('\n').trimEnd()}\n`;
  }
}

/** A message as a phone shows it. */
function shown(message: FakeMessage, note = ''): readonly string[] {
  const [first = '', ...rest] = marked(message).split('\n');
  const name = `selfheal${note ? ` (${note})` : ''}`;
  return [
    `${name}: ${stable(first)}`,
    ...rest.map((line) => `  ${stable(line)}`.trimEnd()),
    ...message.buttons.map((row) => `  ${row.map(button).join(' ')}`),
    ...(message.document ? [`  📎 ${message.document.name}`] : []),
  ];
}

/** What is quoted from a log stands apart on a phone, so it does here. */
function marked({ text, entities }: FakeMessage): string {
  const quote = entities.find(({ type }) => type === 'pre');
  if (!quote) return text;
  const quoted = text.slice(quote.offset, quote.offset + quote.length).replaceAll(/^/gm, '│ ');
  return `${text.slice(0, quote.offset)}${quoted}${text.slice(quote.offset + quote.length)}`;
}

const button = ({ text }: FakeButton) => `[ ${text} ]`;

/** What changes from run to run is written as in a story. */
function stable(text: string): string {
  return text
    .replace(/(\d\d):\d\d UTC/g, '$1:00 UTC')
    .replace(/(plan) [0-9a-f]{12}/gi, '$1 5c1f0a7e9b24')
    .replace(/Fingerprint \S+/, 'Fingerprint p1')
    .replace(/(Seen once,|first|last) \d+ (?:s|min) ago/g, '$1 5 s ago')
    .replace(/sent \d+ min ago/, 'sent 6 min ago');
}

async function world(options: RigOptions, tell: (rig: OwnerRig) => Promise<void>): Promise<void> {
  const rig = await OwnerRig.start(options);
  try {
    await tell(rig);
  } finally {
    await rig.close();
  }
}

async function ask(rig: OwnerRig, text: string, options: Parameters<OwnerRig['ask']>[1] = {}): Promise<string[]> {
  const answer = await rig.ask(text, options);
  // What takes longer is answered at once and edited later.
  const edited = answer.past.length > 0 ? [`selfheal: ${answer.past[0]}`, '(a little later the message says)'] : [];
  return [`You: ${text}`, ...edited, ...shown(answer)];
}

async function card(rig: OwnerRig, has: string): Promise<FakeMessage> {
  const find = () => rig.api.sent().find((m) => m.text.includes(has));
  await rig.api
    .until(() => find() !== undefined)
    .catch((error: unknown) => {
      throw new Error(`no card says "${has}": ${JSON.stringify(rig.texts())}`, { cause: error });
    });
  await rig.delivered();
  return find() as FakeMessage;
}

const COMMANDS = [
  'health check',
  'show errors',
  'show error report',
  'status',
  'incidents',
  'incident 1',
  'plan 1',
  'logs 1',
  'why 1',
  'pull latest from git',
  'silence 2 2h',
  'resolve 2',
  'pause for maintenance',
  'resume',
  'help',
] as const;

async function commands(scribe: Scribe): Promise<void> {
  scribe.heading(
    'Commands',
    'Plain words or slash commands; case and word order do not matter, and what only shows something forgives spelling too.',
  );
  await world({}, async (rig) => {
    await rig.breaks();
    await rig.reaches('1', 'awaiting-approval');
    await rig.breaks({ type: 'timeout', severity: 'medium', message: 'Connection timeout after 30 s', fixable: false });
    await card(rig, 'may I fix it?');
    for (const command of COMMANDS) scribe.talk(await ask(rig, command));
  });
  await fixing(scribe);
  await deciding(scribe);
  scribe.heading('What is not understood', 'A slip in a word that changes something gets a suggestion, never an act.');
  await world({}, async (rig) => {
    scribe.talk(await ask(rig, 'aprove 7'));
    scribe.talk(await ask(rig, "don't fix errors"));
    scribe.talk(await ask(rig, 'pause', { at: rig.clock.now() - 6 * 60_000 }));
    rig.api.say('fix errors', { user: 666 });
    scribe.talk([
      'A stranger: fix errors',
      '(no answer; the owner hears of it once)',
      ...shown(await card(rig, 'A stranger')),
    ]);
  });
}

/** What takes a while: the clock runs. */
async function fixing(scribe: Scribe): Promise<void> {
  scribe.heading('Fixing and taking back', 'What takes longer says so, and the same message becomes the answer.');
  const auto = [{ ...service('agent'), fixes: { 'install-package': 'auto' as const } }];
  await world({ config: { services: auto } }, async (rig) => {
    await rig.breaks({ state: { name: 'open', notBefore: rig.clock.now() + HOUR } });
    const patient = { ...rig.script };
    rig.script.hands = async (plan, verb) => {
      await rig.api.until(() => rig.texts().some((text) => text.includes('Working on it')));
      return patient.hands(plan, verb);
    };
    scribe.talk(await ask(rig, 'fix errors', { takes: 'Auto-Fix Complete' }));
    rig.script.hands = patient.hands;
    await card(rig, ': fixed');
    scribe.talk(await ask(rig, 'history'));
    scribe.talk(await ask(rig, 'show error report'));
    rig.script.hands = async (plan, verb) => {
      await rig.api.until(() => rig.texts().filter((text) => text.includes('Working on it')).length > 0);
      return patient.hands(plan, verb);
    };
    scribe.talk(await ask(rig, 'rollback 1', { takes: '✅ #1 · Taken back' }));
    scribe.talk(await ask(rig, 'history'));
  });
}

async function deciding(scribe: Scribe): Promise<void> {
  scribe.heading('Deciding by word', 'The words hold for the plan that waits at that moment, as the buttons do.');
  await world({ config: { services: [service('agent'), service('worker')] } }, async (rig) => {
    await rig.breaks();
    await rig.breaks({ service: 'worker' });
    await rig.reaches('1', 'awaiting-approval');
    await rig.reaches('2', 'awaiting-approval');
    await rig.delivered();
    scribe.talk(await ask(rig, 'approve'));
    scribe.talk(await ask(rig, 'approve 1'));
    scribe.talk(await ask(rig, 'deny 2'));
  });
}

async function approval(scribe: Scribe): Promise<void> {
  scribe.heading(
    'A decision',
    'The card shows what, why, the exact steps with their way back, the risk, and until when. Its buttons hold for this exact plan, once.',
  );
  await world({}, async (rig) => {
    await rig.breaks();
    const asked = await card(rig, 'may I fix it?');
    scribe.talk(shown(asked));
    scribe.draw(asked);
    const told = await rig.press(asked, 'Approve');
    await rig.reaches('1', 'resolved');
    const result = await card(rig, ': fixed');
    await rig.api.until(() => asked.text.includes('Fixed at'));
    scribe.talk(['You: (tap) Approve', `selfheal (on the tap): ${told}`]);
    scribe.talk(shown(result));
    scribe.draw(result);
    scribe.talk(shown(asked, 'the card, edited'));
    const again = await rig.press(asked, 'Approve', { data: `a:${'A'.repeat(22)}` });
    scribe.talk(['Somebody: (tap on a forged button)', `selfheal (on the tap): ${again}`]);
  });
}

async function escalation(scribe: Scribe): Promise<void> {
  scribe.heading('An escalation', 'What was tried did not help and was taken back, and a person has to look.');
  const auto = [{ ...service('agent'), fixes: { 'install-package': 'auto' as const } }];
  await world({ config: { services: auto, maxAutoFixAttempts: 1 }, speed: 40 }, async (rig) => {
    rig.script.hands = async (plan) => ({
      kind: 'finished',
      outcome: {
        kind: 'rolled-back',
        reason: 'the import still fails; everything was put back, byte for byte',
        evidence: [{ check: "python imports 'wordtrim'", passed: false, text: 'ModuleNotFoundError' }],
        at: rig.clock.now(),
        plan,
      },
    });
    await rig.breaks();
    await rig.reaches('1', 'needs-human');
    const needsYou = await card(rig, 'needs you');
    scribe.talk(shown(needsYou));
    scribe.draw(needsYou);
  });
}

async function outage(scribe: Scribe): Promise<void> {
  scribe.heading(
    'Three days without Telegram',
    'Everything is kept. On return it is one message, with what needs a person first; a question that can still be answered comes by itself.',
  );
  await world({ speed: 60, config: { services: [] } }, async (rig) => {
    await rig.api.until(() => rig.api.polled);
    // All of it happens in one moment, so that no digest is begun in between.
    rig.clock.freeze();
    await rig.api.down();
    for (let i = 0; i < 12; i++)
      await rig.breaks({ service: i % 3 ? 'agent' : 'web', type: i % 2 ? 'git_error' : 'out_of_memory' });
    for (const id of ['2', '4', '6'])
      await rig.happens(id, {
        kind: 'cleared',
        at: rig.clock.now(),
        by: 'person',
        reason: 'by hand',
        cause: null,
        outcome: null,
      });
    for (const id of ['1', '3', '5', '7', '8', '9', '10', '11', '12']) await rig.reaches(id, 'needs-human');
    rig.clock.thaw();
    await rig.tried();
    await rig.queued(12);
    rig.clock.jump(72 * HOUR);
    await rig.api.up();
    const digest = await card(rig, 'could not reach you');
    scribe.talk(['(the network is back)', ...shown(digest)]);
    scribe.draw(digest);
  });
}

async function hello(scribe: Scribe): Promise<void> {
  scribe.heading('The first start');
  await world({ fresh: true }, async (rig) => scribe.talk(shown(await card(rig, '👋'))));
}

/** What the tests of `src/engine/telling` hold; it stands here because people ask it of a chat. */
const DELIVERY = `## What is promised about delivery

- A message is stored before anybody tries to send it, and stays until the Bot API has taken it: through crashes, restarts and days without
  a network.
- The Bot API knows no key by which it would recognise a message that is sent again. So each one is claimed first, together with the newest
  message known in the chat, then sent, then recorded. When the answer was lost, or selfheal was killed in between, it is in doubt: before
  anything else is said, the messages behind that newest one are edited to what it says, which the Bot API answers with "not modified"
  when one of them is it. Nothing in doubt is merged, dropped or overtaken.
- What remains: the greeting may come twice, for nothing is known that came before it; a message may come twice when more than five messages
  in a row that this bot cannot edit were written between the claim and the search, in a busy group or by strangers; a message that
  was deleted within that time comes again. An *answer* whose arrival is in doubt is sent again; what it answers is never done again.
- A wish that a crash interrupts is not repeated: you are told that it may be done or not.
`;

it('writes docs/telegram.md', async () => {
  const scribe = new Scribe();
  await hello(scribe);
  await commands(scribe);
  await approval(scribe);
  await escalation(scribe);
  await outage(scribe);
  const page = `# Talking to selfheal on Telegram

This page is written by a test (\`src/chat/dialogue.test.ts\`) that talks to the real program over a fake Bot API.
Times and hashes are rounded. User ${OWNER} is on the list of allowed users.

![A question, a result, an escalation and the digest after an outage, as a phone shows them](telegram-cards.svg)

${scribe.page}
${DELIVERY}`;
  await expect(page).toMatchFileSnapshot('../../docs/telegram.md');
  await expect(chatPicture(scribe.pictures)).toMatchFileSnapshot('../../docs/telegram-cards.svg');
});
