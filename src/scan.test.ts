import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Detection } from './core/detection.ts';
import type { Detecting } from './engine/watch.ts';
import { readBlocks, type ScanDeps, type ScanInput, type ScanStep, scan } from './scan.ts';
import type { Block, Event } from './sources/contract.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'selfheal-scan-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const file = (content: string | Uint8Array, name = `f${++files}`): ScanInput & { path: string } => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return { kind: 'file', path };
};

/** Finds every line with ERROR, and says where. */
class LineDetector implements Detecting {
  readonly flushed: (string | undefined)[] = [];
  feed(item: Block | Event): readonly Detection[] {
    if (item.kind !== 'block') return [];
    return Buffer.from(item.bytes)
      .toString('utf8')
      .split('\n')
      .flatMap((text, index) => (text.includes('ERROR') ? [detection(item, item.startLine + index, text)] : []));
  }
  flush(stream?: string): readonly Detection[] {
    this.flushed.push(stream);
    return [];
  }
}

function detection(block: Block, line: number, text: string): Detection {
  const time = /t=(\d+)/.exec(text)?.[1];
  return {
    rule: 'r',
    type: 'unknown',
    severity: 'low',
    confidence: 1,
    fingerprint: { version: 1, kind: 'k', place: 'p', template: 't' },
    facts: {},
    fixable: false,
    trusted: true,
    message: text,
    record: {
      source: block.stream,
      ...(block.file !== undefined && { file: block.file }),
      service: null,
      span: { line, endLine: line, startByte: 0, endByte: 0 },
      ...(time !== undefined && { time: Number(time) }),
      seenAt: 0,
      message: text,
      text,
    },
  };
}

async function run(inputs: readonly ScanInput[], extra: Partial<ScanDeps> = {}) {
  const steps: ScanStep[] = [];
  for await (const step of scan({ detector: new LineDetector(), inputs, ...extra })) steps.push(step);
  const found = steps.flatMap((s) => (s.kind === 'found' ? s.detections : []));
  const problems = steps.flatMap((s) => (s.kind === 'problem' ? [s.message] : []));
  const lines = steps.reduce((sum, s) => sum + (s.kind === 'found' ? s.lines : 0), 0);
  return { steps, found: found.map((d) => [d.record.file, d.record.span.line]), problems, lines };
}

const pipe = (...parts: (string | Uint8Array)[]): ScanInput => ({
  kind: 'stream',
  name: 'stdin',
  stream: (async function* () {
    for (const part of parts) yield Buffer.from(part as string);
  })(),
});

const joined = async (input: ScanInput): Promise<{ text: string; blocks: number; finals: number }> => {
  let text = '';
  let blocks = 0;
  let finals = 0;
  let line = 1;
  for await (const block of readBlocks(input)) {
    expect(block.startLine).toBe(line);
    const part = Buffer.from(block.bytes).toString('utf8');
    if (!block.final) expect(part.endsWith('\n')).toBe(true);
    line += part.split('\n').length - 1;
    text += part;
    blocks += 1;
    finals += block.final ? 1 : 0;
  }
  return { text, blocks, finals };
};

describe('scanning', () => {
  it('gives errors with file and line, files in the order given', async () => {
    const a = file('ok\nERROR 1\n');
    const b = file('ERROR 2\nok\nERROR 3');
    const { found, lines } = await run([b, a]);
    expect(found).toEqual([
      [b.path, 1],
      [b.path, 3],
      [a.path, 2],
    ]);
    expect(lines).toBe(5);
  });

  it('reads gzip files, also of several members, by their content and not their name', async () => {
    const members = Buffer.concat([gzipSync('ok\nERR'), gzipSync('OR 1\n'), gzipSync('ERROR 2\n')]);
    const { found } = await run([file(members, 'plain-name')]);
    expect(found.map(([, line]) => line)).toEqual([2, 3]);
  });

  it('reads a pipe, cut anywhere', async () => {
    const { found } = await run([pipe('o', 'k\nERR', 'OR\n', '', 'ERROR')]);
    expect(found).toEqual([
      [undefined, 2],
      [undefined, 3],
    ]);
  });

  it('reads what a FIFO gives', async () => {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    const reading = run([{ kind: 'file', path }]);
    await appendFile(path, 'ERROR\n');
    expect((await reading).found).toEqual([[path, 1]]);
  });

  it('says which input cannot be read, and goes on with the others', async () => {
    const broken = gzipSync('ERROR in here\n'.repeat(1000));
    const last = file('ERROR\n');
    const { found, problems } = await run([
      { kind: 'file', path: join(folder, 'missing') },
      { kind: 'file', path: folder },
      file(broken.subarray(0, broken.length - 20)),
      file(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])),
      last,
    ]);
    expect(problems).toEqual([
      'there is no such file',
      'is a directory; name its files, e.g. DIR/*.log',
      'the compressed file ends in the middle',
      'is packed with xz; unpack it into a pipe: xz -dc FILE | selfheal scan -',
    ]);
    expect(found.length).toBeGreaterThan(1);
    expect(found.at(-1)).toEqual([last.path, 1]);
  });

  it('leaves out records before `since`, keeps those without a time, and skips files that end before it', async () => {
    const mixed = file('ERROR t=100\nERROR t=300\nERROR\n');
    expect((await run([mixed], { since: 200 })).found.map(([, line]) => line)).toEqual([2, 3]);
    const old = file('ERROR\n');
    utimesSync(old.path, 1000, 1000);
    expect((await run([old], { since: statSync(mixed.path).mtimeMs - 60_000 })).steps).toEqual([]);
  });

  it('stops at a signal between two blocks', async () => {
    const big = file('x'.repeat(99).concat('\n').repeat(50_000));
    const controller = new AbortController();
    let steps = 0;
    const reading = scan({ detector: new LineDetector(), inputs: [big, big], signal: controller.signal });
    for await (const _ of reading) if (++steps === 2) controller.abort();
    expect(steps).toBe(2);
  });

  it('flushes each stream at its end', async () => {
    const detector = new LineDetector();
    const [a, b] = [file('x\n'), file('')];
    for await (const _ of scan({ detector, inputs: [a, b] }));
    expect(detector.flushed).toEqual([`file:${a.path}`, `file:${b.path}`]);
  });
});

describe('blocks', () => {
  it('give back the bytes of a file, ended by exactly one final block', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ maxLength: 30 }), fc.constant('\n'), fc.constant('x'.repeat(100_000))), {
          maxLength: 30,
        }),
        fc.boolean(),
        async (parts, asPipe) => {
          const text = parts.join('').replace(/^\ufeff/, '');
          if (text.split('\n').some((line) => line.length > 250_000)) return;
          const input = asPipe ? pipe(...parts.filter((p) => p !== '')) : file(text, 'property');
          const { text: read, finals } = await joined(input);
          expect(read).toBe(Buffer.from(text).toString('utf8'));
          expect(finals).toBe(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('cut the middle out of a line that is longer than the buffer, and keep counting lines', async () => {
    const { text } = await joined(file(`a\n${'x'.repeat(3_000_000)}END\nlast\n`));
    expect(text).toMatch(/^a\nx{32768} \[\.\.\. 29\d{5} bytes cut \.\.\.\] x+END\nlast\n$/);
    const { found } = await run([file(`a\n${'x'.repeat(3_000_000)}\nERROR\n`)]);
    expect(found.map(([, line]) => line)).toEqual([3]);
    expect((await joined(file(`${'y'.repeat(400_000)}`))).text).toMatch(/^y+ \[\.\.\. \d+ bytes cut \.\.\.\] y+\n$/);
  });

  it('become UTF-8 when the file is UTF-16', async () => {
    const text = 'ok\nERROR ü\nlast';
    const little = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
    expect((await joined(file(little))).text).toBe(text);
    expect((await joined(file(Buffer.from(`\ufeff${text}`, 'utf8')))).text).toBe(text);
  });
});
