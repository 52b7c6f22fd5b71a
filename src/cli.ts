#!/usr/bin/env node
// argv → one operation → a printed answer. This file is loaded by whatever Node there is, so it only
// checks the version and hands over.

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`selfheal: Node.js 20.19 or newer is needed; this is ${process.versions.node}\n`);
  process.exit(2);
}

const { runProgram } = await import('./program.ts');
process.exit(await runProgram());

export {};
