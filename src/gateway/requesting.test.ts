import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dialects } from './dialects/index.ts';
import { AgentRequest } from './requesting.ts';
import { topLevel } from './top-level.ts';

const requestOf = (...pieces: string[]): AgentRequest =>
  new AgentRequest(
    dialects.chat,
    pieces.map((piece) => Buffer.from(piece)),
    {},
  );

describe('a request', () => {
  it.each([
    ['says so', '{"model":"m","stream":true}', true],
    ['says so with spaces and at any place', '{ "stream" :\n true , "model":"m"}', true],
    ['says so in escapes', '{"str\\u0065am":true}', true],
    ['says no at last', '{"stream":true,"stream":false}', false],
    ['says no', '{"stream":false}', false],
    ['does not say', '{"model":"m"}', false],
    ['has it in a message', '{"messages":[{"role":"user","content":"x","stream":true}]}', false],
    ['has it in the schema of a tool', '{"tools":[{"parameters":{"properties":{},"stream": true}}]}', false],
    ['has it in a text', '{"messages":[{"content":"say \\"stream\\": true"}],"stream":false}', false],
    ['has it in a text that ends with a backslash', '{"a":"\\\\","messages":[{"stream":true}]}', false],
    ['has it as a value', '{"a":"stream","b":true}', false],
    ['is a list', '[{"stream":true}]', false],
    ['breaks off', '{"messages":"x', false],
  ])('that %s is read so', (_, body, wanted) => {
    expect(requestOf(body).wantsStream).toBe(wanted);
    expect(requestOf(...body).wantsStream).toBe(wanted);
  });

  it('names the model that stands outermost, at its beginning or its end', () => {
    expect(requestOf('{"metadata":{"model":"other"},"model":"mine"}').model).toBe('mine');
    expect(requestOf(`{"messages":["${'x'.repeat(5_000)}"],`, '"model":"mine"}').model).toBe('mine');
    expect(requestOf('{"model":"caf\\u00e9"}').model).toBe('café');
    expect(requestOf('{"model":7}').model).toBe('');
  });
});

describe('the outermost value', () => {
  it('is the one that a parser finds, whatever stands around it', () => {
    const key = fc.oneof(fc.constantFrom('stream', 'model', 'str\\eam', '"stream"'), fc.string());
    const body = fc.dictionary(key, fc.oneof(fc.boolean(), fc.string(), fc.double(), fc.jsonValue({ maxDepth: 3 })));
    fc.assert(
      fc.property(body, key, fc.constantFrom(undefined, 1), (value, wanted, indent) => {
        const text = JSON.stringify(value, null, indent);
        const parsed = JSON.parse(text) as Record<string, unknown>;
        const found = topLevel(Buffer.from(text), wanted);
        const is = parsed[wanted];
        if (!Object.hasOwn(parsed, wanted)) expect(found).toBeNull();
        else if (typeof is === 'object' && is !== null) expect(found).toMatch(/^[[{]$/);
        else expect(JSON.parse(found as string)).toEqual(is);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is looked for in anything, without a throw', () => {
    fc.assert(fc.property(fc.string(), (text) => void topLevel(Buffer.from(text), 'stream')));
  });
});
