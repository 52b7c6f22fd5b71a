import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { fixesPage } from './fixes-page.ts';

it('docs/fixes.md is made from the catalogue (npm run build writes it)', async () => {
  expect(await readFile(new URL('../docs/fixes.md', import.meta.url), 'utf8')).toBe(fixesPage());
});
