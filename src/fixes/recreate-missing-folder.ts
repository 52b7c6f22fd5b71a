// A folder that the service writes into is gone: nothing can be opened below it. One that is known to have been there, or
// that the configuration names for logs, is made again, empty, with its mode.

import { dirname } from 'node:path';
import { modesRecord } from '../core/good-copy-names.ts';
import { parseModes, type RecordedMode, wasFolder } from '../core/modes-record.ts';
import { commandLine } from '../core/wording.ts';
import type { FileProbe } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import {
  type Damage,
  type ServiceCopy,
  type Diagnosis,
  defineFix,
  type FixContext,
  notApplicable,
  propose,
  refuseUnlessMended,
} from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { healthCheck } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';

/** A program makes its own folders; one that wants more than these has another problem. */
const MOST_FOLDERS = 3;
/** Nobody but the owner's group may write into what a program makes. */
const FORBIDDEN = 0o7002;
const PLAIN_MODE = 0o755;

export default defineFix({
  name: 'recreate-missing-folder',
  family: 'restore-config',
  title: 'Make a missing folder again',
  handles: ['unknown', 'config_error', 'database_error', 'service_crash', 'permission_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 31,
  diagnose,
  damage,
  drills: [
    {
      given: 'the folder of the logs was deleted',
      world: async (kit) => {
        await kit.write('main.py', '');
        kit.service({ logs: [`${kit.directory}/var/logs/*.log`] });
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: '{directory}/var/logs/agent.log'",
      type: 'unknown',
      expect: ['make-folder', 'make-folder'],
    },
    {
      given: 'a folder of state that the service ran with is gone, and the program names it from where it stands',
      world: async (kit) => {
        await kit.write('main.py', '');
        await recorded(kit, { data: 'd 750', 'data/cache': 'd 700' });
        await kit.write('data/other', '');
      },
      facts: {},
      message: "Error: ENOENT: no such file or directory, open './data/cache/page-1.html'",
      type: 'unknown',
      expect: ['make-folder'],
    },
    {
      given: 'files are gone with the folder',
      world: async (kit) => {
        await recorded(kit, { data: '750', 'data/state.json': '600' });
        kit.service({ health: { kind: 'command', argv: ['test', '-d', 'data'] } });
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'data/state.json.tmp'",
      type: 'unknown',
      expect: ['make-folder'],
    },
    {
      given: 'only the log says that there was such a folder',
      world: (kit) => kit.write('main.py', ''),
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'exports/today.csv'",
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'a file is gone, and the log speaks as if it were a folder',
      world: async (kit) => {
        await kit.write('main.py', '');
        await recorded(kit, { 'state.json': 'f 600' });
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'state.json/tmp'",
      type: 'unknown',
      expect: 'not-applicable',
    },
    {
      given: 'a name is on record, but not as what',
      world: async (kit) => {
        await kit.write('main.py', '');
        await recorded(kit, { 'state.json': '600' });
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'state.json/tmp'",
      type: 'unknown',
      expect: 'refused',
    },
    {
      given: 'the folder is there, and only the file is missing',
      world: async (kit) => {
        await kit.write('data/a', '');
        await recorded(kit, { data: 'd 755' });
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'data/b'",
      type: 'unknown',
      expect: 'not-applicable',
    },
    {
      given: 'the folder lies outside of the service’s',
      world: (kit) => kit.write('main.py', ''),
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: '/var/lib/nobody-has-this/x'",
      type: 'unknown',
      expect: 'not-applicable',
    },
    {
      given: 'a link that leads nowhere stands where the folder was',
      world: async (kit) => {
        await recorded(kit, { data: 'd 755' });
        await kit.sh(['ln', '-s', '../gone', 'data']);
      },
      facts: {},
      message: "FileNotFoundError: [Errno 2] No such file or directory: 'data/b'",
      type: 'unknown',
      expect: 'not-applicable',
    },
  ],
});

/** How Python, Node, Go, SQLite and shells name what they could not open. */
const CLAIMS: readonly RegExp[] = [
  /No such file or directory: ['"](?<path>[^'"\n]{1,400})['"]/,
  /ENOENT: no such file or directory, \w{1,20} ['"](?<path>[^'"\n]{1,400})['"]/,
  /\b(?:open|mkdir|create) (?<path>\/[^\s:'"]{1,400}): no such file or directory/,
  /cannot create (?<path>[^\s:'"]{1,400}): Directory nonexistent/,
  /(?:^|\s)(?<path>[^\s:'"]{1,400}): No such file or directory/m,
];

/** Takes the folder of the logs away. */
async function damage({ service, probe, kit }: ServiceCopy): Promise<Damage | null> {
  const [folder] = logFolders(service.logs ?? [], service.directory, service.directory);
  if (folder === undefined || (await probe.files.status(folder)).kind !== 'directory') return null;
  await kit.sh(['rm', '-r', '--', folder]);
  const message = `FileNotFoundError: [Errno 2] No such file or directory: '${folder}/agent.log'`;
  return { what: `${folder} is taken away`, type: 'unknown', facts: {}, message };
}

async function diagnose(context: FixContext): Promise<Diagnosis> {
  const { service, probe } = context;
  const wanted = wantedFile(context);
  if (wanted === null) return notApplicable('no file is said to be missing');
  const root = await probe.files.inside(service.directory, '.');
  const found = root === null ? null : await missingFolders(probe.files, root, wanted);
  if (root === null || found === null) return notApplicable('no folder of the service is missing');
  const modes = await modesOf(context, root);
  const logs = logFolders(service.logs ?? [], service.directory, root);
  const file = found.find((path) => modes.get(below(root, path))?.kind === 'file');
  if (file !== undefined) return notApplicable(`${file} was a file, and no folder, when the service ran`);
  const unknown = found.find(
    (path) => !wasFolder(modes, below(root, path)) && !logs.some((one) => isWithin(one, path)),
  );
  if (unknown !== undefined)
    return refuseUnlessMended(
      `${unknown} is missing, and nothing shows that it was ever there: make it by hand if the service should have it`,
      [commandLine(['mkdir', '-p', found.at(-1) ?? unknown])],
    );
  return proposal(context, { root, folders: found, modes });
}

/** Absolute, without steps back; null when the log names none. */
function wantedFile({ incident, service }: FixContext): string | null {
  const text = claimOf(incident);
  const claimed = CLAIMS.map((claim) => claim.exec(text)?.groups?.['path']).find((path) => path !== undefined);
  if (claimed === undefined) return null;
  const parts = claimed.replace(/^(?:\.\/)+/, '').split('/');
  if (parts.slice(1).includes('') || parts.includes('..') || parts.includes('.')) return null;
  return claimed.startsWith('/') ? claimed : `${service.directory}/${parts.join('/')}`;
}

/** The folders above the file that are not there, the outermost first; null when none is, or when they are not ours. */
async function missingFolders(files: FileProbe, root: string, file: string): Promise<readonly string[] | null> {
  const missing: string[] = [];
  let folder = parentOf(file);
  for (; missing.length <= MOST_FOLDERS; folder = parentOf(folder)) {
    const { kind } = await files.status(folder);
    if (kind === 'directory') break;
    if (kind !== 'absent' || folder === '/') return null;
    missing.unshift(folder.slice(folder.lastIndexOf('/') + 1));
  }
  const real = await files.inside(root, folder);
  if (real === null || missing.length === 0 || missing.length > MOST_FOLDERS) return null;
  return missing.map((_, index) => [real, ...missing.slice(0, index + 1)].join('/'));
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
const below = (root: string, path: string): string => path.slice(root.length + 1);
/** True when `folder` is `inner` or lies above it. */
const isWithin = (inner: string, folder: string): boolean => inner === folder || inner.startsWith(`${folder}/`);

/** The fixed part of each pattern of log files, as far as it lies in the service's folder. */
function logFolders(patterns: readonly string[], directory: string, root: string): readonly string[] {
  return patterns
    .map((pattern) => parentOf(pattern.replace(/[*?[{].*$/, 'x')))
    .filter((folder) => folder.startsWith(`${directory}/`))
    .map((folder) => root + folder.slice(directory.length));
}

/** What lay below the root, as it was when the service ran. */
async function modesOf({ service, probe }: FixContext, root: string): Promise<ReadonlyMap<string, RecordedMode>> {
  const proven = (await probe.goodCopies(service.name, modesRecord(root))).find((copy) => copy.provenAt !== null);
  const text = proven && (await probe.goodCopyText(proven.id));
  return text ? parseModes(text) : new Map<string, RecordedMode>();
}

interface Found {
  readonly root: string;
  readonly folders: readonly string[];
  readonly modes: ReadonlyMap<string, RecordedMode>;
}

async function proposal({ service, probe }: FixContext, { root, folders, modes }: Found): Promise<Diagnosis> {
  const [outermost = root] = folders;
  const innermost = folders.at(-1) ?? outermost;
  const lost = [...modes.keys()].filter(
    (name) => name.startsWith(`${below(root, outermost)}/`) && !isOneOf(root, folders, name),
  );
  const health = (await probe.services.health(service.name)).passed;
  const doubts = lost.length === 0 ? [] : [`files are gone with it (${listed(lost)}): a backup may be what you want`];
  // A folder whose owner is not on record gets that of the one it is in; what selfheal starts itself runs as selfheal does.
  const parent = await probe.files.status(dirname(outermost));
  const isOwned = folders.every((path) => modes.get(below(root, path))?.owner);
  if (parent.uid === 0 && service.command === null && !isOwned)
    doubts.push('it would belong to root, and it is not known as whom the service runs');
  const names = listed(folders.map((path) => below(root, path)));
  return propose({
    title: `make ${names} again`,
    why: `${names} is gone, and the service wants to write there. ${lost.length === 0 ? 'Nothing else is known to have been in it.' : `It held ${listed(lost)}, which only a backup can bring back.`}`,
    facts: { path: innermost },
    steps: folders.map((path) => ({
      kind: 'make-folder',
      title: `make ${path}`,
      undo: { kind: 'restore-snapshot' },
      path,
      mode: (modes.get(below(root, path))?.mode ?? PLAIN_MODE) & 0o777 & ~FORBIDDEN,
      ...ownerOf(modes.get(below(root, path))),
    })),
    checks: [
      {
        kind: 'writable',
        title: `files can be written in ${innermost}`,
        proves: 'operation',
        failsBefore: true,
        directory: innermost,
        freeBytes: 0,
      },
      ...healthCheck(service.name, health),
    ],
    resources: folders.map((path) => `path:${path}`),
    needsRestart: health === false && (service.command !== null || service.restart !== null),
    ...(doubts.length === 0 ? {} : { mustAsk: doubts.join('; ') }),
  });
}

const ownerOf = (was: RecordedMode | undefined) => (was?.owner ? { owner: was.owner } : {});

const isOneOf = (root: string, folders: readonly string[], name: string): boolean =>
  folders.includes(`${root}/${name}`);

/** Leaves the record that the keeper of good copies would have left. */
async function recorded(kit: DrillKit, modes: Readonly<Record<string, string>>): Promise<void> {
  await kit.write('#modes', JSON.stringify(modes));
  await kit.goodCopy('#modes');
  await kit.sh(['rm', '#modes']);
}
