// What stands in a log: halves of lines, line ends, encodings, holes and monsters. Bytes are real and come
// in the pieces in which a writer writes them.

import { appendFileSync, closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Cursor } from '../store/contract.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { SourceRig } from '../testing/source-rig.ts';
import { createFileSource } from './file.ts';
import { Cutter } from './reading/cutter.ts';
import { endOfFirstLine, endOfLastLine, toUtf8 } from './reading/encoding.ts';
import { CHUNK_BYTES, countLines } from './reading/lines.ts';
import { firstPlace } from './reading/place.ts';

let scratch: Scratch;
let log: string;

beforeEach(() => {
  scratch = createScratch();
  log = scratch.path('app.log');
});
afterEach(() => scratch.close());

async function follow(cursor: Cursor | null = null): Promise<SourceRig> {
  const rig = new SourceRig(
    createFileSource({ id: 'file:test', service: null, patterns: [log], startAt: 'beginning', pollMs: 20 }),
    cursor,
  );
  scratch.later(() => rig.stop().then(() => {}));
  return rig.ready();
}

describe('halves of lines', () => {
  it('are one line when the second half comes later', async () => {
    const rig = await follow();
    writeFileSync(log, 'first\nsec');
    await rig.untilLines(1);
    appendFileSync(log, 'ond\nthird\n');
    await rig.untilLines(3);
    expect(rig.texts).toEqual(['first', 'second', 'third']);
    expect(rig.lines.map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  it('are one line when the reader saw a cut at a page boundary', async () => {
    const long = `${'x'.repeat(4090)} end of page and more`;
    writeFileSync(log, long.slice(0, 4096));
    const rig = await follow();
    appendFileSync(log, `${long.slice(4096)}\n`);
    await rig.untilLines(1);
    expect(rig.texts).toEqual([long]);
  });

  it('are not given twice when the reader stops between them', async () => {
    writeFileSync(log, 'one\ntw');
    const first = await follow();
    await first.untilLines(1);
    const second = await follow(await first.stop());
    appendFileSync(log, 'o\n');
    await second.untilLines(1);
    expect([...first.texts, ...second.texts]).toEqual(['one', 'two']);
  });
});

describe('line ends', () => {
  it('may be CR LF, also when CR and LF come apart', async () => {
    const rig = await follow();
    writeFileSync(log, 'one\r');
    appendFileSync(log, '\ntwo\r\n');
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['one', 'two']);
    expect(rig.blocks.at(-1)).toMatchObject({ bytes: rig.blocks.length === 1 ? 10 : 5 });
  });

  it('leave a progress bar of lone CRs one line', async () => {
    const bar = Array.from({ length: 100 }, (_, at) => `${at}%`).join('\r');
    writeFileSync(log, `${bar}\nnext\n`);
    const rig = await follow();
    await rig.untilLines(2);
    expect(rig.texts).toEqual([bar, 'next']);
  });

  it('are counted exactly over a million blank lines', async () => {
    writeFileSync(log, `${'\n'.repeat(1_000_000)}  \nlast\n`);
    const rig = await follow();
    await rig.untilLines(1_000_002);
    expect(rig.lines.slice(-2)).toMatchObject([
      { text: '  ', line: 1_000_001 },
      { text: 'last', line: 1_000_002 },
    ]);
  });
});

describe('encodings', () => {
  it('keep a UTF-8 character whole that is cut by the border of a chunk', async () => {
    const text = `${'é€😀'.repeat(60_000)}`;
    writeFileSync(log, `${`${text.slice(0, 40_000)}\n`.repeat(12)}`);
    const rig = await follow();
    await rig.untilLines(12);
    expect(new Set(rig.texts)).toEqual(new Set([text.slice(0, 40_000)]));
  });

  it('pass broken UTF-8 on without losing a byte or a line', async () => {
    writeFileSync(log, Buffer.from([0x61, 0xff, 0xfe, 0x62, 10, 0x63, 10]));
    const rig = await follow();
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['a\ufffd\ufffdb', 'c']);
    expect(rig.blocks[0]).toMatchObject({ startByte: 0, bytes: 7 });
  });

  it('take the byte order mark away from the first line only', async () => {
    writeFileSync(log, '\ufefffirst\n\ufeffsecond\n');
    const rig = await follow();
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['first', '\ufeffsecond']);
    expect(rig.blocks[0]?.startByte).toBe(3);
  });

  it.each(['utf16le', 'utf16be'] as const)('may be %s, also after a restart in the middle', async (encoding) => {
    const bytes = (text: string) => {
      const le = Buffer.from(text, 'utf16le');
      return encoding === 'utf16be' ? le.swap16() : le;
    };
    writeFileSync(log, bytes('\ufeffone Ċ ਊ\r\ntwo\nthr'));
    const first = await follow();
    await first.untilLines(2);
    const cursor = await first.stop();
    appendFileSync(log, bytes('ee\nfour\n'));
    const second = await follow(cursor);
    await second.untilLines(2);
    expect([...first.texts, ...second.texts]).toEqual(['one Ċ ਊ', 'two', 'three', 'four']);
    expect(second.lines[0]?.line).toBe(3);
  });

  it('do not let a NUL end a line', async () => {
    writeFileSync(log, 'a\0b\n\0c\n');
    const rig = await follow();
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['a\0b', '\0c']);
  });
});

describe('monsters', () => {
  it('are cut in the middle, counted, and leave the next line intact', async () => {
    const fd = openSync(log, 'w');
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    for (let n = 0; n < 100; n += 1) writeSync(fd, chunk);
    writeSync(fd, ' ERROR at the very end\nnext line\n');
    closeSync(fd);
    const before = process.memoryUsage().rss;
    const rig = await follow();
    await rig.untilLines(2, 30_000);
    const [monster, next] = rig.texts;
    expect(monster?.length).toBeLessThan(70_000);
    expect(monster?.endsWith(' ERROR at the very end')).toBe(true);
    expect(monster).toContain(`[... ${rig.cutBytes} bytes cut ...]`);
    expect(rig.cutBytes).toBe(100 * 1024 * 1024 + 22 + 1 - 2 * 32 * 1024);
    expect(next).toBe('next line');
    expect(rig.lines[1]?.line).toBe(2);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('end with their file when it is rotated without a line end', async () => {
    writeFileSync(log, Buffer.alloc(10 * 1024 * 1024, 'y'));
    const rig = await follow();
    const { renameSync } = await import('node:fs');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'new\n');
    await rig.untilLines(2);
    expect(rig.texts[0]?.length).toBeLessThan(70_000);
    expect(rig.texts[1]).toBe('new');
    expect(rig.blocks[0]?.final).toBe(true);
  });
});

describe('the cutter', () => {
  /** Feeds the bytes in pieces, as a file that grows would show them. */
  function cut(bytes: Buffer, sizes: readonly number[]): { text: string; startByte: number; startLine: number }[] {
    const cutter = new Cutter(firstPlace({ dev: 1, ino: 1, birthMs: 0 }), Buffer.alloc(0), Buffer.alloc(0));
    const given: { text: string; startByte: number; startLine: number }[] = [];
    let there = 0;
    for (let at = 0; there < bytes.length; at += 1) {
      there = Math.min(bytes.length, there + (sizes[at % sizes.length] ?? 1));
      for (let isBusy = true; isBusy; ) {
        const reading = cutter.take(bytes.subarray(cutter.position, Math.min(there, cutter.position + CHUNK_BYTES)));
        isBusy = reading.kind === 'piece' || reading.kind === 'more';
        if (reading.kind !== 'piece') continue;
        const { bytes: text, startByte, startLine } = reading.piece;
        given.push({ text: Buffer.from(text).toString('latin1'), startByte, startLine });
      }
    }
    const rest = cutter.finish(bytes.subarray(cutter.position));
    if (rest)
      given.push({
        text: Buffer.from(rest.bytes).toString('latin1'),
        startByte: rest.startByte,
        startLine: rest.startLine,
      });
    return given;
  }

  it('gives every byte once, in whole lines, with their numbers, however the bytes arrive', () => {
    const byte = fc.oneof(
      { weight: 3, arbitrary: fc.constant(10) },
      { weight: 10, arbitrary: fc.integer({ min: 1, max: 255 }) },
    );
    const content = fc
      .array(byte, { maxLength: 400 })
      .filter((bytes) => bytes[0] !== 0xff && bytes[0] !== 0xfe && bytes[0] !== 0xef);
    fc.assert(
      fc.property(content, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), (raw, sizes) => {
        const bytes = Buffer.from(raw);
        const pieces = cut(bytes, sizes);
        expect(pieces.map(({ text }) => text).join('')).toBe(bytes.toString('latin1'));
        for (const { text, startByte, startLine } of pieces) {
          expect(bytes.toString('latin1', startByte, startByte + text.length)).toBe(text);
          expect(startLine).toBe(1 + countLines(bytes.subarray(0, startByte)));
        }
        for (const { text } of pieces.slice(0, -1)) expect(text.endsWith('\n')).toBe(true);
      }),
    );
  });

  it('finds line ends of UTF-16 only at whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.boolean(), (text, isBig) => {
        const le = Buffer.from(text, 'utf16le');
        const bytes = isBig ? le.swap16() : le;
        const encoding = isBig ? 'utf16be' : 'utf16le';
        expect(endOfLastLine(bytes, encoding)).toBe(2 * (text.lastIndexOf('\n') + 1));
        expect(endOfFirstLine(bytes, encoding)).toBe(2 * (text.indexOf('\n') + 1));
        expect(toUtf8(bytes, encoding).toString('utf8')).toBe(text);
      }),
    );
  });
});
