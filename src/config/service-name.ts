// What a service is called when nobody named it: after the program, or after the script an
// interpreter runs.

import { basename } from 'node:path';

const INTERPRETER = /^(?:python[\d.]*|node|nodejs|bun|deno|ruby|perl|php|bash|sh|tsx|ts-node|uv|poetry|npx|env)$/;
const SCRIPT = /\.(?:py|m?[jt]s|cjs|rb|pl|php|sh)$/;

/**
 * @example
 * serviceNameOf(['python', '-u', 'src/agent.py']) // 'agent'
 * serviceNameOf(['/usr/bin/nginx'])               // 'nginx'
 */
export function serviceNameOf(command: readonly string[]): string {
  const program = basename(command[0] ?? '');
  const script = INTERPRETER.test(program) ? command.slice(1).find((part) => SCRIPT.test(part)) : undefined;
  const name = basename(script ?? program).replace(SCRIPT, '');
  const clean = name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return clean.slice(0, 63) || 'service';
}
