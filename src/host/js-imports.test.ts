import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { importedNames } from './js-imports.ts';

describe('imports of a JavaScript text', () => {
  it.each<[string, string, readonly string[]]>([
    [
      'static imports',
      `import a from 'a';import {b as c} from "b";import * as d from 'd'\nimport 'e'`,
      ['a', 'b', 'd', 'e'],
    ],
    ['re-exports', `export * from 'a';\nexport { x } from "b"`, ['a', 'b']],
    ['dynamic imports', `const x = await import('a'); import(\n 'b' )`, ['a', 'b']],
    ['require', `const a = require('a'), b = require("b").c; require.resolve('d')`, ['a', 'b', 'd']],
    ['type imports and import-equals', `import type { A } from 'a'; import b = require('b');`, ['a', 'b']],
    ['scoped names and subpaths', `import '@acme/tools/deep'; require('lodash/fp')`, ['@acme/tools/deep', 'lodash/fp']],
    ['a hashbang', `#!/usr/bin/env node 'x\nimport 'a'`, ['a']],
    [
      'imports inside a template expression',
      'x = `it\'s ${await import("a")} ` + `${`${require("b")}`}`; import "c"',
      ['a', 'b', 'c'],
    ],
    ['imports behind a pattern with quotes', `x = /['"]/.test(y); return /\\/'[/']/g; import 'a'`, ['a']],
    ['imports behind a division', `x = a / b; y = 'c' / 2; require('d') / 3; require('e')`, ['d', 'e']],
    ['imports behind a broken string', `x = 'oops\nimport 'a'`, ['a']],
  ])('%s', (_, text, names) => {
    expect(importedNames(text)).toEqual(names);
  });

  it.each([
    ['a line comment', `// import 'evil'\n/* require('evil') */`],
    ['a string', `x = "import 'evil'"; y = 'require("evil")'`],
    ['a template', 'x = `import "evil"; ${1} require("evil")`'],
    ['a pattern', `x = /import 'evil'/; y = [/require('evil')/]`],
    ['a method of that name', `obj.require('evil'); obj.import('evil'); a.from 'evil'; Array.from('evil')`],
    ['a computed name', 'require(name); import(`evil`); require("a" + "b")'.replace('"a" + "b"', 'a + "b"')],
  ])('finds nothing in %s', (_, text) => {
    expect(importedNames(text)).toEqual([]);
  });

  it('never throws, and never finds a name that is not in the text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'import ',
        'from ',
        'require(',
        "'a'",
        '"b"',
        '`',
        '${',
        '}',
        '/',
        '//',
        '/*',
        '*/',
        '\\',
        '\n',
        '[',
        ']',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join('');
        for (const name of importedNames(text)) expect(text).toContain(name);
      }),
      { numRuns: 3_000 },
    );
  });
});
