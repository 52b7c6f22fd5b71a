// Nothing secret may pass, and next to nothing else may be hidden.

import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MASK, redact } from './redact.ts';

const B62 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const b62 = (n: number): string => Array.from(randomBytes(n), (b) => B62[b % 62]).join('');
// Assembled here, so that no text of this file looks like a credential to a scanner.
const j = (...parts: string[]): string => parts.join('');

const FORMATS: readonly [string, () => string][] = [
  ['an Anthropic key', () => j('sk-', 'ant-', 'api03-', b62(40))],
  ['an OpenAI project key', () => j('sk-', 'proj-', b62(48))],
  ['a plain sk- key', () => j('sk', '-', b62(48))],
  ['an OpenRouter key', () => j('sk-', 'or-v1-', b62(48))],
  ['a Google key', () => j('AI', 'za', b62(35))],
  ['a GitHub token', () => j('gh', 'p_', b62(36))],
  ['a fine-grained GitHub token', () => j('github', '_pat_', b62(50))],
  ['a GitLab token', () => j('gl', 'pat-', b62(20))],
  ['a Slack token', () => j('xo', 'xb-', '123456789012-', b62(24))],
  ['an AWS key id', () => j('AK', 'IA', b62(16).toUpperCase())],
  ['a Telegram bot token', () => j('123456', '7890:AA', b62(33))],
  ['a Hugging Face token', () => j('h', 'f_', b62(34))],
  ['an npm token', () => j('np', 'm_', b62(36))],
  ['a Stripe key', () => j('sk', '_live_', b62(24))],
  ['a restricted Stripe key', () => j('rk', '_live_', b62(24))],
  ['a signing key of webhooks', () => j('wh', 'sec_', b62(32))],
  ['an AWS role id', () => j('AR', 'OA', b62(16).toUpperCase())],
  ['a Groq key', () => j('gs', 'k_', b62(52))],
  ['a JSON web token', () => j('ey', 'J', b62(20), '.', b62(40), '.', b62(43))],
];

const FRAMES: readonly ((secret: string) => string)[] = [
  (s) => `request failed with ${s}`,
  (s) => `{'authorization': 'Bearer ${s}'}`,
  (s) => `[url=https://bot.example/hook?token=${s}]`,
  (s) => `api_key=${s}`,
  (s) => `{"apiKey":"${s}","n":1}`,
  (s) => `"{\\"key\\":\\"${s}\\"}"`,
];

for (const [name, make] of FORMATS) {
  test(`masks ${name} wherever it stands`, () => {
    for (const frame of FRAMES) {
      const secret = make();
      expect(redact(frame(secret))).not.toContain(secret.slice(-12));
    }
  });
}

test('masks a bot token inside the address of the chat API, in clear and percent-encoded', () => {
  const token = j('98765', '43210:AA', b62(33));
  const out = redact(`Failed to parse URL from https://api.telegram.org/bot${token}/sendMessage and bot%3A`);
  expect(out).toContain(`https://api.telegram.org/bot${MASK}/sendMessage`);
  expect(redact(`GET /bot${token.replace(':', '%3A')}/getMe`)).toBe(`GET /bot${MASK}/getMe`);
});

test('keeps the user and the host of an address, and masks its password', () => {
  expect(redact('postgres://agent:hunter2@db.local:5432/x')).toBe(`postgres://agent:${MASK}@db.local:5432/x`);
  expect(redact('redis://:pa55@cache:6379')).toBe(`redis://:${MASK}@cache:6379`);
  expect(redact(`https://${b62(40)}@github.com/a/b.git`)).toBe(`https://${MASK}@github.com/a/b.git`);
});

test('masks values that follow a secret name', () => {
  const cases: readonly [string, string][] = [
    ['password=hunter2', `password=${MASK}`],
    ['DB_PASSWORD=hunter2 DB_HOST=x', `DB_PASSWORD=${MASK} DB_HOST=x`],
    ['secret: hunter2', `secret: ${MASK}`],
    ["{'client_secret': 'abc def'}", `{'client_secret': '${MASK}'}`],
    ['"refresh_token":"abc"', `"refresh_token":"${MASK}"`],
    ['mysql --password hunter22 -h db', `mysql --password ${MASK} -h db`],
    ['Authorization: Basic dXNlcjpwYXNz', `Authorization: Basic ${MASK}`],
    ['Cookie: sid=abcdef123456; theme=dark-mode', `Cookie: sid=${MASK}; theme=${MASK}`],
    ['https://s3/x?X-Amz-Signature=abc123&a=1', `https://s3/x?X-Amz-Signature=${MASK}&a=1`],
  ];
  for (const [text, want] of cases) expect(redact(text)).toBe(want);
});

test('masks private keys whole, also when their end was cut off', () => {
  const body = `${b62(64)}\n${b62(64)}`;
  const key = j('-----BEGIN RSA ', 'PRIVATE KEY-----\n', body, '\n-----END RSA ', 'PRIVATE KEY-----');
  expect(redact(`key:\n${key}\nafter`)).toMatch(/\[secret\]\nafter$/);
  expect(redact(key.slice(0, 100))).not.toContain(body.slice(0, 30));
});

test('leaves ordinary talk about passwords and tokens alone', () => {
  const lines = [
    'Limit 30000 tokens per minute, max_tokens: 4096, tokens=120',
    "Access denied for user 'root'@'localhost' (using password: NO)",
    'password: must be at least 8 characters',
    'FATAL:  password authentication failed for user "app"',
    'API Key not found. Please pass a valid API key.',
    'SyntaxError: Unexpected token \'<\', "<!DOCTYPE" is not valid JSON',
    'Unexpected token } in JSON at position 17',
    'no key found in keyring: keyring.json',
    'token=${TELEGRAM_BOT_TOKEN}',
    'missing required environment variable ANTHROPIC_API_KEY',
    'commit 3f786850e387550fdab836ed7e6dc881de23001b',
    'request_id=8c7f2a1e-5b1d-4f6e-9a6b-0d2c8d1f7a11 took 12ms',
  ];
  for (const line of lines) expect(redact(line)).toBe(line);
});

test('masks known values in every usual encoding', () => {
  for (let i = 0; i < 40; i++) {
    const secret = `p&${b62(10)}"/ü ${b62(6)}`;
    const inner = JSON.stringify(secret).slice(1, -1);
    const texts = [
      secret,
      inner,
      JSON.stringify(inner).slice(1, -1),
      encodeURIComponent(secret),
      encodeURIComponent(secret).replaceAll('%20', '+'),
      Buffer.from(secret).toString('hex'),
      Buffer.from(secret).toString('hex').toUpperCase(),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('base64url'),
      Buffer.from(`bob:${secret}`).toString('base64'),
      Buffer.from(`x:${secret}!`).toString('base64url'),
      `${'a'.repeat(i)}${secret}`,
    ];
    for (const text of texts) {
      const out = redact(`value ${text} end`, [secret]);
      expect(out).toContain(MASK);
      expect(out).not.toContain(text.slice(6, -6));
    }
  }
});

test('touches fewer than one in two hundred clean words', () => {
  const words = [...cleanWords(20_000)];
  const hit = words.filter((word) => redact(`${word} `) !== `${word} `).length;
  expect(hit / words.length).toBeLessThan(0.005);
  const line = words.slice(0, 4000).join(' ');
  expect(redact(line).split(MASK).length - 1).toBeLessThan(20);
});

test('masking twice changes nothing more', () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom(
      'password=',
      'token: ',
      'Bearer ',
      'https://u:p@h/',
      '"secret":"',
      'Cookie: a=bbbbbbb; ',
      '/bot',
      '[secret]',
    ),
    fc.constantFrom(...FORMATS.map(([, make]) => make())),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const once = redact(pieces.join(''));
      expect(redact(once)).toBe(once);
    }),
    { numRuns: 2000 },
  );
});

test('stays fast on text made to slow it down', () => {
  const texts = [
    'password'.repeat(20_000),
    'a_'.repeat(100_000),
    `eyJ${'a'.repeat(200_000)}`,
    'x://'.repeat(50_000),
    'token: '.repeat(30_000),
  ];
  for (const text of texts) {
    const began = performance.now();
    redact(text);
    expect(performance.now() - began).toBeLessThan(1500);
  }
});

/** Words as logs hold them: ids, hashes, paths, versions, times, addresses, identifiers, prose. */
function* cleanWords(count: number): Generator<string> {
  const hex = (n: number): string => randomBytes(n).toString('hex');
  const makers: readonly (() => string)[] = [
    () => hex(4),
    () => hex(20),
    () => createHash('sha256').update(hex(4)).digest('hex'),
    () => `${hex(4)}-${hex(2)}-${hex(2)}-${hex(2)}-${hex(6)}`,
    () => `req_${b62(22)}`,
    () => `/srv/agent/src/${hex(3)}/module_${b62(4)}.py:${randomBytes(1)[0]}`,
    () => `v${randomBytes(1)[0]}.${randomBytes(1)[0]}.0-rc.1`,
    () => new Date(Date.now() - (randomBytes(1)[0] ?? 0) * 1e7).toISOString(),
    () => `10.0.${randomBytes(1)[0]}.${randomBytes(1)[0]}:443`,
    () => `https://example.com/a/${hex(8)}?page=${randomBytes(1)[0]}`,
    () => `com.example.service.${b62(6)}Handler.invoke`,
    () => `sha256:${hex(32)}`,
    () => `duration=${randomBytes(1)[0]}ms`,
    () => `container_${b62(12)}`,
    () => `0x${hex(8)}`,
    () => `sk-learn-${hex(2)}`,
    () => `key-value-store-${hex(2)}`,
    () => `tokens=${randomBytes(1)[0]}`,
    () => Buffer.from(`plain text ${hex(4)}`).toString('base64'),
    () => 'authentication',
  ];
  for (let i = 0; i < count; i++) yield (makers[i % makers.length] as () => string)();
}
