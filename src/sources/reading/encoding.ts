// Which bytes end a line, and how a line becomes UTF-8. Windows programs write UTF-16, known by its
// byte order mark; everything else is passed on as it is.

export type Encoding = 'utf8' | 'utf16le' | 'utf16be';

export interface ByteOrderMark {
  readonly encoding: Encoding;
  /** Bytes of the mark itself, to be skipped. */
  readonly bytes: number;
}

/** Looks at the first bytes of a file. */
export function detectEncoding(start: Uint8Array): ByteOrderMark {
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return { encoding: 'utf8', bytes: 3 };
  if (start[0] === 0xff && start[1] === 0xfe) return { encoding: 'utf16le', bytes: 2 };
  if (start[0] === 0xfe && start[1] === 0xff) return { encoding: 'utf16be', bytes: 2 };
  return { encoding: 'utf8', bytes: 0 };
}

/** Index just behind the last line end in `bytes`, which begins at a character; 0 when there is none. */
export function endOfLastLine(bytes: Buffer, encoding: Encoding): number {
  if (encoding === 'utf8') return bytes.lastIndexOf(10) + 1;
  const low = encoding === 'utf16le' ? 0 : 1;
  for (let at = bytes.lastIndexOf(10); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(10, at - 1)) {
    if (at % 2 === low && bytes[at ^ 1] === 0) return (at | 1) + 1;
  }
  return 0;
}

/** Index just behind the first line end; 0 when there is none. */
export function endOfFirstLine(bytes: Buffer, encoding: Encoding): number {
  if (encoding === 'utf8') return bytes.indexOf(10) + 1;
  const low = encoding === 'utf16le' ? 0 : 1;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (at % 2 === low && bytes[at ^ 1] === 0) return (at | 1) + 1;
  }
  return 0;
}

/** The same text as UTF-8. UTF-8 itself is returned as it is, without a copy. */
export function toUtf8(bytes: Buffer, encoding: Encoding): Buffer {
  if (encoding === 'utf8') return bytes;
  const even = Buffer.from(bytes.subarray(0, bytes.length & ~1));
  return Buffer.from((encoding === 'utf16be' ? even.swap16() : even).toString('utf16le'), 'utf8');
}
