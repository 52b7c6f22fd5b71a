// What hostile logs may do to a fix: nothing. No text out of a log reaches a step, looking changes nothing, and
// numbers of any size and absent facts are borne.

import { describe, expect, it } from 'vitest';
import { NUMERIC_FACTS, type FactName, type Facts } from '../core/facts.ts';
import { listingDifferences, listTree } from '../host/installed-tree.ts';
import { canRehearse, type Claim, openDrill, proposalFlaws } from '../testing/rehearse.ts';
import { fixes } from './index.ts';

/** `FIX=name npx vitest run src/fixes` runs one fix. */
const chosen = fixes.filter((fix) => process.env.FIX === undefined || fix.name === process.env.FIX);

const TEXT_FACTS: readonly FactName[] = [
  ...(['module', 'package', 'file', 'host', 'provider', 'env', 'path', 'exception', 'attribute', 'signal'] as const),
  ...(['executable', 'branch', 'repository', 'model'] as const),
];

const CANARY = 'canary-ate-it';

/** What a log could be made to say. None of it may reach a step, whatever fact it stands in. */
const HOSTILE: Readonly<Record<string, string>> = {
  'an option': '--index-url=http://127.0.0.1:9/evil',
  'a short option': '-rrequirements-evil.txt',
  'a path that climbs': '../../../../etc/cron.d/evil',
  'a path elsewhere': '/etc/cron.d/evil',
  'a path in the project that climbs': '{directory}/../../evil',
  'a shell text': `x; touch ${CANARY} #`,
  'a substitution': `$(touch ${CANARY})`,
  backticks: `\`touch ${CANARY}\``,
  'an address': 'http://127.0.0.1:9/evil.whl',
  'a repository': 'git+https://127.0.0.1:9/evil.git',
  'a requirement with an address': 'evil @ http://127.0.0.1:9/evil.whl',
  'an alias': 'evil@npm:other-evil',
  'a NUL': 'evil\0hidden',
  'a line break': 'evil\n--hidden',
  'a look-alike': 'wоrdtrim-еvil',
  'a right-to-left mark': '\u202eevil',
  'a property of every object': '__proto__',
  'an inherited name': 'constructor',
  'a very long name': 'evil'.repeat(2_500),
};

describe.each(chosen.map((fix) => [fix.name, fix] as const))('%s', (_name, fix) => {
  const drills = fix.drills.filter(canRehearse);

  it('lets no text of a log into a step, and changes nothing by looking', { timeout: 180_000 }, async () => {
    const drill = drills.find((d) => Array.isArray(d.expect)) ?? drills[0];
    if (drill === undefined) throw new Error('no drill');
    const open = await openDrill(drill);
    try {
      const world = () =>
        listTree(open.world.root, { skip: (path) => /(?:^|\/)\.git\/(?:index|FETCH_HEAD)$/.test(path) });
      const before = await world();
      const reads = new Set<string>();
      await open.diagnose(fix, { reads });
      // What a fix never reads cannot lead it anywhere.
      const read = TEXT_FACTS.filter((fact) => reads.has(fact));
      const tell = async (what: string, claim: (hostile: string) => Claim) => {
        const hostile = (HOSTILE[what] ?? '').replaceAll('{directory}', open.world.kit.directory);
        const diagnosis = await open.diagnose(fix, claim(hostile));
        if (diagnosis.kind !== 'proposal') return;
        const told = JSON.stringify([diagnosis.proposal.steps, diagnosis.proposal.checks]);
        expect(told, what).not.toContain(JSON.stringify(hostile).slice(1, -1));
        expect(proposalFlaws(diagnosis.proposal)).toEqual([]);
      };
      const claimed = (facts: readonly FactName[], text: string): Facts =>
        Object.assign({ ...drill.facts }, ...facts.map((fact) => ({ [fact]: text }))) as Facts;
      for (const what of Object.keys(HOSTILE)) {
        for (const fact of read) await tell(what, (text) => ({ facts: claimed([fact], text) }));
        if (read.length > 1) await tell(what, (text) => ({ facts: claimed(TEXT_FACTS, text) }));
      }
      if (reads.has('message')) {
        for (const what of ['an option', 'a shell text', 'a path that climbs', 'an address', 'a line break']) {
          await tell(what, (text) => ({ message: `${drill.message ?? drill.given} '${text}' ${text}` }));
        }
      }
      expect(listingDifferences(before, await world())).toEqual([]);
    } finally {
      await open.close();
    }
  });

  it('bears numbers and absent facts of any kind', async () => {
    const drill = drills[0];
    if (drill === undefined) throw new Error('no drill');
    const open = await openDrill(drill);
    try {
      expect((await open.diagnose(fix, { facts: {} })).kind).toMatch(/./);
      for (const fact of NUMERIC_FACTS.filter((f) => f in drill.facts)) {
        for (const value of [-1, 0, 1, 65_536, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY, 0.5]) {
          const diagnosis = await open.diagnose(fix, { facts: { ...drill.facts, [fact]: value } });
          if (diagnosis.kind === 'proposal') expect(proposalFlaws(diagnosis.proposal)).toEqual([]);
        }
      }
    } finally {
      await open.close();
    }
  });
});
