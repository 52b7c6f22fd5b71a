#!/usr/bin/env node
// argv → one operation → a printed answer. This file is loaded by whatever Node there is, so it only
// checks the version and hands over.

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`selfheal: Node.js 20.19 or newer is needed; this is ${process.versions.node}\n`);
  process.exit(2);
}

// What our dependencies should do otherwise is nothing that whoever runs selfheal could mend.
process.noDeprecation = true;
await rememberCompiled();
const { runProgram } = await import('./program.ts');
process.exit(await runProgram());

/**
 * From Node 22.8 on, compiled code is kept from one start to the next. In a folder that belongs to this user: the default is
 * below /tmp, where others could lay something ready for us.
 */
async function rememberCompiled(): Promise<void> {
  const module: object & { readonly enableCompileCache?: (folder: string) => unknown } = {
    ...(await import('node:module')),
  };
  const { HOME, XDG_CACHE_HOME, NODE_COMPILE_CACHE } = process.env;
  const base = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`);
  if (NODE_COMPILE_CACHE === undefined && base?.startsWith('/'))
    module.enableCompileCache?.(`${base}/selfheal/compiled`);
}

export {};
