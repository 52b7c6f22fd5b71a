// Which package index a service's pip would use, and whether anything about it is doubtful. The
// plan is bound to this one address; pip's own configuration files are switched off when we act.

import { join } from 'node:path';
import type { FileProbe } from './contract.ts';

export const PUBLIC_INDEX = 'https://pypi.org/simple';

export interface IndexFinding {
  /** May hold credentials: never shown, never part of a plan. */
  readonly url: string;
  readonly doubts: readonly string[];
}

export interface IndexClues {
  /** `package_index` of the service. */
  readonly configured: string | null;
  readonly venv: string;
  /** PIP_INDEX_URL of selfheal's own environment when it started. */
  readonly environment: string | null;
  /** Configuration files of the machine and the user, e.g. `/etc/pip.conf`. */
  readonly machineFiles: readonly string[];
}

/** The nearest word counts: the service's configuration, its venv, our environment, the machine, the public index. */
export async function findIndex(files: FileProbe, clues: IndexClues): Promise<IndexFinding> {
  if (clues.configured !== null) return { url: clues.configured, doubts: [] };
  const venvFile = join(clues.venv, 'pip.conf');
  const own = parsePipConf((await files.text(venvFile)) ?? '');
  if (own.index !== null)
    return { url: own.index, doubts: own.others.map((other) => `${venvFile} also names ${other}`) };
  const doubts = own.others.map((other) => `${venvFile} names ${other}`);
  if (clues.environment !== null) return { url: clues.environment, doubts };
  for (const file of clues.machineFiles) {
    const { index, others } = parsePipConf((await files.text(file)) ?? '');
    doubts.push(...others.map((other) => `${file} names ${other}`));
    if (index !== null) return { url: index, doubts: [...doubts, `only ${file} names the package index`] };
  }
  return { url: PUBLIC_INDEX, doubts };
}

export interface PipConf {
  readonly index: string | null;
  /** Other places that pip would look in, without credentials. */
  readonly others: readonly string[];
}

/** The keys of a pip.conf that say where packages come from, whatever section they stand in. */
export function parsePipConf(text: string): PipConf {
  let index: string | null = null;
  const others: string[] = [];
  let key = '';
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const match = /^([A-Za-z][\w-]*)\s*[=:]\s*(.*)$/.exec(line);
    const continued = /^\s+\S/.test(line) && match === null;
    if (!match && !continued) key = '';
    if (match) key = (match[1] ?? '').toLowerCase().replaceAll('_', '-');
    const values = (match ? (match[2] ?? '') : continued ? line : '').split(/\s+/).filter((v) => v !== '');
    if (key === 'index-url' && values[0] !== undefined) index = values[0];
    if (key === 'extra-index-url' || key === 'find-links') others.push(...values.map(withoutCredentials));
  }
  return { index, others };
}

/** The address as it may be stored and shown. A text that is no address is given back as it is. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^/@]*@/, '$1');
}

/** The address with its credentials, found among those that this host itself knows; else the address alone. */
export function withCredentials(url: string, known: readonly (string | null)[]): string {
  return known.find((other): other is string => other !== null && withoutCredentials(other) === url) ?? url;
}

/** http and https only, no options, no line breaks: what may stand behind `--index-url`. */
export function isIndexUrl(url: string): boolean {
  return /^https?:\/\/[^\s"'<>\\]+$/.test(url) && URL.canParse(url);
}
