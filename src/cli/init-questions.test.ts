import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../config/secret.ts';
import { systemClock } from '../host/clock.ts';
import { FakeTelegram } from '../testing/telegram.ts';
import { saveToken, yamlOf, type Answers } from './init-file.ts';
import { askForAnswers } from './init-questions.ts';
import { Cancelled, type Prompter, type Question } from './prompter.ts';

let api: FakeTelegram;
beforeEach(async () => {
  api = await FakeTelegram.start({ chats: [1001, 2002] });
});
afterEach(() => api.close());

/** A person who takes every proposal, pastes these tokens, and does as told with the phone. */
class Newcomer implements Prompter {
  readonly said: string[] = [];
  readonly asked: string[] = [];
  readonly #tokens: string[];
  readonly #telegram: boolean;
  readonly #phone: (text: string) => void;

  constructor(tokens: readonly string[], phone: (text: string) => void = () => {}, telegram = true) {
    this.#tokens = [...tokens];
    this.#phone = phone;
    this.#telegram = telegram;
  }
  async text({ message, initial = '', check }: Question): Promise<string> {
    this.asked.push(message);
    expect(check?.(initial)).toBeUndefined();
    return initial;
  }
  async secret({ message }: Question): Promise<string> {
    this.asked.push(message);
    const token = this.#tokens.shift();
    if (token === undefined) throw new Cancelled();
    return token;
  }
  async confirm(): Promise<boolean> {
    return this.#telegram;
  }
  say(text: string): void {
    this.said.push(text);
    this.#phone(text);
  }
  waiting<T>(_: string, work: Promise<T>): Promise<T> {
    return work;
  }
}

const proposal = (): Answers => ({
  name: 'agent',
  directory: '.',
  logs: ['data/logs/*.log'],
  restart: null,
  health: null,
  telegram: { user: '', chat: '', apiRoot: api.url, token: null },
});
const asking = (environment: Record<string, string> = {}) => ({
  clock: systemClock,
  signal: new AbortController().signal,
  environment,
});

describe('a newcomer', () => {
  it('pastes a token, sends one message, and is known and greeted', async () => {
    const person = new Newcomer(['no token', '1:AAwrongwrongwrongwrongwrong', api.token], (text) => {
      const code = /send (\d{6}) to @selfheal_bot/.exec(text)?.[1];
      if (!code) return;
      // Whoever else writes to the new bot is nobody.
      api.say('hello bot', { user: 2002 });
      api.say(`/start ${code}`, { user: 1001 });
    });
    const answers = await askForAnswers(person, proposal(), asking());
    expect(answers.telegram).toMatchObject({ user: '1001', chat: '1001', apiRoot: api.url });
    expect(answers.telegram?.token?.reveal()).toBe(api.token);
    expect(api.sent().map(({ chat, text }) => [chat, text.split('\n')[0]])).toEqual([
      [1001, expect.stringMatching(/^🩺 selfheal on \S+$/)],
    ]);
    expect(person.said.join('\n')).toMatch(/not a bot token[^]*does not know this token[^]*Hello user1001/);
    expect(JSON.stringify([person.said, person.asked])).not.toContain(api.token.slice(5));
    expect(yamlOf(answers)).toContain('allowed_users: [1001]');
    expect(yamlOf(answers)).not.toContain(api.token.slice(5));
  });

  it('need not paste what the environment holds, and may do without Telegram', async () => {
    const person = new Newcomer([], (text) => {
      const code = /send (\d{6}) to/.exec(text)?.[1];
      if (code) api.say(code, { user: 1001 });
    });
    const answers = await askForAnswers(person, proposal(), asking({ TELEGRAM_BOT_TOKEN: api.token }));
    expect(answers.telegram?.user).toBe('1001');
    const without = await askForAnswers(new Newcomer([], undefined, false), proposal(), asking());
    expect(without.telegram).toBeNull();
  });

  it('may give up', async () => {
    await expect(askForAnswers(new Newcomer(['nonsense']), proposal(), asking())).rejects.toThrow(Cancelled);
  });
});

describe('the token', () => {
  it('goes into a file that only its owner can read, or into the one that is there, which keeps its mode', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'selfheal-init-'));
    try {
      const file = join(folder, '.env');
      await writeFile(file, 'DEBUG=1', { mode: 0o644 });
      expect(await saveToken(file, new Secret(api.token))).toBe('exposed');
      expect(await readFile(file, 'utf8')).toBe(`DEBUG=1\nTELEGRAM_BOT_TOKEN=${api.token}\n`);
      expect((await stat(file)).mode & 0o777).toBe(0o644);
      expect(await saveToken(`${file}.own`, new Secret(api.token))).toBe('saved');
      expect((await stat(`${file}.own`)).mode & 0o777).toBe(0o600);
      expect(await saveToken(file, new Secret('2:other'))).toBe('kept');
      expect(await readFile(file, 'utf8')).not.toContain('other');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
