// Answers in one piece: whether one is whole, whether it is an error that calls itself an answer, and how it reads as a stream.

import type { Answer as ModelAnswer, Dialect, Json, StreamWriter } from './dialects/contract.ts';
import type { Answer } from './http/answer.ts';
import { isObject, parseJson } from './json.ts';
import { sizeOf } from './requesting.ts';
import { framesOf } from './sse.ts';

/** Errors are short. */
const SUSPECT_CAP = 1024 * 1024;

/** Its end is that of the connection: nobody can tell whether it is whole, except by what it says. */
export function isUnmeasured({ headers }: Answer): boolean {
  return headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
}

/** JSON that can be read, or a stream that was called nothing of the kind and has its terminal event. */
export function isWhole(body: Buffer, dialect: Dialect): boolean {
  return parseJson(body.toString('utf8')) !== null || framesOf(body).some((frame) => dialect.glance(frame) === 'end');
}

/** Only a body that begins with an error is worth parsing: some providers answer 200 and put it there. */
export function isSuspect(body: readonly Buffer[]): boolean {
  const [first] = body;
  return first?.[0] === 0x7b && sizeOf(body) < SUSPECT_CAP && first.toString('latin1', 0, 200).includes('"error"');
}

export function isErrorBody(json: Json): boolean {
  if (!isObject(json)) return false;
  const error = json['error'];
  return (
    isObject(error) && json['choices'] === undefined && json['content'] === undefined && json['output'] === undefined
  );
}

/** The stream that says the same. */
export function streamOf(answer: ModelAnswer, writer: StreamWriter): string {
  const events = [
    writer.write({ kind: 'start', id: answer.id, model: answer.model }),
    ...answer.parts.flatMap((part) =>
      part.kind === 'text'
        ? [writer.write({ kind: 'text', text: part.text })]
        : [
            writer.write({ kind: 'tool-call', id: part.id, name: part.name }),
            writer.write({ kind: 'arguments', text: part.input }),
          ],
    ),
    writer.write({ kind: 'usage', usage: answer.usage }),
    writer.write({ kind: 'stop', reason: answer.stop }),
    writer.write({ kind: 'end' }),
  ];
  return events.join('');
}
