// An install failed in a way that no program should force: contradicting requirements, no ready-made wheel, other content than
// the pinned hashes. The reason and the next commands are said once; pins are never loosened.

import { defineFix, type FixContext, notApplicable, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';

export default defineFix({
  name: 'explain-failed-install',
  family: 'install-package',
  title: 'Say why an install failed and what to do',
  handles: ['import_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'suggest',
  order: 90,
  diagnose,
  drills: [
    {
      given: 'the requirements contradict each other',
      world: (kit) => kit.write('requirements.txt', 'a==1\nb==2\n'),
      facts: {},
      message: 'ERROR: ResolutionImpossible: for help visit https://pip.pypa.io',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'the index has no such distribution',
      world: (kit) => kit.write('requirements.txt', 'wordtrim==9\n'),
      facts: { package: 'wordtrim' },
      message: 'ERROR: No matching distribution found for wordtrim==9',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'pip found other content than the pinned hashes',
      world: (kit) => kit.write('requirements.txt', 'wordtrim==1\n'),
      facts: {},
      message: 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'a module is missing, and no install was tried',
      world: (kit) => kit.write('main.py', 'import wordtrim\n'),
      facts: { module: 'wordtrim' },
      message: "ModuleNotFoundError: No module named 'wordtrim'",
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

/** What pip and npm say, and what it means for the owner. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /DO NOT MATCH THE HASHES/,
    'the index serves other files than the project pins by hash, which may be an attack: nothing is installed. ' +
      'Compare the release with its publisher before you change a hash',
  ],
  [
    /ResolutionImpossible|\bERESOLVE\b/,
    'the requirements contradict each other, and pins are never loosened by a program. ' +
      'Install from the last lock file that worked, or let your package manager name the conflict and change one pin',
  ],
  [
    /No matching distribution found|Could not find a version that satisfies/,
    'the index has no such version, or no ready-made wheel of it for this Python. Check the name and the version, and ' +
      'which index the service uses; building from source is left to you',
  ],
];

async function diagnose({ incident }: FixContext) {
  const said = claimOf(incident);
  const meaning = MEANINGS.find(([pattern]) => pattern.test(said))?.[1];
  return meaning === undefined ? notApplicable('no failed install is named') : refuse(meaning);
}
