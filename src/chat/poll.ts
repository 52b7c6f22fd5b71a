// Keeps listening to the Bot API whatever happens: a refused token, a second poller, a night without
// network. Nothing of it may stop the daemon or hold up its start or its end.

import { createRunner, createSequentialSink, createSource, createUpdateFetcher } from '@grammyjs/runner';
import { autoRetry } from '@grammyjs/auto-retry';
import { Bot, type BotError } from 'grammy';
import type { Update } from 'grammy/types';
import type { Clock } from '../core/clock.ts';
import {
  bridged,
  clientOptions,
  failureOf,
  POLL_SECONDS,
  type TelegramAccess,
  type TelegramFailure,
} from '../notifiers/shared/telegram-client.ts';

export interface PollDeps {
  readonly access: TelegramAccess;
  readonly clock: Clock;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Called once per update and awaited before the next. Must not throw. */
  readonly handle: (update: Update, bot: Bot) => Promise<void>;
  /** Called each time the bot is known to be reachable after it was not. */
  readonly connected: (bot: Bot) => Promise<void>;
  /** Called while somebody else takes the updates: messages can still be sent. */
  readonly contested: (why: string) => Promise<void>;
}

/** Answers to people: worth a short wait, not a long one. Without limits auto-retry would try for ever. */
const RETRY = { maxRetryAttempts: 2, maxDelaySeconds: 20, rethrowHttpErrors: true, rethrowInternalServerErrors: true };
const BACK_OFF_MS = 1_000;
const BACK_OFF_MOST_MS = 60_000;
/** A second poller, a wrong token or a webhook are for a person to end: ask seldom. */
const PERSON_MS = 30_000;
const ALLOWED = ['message', 'callback_query'] as const;

/** A poll that failed, before grammY's runner can wait in a way that cannot be stopped. */
class PollFailed extends Error {
  readonly failure: TelegramFailure;
  constructor(failure: TelegramFailure) {
    super(failure.description);
    this.failure = failure;
  }
}

/** Polls until the signal aborts. Never rejects. */
export async function poll(deps: PollDeps, signal: AbortSignal): Promise<void> {
  const bot = createBot(deps);
  const fetchUpdates: Supply = createUpdateFetcher(bot, {
    fetch: { timeout: POLL_SECONDS, allowed_updates: ALLOWED },
    // The runner's own waiting cannot be stopped: the first failure comes to us.
    maxRetryTime: 0,
    silent: true,
  });
  let failures = 0;
  let said = '';
  while (!signal.aborted) {
    try {
      if (!bot.isInited()) bot.botInfo = await bot.api.getMe(bridged(signal));
      await deps.connected(bot);
      await runOnce(bot, fetchUpdates, deps, signal, () => {
        if (said) deps.log('the chat is connected again', {});
        said = '';
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      const failure = error instanceof PollFailed ? error.failure : failureOf(error, deps.access.token);
      // Once per kind of trouble: an outage of days is one line, not thousands.
      if (failure.description !== said)
        deps.log(sentenceOf(failure), { error: failure.description, code: failure.code });
      said = failure.description;
      // The first one may be the end of our own last poll.
      if (failure.code === 409 && failures > 0) await deps.contested(sentenceOf(failure));
      await deps.clock.sleep(waitOf(failure, failures++), signal);
    }
  }
}

function createBot({ access }: PollDeps): Bot {
  const bot = new Bot(access.token.reveal(), { client: clientOptions(access) });
  const retrying = autoRetry(RETRY);
  bot.api.config.use(async (previous, method, payload, signal) => {
    if (method !== 'getUpdates') return retrying(previous, method, payload, signal);
    const answer = await previous(method, payload, signal);
    if (answer.ok) return answer;
    const { error_code: code, description, parameters } = answer;
    throw new PollFailed({
      kind: 'refused',
      code,
      description,
      retryAfterMs: parameters?.retry_after === undefined ? null : parameters.retry_after * 1_000,
      migratedTo: null,
      mayHaveArrived: false,
    });
  });
  return bot;
}

type Supply = ReturnType<typeof createUpdateFetcher<Update, BotError>>;

/** One run of grammY's runner, until it is stopped or a poll fails. */
async function runOnce(
  bot: Bot,
  fetchUpdates: Supply,
  deps: PollDeps,
  signal: AbortSignal,
  alive: () => void,
): Promise<void> {
  const source = createSource<Update>({
    supply: async (batch, stop) => {
      const updates = await fetchUpdates(batch, stop);
      alive();
      return updates;
    },
  });
  const sink = createSequentialSink<Update>({ consume: (update) => deps.handle(update, bot) }, async (error) =>
    deps.log('an update could not be handled', { error: failureOf(error, deps.access.token).description }),
  );
  const runner = createRunner(source, sink);
  const stop = () => void runner.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    runner.start();
    await runner.task();
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function waitOf({ code, retryAfterMs }: TelegramFailure, failures: number): number {
  if (retryAfterMs !== null) return retryAfterMs;
  if (code === 401 || code === 404 || code === 409) return PERSON_MS;
  return Math.min(BACK_OFF_MOST_MS, BACK_OFF_MS * 2 ** Math.min(failures, 10));
}

function sentenceOf({ code, description }: TelegramFailure): string {
  if (code === 409 && /webhook/i.test(description))
    return 'the bot has a webhook: commands cannot be read until it is removed';
  if (code === 409) return 'another program polls with the same bot token: commands may go to it';
  if (code === 401 || code === 404) return 'the bot token is not accepted: ask BotFather for the right one';
  return 'the chat is not reachable; trying again';
}
