// A module, package, shared library or extension that is not there, or does not fit this runtime.

import { defineRules } from './contract.ts';

export default defineRules(
  {
    name: 'import-name',
    type: 'import_error',
    severity: 'high',
    identity: ['module', 'attribute'],
    fixable: false,
    patterns: [
      {
        match:
          /cannot import name ['"]?(?<attribute>\w+)['"]?(?: from (?:partially initialized module )?['"](?<module>[\w.]+)['"])?/,
        level: 'info',
        confidence: 0.95,
        because: 'Python: the module is there, the name is not',
      },
    ],
    matches: [
      {
        text: "ImportError: cannot import name 'Agent' from 'lib.core' (/srv/lib/core.py)",
        facts: { attribute: 'Agent', module: 'lib.core' },
      },
      {
        text: "ImportError: cannot import name 'Loop' from partially initialized module 'lib.agent' (most likely due to a circular import) (/srv/lib/agent.py)",
        facts: { attribute: 'Loop', module: 'lib.agent' },
      },
      { text: 'ImportError: cannot import name Mapping', facts: { attribute: 'Mapping' } },
    ],
    rejects: [
      { text: "2026-01-05 10:00:00,123 INFO [agent] import of name 'Agent' from 'lib.core' done" },
      { text: "2026-01-05 10:00:00,123 INFO [chat] user: \"ImportError: cannot import name 'Agent' from 'lib.core'\"" },
      { text: "ModuleNotFoundError: No module named 'lib.core'" },
    ],
  },
  {
    name: 'import-error',
    type: 'import_error',
    severity: 'high',
    identity: ['module'],
    patterns: [
      {
        match: /(?:^|[\s.:(])(?:ModuleNotFoundError|ImportError)[:( ]{1,3}No module named '(?<module>[A-Za-z_][\w.]*)'/,
        confidence: 0.97,
        because: 'Python classes',
      },
      {
        match: /(?:^|[\s.:(])ImportError: No module named (?<module>[A-Za-z_][\w.]*)\s*$/,
        confidence: 0.97,
        because: 'Python 2',
      },
      {
        match: /\bNo module named '(?<module>[A-Za-z_][\w.]*)'/,
        confidence: 0.94,
        because: 'the message of the Python class without it',
      },
      { match: /^\S{0,80}: No module named (?<module>[A-Za-z_][\w.]*)$/, confidence: 0.93, because: 'python -m' },
      {
        match: /(?:^|\s|\()(?<path>[\w./+-]*lib[\w.+-]+\.so[\w.]*): cannot open shared object/,
        confidence: 0.95,
        fixable: false,
        because: 'the dynamic loader through Python',
      },
      {
        on: 'exception',
        match: /(?:^|[.\s])(?:ModuleNotFoundError|ImportError|PackageNotFoundError|DistributionNotFound)\b/,
        confidence: 0.93,
        fixable: false,
        because: 'Python classes for all other failed imports',
      },
      {
        match:
          /Cannot find (?:package|module) ['"](?<module>\.{0,2}\/[^'"\n]{1,400}|[A-Za-z]:\\[^'"\n]{1,400}|file:[^'"\n]{1,400})['"]/,
        confidence: 0.975,
        fixable: false,
        because: 'Node: a file of the program itself is missing',
      },
      {
        match: /Cannot find (?:package|module) ['"](?<module>[^'"\n]{1,300})['"]/,
        confidence: 0.97,
        because: 'Node: MODULE_NOT_FOUND and ERR_MODULE_NOT_FOUND',
      },
      {
        match:
          /\b(?:ERR_)?MODULE_NOT_FOUND\b|ERR_PACKAGE_PATH_NOT_EXPORTED|ERR_UNSUPPORTED_DIR_IMPORT|ERR_REQUIRE_ESM|ERR_UNKNOWN_FILE_EXTENSION|Cannot use import statement outside a module|does not provide an export named|ERR_DLOPEN_FAILED|ERR_UNKNOWN_BUILTIN_MODULE/,
        confidence: 0.945,
        fixable: false,
        because: 'error codes of the module loader of Node',
      },
      {
        match:
          /(?:Module not found: (?:Error: )?Can't resolve|Failed to resolve import|Could not resolve|Unable to resolve module|Rollup failed to resolve import) ['"`](?<module>[^'"`\n]{1,300})['"`]/,
        confidence: 0.96,
        fixable: false,
        because: 'bundlers: webpack, Vite, esbuild, Metro, Rollup',
      },
      {
        match:
          /error TS2307: Cannot find module '(?<module>[^'\n]{1,300})'|error TS7016: Could not find a declaration file for module '(?<module2>[^'\n]{1,300})'/,
        confidence: 0.98,
        fixable: false,
        because: 'TypeScript',
      },
      {
        match:
          /error while loading shared libraries: (?<path>[\w.+-]+):|Library not loaded: (?<path2>\S+)|dlopen\((?<path3>[^,)]{1,300})|Unable to load dynamic library|undefined symbol: \w+/,
        confidence: 0.96,
        fixable: false,
        because: 'the dynamic loader',
      },
      {
        match: /version `[\w.]{1,40}' not found \(required by/,
        confidence: 0.95,
        fixable: false,
        because: 'a C library that is too old for the program',
      },
      {
        match:
          /was compiled against a different Node\.js version|Could not locate the bindings file|invalid ELF header|wrong ELF class|incompatible architecture \(have|Module did not self-register|No native build was found/,
        confidence: 0.96,
        fixable: false,
        because: 'a native addon built for another runtime',
      },
      {
        match:
          /(?:ClassNotFoundException|NoClassDefFoundError|UnsupportedClassVersionError)(?:: (?:Could not initialize class )?(?<module>[\w./$]+))?|java\.lang\.UnsatisfiedLinkError|Could not find or load main class (?<module2>[\w.$]+)|error: package (?<module3>[\w.]+) does not exist|Could not find artifact (?<package>[\w.:-]+)|Could not resolve dependencies for project/,
        confidence: 0.955,
        fixable: false,
        because: 'Java and Maven',
      },
      {
        match: /cannot load such file -- (?<module>[\w/.-]+)/,
        confidence: 0.96,
        fixable: false,
        because: 'Ruby LoadError',
      },
      {
        match:
          /Could not find (?:gem )?'?(?<package>[\w-]+)(?:-[\d.]+)?'?(?: \([^)\n]{0,60}\))?[^\n]{0,60} in (?:any of the sources|locally installed gems|rubygems|the gem)|Gem::(?:LoadError|MissingSpecError|ConflictError)|Bundler::GemNotFound|You have already activated (?<package2>[\w-]+) /,
        confidence: 0.955,
        fixable: false,
        because: 'RubyGems and Bundler',
      },
      {
        match:
          /(?:require|include)(?:_once)?\((?<path>[^)\n]{1,400})\): (?:F|f)ailed to open stream|Failed opening required '(?<path2>[^'\n]{1,400})'|Class ["'\\]{0,2}(?<module>[\w\\]+)["'\\]{0,2} not found|Interface ["'\\]{0,2}(?<module2>[\w\\]+)["'\\]{0,2} not found|Call to undefined function (?<attribute>[\w\\]+)\(\)|requires ext-\w+|Unable to find the (?:wrapper|extension)|PHP Startup: Unable to load/i,
        confidence: 0.95,
        fixable: false,
        because: 'PHP: a missing file, class or extension',
      },
      {
        match:
          /cannot find package "?(?<module>[\w./-]+)"? (?:in any|in GOROOT)|no required module provides package (?<module2>[\w./-]+)|package (?<module3>[\w./-]+) is not in (?:GOROOT|std)|missing go\.sum entry|cannot find module providing package (?<module4>[\w./-]+)|module (?<module5>[\w./-]+)[^\n]{0,80}: reading \S+: (?:404|410)/,
        confidence: 0.95,
        fixable: false,
        because: 'Go',
      },
      {
        match:
          /can't find crate for `(?<module>\w+)`|unresolved import `(?<module2>[\w:]+)`|no matching package named `(?<package>[\w-]+)` found|use of undeclared (?:crate or module|type) `(?<module3>\w+)`|failed to load source for dependency/,
        confidence: 0.95,
        fixable: false,
        because: 'Rust and cargo',
      },
      {
        match:
          /fatal error: (?<path>[\w./+-]+\.h(?:pp)?): No such file or directory|(?:ld|collect2)[^\n]{0,60}: cannot find -l(?<module>[\w+-]+)|undefined reference to `/,
        confidence: 0.95,
        fixable: false,
        because: 'C compilers and linkers: a header or library is missing',
      },
      {
        match:
          /Could not load file or assembly '(?<module>[\w.]+)|error CS0246: [^\n]{0,120}'(?<module2>[\w.]+)'|System\.DllNotFoundException|NU1101: Unable to find package (?<package>[\w.]+)/,
        confidence: 0.955,
        fixable: false,
        because: '.NET and NuGet',
      },
      {
        match:
          /Could not find a package configuration file provided by "(?<package>[\w.+-]{1,80})"|Could NOT find (?<package2>[\w.+-]{1,80}) \(missing|No package '(?<package3>[\w.+-]{1,80})' found|Attempted to load (?:class|interface|trait|function) "(?<module>[\w\\]{1,120})"/,
        confidence: 0.95,
        fixable: false,
        because: 'CMake, pkg-config and Symfony',
      },
      {
        match: /Can't locate (?<module>[\w/:]+?)(?:\.pm)? in @INC/,
        confidence: 0.96,
        fixable: false,
        because: 'Perl',
      },
      {
        match:
          /Could not find (?<package>[\w.-]{1,80}:[\w.-]{1,80}):[\w.-]{1,40}|Could not resolve all (?:files|dependencies|artifacts|task dependencies) for|Failed to collect dependencies at/,
        confidence: 0.95,
        fixable: false,
        because: 'Gradle and Maven',
      },
      {
        match:
          /^(?:-?(?:ba|da|z|k|c)?sh|\/bin\/\w{2,5}|\S{1,200}\.sh|\S{1,80}): (?:(?:line )?\d{1,6}: )?(?<path>[\w.+@/-]{1,120}): (?:command )?not found$|command not found: (?<path2>[\w.+@/-]{1,120})$|'(?<path3>[\w.+-]{1,80})' is not recognized as an internal or external command|exec: "(?<path4>[\w.+/-]{1,120})": executable file not found in \$PATH/,
        facts: { path: 'executable', path2: 'executable', path3: 'executable', path4: 'executable' },
        confidence: 0.93,
        fixable: false,
        because: 'shells, cmd.exe and container runtimes: the program is not installed',
      },
      {
        match: /there is no package called [‘'](?<package>[\w.]+)[’']|module '(?<module>[\w.]+)' not found:/,
        confidence: 0.94,
        fixable: false,
        because: 'R and Lua',
      },
      {
        match:
          /No matching distribution found for (?<package>[A-Za-z0-9][\w.-]*)|Could not find a version that satisfies the requirement (?<package2>[A-Za-z0-9][\w.-]*)/,
        confidence: 0.95,
        because: 'pip finds no release that fits',
      },
      {
        match:
          /code E(?:INTEGRITY|RESOLVE|TARGET|NOVERSIONS|BADENGINE)\b|externally-managed-environment|ResolutionImpossible|THESE PACKAGES DO NOT MATCH THE HASHES|ERESOLVE (?:unable|could not) |sha512-\S{1,100} integrity checksum failed|Failed (?:building wheel|to build) (?:for )?(?<package>[A-Za-z0-9][\w.-]*)|metadata-generation-failed|subprocess-exited-with-error|No solution found when resolving dependencies|Because \S{1,60} depends on|ERR_PNPM_\w+|YN0\d{3}: |gyp ERR! (?:build error|configure error)|code E404$|404 Not Found - GET https:\/\/registry\./,
        confidence: 0.935,
        because: 'package managers refuse an install: pip, uv, npm, pnpm, yarn, node-gyp',
      },
      {
        match:
          /(?:requires|needs|install) (?:the )?[\w.-]{1,40} (?:package|library|module)[^\n]{0,60}(?:is )?not (?:installed|found|available)|(?:package|library|module|extension|plugin) ['"`]?(?<package>[A-Za-z][\w./@-]{1,80})['"`]? (?:is |was )?(?:not (?:installed|available)|could not be (?:loaded|imported|found))|Missing optional dependency '(?<package2>[\w.-]+)'/i,
        confidence: 0.87,
        fixable: false,
        because: 'usual wording',
      },
      {
        match:
          /Unable to load (?:native )?(?:module|library|plugin|extension) |Failed to load (?:native )?(?:module|library|extension|shared library)\b|Error loading (?:shared library|module) |plugin(?: \S{1,60})? failed to load|failed to load plugin|failed to import/i,
        confidence: 0.86,
        fixable: false,
        because: 'usual wording of programs that load parts of themselves',
      },
      {
        match:
          /E: Unable to locate package (?<package>[\w.+-]+)|E: Package '(?<package2>[\w.+-]+)' has no installation candidate|No package (?<package3>[\w.+-]+) available|unmet dependencies|nothing provides (?<package4>[\w.+-]+)/,
        confidence: 0.93,
        fixable: false,
        because: 'package managers of distributions',
      },
      {
        match:
          /\bERR_PNPM_(?:OUTDATED_LOCKFILE|LOCKFILE\w*|BROKEN\w*|PEER_DEP\w*|NO_MATCHING_VERSION\w*|FETCH_404|UNSUPPORTED_ENGINE|NO_LOCKFILE|BAD_PM_VERSION|SPEC_NOT_SUPPORTED\w*|WORKSPACE_PKG_NOT_FOUND|TARBALL_INTEGRITY)\b/,
        confidence: 0.95,
        because: 'codes of pnpm about what cannot be installed; from its documentation',
      },
      {
        match:
          /\b(?:DistributionNotFound|ContextualVersionConflict)\b|distribution was not found and is required by|: unknown revision \S|could not be resolved to an installable set of packages|cannot load any more object with static TLS|An unexpected error occurred: "[^"\n]{1,200}: Not found"/,
        confidence: 0.94,
        because: 'setuptools, Go modules, Composer, the dynamic loader, yarn',
      },
    ],
    never: [/missing module named \S+ - imported by/],
    matches: [
      {
        text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 3, in <module>\n    import yaml\nModuleNotFoundError: No module named \'yaml\'',
        facts: { module: 'yaml', file: '/srv/agent/main.py', sourceLine: 3, exception: 'ModuleNotFoundError' },
      },
      {
        text: "node:internal/modules/cjs/loader:1143\n  throw err;\n  ^\n\nError: Cannot find module 'express'\nRequire stack:\n- /srv/agent/index.js",
        facts: { module: 'express' },
      },
      {
        text: '/srv/bin/tool: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory',
        facts: { path: 'libssl.so.1.1' },
      },
      {
        text: '2026-01-05 10:00:00,123 ERROR [app] java.lang.ClassNotFoundException: com.example.Plugin',
        facts: { module: 'com.example.Plugin' },
      },
      {
        text: "/srv/app/boot.rb:3:in `require': cannot load such file -- sinatra (LoadError)",
        facts: { module: 'sinatra' },
      },
      { text: 'PHP Fatal error:  Uncaught Error: Class "App\\Mailer" not found in /srv/www/index.php:9' },
      { text: 'ERROR: No matching distribution found for wordtrimm==1.0', facts: { package: 'wordtrimm' } },
      { text: 'error: externally-managed-environment' },
      { text: 'npm error code EINTEGRITY\nnpm error sha512-abc integrity checksum failed when using sha512' },
      {
        text: 'main.go:5:2: no required module provides package github.com/example/x; to add it:',
        facts: { module: 'github.com/example/x' },
      },
      { text: "src/app.ts(1,19): error TS2307: Cannot find module 'pg' or its corresponding type declarations." },
      {
        text: 'Error: The module /srv/a/node_modules/b/b.node was compiled against a different Node.js version using NODE_MODULE_VERSION 115.',
      },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [chat] user: I get "ModuleNotFoundError: No module named \'requests\'"' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] imported module yaml' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] module cache: cannot find nothing wrong' },
      { text: 'missing module named winreg - imported by platform (delayed, optional)' },
    ],
  },
);
