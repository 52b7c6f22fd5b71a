// A key or password is rejected. selfheal never makes or changes one; but it can see whether the service was given a
// real one at all.

import type { Probe, ServiceFacts } from '../host/contract.ts';
import { type Diagnosis, defineFix, refuse, type FixContext } from './contract.ts';

const PLACEHOLDER =
  /^\s*(?:export\s+)?([A-Za-z_]\w{0,80})\s*=\s*["']?(?:\$\{[^}\n]*\}|<[^>\n]*>|changeme|your[-_ ].*|xxx+)?["']?\s*$/gim;
const SECRET_NAME = /KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL/i;

export default defineFix({
  name: 'report-rejected-key',
  family: 'restore-config',
  title: 'Say which key may be missing',
  handles: ['auth_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 92,
  diagnose,
  drills: [
    {
      given: 'the key in the environment file is still a placeholder',
      world: async (kit) => {
        await kit.write('.env', 'ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}\nPORT=8080\n');
        kit.service({ envFile: `${kit.directory}/.env` });
      },
      facts: { status: 401, provider: 'anthropic' },
      type: 'auth_error',
      expect: 'refused',
    },
    {
      given: 'a key is there, and is rejected all the same',
      world: (kit) => kit.write('.env', 'ANTHROPIC_API_KEY=some-real-value\n'),
      facts: { status: 401 },
      type: 'auth_error',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const { provider = 'the other side', status } = incident.facts;
  const empty = await unfilled(probe, service);
  const hint = empty.length > 0 ? ` ${service.envFile} has no real value for ${empty.join(', ')}.` : '';
  return refuse(
    `${provider} rejects the key or password${status ? ` (${status})` : ''}.${hint} Put in a valid one; selfheal never makes or changes keys.`,
  );
}

/** Names, never values. */
async function unfilled(probe: Probe, service: ServiceFacts): Promise<readonly string[]> {
  const text = service.envFile === null ? null : await probe.files.text(service.envFile);
  const names = [...(text ?? '').matchAll(PLACEHOLDER)].map((match) => match[1] ?? '');
  return names.filter((name) => SECRET_NAME.test(name)).slice(0, 5);
}
