// Heads of HTTP/1.1 messages (RFC 9112), read strictly: what two readers could understand differently is refused.

export interface Head {
  /** The first line: of a request or of a status. */
  readonly line: string;
  /** Names and values in a row, as they came. */
  readonly fields: readonly string[];
  /** Values by lower-case name; those of a name that came more than once are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Longest head, in bytes. */
export const HEAD_CAP = 64 * 1024;
export const HEAD_END = Buffer.from('\r\n\r\n');

/** Control characters, and line ends that are none. */
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|[^\r]\n/;
const NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;

/**
 * Reads a head without its empty line; null when it is none.
 *
 * @example
 * parseHead('GET / HTTP/1.1\r\nHost: localhost')?.headers.host;   // 'localhost'
 */
export function parseHead(text: string): Head | null {
  if (FORBIDDEN.test(text)) return null;
  const fields: string[] = [];
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  let end = text.indexOf('\r\n');
  const line = end < 0 ? text : text.slice(0, end);
  while (end >= 0) {
    const from = end + 2;
    end = text.indexOf('\r\n', from);
    const colon = text.indexOf(':', from);
    const upTo = end < 0 ? text.length : end;
    if (colon < 0 || colon >= upTo) return null;
    const name = text.slice(from, colon);
    if (!NAME.test(name)) return null;
    const value = text.slice(colon + 1, upTo).replace(/^[ \t]+|[ \t]+$/g, '');
    fields.push(name, value);
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : `${before}, ${value}`;
  }
  return { line, fields, headers };
}

/** Fields as they stand in a message, each with its line end. */
export function writeFields(fields: readonly string[]): string {
  let text = '';
  for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return text;
}

/** What could break out of a field is not sent: it would be another field, or another message. */
export const isFieldValue = (value: string): boolean => !/[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/.test(value);

/** Does `connection` (RFC 9110 7.6.1) hold this word? */
export function connectionSays({ headers }: Pick<Head, 'headers'>, word: string): boolean {
  const value = headers['connection'];
  if (value === undefined) return false;
  return (
    value.toLowerCase() === word ||
    value
      .toLowerCase()
      .split(',')
      .some((one) => one.trim() === word)
  );
}
