// The answer of an upstream, from its head on.

import { CallError } from '../calling.ts';
import { brokenBy } from '../verdict.ts';
import type { Stop } from './stop.ts';

/** Who reads the body of an answer. */
export interface Sink {
  data(bytes: Buffer): void;
  /** Once, at the end; the error is null when the body is complete. */
  ended(error: Error | null): void;
}

/** An answer whose head has come. Give it a sink, or destroy it. */
export interface Answer {
  readonly status: number;
  /** Names and values in a row, as they came. */
  readonly fields: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** The body has come to its end. */
  readonly complete: boolean;
  read(sink: Sink): void;
  pause(): void;
  resume(): void;
  /** Hangs up, unless the answer is complete. */
  destroy(): void;
}

/**
 * Reads a whole body of at most `cap` bytes. What is longer is not waited for: it is an error, unless `over` says that the beginning
 * is enough (`cut`). Rejects with a `CallError`, and with the reason of `stop`.
 */
export function readAll(
  answer: Answer,
  cap: number,
  withinMs: number,
  stop?: Stop,
  over: 'fail' | 'cut' = 'fail',
): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (error: unknown): void => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', left);
      answer.destroy();
      if (error) reject(error as Error);
      else resolve(chunks);
    };
    const left = (): void => finish(stop?.reason);
    const timer = setTimeout(
      () => finish(new CallError(brokenBy('timeout', 'body', `the answer did not end within ${withinMs / 1000} s`))),
      withinMs,
    );
    if (stop?.aborted) return left();
    stop?.addEventListener('abort', left);
    answer.read({
      data: (bytes) => {
        if (size > cap) return;
        chunks.push(size + bytes.length > cap ? bytes.subarray(0, cap - size) : bytes);
        size += bytes.length;
        if (size > cap)
          finish(
            over === 'cut'
              ? null
              : new CallError(brokenBy('transport', 'too-much', `the answer is longer than ${cap} bytes`)),
          );
      },
      ended: (error) => finish(error && new CallError(brokenBy('transport', 'cut', 'the answer was cut off'))),
    });
  });
}

/** Pieces as one; without a copy where there is only one. */
export const joined = (pieces: readonly Buffer[]): Buffer =>
  pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
