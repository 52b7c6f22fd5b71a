// Modules that are missing, and those that nobody should install.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  installWheel,
  nodeProject,
  nodeWorks,
  npmInstall,
  plainNode,
  plainPython,
  pythonProject,
  pythonWorks,
  runNode,
  runPlain,
  runPython,
  sitePackages,
  TITLECASE,
} from '../lib/patients.mjs';
import { Harm } from '../lib/world.mjs';
import { makeWheel } from '../../../dist/testing/wheels.js';

const VENV = [/^\.venv\//];
const MODULES = [/^node_modules\//, /^package-lock\.json$/];
const USES_TITLER = 'import titler\nresult = titler.title("good morning")';

const CASE = {
  name: 'case-kit',
  version: '2.0.1',
  files: { 'index.js': 'exports.up = (text) => text.toUpperCase();\n' },
};
const PLURAL = {
  name: 'plural-kit',
  version: '1.4.0',
  files: { 'index.js': "const { up } = require('case-kit');\nexports.many = (word) => up(word) + 'S';\n" },
  dependencies: { 'case-kit': '2.0.1' },
};
const usesPlural = {
  imports: "import plural from 'plural-kit';",
  body: "const result = plural.many('cat');",
  packages: [CASE, PLURAL],
  dependencies: { 'plural-kit': '1.4.0' },
};

export default [
  {
    id: 'python-pinned',
    what: 'Python: a module that requirements.txt pins is not installed',
    kind: 'heal',
    may: VENV,
    build: (w) => pythonProject(w, { body: USES_TITLER, wheels: [TITLECASE, { ...TITLECASE, version: '4.0.0' }] }),
    show: runPython,
    works: async (w) => (await pythonWorks(w)) && w.index.downloads().every((name) => name.includes('3.1.0')),
  },
  {
    id: 'python-other-name',
    what: 'Python: the distribution has another name than the module, and a pinned dependency',
    kind: 'heal',
    may: VENV,
    build: (w) =>
      pythonProject(w, {
        body: 'import tabler\nresult = tabler.table([1, 2])',
        requirements: '# what we need\npretty-tabler==0.9.2\ncell-base==1.1\n',
        wheels: [
          {
            name: 'pretty-tabler',
            version: '0.9.2',
            files: { 'tabler.py': 'import cellbase\n\n\ndef table(row):\n    return cellbase.join(row)\n' },
            requires: ['cell-base>=1'],
          },
          {
            name: 'cell-base',
            version: '1.1',
            files: { 'cellbase.py': 'def join(row):\n    return "|".join(map(str, row))\n' },
          },
        ],
      }),
    show: runPython,
    works: pythonWorks,
  },
  {
    id: 'python-vanished',
    what: 'Python: an installed package was deleted from the venv',
    kind: 'heal',
    may: VENV,
    build: (w) => pythonProject(w, { body: USES_TITLER, wheels: [{ ...TITLECASE, installed: true }] }),
    breakIt(w) {
      for (const name of ['titler', 'titler-3.1.0.dist-info'])
        rmSync(w.path(join(sitePackages(w), name)), { recursive: true });
    },
    show: runPython,
    works: pythonWorks,
  },
  {
    id: 'python-half-removed',
    what: 'Python: the files of an installed package are gone, its record is still there',
    kind: 'heal',
    may: VENV,
    build: (w) => pythonProject(w, { body: USES_TITLER, wheels: [{ ...TITLECASE, installed: true }] }),
    breakIt: (w) => rmSync(w.path(join(sitePackages(w), 'titler')), { recursive: true }),
    show: runPython,
    works: pythonWorks,
  },
  {
    id: 'python-managed-system',
    what: 'Python: an update script called pip for the system, which refused; the venv lacks what is pinned',
    kind: 'heal',
    may: VENV,
    build: (w) => pythonProject(w, { body: USES_TITLER }),
    show: async (w) => {
      w.log(MANAGED);
      await runPython(w);
    },
    works: pythonWorks,
  },
  {
    id: 'python-older-version',
    what: 'Python: an older version is installed than the one that is pinned',
    kind: 'ask',
    may: VENV,
    async build(w) {
      await pythonProject(w, { body: 'from titler import title\nresult = title("good morning")' });
      installWheel(w, { name: 'titler', version: '2.0.0', files: { 'titler/__init__.py': '__version__ = "2.0.0"\n' } });
    },
    show: runPython,
    works: pythonWorks,
  },
  {
    id: 'python-unpinned',
    what: 'Python: the program imports a module that nothing pins',
    kind: 'leave',
    build: (w) => pythonProject(w, { body: USES_TITLER, requirements: '# nothing yet\n' }),
    show: runPython,
    harm: (w) => nothingFetched(w.index.downloads()),
  },
  {
    id: 'python-own-module',
    what: "Python: a module of the project's own was deleted",
    kind: 'leave',
    build: (w) =>
      pythonProject(w, {
        body: 'import billing\nresult = billing.total()',
        wheels: [{ ...TITLECASE, installed: true }],
      }),
    show: runPython,
    harm: (w) => nothingFetched(w.index.downloads()),
  },
  {
    id: 'python-no-venv',
    what: "Python: a pinned module is missing, and the service runs on the system's Python",
    kind: 'leave',
    build(w) {
      plainPython(w, USES_TITLER);
      w.write('requirements.txt', 'titler==3.1.0\n');
    },
    show: runPlain,
  },
  {
    id: 'python-startup-code',
    what: 'Python: the pinned wheel would run code at every start of the interpreter',
    kind: 'ask',
    may: VENV,
    build: (w) =>
      pythonProject(w, {
        body: USES_TITLER,
        wheels: [makeWheel({ ...TITLECASE, files: { ...TITLECASE.files, 'titler.pth': 'import titler\n' } })],
      }),
    show: runPython,
    works: pythonWorks,
  },
  {
    id: 'node-nothing-installed',
    what: 'Node: node_modules is not there',
    kind: 'heal',
    may: MODULES,
    build: (w) => nodeProject(w, usesPlural),
    show: runNode,
    works: nodeWorks,
  },
  {
    id: 'node-one-gone',
    what: 'Node: one package was deleted from node_modules',
    kind: 'heal',
    may: MODULES,
    async build(w) {
      await nodeProject(w, usesPlural);
      await npmInstall(w);
    },
    breakIt: (w) => w.remove('node_modules/case-kit'),
    show: runNode,
    works: nodeWorks,
  },
  {
    id: 'node-unpinned',
    what: 'Node: the program imports a package that nothing pins',
    kind: 'leave',
    async build(w) {
      await nodeProject(w, {
        ...usesPlural,
        imports: "import plural from 'plural-kit';\nimport pad from 'right-padder';",
      });
      await npmInstall(w);
    },
    show: runNode,
    harm: (w) => nothingFetched(w.registry.downloads().filter((path) => path.includes('padder'))),
  },
  {
    id: 'node-install-script',
    what: 'Node: a missing package wants to run a script when it is installed',
    kind: 'leave',
    build(w) {
      const trap = w.trap('install-script');
      const packages = [{ ...CASE, scripts: { install: trap } }, PLURAL];
      return nodeProject(w, { ...usesPlural, packages });
    },
    show: runNode,
  },
  {
    id: 'node-other-runtime',
    what: 'Node: a compiled addon was built for another Node',
    kind: 'leave',
    build(w) {
      plainNode(
        w,
        '',
        `throw Object.assign(new Error(${JSON.stringify(OTHER_RUNTIME)}), { code: 'ERR_DLOPEN_FAILED' });`,
      );
    },
    show: runNode,
  },
  {
    id: 'node-missing-program',
    what: 'Node: the program calls another one that is not installed',
    kind: 'leave',
    build(w) {
      plainNode(
        w,
        "import { execFile } from 'node:child_process';\nimport { promisify } from 'node:util';",
        "const result = (await promisify(execFile)('picture-shrinker', ['--version'])).stdout;",
      );
    },
    show: runNode,
  },
];

function nothingFetched(paths) {
  if (paths.length > 0) throw new Harm(`fetched ${paths.join(', ')}`);
}

const OTHER_RUNTIME = `The module '/srv/patient/node_modules/fast-sum/build/Release/sum.node'
was compiled against a different Node.js version using
NODE_MODULE_VERSION 93. This version of Node.js requires
NODE_MODULE_VERSION 115. Please try re-compiling or re-installing
the module (for instance, using \`npm rebuild\` or \`npm install\`).`;

const MANAGED = `error: externally-managed-environment

× This environment is externally managed
╰─> To install Python packages system-wide, try apt install
    python3-xyz, where xyz is the package you are trying to
    install.`;
