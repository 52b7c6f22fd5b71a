// The gate before a package is fetched: which one index it may come from, and what about that is doubtful.

import { describe, expect, it } from 'vitest';
import type { FileProbe } from './contract.ts';
import {
  findIndex,
  type IndexClues,
  isIndexUrl,
  parsePipConf,
  PUBLIC_INDEX,
  withCredentials,
  withoutCredentials,
} from './package-index.ts';

const clues: IndexClues = { configured: null, venv: '/venv', environment: null, machineFiles: ['/etc/a', '/etc/b'] };
const find = (files: Readonly<Record<string, string>>, changes: Partial<IndexClues> = {}) => {
  // Nothing else of a probe is asked.
  const probe = { text: async (path: string) => files[path] ?? null } as unknown as FileProbe;
  return findIndex(probe, { ...clues, ...changes });
};
const named = (url: string) => `[global]\nindex-url = ${url}\n`;

describe('the index', () => {
  it('is the public one when nobody says otherwise', async () => {
    expect(await find({})).toEqual({ url: 'https://pypi.org/simple', doubts: [] });
    expect(PUBLIC_INDEX).toBe('https://pypi.org/simple');
  });

  it('is the one of the nearest word', async () => {
    const files = { '/venv/pip.conf': named('http://venv'), '/etc/a': named('http://a'), '/etc/b': named('http://b') };
    expect(await find(files, { configured: 'http://own', environment: 'http://env' })).toEqual({
      url: 'http://own',
      doubts: [],
    });
    expect(await find(files, { environment: 'http://env' })).toEqual({ url: 'http://venv', doubts: [] });
    const outside = { '/etc/a': files['/etc/a'], '/etc/b': files['/etc/b'] };
    expect(await find(outside, { environment: 'http://env' })).toEqual({ url: 'http://env', doubts: [] });
    expect(await find(outside)).toEqual({ url: 'http://a', doubts: ['only /etc/a names the package index'] });
    expect(await find({ '/etc/b': files['/etc/b'] })).toMatchObject({ url: 'http://b' });
  });

  it('is doubted when other places are named as well', async () => {
    const extra = 'extra-index-url = https://u:p@x';
    const both = `${named('http://venv')}${extra}\n`;
    expect(await find({ '/venv/pip.conf': both })).toEqual({
      url: 'http://venv',
      doubts: ['/venv/pip.conf also names https://x'],
    });
    expect(await find({ '/venv/pip.conf': extra })).toEqual({
      url: PUBLIC_INDEX,
      doubts: ['/venv/pip.conf names https://x'],
    });
    expect(await find({ '/venv/pip.conf': extra }, { environment: 'http://env' })).toEqual({
      url: 'http://env',
      doubts: ['/venv/pip.conf names https://x'],
    });
    expect(await find({ '/etc/a': extra, '/etc/b': named('http://b') })).toEqual({
      url: 'http://b',
      doubts: ['/etc/a names https://x', 'only /etc/b names the package index'],
    });
  });
});

describe('a pip.conf', () => {
  const others = (text: string) => parsePipConf(text).others;

  it.each([
    ['index-url=http://a', 'http://a'],
    ['index-url = http://a', 'http://a'],
    ['index-url : http://a', 'http://a'],
    ['INDEX_URL = http://a', 'http://a'],
    ['[x]\r\nindex-url = http://a\r\n[y]', 'http://a'],
    ['index-url = http://a\nindex-url = http://b', 'http://b'],
    ['index-url = http://a http://b', 'http://a'],
    ['index-url =\n  http://a', 'http://a'],
    ['index-url =\n  # no\n\n  http://a', 'http://a'],
    ['index-url =', null],
    ['# index-url = http://a', null],
    ['; index-url = http://a', null],
    ['  # index-url = http://a', null],
    ['x-index-url = http://a', null],
    ['index-url', null],
    ['9index-url = http://a', null],
    ['', null],
  ])('%j names %s', (text, index) => {
    expect(parsePipConf(text)).toEqual({ index, others: [] });
  });

  it('names other places, one by one or over several lines, and never their passwords', () => {
    expect(others('extra-index-url = https://u:p@a/s https://b/s')).toEqual(['https://a/s', 'https://b/s']);
    expect(others('find_links =\n  ./w\n\t/x  /y\n')).toEqual(['./w', '/x', '/y']);
    expect(others('find-links = ./w\n[x]\n  /not-of-it')).toEqual(['./w']);
    expect(others('find-links = ./w\ntimeout = 3\n  /not-of-it')).toEqual(['./w']);
    expect(others('  ./nothing-before')).toEqual([]);
  });
});

describe('an address', () => {
  it('is stored and shown without credentials', () => {
    expect(withoutCredentials('https://u:p@h/s')).toBe('https://h/s');
    expect(withoutCredentials('git+ssh.x-1://u@h/s')).toBe('git+ssh.x-1://h/s');
    for (const text of ['https://h/u@s', '1https://u@h', 'see https://u@h', 'u@h', './x'])
      expect(withoutCredentials(text)).toBe(text);
  });

  it('gets back the credentials that this host knows, and no others', () => {
    const known = [null, 'https://a:b@other/s', 'https://u:p@h/s', 'https://v:q@h/s'];
    expect(withCredentials('https://h/s', known)).toBe('https://u:p@h/s');
    expect(withCredentials('https://x/s', known)).toBe('https://x/s');
    expect(withCredentials('https://x/s', [null])).toBe('https://x/s');
  });

  it.each(['http://h', 'https://h/s', 'https://u:p@h:8080/s'])('%s may be an index', (url) => {
    expect(isIndexUrl(url)).toBe(true);
  });

  it.each([
    ...['ftp://h', 'file:///s', 'h/s', '--index-url=http://h', ' http://h', 'http://h s', 'http://h\n', 'http://h"'],
    ...[
      "http://h'",
      'http://h<',
      'http://h>',
      'http://h\\',
      'http://',
      'http://[',
      'httpss://h',
      'xhttp://h',
      'http:/h',
    ],
  ])('%j may not', (url) => {
    expect(isIndexUrl(url)).toBe(false);
  });
});
