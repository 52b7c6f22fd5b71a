import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { configurationPage, configurationSchema } from './reference.ts';

const published = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

it('the published JSON Schema is the one the loader checks against (npm run build writes it)', async () => {
  expect(JSON.parse(await published('schema/selfheal.schema.json'))).toEqual(configurationSchema());
});

it('docs/configuration.md is made from the schema (npm run build writes it)', async () => {
  expect(await published('docs/configuration.md')).toBe(configurationPage());
});

it('every key has a description', () => {
  const walk = (node: unknown, path: string): string[] => {
    if (node === null || typeof node !== 'object') return [];
    const { properties = {}, ...rest } = node as { properties?: Record<string, { description?: string }> };
    const bare = Object.entries(properties).filter(([, child]) => !child.description);
    return [
      ...bare.map(([name]) => `${path}.${name}`),
      ...Object.entries({ ...properties, ...rest }).flatMap(([name, child]) => walk(child, `${path}.${name}`)),
    ];
  };
  const missing = walk(configurationSchema(), '').filter((path) => !/\.fixes\.|\.package_index\./.test(path));
  expect(missing).toEqual([]);
});
