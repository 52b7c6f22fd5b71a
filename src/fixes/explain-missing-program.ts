// The service calls a program that its PATH does not lead to. Whether to install it, and from where, is the owner's
// choice; where it already stands somewhere, that is said.

import { defineFix, type FixContext, notApplicable, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';

export default defineFix({
  name: 'explain-missing-program',
  family: 'install-package',
  title: 'Say which program is missing and where it is',
  handles: ['import_error', 'config_error', 'service_crash', 'unknown'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'suggest',
  order: 85,
  diagnose,
  drills: [
    {
      given: 'Node cannot start a program that is nowhere',
      world: (kit) => kit.write('index.js', ''),
      facts: {},
      message: 'Error: spawn no-such-program ENOENT',
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'a shell cannot find a program that stands in a folder of the system',
      world: (kit) => kit.write('run.sh', ''),
      facts: { executable: 'sh' },
      message: '/bin/sh: 1: sh: not found',
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'a file of the project is missing, not a program',
      world: (kit) => kit.write('main.py', ''),
      facts: { exception: 'FileNotFoundError' },
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'notes.txt'",
      type: 'unknown',
      expect: 'not-applicable',
    },
  ],
});

/** How shells, Node and Python (from inside its subprocess module) name a program that is not there. */
const CLAIMS: readonly RegExp[] = [
  /\bspawn (?<program>[\w.+-]{1,64}) ENOENT\b/,
  /(?:^|[:\s])(?<program>[\w.+-]{1,64}): (?:command )?not found\b/m,
  /\bcommand not found: (?<program>[\w.+-]{1,64})/,
  /subprocess\.py[\s\S]*No such file or directory: '(?<program>[\w.+-]{1,64})'/,
];
const FOLDERS = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  '/snap/bin',
  '/opt/bin',
];

async function diagnose({ incident, probe }: FixContext) {
  const said = claimOf(incident);
  const program = CLAIMS.map((claim) => claim.exec(said)?.groups?.['program']).find((name) => name !== undefined);
  if (program === undefined || /^\.+$/.test(program)) return notApplicable('no program is said to be missing');
  const places: string[] = [];
  for (const folder of FOLDERS) {
    const { kind } = await probe.files.status(`${folder}/${program}`);
    if (kind === 'file' || kind === 'symlink') places.push(`${folder}/${program}`);
  }
  const [place] = places;
  return refuse(
    place === undefined
      ? `the service calls ${program}, which is not on this host; install it, or name its full path in the configuration`
      : `the service calls ${program}, which is at ${place}: its PATH does not lead there. Add the folder to the PATH of its unit`,
  );
}
