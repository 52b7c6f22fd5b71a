// A place in a log that survives restarts: which file it was (device, inode, birth, a hash of its head) and
// how far it was read (offset, line, a hash of the bytes just before). A name or an inode alone
// have misled every log reader: inodes are used again, names move on, copies look alike.

import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import type { Identity, Status } from './disk.ts';
import { detectEncoding, type Encoding, endOfLastLine } from './encoding.ts';
import { countLines } from './lines.ts';

/** How much of the beginning identifies a file. Many logs begin with the same banner: hence also the tail. */
export const HEAD_BYTES = 1024;
export const TAIL_BYTES = 256;

export interface Place {
  readonly dev: number;
  readonly ino: number;
  readonly birthMs: number;
  /** Everything before this byte has been given out. */
  readonly offset: number;
  /** Number of the line that begins at `offset`, from 1; 0 when unknown. */
  readonly line: number;
  /** How many bytes `head` covers: at most 1024, never more than `offset`. */
  readonly headBytes: number;
  readonly head: string;
  /** Hash of the (at most 256) bytes before `offset`. */
  readonly tail: string;
  readonly encoding: Encoding;
}

/** The first byte of a file. */
export function firstPlace({ dev, ino, birthMs }: Identity): Place {
  return { dev, ino, birthMs, offset: 0, line: 1, headBytes: 0, head: '', tail: '', encoding: 'utf8' };
}

/**
 * Behind the last complete line of a file: what was written before we came is not news. Its lines are counted when the
 * file is not larger than `countUpTo` bytes, so that numbers are those an editor shows; else they stay unknown.
 */
export function lastPlace(fd: number, status: Status, buffer: Buffer, countUpTo: number): Place {
  const { encoding } = detectEncoding(buffer.subarray(0, readFully(fd, buffer, 4, 0)));
  const from = Math.max(0, status.size - buffer.length) & ~1;
  const end = endOfLastLine(buffer.subarray(0, readFully(fd, buffer, status.size - from, from)), encoding);
  // No line end within a whole buffer: the middle of a monster, of which only the rest will be seen.
  const offset = end === 0 && from > 0 ? status.size : from + end;
  const line = offset > countUpTo ? 0 : 1 + countLinesBefore(fd, offset, buffer);
  const headBytes = Math.min(HEAD_BYTES, offset);
  const head = hashAt(fd, 0, headBytes);
  const tail = hashAt(fd, offset - tailLength(offset), tailLength(offset));
  return { ...firstPlace(status), offset, line, headBytes, head, tail, encoding };
}

function countLinesBefore(fd: number, offset: number, buffer: Buffer): number {
  let count = 0;
  for (let at = 0; at < offset; ) {
    const got = readFully(fd, buffer, Math.min(buffer.length, offset - at), at);
    if (got === 0) break;
    count += countLines(buffer.subarray(0, got));
    at += got;
  }
  return count;
}

/** Short, since thousands of them stand in one cursor; nobody gains by making two logs collide. */
export function hashOf(bytes: Uint8Array): string {
  return bytes.length === 0 ? '' : hash('sha1', bytes, 'base64').slice(0, 16);
}

export function tailLength(offset: number): number {
  return Math.min(TAIL_BYTES, offset);
}

/** Fills `buffer` up to `length` bytes from `position` on, as far as the file goes. Returns how many there were. */
export function readFully(fd: number, buffer: Buffer, length: number, position: number): number {
  let got = 0;
  while (got < length) {
    const count = readSync(fd, buffer, got, length - got, position + got);
    if (count === 0) break;
    got += count;
  }
  return got;
}

export function hashAt(fd: number, position: number, length: number): string {
  const buffer = Buffer.allocUnsafe(length);
  return hashOf(buffer.subarray(0, readFully(fd, buffer, length, position)));
}

/** True when an open file has the content that was read up to `place`. Says nothing when nothing had been read. */
export function hasContentOf(fd: number, place: Place): boolean {
  const length = tailLength(place.offset);
  return hashAt(fd, 0, place.headBytes) === place.head && hashAt(fd, place.offset - length, length) === place.tail;
}

/** Enough was read to know the content again under another inode: a copy, a move between file systems. */
export function isDistinctive(place: Place): boolean {
  return place.headBytes >= HEAD_BYTES;
}
