// Compiled parts that do not fit the machine: a shared library of the system is missing, or a Node addon was built for
// another Node. Either needs the system's package manager or a compiler, so a person is told exactly what.

import { defineFix, type FixContext, notApplicable, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { nameOf } from './shared/installing.ts';

export default defineFix({
  name: 'explain-native-parts',
  family: 'install-package',
  title: 'Say which library or addon does not fit',
  handles: ['import_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'suggest',
  order: 20,
  diagnose,
  drills: [
    {
      given: 'a shared library is missing',
      world: (kit) => kit.write('main.py', ''),
      facts: { path: 'libssl.so.1.1' },
      message: 'error while loading shared libraries: libssl.so.1.1: cannot open shared object file',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'an addon was built for another Node',
      world: async (kit) => {
        await kit.write('node_modules/@acme/fast/build/Release/fast.node', 'no addon');
        await kit.npm([]);
      },
      facts: { path: '{directory}/node_modules/@acme/fast/build/Release/fast.node' },
      message:
        'was compiled against a different Node.js version using\nNODE_MODULE_VERSION 115. This version of Node.js requires\nNODE_MODULE_VERSION 127.',
      type: 'import_error',
      expect: 'refused',
    },
    {
      given: 'a module is missing, and nothing compiled is named',
      world: (kit) => kit.write('main.py', 'import wordtrim\n'),
      facts: { module: 'wordtrim' },
      message: "ModuleNotFoundError: No module named 'wordtrim'",
      type: 'import_error',
      expect: 'not-applicable',
    },
  ],
});

/** Node releases by the number of their binary interface: https://nodejs.org/en/about/previous-releases */
const RELEASES: Readonly<Record<string, string>> = {
  '93': '16',
  '108': '18',
  '115': '20',
  '127': '22',
  '137': '24',
};

async function diagnose({ incident, service, probe }: FixContext) {
  const said = claimOf(incident);
  const library = /(lib[\w.+-]{1,80}\.so(?:\.\d+)*): cannot open shared object/.exec(said)?.[1];
  if (library !== undefined) {
    return refuse(
      `the system lacks ${library}, and selfheal installs no system packages. Find who ships it ` +
        `(Debian: apt-file search ${library}), or return to the image or release in which the service last ran`,
    );
  }
  const versions = /NODE_MODULE_VERSION (\d{2,4})[\s\S]{0,200}NODE_MODULE_VERSION (\d{2,4})/.exec(said);
  if (versions === null) return notApplicable('nothing compiled is named');
  const [, built = '', running = ''] = versions;
  const addon = await addonOf(probe.files, service.directory, incident.facts.path);
  return refuse(
    `${addon} was built for Node ${releaseOf(built)}, and Node ${releaseOf(running)} runs. Building runs code of the ` +
      `package, so it is left to you: in ${service.directory}, npm rebuild${addon === 'an addon' ? '' : ` ${addon}`}; ` +
      `or run the service with Node ${releaseOf(built)} again`,
  );
}

function releaseOf(version: string): string {
  return RELEASES[version] ?? `(binary interface ${version})`;
}

/** Name of the package that holds the addon, when it is really one of the project's. */
async function addonOf(
  files: FixContext['probe']['files'],
  directory: string,
  path: string | undefined,
): Promise<string> {
  const found = path === undefined ? null : await files.inside(directory, path);
  if (found === null || !found.includes('/node_modules/')) return 'an addon';
  const [first = '', second = ''] = nameOf(found).split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}
