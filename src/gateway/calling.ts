// Where an upstream is, and what it means that a call brought no answer.

import type { Upstream, Verdict } from './contract.ts';

/** An upstream's address, taken apart once. */
export interface Place {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number;
  /** `host:port` as the `host` header says it. */
  readonly host: string;
  /** Path before that of the dialect; empty or beginning with a slash. */
  readonly base: string;
}

/** A call that brought no answer. */
export class CallError extends Error {
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    super(verdict.message);
    this.name = 'CallError';
    this.verdict = verdict;
  }
}

export function placeOf({ baseUrl }: Pick<Upstream, 'baseUrl'>): Place {
  const url = new URL(baseUrl);
  const secure = url.protocol === 'https:';
  return {
    secure,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port ? Number(url.port) : secure ? 443 : 80,
    host: url.host,
    base: url.pathname.replace(/\/+$/, ''),
  };
}

/** OpenAI's addresses end with the version that paths of callers begin with; it is not said twice. */
export function pathAt({ base }: Place, path: string): string {
  if (base === '' || !/^\/v\d/.test(path)) return `${base}${path}`;
  return /\/v\d[\w.]*(?:\/openai)?$|\/openai$/.test(base)
    ? `${base}${path.replace(/^\/v\d[\w.]*/, '')}`
    : `${base}${path}`;
}
