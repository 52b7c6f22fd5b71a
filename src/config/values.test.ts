import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from './nearest.ts';
import { isLoopback, parseAddress, parseBoolean, parseDuration } from './values.ts';

describe('parseDuration', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    ['300', 300_000],
    [' 10S ', 10_000],
    [0, 0],
    [0.25, 250],
  ])('reads %j as %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each([
    '',
    'soon',
    '5',
    '-1s',
    '1h-2m',
    's',
    '1y',
    '10 m',
    '9'.repeat(30),
    Number.NaN,
    -1,
    Number.POSITIVE_INFINITY,
  ])('refuses %j unless it is a number of seconds', (text) =>
    expect(parseDuration(text)).toBe(text === '5' ? 5000 : null),
  );

  it('adds up its parts', () =>
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), (minutes, seconds) => {
        expect(parseDuration(`${minutes}m${seconds}s`)).toBe(minutes * 60_000 + seconds * 1000);
      }),
    ));
});

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:7331', { host: '127.0.0.1', port: 7331 }],
    [':80', { host: '127.0.0.1', port: 80 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:5', { host: '::1', port: 5 }],
    ['db.example:5432', { host: 'db.example', port: 5432 }],
    ['host', null],
    ['a:b', null],
    ['a:70000', null],
    ['http://x:1', null],
  ])('%s', (text, expected) => expect(parseAddress(text)).toEqual(expected));

  it('knows which addresses only this machine reaches', () => {
    expect(['127.0.0.1', 'localhost', '::1', '127.1.2.3'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '127.0.0.1.example.com', '10.0.0.1', ''].some(isLoopback)).toBe(false);
  });
});

it('parseBoolean takes what people write', () => {
  expect(['true', 'YES', 'on', '1'].map(parseBoolean)).toEqual([true, true, true, true]);
  expect(['false', 'No', 'off', '0'].map(parseBoolean)).toEqual([false, false, false, false]);
  expect(['', 'maybe', '2'].map(parseBoolean)).toEqual([null, null, null]);
});

describe('nearest', () => {
  const known = ['incidents', 'incident', 'history', 'health', 'fix', 'auto_fix', 'check_interval'];
  it.each([
    ['incidnets', 'incidents'],
    ['helth', 'health'],
    ['fxi', 'fix'],
    ['autofix', 'auto_fix'],
    ['checkInterval', 'check_interval'],
    ['hist', 'history'],
    ['zebra', null],
    ['', null],
  ])('of %j is %j', (word, expected) => expect(nearest(word, known)).toBe(expected));
});
