// docs/fixes.md, made from the catalogue itself: what each fix is about, how far it goes by itself, and when it holds back.

import type { Drill, Fix } from './fixes/contract.ts';
import { fixes } from './fixes/index.ts';

/** The page as the build writes it. */
export function fixesPage(): string {
  const families = [...new Set(fixes.map((fix) => fix.family))].sort();
  return [
    '# Fixes',
    '',
    `Generated from the ${fixes.length} fixes in [src/fixes](../src/fixes) by the build. "Acts when" and "holds back when" are their drills: each is played for`,
    'real by the suite, with steps, proof and undo, and by `selfheal drill NAME` on your machine. The autonomy is what holds when the',
    'configuration says nothing; a plan may ask all the same, and says why.',
    ...families.flatMap((family) => ['', `## ${family}`, ...inOrder(family).flatMap(section)]),
    '',
  ].join('\n');
}

function inOrder(family: Fix['family']): readonly Fix[] {
  return fixes.filter((fix) => fix.family === family).sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
}

function section(fix: Fix): readonly string[] {
  const acts = fix.drills.filter((drill) => Array.isArray(drill.expect));
  const holdsBack = fix.drills.filter((drill) => !Array.isArray(drill.expect));
  return [
    '',
    `### ${fix.name}`,
    '',
    `${fix.title}. Asked about ${fix.handles.map((type) => `\`${type}\``).join(', ')}; autonomy \`${fix.autonomy}\`, risk ${fix.risk}.`,
    ...list('Acts when', acts),
    ...list('Holds back when', holdsBack),
  ];
}

function list(title: string, drills: readonly Drill[]): readonly string[] {
  if (drills.length === 0) return [];
  return ['', `${title}:`, '', ...drills.map((drill) => `- ${drill.given}${endOf(drill)}`)];
}

const ENDS: Readonly<Record<string, string>> = {
  refused: ' → a person',
  later: ' → later',
  'not-applicable': ' → not its case',
};

function endOf({ expect }: Drill): string {
  return typeof expect === 'string' ? (ENDS[expect] ?? '') : ` → ${expect.map((kind) => `\`${kind}\``).join(', ')}`;
}
