// One value of a JSON object, found without parsing the rest: strings are leapt over, and what stands deeper is not
// looked at. A message may quote a request, and a tool's schema may have a property of any name.

import { parseJson } from './json.ts';

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const [OPEN, CLOSE] = [new Set([0x7b, 0x5b]), new Set([0x7d, 0x5d])];

/**
 * The text of the value at a key of the outermost object, as it stands there: a string with its quotes, a number or a word;
 * of an object or a list only its first character. Of a key that stands twice it is the last one, as for `JSON.parse`, or the
 * first one, which is cheaper. Null when the key is not there. Bytes that break off are read as far as they go.
 *
 * @example
 * topLevel(Buffer.from('{"messages":[{"stream":true}],"stream":false}'), 'stream');   // 'false'
 */
export function topLevel(bytes: Buffer, key: string, which: 'first' | 'last' = 'last'): string | null {
  let [found, depth]: [string | null, number] = [null, 0];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      const end = endOfString(bytes, at);
      if (end < 0) return found;
      const value = depth === 1 ? valueBehind(bytes, end) : -1;
      if (value >= 0 && isKey(bytes, at, end, key)) found = textAt(bytes, value) ?? found;
      if (found !== null && which === 'first') return found;
      at = end - 1;
    } else if (OPEN.has(byte)) depth += 1;
    else if (CLOSE.has(byte)) depth -= 1;
  }
  return found;
}

/** Index behind the closing quote; -1 when there is none. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let before = at;
    while (bytes[before - 1] === BACKSLASH) before -= 1;
    if ((at - before) % 2 === 0) return at + 1;
  }
  return -1;
}

/** Where the value begins when a string that ends here is a key; -1 when it is none. */
function valueBehind(bytes: Buffer, from: number): number {
  const colon = pastSpace(bytes, from);
  return bytes[colon] === COLON ? pastSpace(bytes, colon + 1) : -1;
}

function pastSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] as number) <= 0x20) at += 1;
  return at;
}

function isKey(bytes: Buffer, from: number, to: number, key: string): boolean {
  const text = bytes.toString('utf8', from + 1, to - 1);
  return text === key || (text.includes('\\') && parseJson(`"${text}"`) === key);
}

/** Null when the bytes end within it. */
function textAt(bytes: Buffer, from: number): string | null {
  if (bytes[from] === QUOTE) {
    const end = endOfString(bytes, from);
    return end < 0 ? null : bytes.toString('utf8', from, end);
  }
  const word = /^[-+.\w]+|^[[{]/.exec(bytes.toString('latin1', from, from + 40));
  return word ? word[0] : null;
}
