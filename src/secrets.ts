// The exact secrets of this host: what stands in the services' .env files and in our own
// configuration. They are masked in every text, whatever form they have.

import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import type { Config } from './config/contract.ts';

const SECRET_NAME = /key|token|secret|passw|pwd|credential|auth|dsn|private/i;
/** Shorter values are ordinary words: masking them would only hide what people need. */
const SHORTEST = 8;

/** Values that must never be shown. Files that cannot be read are passed over. */
export async function collectSecrets(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const files = config.services.flatMap((s) => (s.envFile ? [s.envFile] : []));
  const fromFiles = await Promise.all(files.map(readVariables));
  const named = [...fromFiles, environment].flatMap((variables) =>
    Object.entries(variables).flatMap(([name, value]) => (value && SECRET_NAME.test(name) ? [value] : [])),
  );
  const own = [
    config.telegram?.token,
    config.webhook?.secret,
    ...(config.gateway?.upstreams.map((u) => u.apiKey) ?? []),
  ];
  const all = [...named, ...own.flatMap((secret) => (secret ? [secret.reveal()] : []))];
  return [...new Set(all.filter((value) => value.length >= SHORTEST && !value.startsWith('/')))];
}

async function readVariables(file: string): Promise<Readonly<Record<string, string | undefined>>> {
  try {
    return parseEnv(await readFile(file, 'utf8'));
  } catch {
    return {};
  }
}
