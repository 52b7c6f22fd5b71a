// A module, package, shared library or extension that is not there.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'import-error',
  type: 'import_error',
  severity: 'high',
  identity: ['module'],
  patterns: [
    {
      on: 'exception',
      match: /(?:ModuleNotFoundError|ImportError): No module named '?(?<module>[A-Za-z_][\w.]*)'?/,
      confidence: 0.97,
      because: 'Python classes',
    },
    {
      on: 'exception',
      match:
        /ImportError: cannot import name '(?<attribute>\w+)' from (?:partially initialized module )?'(?<module>[\w.]+)'/,
      confidence: 0.95,
      fixable: false,
      because: 'Python class',
    },
    {
      on: 'exception',
      match: /ImportError: (?<path>lib[\w.+-]+\.so[\w.]*): cannot open shared object/,
      confidence: 0.95,
      fixable: false,
      because: 'the dynamic loader through Python',
    },
    {
      match: /Cannot find (?:package|module) '(?<module>[^'\n]{1,200})'/,
      confidence: 0.97,
      because: 'Node: MODULE_NOT_FOUND and ERR_MODULE_NOT_FOUND',
    },
    {
      match: /error while loading shared libraries: (?<path>[\w.+-]+):/,
      confidence: 0.96,
      fixable: false,
      because: 'the dynamic loader',
    },
    {
      match: /was compiled against a different Node\.js version/,
      confidence: 0.96,
      fixable: false,
      because: 'a native addon built for another runtime',
    },
    {
      match: /java\.lang\.(?:ClassNotFoundException|NoClassDefFoundError): (?<module>[\w./$]+)/,
      confidence: 0.95,
      fixable: false,
      because: 'Java classes',
    },
    {
      match: /cannot load such file -- (?<module>[\w/.-]+)/,
      confidence: 0.95,
      fixable: false,
      because: 'Ruby LoadError',
    },
    {
      match:
        /No matching distribution found for (?<package>[\w.\-[\]=<>!~]+)|code EINTEGRITY|error: externally-managed-environment|ResolutionImpossible/,
      confidence: 0.93,
      because: 'pip and npm refuse an install',
    },
  ],
  matches: [
    {
      text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 3, in <module>\n    import yaml\nModuleNotFoundError: No module named \'yaml\'',
    },
    {
      text: "node:internal/modules/cjs/loader:1143\n  throw err;\n  ^\n\nError: Cannot find module 'express'\nRequire stack:\n- /srv/agent/index.js",
    },
    {
      text: '/srv/bin/tool: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory',
    },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: I get "ModuleNotFoundError: No module named \'requests\'"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] imported module yaml' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] module cache: cannot find nothing wrong' },
  ],
});
