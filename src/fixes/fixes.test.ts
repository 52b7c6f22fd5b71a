// The contract of every fix: it says what it is, its drills run for real, its plans prove and undo themselves.
// What hostile logs may do to it stands in hostile.test.ts.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAMILIES } from '../core/words.ts';
import { canRehearse, rehearse } from '../testing/rehearse.ts';
import type { Fix } from './contract.ts';
import { fixes } from './index.ts';

/** `FIX=name npx vitest run src/fixes` runs one fix. */
const chosen = fixes.filter((fix) => process.env.FIX === undefined || fix.name === process.env.FIX);

it('every file of the folder is listed, and every listed fix is named after its file', async () => {
  const files = (await readdir(import.meta.dirname, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => entry.name.slice(0, -3))
    .filter((name) => !['index', 'contract'].includes(name));
  expect(fixes.map((fix) => fix.name).sort()).toEqual(files.sort());
  for (const name of files) {
    const loaded = (await import(join(import.meta.dirname, `${name}.ts`))) as { readonly default: Fix };
    expect(fixes).toContain(loaded.default);
  }
});

describe.each(chosen.map((fix) => [fix.name, fix] as const))('%s', (name, fix) => {
  it('says what it is', () => {
    expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
    expect(fix.title).toMatch(/^[A-Z].{5,80}$/);
    expect(FAMILIES).toContain(fix.family);
    expect(fix.handles.length).toBeGreaterThan(0);
    expect(fix.drills.length).toBeGreaterThanOrEqual(2);
    expect(fix.drills.some((drill) => typeof drill.expect === 'string')).toBe(true);
    expect(new Set(fix.drills.map((drill) => drill.given)).size).toBe(fix.drills.length);
  });

  const drills = fix.drills.filter(canRehearse);
  it.each(drills.map((drill) => [drill.given, drill] as const))('given that %s', async (_, drill) => {
    expect((await rehearse(fix, drill)).problems).toEqual([]);
  });
});
