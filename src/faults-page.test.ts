// docs/faults.md says which fix answers which fault: it names every fix of the catalogue, and none that is not there.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fixes } from './fixes/index.ts';

it('the table of faults names the fixes that there are', async () => {
  const page = await readFile(join(import.meta.dirname, '../docs/faults.md'), 'utf8');
  const rows = page.split('\n').filter((row) => row.startsWith('| ') && !row.startsWith('| what'));
  const named = new Set(rows.flatMap((row) => [...row.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, name]) => name)));
  expect([...named].sort()).toEqual(fixes.map(({ name }) => name).sort());
});
