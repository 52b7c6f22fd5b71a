// Server-sent events as bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html. Frames are found, not
// copied; only what somebody asks for is decoded.

import type { Frame } from './dialects/contract.ts';

/** Index behind the last complete frame of the bytes; 0 when there is none. */
export function endOfFrames(bytes: Buffer): number {
  const plain = bytes.lastIndexOf('\n\n');
  const carriage = bytes.lastIndexOf('\n\r\n');
  return Math.max(plain < 0 ? 0 : plain + 2, carriage < 0 ? 0 : carriage + 3);
}

/** A frame with the place of its bytes: `end` is behind the empty line. */
export interface PlacedFrame extends Frame {
  readonly start: number;
  readonly end: number;
}

/** The complete frames of the bytes, comments and empty ones left out. */
export function framesOf(bytes: Buffer): PlacedFrame[] {
  const frames: PlacedFrame[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = endOfFrame(bytes, start);
    if (end < 0) break;
    const frame = parseFrame(bytes.toString('utf8', start, end));
    if (frame) frames.push({ ...frame, start, end });
    start = end;
  }
  return frames;
}

/** Index behind the frame that begins there; -1 when it is not complete. */
export function endOfFrame(bytes: Buffer, from: number): number {
  const plain = bytes.indexOf('\n\n', from);
  const carriage = bytes.indexOf('\n\r\n', from);
  if (plain < 0) return carriage < 0 ? -1 : carriage + 3;
  return carriage < 0 || plain < carriage ? plain + 2 : carriage + 3;
}

/** Where the frame begins that holds the byte `at`; no earlier than `from`. */
export function startOfFrame(bytes: Buffer, from: number, at: number): number {
  const plain = bytes.lastIndexOf('\n\n', at);
  const carriage = bytes.lastIndexOf('\n\r\n', at);
  return Math.max(from, plain < from ? from : plain + 2, carriage < from ? from : carriage + 3);
}

/** Null for a frame without data: a comment, a retry hint. */
export function parseFrame(text: string): Frame | null {
  let event: string | null = null;
  let data: string | null = null;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('data:')) {
      const value = line.charCodeAt(5) === 0x20 ? line.slice(6) : line.slice(5);
      data = data === null ? value : `${data}\n${value}`;
    } else if (line.startsWith('event:')) event = line.slice(6).trim();
  }
  return data === null ? null : { event, data };
}

/** Gathers bytes and gives them out again at the ends of frames. */
export class FrameGatherer {
  #rest: Buffer | null = null;

  /** Number of bytes that wait for the end of their frame. */
  get size(): number {
    return this.#rest?.length ?? 0;
  }

  /** Bytes that wait for the end of their frame. */
  get rest(): Buffer {
    return this.#rest ?? Buffer.alloc(0);
  }

  /** Everything up to the end of the last complete frame; empty when no frame is complete. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    const end = endOfFrames(bytes);
    if (end === bytes.length) {
      this.#rest = null;
      return bytes;
    }
    this.#rest = bytes.subarray(end);
    return bytes.subarray(0, end);
  }
}

/** Writes one frame; the data is JSON and has no line ends. */
export function frame(event: string | null, data: unknown): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return event === null ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}
