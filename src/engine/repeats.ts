// Errors come in floods of few texts that differ in their time alone. What was made of one is good for the next: it is
// given again with its own time, place and text.

import type { Detection } from '../core/detection.ts';
import { copyOf, Memo } from '../core/memo.ts';
import type { Framed } from './open-record.ts';
import { type Stream, textOf } from './reading.ts';
import { timeAt, type TimeMatch } from './times.ts';

/** Records that are remembered, at most twice as many. */
const KEPT = 2_000;
const BRACKET = 0x5b;

export class Repeats {
  #known = new Memo<readonly Detection[] | null>(KEPT);
  #secrets = '';

  /** What `detect` makes of the record, or made of one that said the same at another time. */
  of(
    framed: Framed,
    about: { readonly stream: Stream; readonly now: number; readonly secrets: readonly string[] },
    detect: (framed: Framed) => readonly Detection[],
  ): readonly Detection[] {
    const time = framed.event || framed.skipped > 0 ? null : timeOf(framed, about.now);
    if (!time) return detect(framed);
    this.#forgetOther(about.secrets);
    let anew: readonly Detection[] | null = null;
    const known = this.#known.of(keyOf(framed, about.stream, time), () => {
      // Its lines are parts of the whole block, which nothing that is remembered may keep alive.
      anew = detect({ ...framed, lines: framed.lines.map(copyOf) });
      return anew.length > 0 && anew.every(({ record }) => isAllOf(record, framed, time)) ? anew : null;
    });
    return anew ?? known?.map((one) => again(one, framed, time.at, about.now)) ?? detect(framed);
  }

  /** What is masked depends on what is secret. */
  #forgetOther(secrets: readonly string[]): void {
    const joined = secrets.join('\n');
    if (joined === this.#secrets) return;
    this.#secrets = joined;
    this.#known = new Memo(KEPT);
  }
}

/** The time that the first line begins with. */
function timeOf({ lines }: Framed, now: number): TimeMatch | null {
  const first = lines[0] ?? '';
  return timeAt(first, first.charCodeAt(0) === BRACKET ? 1 : 0, now);
}

/** All that a verdict depends on, with the form of the time in place of its digits. */
function keyOf({ lines, from, reportAt }: Framed, { source, service }: Stream, { end }: TimeMatch): string {
  const [first = '', ...below] = lines;
  const form = first.slice(0, end).replace(/\d/g, '0');
  return `${source}\n${service}\n${from.join()} ${reportAt}\n${form}${first.slice(end)}\n${below.join('\n')}`;
}

/** Only what was read as one record, at the time that its line begins with, can be told again. */
function isAllOf({ span, time }: Detection['record'], framed: Framed, { at }: TimeMatch): boolean {
  return time === at && span.startByte === framed.span.startByte && span.endByte === framed.span.endByte;
}

function again(detection: Detection, framed: Framed, time: number, seenAt: number): Detection {
  const record = { ...detection.record, span: framed.span, time, seenAt, text: textOf(framed) };
  return { ...detection, record };
}
