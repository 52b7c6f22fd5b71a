// Bytes that were right, with some of them changed: what a broken or hostile peer sends is mostly nearly right.

import fc from 'fast-check';

/** What parsers of HTTP, of event streams and of JSON trip over. */
const NASTY = [
  ...['\r\n', '\n\n', '\r', '\0', '\xff\xfe', ' ', ':', ';', '0', '-1', 'ffffffff', '99999999999999999999'],
  ...['{', '}', '[', ']', '"', '\\', '\\u', 'null', 'true', '1e999', '"__proto__":', '[[[[[[[['],
  ...['content-length: 5\r\n', 'transfer-encoding: chunked\r\n', '0\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ...['data: ', 'data: [DONE]\n\n', 'event: error\n', ': \n\n', 'data: {}\n\n', 'data: null\n\n', 'data: [1]\n\n'],
].map((text) => Buffer.from(text, 'latin1'));

interface Mutation {
  readonly kind: 'set' | 'insert' | 'remove' | 'double' | 'cut';
  /** Share of the way through the bytes, in thousandths. */
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('set', 'set', 'insert', 'insert', 'insert', 'remove', 'remove', 'double', 'cut'),
  at: fc.nat(999),
  length: fc.integer({ min: 1, max: 60 }),
  bytes: fc.oneof(fc.constantFrom(...NASTY), fc.uint8Array({ minLength: 1, maxLength: 6 })),
});

/** One of these, changed in one to four places, or something that is nothing at all. */
export function nearly(right: readonly string[]): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(fc.constantFrom(...right), fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([text, mutations]) => mutations.reduce(mutated, Buffer.from(text, 'latin1')));
  const nothing = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: nothing });
}

function mutated(from: Buffer, { kind, at, length, bytes }: Mutation): Buffer {
  const place = Math.floor((from.length * at) / 1_000);
  const [before, behind] = [from.subarray(0, place), from.subarray(place)];
  switch (kind) {
    case 'set':
      return Buffer.concat([before, bytes, behind.subarray(bytes.length)]);
    case 'insert':
      return Buffer.concat([before, bytes, behind]);
    case 'remove':
      return Buffer.concat([before, behind.subarray(length)]);
    case 'double':
      return Buffer.concat([before, behind.subarray(0, length), behind]);
    case 'cut':
      return before;
  }
}
