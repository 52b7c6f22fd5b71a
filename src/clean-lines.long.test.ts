// A million lines of programs that are well: nothing is found in them, so nothing is proposed. What was found all the same
// is handed to every fix, as if a person had asked, in a project where some of them would find something to do.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Detection } from './core/detection.ts';
import { createDetector } from './detector.ts';
import { fixes } from './fixes/index.ts';
import { cleanLines } from './testing/clean-lines.ts';
import { HealRig } from './testing/heal-rig.ts';

const LINES = Number(process.env['LINES'] ?? 1_000_000);
const SEED = Number(process.env['SEED'] ?? 1);
const AT_ONCE = 2_000;

async function proposedFor(found: readonly Detection[]): Promise<readonly string[]> {
  const rig = await HealRig.open({ fixes: () => fixes });
  const project = rig.folder();
  mkdirSync(join(project, 'data'));
  writeFileSync(join(project, 'settings.json'), '{"cut": "off');
  writeFileSync(join(project, 'main.py'), 'import wordtrim\n');
  writeFileSync(join(project, 'requirements.txt'), 'wordtrim==1.2.0\n');
  writeFileSync(join(project, 'data/log.jsonl'), '{"a":1}\n{"a":');
  const proposed: string[] = [];
  try {
    for (const { type, facts, message, rule, fingerprint, record } of found) {
      rig.clock.advance(120_000);
      const sample = { at: rig.clock.now(), source: 'file:x', line: 1, endLine: 1, text: record.text };
      const id = await rig.incident({ type, facts, message, rule, fingerprint, samples: [sample] });
      await rig.step(id, { requestedByPerson: true });
      for (const plan of await rig.store.plansOf(id)) proposed.push(`${plan.fix} because of: ${record.text}`);
    }
  } finally {
    await rig.close();
  }
  return proposed;
}

it(`proposes no fix for ${LINES} clean lines`, async () => {
  const detector = await createDetector(null, {});
  const found = new Map<string, Detection>();
  let detections = 0;
  let chunk: string[] = [];
  const scan = () => {
    for (const detection of detector.scanText(`${chunk.join('\n')}\n`)) {
      detections += 1;
      found.set(`${detection.rule} ${detection.fingerprint.template}`, detection);
    }
    chunk = [];
  };
  for (const line of cleanLines(LINES, SEED)) {
    chunk.push(line);
    if (chunk.length === AT_ONCE) scan();
  }
  scan();
  const samples = [...found.values()].map(({ rule, record }) => `${rule}: ${record.text}`);
  console.log(
    [`${LINES} clean lines, seed ${SEED}: ${detections} taken for errors`, ...samples.slice(0, 20)].join('\n'),
  );
  expect(await proposedFor([...found.values()])).toEqual([]);
  expect(samples).toEqual([]);
}, 1_800_000);
