// What `init` asks. Every question comes with a proposal, and Telegram finds its owner by itself.

import { hostname } from 'node:os';
import { checkToken, newCode, sendTestCard, startLink, TELEGRAM_ROOT, waitForOwner } from '../chat/setup.ts';
import type { Secret } from '../config/secret.ts';
import type { CliContext } from './context.ts';
import { type Answers, healthYaml, restartYaml, type Telegram } from './init-file.ts';
import type { Prompter } from './prompter.ts';

/** What the questions need of the command's context. */
export type Asking = Pick<CliContext, 'clock' | 'signal' | 'environment'>;

/** Ten minutes to find the phone. */
const OWNER_MS = 10 * 60_000;

/** The proposal as the person wants it. Rejects with `Cancelled`. */
export async function askForAnswers(prompter: Prompter, proposal: Answers, asking: Asking): Promise<Answers> {
  const name = await prompter.text({
    message: 'Name of the service',
    initial: proposal.name,
    check: (v) => (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(v) ? undefined : 'letters, digits, dots, dashes, underscores'),
  });
  const logs = await prompter.text({
    message: 'Its log files, separated by spaces',
    initial: proposal.logs.join(' ') || 'logs/*.log',
    check: (v) => (v.trim() ? undefined : 'at least one pattern, such as logs/*.log'),
  });
  const restart = await prompter.text({
    message: 'How is it restarted? systemd:UNIT, pm2:NAME, docker:NAME, or nothing',
    initial: proposal.restart ?? '',
    check: (v) => (v.trim() === '' || restartYaml(v) ? undefined : 'systemd:UNIT, pm2:NAME or docker:NAME'),
  });
  const health = await prompter.text({
    message: 'How to see that it works? http://…, HOST:PORT, or nothing',
    initial: proposal.health ?? '',
    check: (v) => (v.trim() === '' || healthYaml(v) ? undefined : 'http://… or HOST:PORT'),
  });
  const patterns = logs.trim().split(/\s+/);
  const telegram = proposal.telegram?.user ? proposal.telegram : await askForTelegram(prompter, proposal, asking);
  return { ...proposal, name, logs: patterns, restart: restart || null, health: health || null, telegram };
}

async function askForTelegram(prompter: Prompter, proposal: Answers, asking: Asking): Promise<Telegram | null> {
  if (!(await prompter.confirm('Tell you on Telegram, and take your orders there?'))) return null;
  const apiRoot = proposal.telegram?.apiRoot ?? TELEGRAM_ROOT;
  const bot = await findBot(prompter, asking, apiRoot);
  const access = { token: bot.token, apiRoot };
  const code = newCode();
  prompter.say(
    `Open ${startLink(bot.name, code)} and press Start, or send ${code} to @${bot.name}. For a group: add the bot to it and send "/start@${bot.name} ${code}" there.`,
  );
  const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(OWNER_MS)]);
  const owner = await prompter.waiting(
    'Waiting for your message',
    waitForOwner(access, { code, clock: asking.clock, signal, heard: (sentence) => prompter.say(sentence) }),
  );
  if (!owner.ok) {
    prompter.say(`${owner.problem} Going on without Telegram; \`selfheal init --force\` tries again.`);
    return null;
  }
  const { user, chat, name } = owner.value;
  const card = await sendTestCard({ ...access, chat }, { node: hostname(), signal: asking.signal });
  prompter.say(card.ok ? `Hello ${name}: a first message is in your chat.` : card.problem);
  return { user: String(user), chat: String(chat), apiRoot: proposal.telegram?.apiRoot ?? null, token: bot.token };
}

/** A token from the environment is tried first; then until one is right or the person gives up. */
async function findBot(
  prompter: Prompter,
  asking: Asking,
  apiRoot: string,
): Promise<{ readonly name: string; readonly token: Secret }> {
  let given = asking.environment['TELEGRAM_BOT_TOKEN'];
  for (;;) {
    const text = given ?? (await prompter.secret({ message: 'Token of your bot (send /newbot to @BotFather)' }));
    given = undefined;
    const found = await checkToken(text, { apiRoot, signal: asking.signal });
    if (found.ok) return found.value;
    prompter.say(found.problem);
  }
}
