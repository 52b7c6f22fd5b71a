// What each rule of the mask takes and what it leaves, text by text: the last character that counts is in a row of its own.

import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { MASK, redact } from './redact.ts';

// Assembled here, so that no text of this file looks like a credential to a scanner.
const j = (...parts: string[]): string => parts.join('');
const B62 = 'kJ8sd9F2kLm3nB7vQ1xZwY4hG6tR5pC0';
const M = MASK;

describe('a value behind a secret name', () => {
  const stays = [
    ...['[secret', '[redacted', 'redacted', '*', '***', 'xxx', 'xxxxxx', '...', '.....', '<secret>', '<>', '${DB_PASS'],
    ...['$DB_PASS', '$', '%s', '%d', '%r', '%v', '{', '{name', 'true', 'false', 'yes', 'no', 'null', 'none', 'nil'],
    ...['undefined', 'empty', 'missing', 'invalid', 'expired', 'required', 'optional', 'not', 'is', 'was', 'has'],
    ...[
      'must',
      'should',
      'cannot',
      'unset',
      'set',
      'ok',
      'string',
      'str',
      'bool',
      'int',
      '1',
      '12345',
      'n/a',
      '-',
      '--',
    ],
  ].filter((value) => value !== '$');
  it.each(stays)('stays when it is %s', (value) => {
    expect(redact(`password=${value}`)).toBe(`password=${value}`);
  });

  const goes = [
    ...[
      '123456',
      'xx',
      '..',
      '%q',
      'true1',
      '1true',
      'notes',
      'isnt',
      'a-',
      '-a',
      'n/ab',
      '$9',
      'a*',
      '*a',
      'int8',
      'x',
    ],
    ...['unredacted', 'redacted9', '<a', 'a<b>', '..a', 'axxx'],
  ];
  it.each(goes)('goes when it is %s', (value) => {
    expect(redact(`password=${value}`)).toBe(`password=${M}`);
  });

  it.each(['<a>b', '${A}b', '{a}b', '{a b}', '$A b', 'x y'])(
    'goes when it only begins like a placeholder: %s',
    (value) => {
      expect(redact(`"password": "${value}"`)).toBe(`"password": "${M}"`);
    },
  );

  it.each([
    '${A b}',
    '{name}',
    '<your password>',
    '<a b>',
    'please enter it now',
    'is wrong, sorry man',
    'Try it again!',
  ])('stays when it is a placeholder or a message: %s', (value) => {
    expect(redact(`"password": "${value}"`)).toBe(`"password": "${value}"`);
  });

  it.each(['9 abc def ghi', 'two words', 'a b9 c9'])('goes when it is no message: %s', (value) => {
    expect(redact(`"password": "${value}"`)).toBe(`"password": "${M}"`);
  });

  const rows: readonly (readonly [string, string])[] = [
    ['PASSWORD=hunter2 TOKEN=hunter3', `PASSWORD=${M} TOKEN=${M}`],
    ['Password: hunter22', `Password: ${M}`],
    ['"PASSWORD":"a","TOKEN":"b"', `"PASSWORD":"${M}","TOKEN":"${M}"`],
    ['password: wrong for user', 'password: wrong for user'],
    ['password: wrong. try again', 'password: wrong. try again'],
    ['password: Wrong for user', 'password: Wrong for user'],
    ['password: none', 'password: none'],
    ['password: none at all', 'password: none at all'],
    ['password: hunter', `password: ${M}`],
    ['password: hunter2 is bad', `password: ${M} is bad`],
    ['password: 9wrong is', `password: ${M} is`],
    ['password: wrong9 is', `password: ${M} is`],
    ['password: wrong 99', `password: ${M} 99`],
    ['password: abc', 'password: abc'],
    // The first eats the beginning of the second: it takes a second look.
    ['token: abcd1 token: abcd2', `token: ${M} token: ${M}`],
    ['--PASSWORD hunter22 --token hunter33', `--PASSWORD ${M} --token ${M}`],
    ['--password  hunter22', `--password  ${M}`],
    ['--password none', '--password none'],
    ['--password -hunter22', '--password -hunter22'],
    ['--password abc', '--password abc'],
  ];
  it.each(rows)('%s', (text, want) => expect(redact(text)).toBe(want));
});

describe('a credential of HTTP', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['Authorization: Bearer abcd', `Authorization: Bearer ${M}`],
    ['Proxy-Authorization: Basic abcd', `Proxy-Authorization: Basic ${M}`],
    ['authorization=abcd', `authorization=${M}`],
    ['authorization: Token abcd x', `authorization: Token ${M} x`],
    ['authorization  :  Digest  abcd', `authorization  :  Digest  ${M}`],
    ['authorization: apikey abcd', `authorization: apikey ${M}`],
    ['authorization: AWS4-HMAC-SHA256 abcd', `authorization: AWS4-HMAC-SHA256 ${M}`],
    ['authorization: Negotiate abcd', `authorization: Negotiate ${M}`],
    ['{"authorization": "Bearer abcd"}', `{"authorization": "Bearer ${M}"}`],
    ["{'authorization':'abcd'}", `{'authorization':'${M}'}`],
    ['{\\"authorization\\": \\"abcd\\"}', `{\\"authorization\\": \\"${M}\\"}`],
    ['Authorization: abc', 'Authorization: abc'],
    ['Authorization: Bearer', 'Authorization: Bearer'],
    ['Authorization: Basic, please', 'Authorization: Basic, please'],
    ['Authorization: Bearers', `Authorization: ${M}`],
    ['Authorization: xBearer', `Authorization: ${M}`],
    ['authorization: required', 'authorization: required'],
    ['bearer abcdefghijk1', `bearer ${M}`],
    ['Basic   QWxhZGRpbjpv', `Basic   ${M}`],
    ['bearer ------Ab-----', `bearer ${M}`],
    ['bearer ------aB-----', `bearer ${M}`],
    ['bearer A-----------z', `bearer ${M}`],
    ['bearer z-----------A', `bearer ${M}`],
    ['bearer authentication', 'bearer authentication'],
    ['bearer ABCDEFGHIJKLMN', 'bearer ABCDEFGHIJKLMN'],
    ['bearer short1', 'bearer short1'],
    ['bearer is abcdefghijk1', 'bearer is abcdefghijk1'],
    ['Set-Cookie: sid=abcdef', `Set-Cookie: sid=${M}`],
    ['cookie   :   sid=abcdef; a=bcd', `cookie   :   sid=${M}; a=bcd`],
    ['{"cookie": "sid=abcdef"}', `{"cookie": "sid=${M}"}`],
    ["{'cookie':'sid=abcdef'}", `{'cookie':'sid=${M}'}`],
    ['{\\"cookie\\": \\"sid=abcdef\\"}', `{\\"cookie\\": \\"sid=${M}\\"}`],
  ];
  it.each(rows)('%s', (text, want) => expect(redact(text)).toBe(want));
});

describe('a secret in an address', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['http://abcdefghijklmnop@x/', `http://${M}@x/`],
    ['git+https://abcdefghijklmnop@x/', `git+https://${M}@x/`],
    ['https://abcdefghijklmno@x/', 'https://abcdefghijklmno@x/'],
    ['mysql+pymysql://a:b@x and amqp://c:d@y', `mysql+pymysql://a:${M}@x and amqp://c:${M}@y`],
    ['see hooks.slack.com/services/T00/B00/abcdef now', `see hooks.slack.com/services/${M} now`],
    ['see hooks.slack.com/workflows/T00/B00/abcd now', `see hooks.slack.com/workflows/${M} now`],
    ['see hooks.slack.com/triggers/T00-B00_abcd now', `see hooks.slack.com/triggers/${M} now`],
    ['discord.com/api/webhooks/12345678/abcdef-Gh_ij x', `discord.com/api/webhooks/12345678/${M} x`],
    ['discordapp.com/api/webhooks/12345/abcdefghij x', `discordapp.com/api/webhooks/12345/${M} x`],
    ['discord.com/api/webhooks/12345/abc', 'discord.com/api/webhooks/12345/abc'],
    ['/bot12345:abcdefghij/x', `/bot${M}/x`],
    ['/BOT12345%3aabcdefghij/x', `/BOT${M}/x`],
    ['/bot1234:abcdefghij/x', '/bot1234:abcdefghij/x'],
  ];
  it.each(rows)('%s', (text, want) => expect(redact(text)).toBe(want));
});

describe('a key of a known form', () => {
  const key = j('sk', '-', B62);
  const discord = j('M', B62.slice(0, 23), '.', 'abCd1-', '.', B62.slice(0, 27));

  it('is found as often as it stands there, and at the very beginning', () => {
    expect(redact(`${key} a ${key}`)).toBe(`${M} a ${M}`);
    expect(redact(`a ${discord} b`)).toBe(`a ${M} b`);
    expect(redact(`a ${j('123456', '78:AA', B62)} b`)).toBe(`a ${M} b`);
  });

  it('is a word of its own: what only contains it is an identifier', () => {
    for (const text of [`my${key}`, `my_${key}`, `my-${key}`, j('AK', 'IA', 'A'.repeat(17))])
      expect(redact(text)).toBe(text);
  });

  it.each([
    ['-----BEGIN ', 'PRIVATE KEY-----', '-----END PRIVATE KEY-----'],
    ['-----BEGIN RSA ', 'PRIVATE KEY-----', '-----END RSA PRIVATE KEY-----'],
    ['-----BEGIN PGP ', 'PRIVATE KEY BLOCK-----', '-----END PGP PRIVATE KEY BLOCK-----'],
  ])('is a private key from its first line to its last: %s', (begin, name, end) => {
    const text = `${j(begin, name)}\nabc\ndef\n${end}`;
    expect(redact(`a\n${text}\nb\n${text}\nc`)).toBe(`a\n${M}\nb\n${M}\nc`);
    expect(redact(`a\n${j(begin, name)}\nabc`)).toBe(`a\n${M}`);
  });
});

describe('a random word behind a key word', () => {
  const random = B62.slice(0, 24);
  const rows: readonly (readonly [string, string])[] = [
    [`bad token ${random}`, `bad token ${M}`],
    [`the access token is ${random}`, `the access token is ${M}`],
    [`api key used "${random}"`, `api key used "${M}"`],
    [`Signing Key was (${random})`, `Signing Key was (${M})`],
    [`secret value   ${random}, sorry`, `secret value   ${M}, sorry`],
    [`credential provided ${random}`, `credential provided ${M}`],
    [`signature of ${random}`, `signature of ${M}`],
    [`token kJ8=sd9F2kLm3nB7vQ1x/abc`, `token ${M}`],
    [`token kJ8sd9F2kL/abc/3nB7vQ1x`, `token ${M}`],
    ...[
      `tokens ${random}`,
      `token ${random.slice(0, 19)}`,
      'token AbcdefGhijklmnopqrstuv',
      'token 12345678901234567890',
      'token 1234567890-1234567890',
      'token k9sd/abc/def/ghi_jkl/mno-pqr',
      'token k9sd-fgh.abc.def.ghijkl.mno',
      'token 9kJ8sd9F2kLm3nB7vQ1x',
      'token aaaaaaaaaaaaaaaaaaaa1',
      'token aabbaabbaabbaabbaabb1',
    ].map((text) => [text, text] as const),
  ];
  it.each(rows)('%s', (text, want) => expect(redact(text)).toBe(want));
});

describe('a known value', () => {
  const hex = (text: string) => Buffer.from(text).toString('hex');

  it('is looked for from six characters on, the longest first', () => {
    expect(redact('abcde abcdef', ['abcde', 'abcdef'])).toBe(`abcde ${M}`);
    expect(redact('abcdefghi', ['abcdef', 'abcdefghi'])).toBe(M);
  });

  it('is known only as long as it is asked for', () => {
    expect(redact('first1 second2', ['first1'])).toBe(`${M} second2`);
    expect(redact('first1 second2', ['second2'])).toBe(`first1 ${M}`);
    expect(redact('first1 second2 third3', ['first1', 'second2'])).toBe(`${M} ${M} third3`);
    expect(redact('first1 second2 third3', ['first1', 'third3'])).toBe(`${M} second2 ${M}`);
    expect(redact('first1 second2 third3', ['first1'])).toBe(`${M} second2 third3`);
    expect(redact('first1 second2 third3')).toBe('first1 second2 third3');
  });

  const value = 'pä/s <&">\t9';
  const bytes = [...Buffer.from(value)];
  const inner = JSON.stringify(value).slice(1, -1);
  it.each([
    ['as it is', value],
    ['as JSON', inner],
    ['as JSON in JSON', JSON.stringify(inner).slice(1, -1)],
    ['as JSON with escaped slashes', inner.replaceAll('/', '\\/')],
    ['percent-encoded', encodeURIComponent(value)],
    ['percent-encoded with plus signs', encodeURIComponent(value).replaceAll('%20', '+')],
    ['percent-encoded in small letters', encodeURIComponent(value).toLowerCase()],
    ['with every byte percent-encoded', bytes.map((b) => `%${b.toString(16).padStart(2, '0').toUpperCase()}`).join('')],
    ['for HTML', 'pä/s &lt;&amp;&quot;&gt;\t9'],
    ['in hex', hex(value)],
    ['in capital hex', hex(value).toUpperCase()],
    ['with escapes of bytes', bytes.map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')],
    ['in base64', Buffer.from(value).toString('base64')],
  ])('is found %s', (_, text) => {
    expect(redact(`a ${text} z`, [value])).toMatch(/^a \[secret\].? z$/);
  });

  it('is found in small percent codes also where its letters are capital', () => {
    expect(redact('a Ab%2fCd%2f z', ['Ab/Cd/'])).toBe(`a ${M} z`);
    expect(redact('a ABCDEF/ z', ['ABCDEF/'])).toBe(`a ${M} z`);
  });

  it('is found inside a longer base64 text from eight bytes on, wherever it begins', () => {
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    expect(redact(encoded('hunter-22'), ['hunter-22'])).toBe(M);
    for (const before of ['x', 'xy', 'xyz', 'bob:']) {
      expect(redact(encoded(`${before}hunter-22!?`), ['hunter-22'])).toMatch(/^.{2,6}\[secret\].{2,6}$/);
    }
    expect(redact(encoded('hunter-2'), ['hunter-2'])).toMatch(/^\[secret\].{2}$/);
    expect(redact(encoded('hunter2'), ['hunter2'])).toBe(encoded('hunter2'));
    expect(redact(Buffer.from('>>>>>>>>>').toString('base64url'), ['>>>>>>>>>'])).toBe(M);
    expect(redact(Buffer.from('?????????').toString('base64url'), ['?????????'])).toBe(M);
  });

  it('may be no proper text', () => {
    expect(redact('a \ud800abcdef z', ['\ud800abcdef'])).toBe(`a ${M} z`);
  });
});
