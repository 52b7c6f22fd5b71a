// Where a text says that something is: an address, a port, a file or a line of source. Claims, as all that a log
// says; the grammar they must pass stands in facts.ts.

import { remembering } from '../core/memo.ts';

/** What `find` gives for the first text where it gives anything. */
export function firstOf<T>(texts: readonly string[], find: (text: string) => T | null): T | null {
  for (const text of texts) {
    const value = find(text);
    if (value !== null) return value;
  }
  return null;
}

// ---------------------------------------------------------------- addresses

export interface Address {
  readonly host?: string;
  readonly port?: number;
}

const HOST = '(?:\\d{1,3}(?:\\.\\d{1,3}){3}|localhost|(?:[a-z0-9_-]{1,63}\\.){1,6}[a-z]{2,24})';

/** The surest shapes first. */
const ADDRESSES: readonly RegExp[] = [
  /\bhost='(?<host>[\w.-]{1,120})', port=(?<port>\d{1,5})/g,
  new RegExp(`\\(['"](?<host>${HOST})['"], (?<port>\\d{1,5})\\)`, 'gi'),
  /\bhost(?:name)?[:=]? ?["'](?<host>[\w.-]{1,120})["'](?: \([\d.:a-f]+\))?,? (?:and accepting[^?]{0,60}on )?port (?<port>\d{1,5})/gi,
  new RegExp(`\\bhost(?:name)?[:=, ]{1,3}port: (?<host>${HOST}), (?<port>\\d{1,5})`, 'gi'),
  // A driver of a database names its host by whatever name it has, with or without dots.
  /\bserver at ["'](?<host>[\w.-]{1,120})["'](?: \([\d.:a-f]+\))?,? port (?<port>\d{1,5})/gi,
  // Java prints name and number of a host.
  /(?<host>[a-z][\w-]{0,62}(?:\.[\w-]{1,63}){1,6})\/\d{1,3}(?:\.\d{1,3}){3}:(?<port>\d{2,5})\b/gi,
  new RegExp(`\\bserver at ["'](?<host>${HOST})["'](?: \\([\\d.:a-f]+\\))?,? port (?<port>\\d{1,5})`, 'gi'),
  new RegExp(
    `\\b[a-z][a-z0-9+]{1,12}://(?:[^\\s/@:]{0,60}(?::[^\\s/@]{0,60})?@)?(?<host>${HOST})(?::(?<port>\\d{1,5}))?`,
    'gi',
  ),
  /(?:\[::\]|\[::1\]|\*|:::|0\.0\.0\.0):(?<port>\d{2,5})\b/g,
  new RegExp(`(?:^|[\\s("'[<@=/-])(?<host>${HOST}):(?<port>\\d{2,5})(?!\\d|\\.\\d|:\\d)`, 'gi'),
  new RegExp(
    `\\b(?:ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED|ETIMEDOUT|UnknownHostException:|resolve host(?:name)?:?|lookup|to host|connecting to|connect to|rhost=|from) ["']?(?<host>${HOST})["']?(?: port (?<port>\\d{1,5}))?`,
    'gi',
  ),
  new RegExp(`\\b(?:rhost=|client |address: ')(?<host>${HOST})(?::(?<port>\\d{1,5}))?`, 'gi'),
  new RegExp(`\\b(?:Upstream|host|server|user \\w+|from) (?<host>${HOST})(?: port (?<port>\\d{1,5}))?`, 'gi'),
];

/** Names that look like hosts and are files. */
const FILE_ENDING =
  /\.(?:py|js|mjs|cjs|ts|tsx|go|java|rb|php|log|json|ya?ml|so|c|h|cc|cpp|cs|kt|conf|cfg|service|sock|rs|dat|md|txt|sh|db|exe|dll|html|css|vue|sql|xml|toml|env|lock|jar)$/i;

export const addressIn = remembering((text: string): Address | null => {
  for (const pattern of ADDRESSES)
    for (const { groups } of text.matchAll(pattern)) {
      const host = groups?.['host'];
      const port = portOf(groups?.['port']);
      if (host && FILE_ENDING.test(host)) continue;
      return { ...(host ? { host } : {}), ...(port === null ? {} : { port }) };
    }
  return null;
});

export const portIn = remembering((text: string): number | null =>
  portOf(/\bport[:= ]{1,2}["'(]?(\d{2,5})\b/i.exec(text)?.[1]),
);

function portOf(digits: string | undefined): number | null {
  const port = Number(digits);
  return port > 0 && port < 65_536 ? port : null;
}

// ---------------------------------------------------------------- paths

const REFUSALS =
  '(?:[Pp]ermission denied|[Nn]o such file or directory|[Oo]peration not permitted|[Rr]ead-only file system|[Ii]s a directory|[Nn]ot a directory|[Ff]ile exists|[Nn]o space left on device|[Tt]oo many open files|[Ff]ailed to open stream|cannot (?:open|create|execute|access))';
const PATHS: readonly RegExp[] = [
  /\b\w{3,40}\((?<path>\/[^\s,()]{1,400})(?:, [^)]{0,80})?\)(?::| )/,
  new RegExp(`(?<path>(?:[A-Za-z]:)?[~.]{0,2}[\\\\/][^\\s'"‘’\`:,;()]{1,400}): ${REFUSALS}`),
  /(?:denied|permitted|directory|device|file-system|files|exists|space left on device|system|path|into|file)\b[^'"‘’`]{0,40}[\s(=:,]['"‘`](?<path>[^'"‘’`\n]{1,400})['"’`]/i,
  /(?:^|[\s(=:,[{])['"‘`](?<path>(?:[A-Za-z]:)?[~.]{0,2}[\\/][^'"‘’`\n]{1,400})['"’`]/,
  /(?:open|stat|access|mkdir|unlink|rename|scandir|write|copyfile|rmdir|chmod|lstat|cp|mv) ['"]?(?<path>(?:[A-Za-z]:)?[~.]{0,2}\/[^\s'",;)]{1,400})['"]?/,
  /@ [\w]+ - (?<path>\/\S{1,400})/,
  /(?:^|[\s("'=:,])(?<path>(?:[A-Za-z]:[\\/]|~?\/|\.{1,2}\/)[\w.@+~/\\ -]{0,300}?[\w@~-]+(?:\.\w{1,8})?)(?=['"\s):;,>]|$)/,
];

export const pathIn = remembering((text: string): string | null => {
  for (const pattern of PATHS) {
    const path = pattern.exec(text)?.groups?.['path'];
    if (path && !path.startsWith('//') && path !== '/') return path;
  }
  return null;
});

// ---------------------------------------------------------------- places in source

export interface SourcePlace {
  readonly file: string;
  readonly line: number | undefined;
}

const SOURCE_PLACES: readonly RegExp[] = [
  / in (?:<b>)?(?<file>(?:\/|[A-Za-z]:[\\/])[^\s<>:"]{1,400})(?:<\/b>)? on line (?:<b>)?(?<line>\d{1,7})/,
  / in (?<file>(?:\/|[A-Za-z]:[\\/])[^\s<>:"]{1,400}\.\w{1,6}):(?<line>\d{1,7})\b/,
  /^(?<file>\S{1,300}\.\w{1,6})\((?<line>\d{1,7}),\d{1,5}\): (?:error|warning)/,
  /(?:^|[\s("'])(?<file>(?:\/|[A-Za-z]:[\\/]|\.{0,2}\/)?[\w@.+/\\-]{1,300}\.(?:py|rb|js|mjs|cjs|ts|tsx|jsx|go|rs|c|cc|cpp|h|java|kt|php|sh|vue|slim|erb|haml|swift|cs|lua|pl|scss|css|html)):(?<line>\d{1,7})(?::\d{1,5})?(?=[:\s),]|$)/,
  /^(?<file>\S{1,300}): line (?<line>\d{1,7}): /,
  / at (?<file>(?:\/|[A-Za-z]:[\\/])[^\s:]{1,400}\.\w{1,6}):(?<line>\d{1,7})\b/,
  /\((?<file>[\w./-]{1,200}\.py), line (?<line>\d{1,7})\)/,
];

/** The place that a compiler or an interpreter names in its message. */
export const sourcePlaceIn = remembering((text: string) => placeOf(SOURCE_PLACES, text));

const CONFIG_PLACES: readonly RegExp[] = [
  /\bin "(?<file>[^"\n]{1,300})", line (?<line>\d{1,7})/,
  /(?:Error|Exception): (?<file>[\w./\\-]{1,300}\.(?:json|ya?ml|toml|ini|cfg|conf|env|properties)): /,
  /no such file or directory,? (?:open|stat|access|read|lstat)?\s?'(?<file>[^'\n]{0,300}(?:\.env[\w.]{0,20}|\.(?:json|ya?ml|toml|ini|cfg|conf|properties)))'/i,
];

/** The configuration file that could not be used, where the parser names it. */
export const configPlaceIn = remembering((text: string) => placeOf(CONFIG_PLACES, text));

function placeOf(patterns: readonly RegExp[], text: string): SourcePlace | null {
  for (const pattern of patterns) {
    const groups = pattern.exec(text)?.groups;
    if (groups?.['file']) return { file: groups['file'], line: groups['line'] ? Number(groups['line']) : undefined };
  }
  return null;
}
