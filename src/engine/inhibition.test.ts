import { describe, expect, it } from 'vitest';
import type { Incident } from '../core/incident.ts';
import { sampleIncident } from '../testing/samples.ts';
import { mayBeTheNetwork } from './inhibition.ts';

const said = (message: string, changes: Partial<Incident> = {}) =>
  sampleIncident({ type: 'api_error', message, facts: {}, ...changes });

describe('what a host that is cut off would explain', () => {
  it.each([
    "fatal: unable to access 'https://github.com/o/r/': Could not resolve host: github.com",
    'ssh: connect to host github.com port 22: Network is unreachable',
    "WARNING: Retrying: 'NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution'",
    'npm error request to https://registry.npmjs.org/x failed, reason: getaddrinfo EAI_AGAIN registry.npmjs.org',
    'anthropic.APIConnectionError: Connection error.',
    'TypeError: fetch failed: connect ENETUNREACH 1.2.3.4:443',
    'dial tcp: lookup api.example.org: no such host',
  ])('%s', (message) => {
    expect(mayBeTheNetwork(said(message, { type: 'git_error' }), [], 0)).toBe(true);
  });

  it.each([
    ['a missing module', said("ModuleNotFoundError: No module named 'yaml'", { type: 'import_error' })],
    ['an answer that came', said('Connection error: 503', { facts: { status: 503 } })],
    ['a peer on this host', said('connect ETIMEDOUT 127.0.0.1:6379', { facts: { host: '127.0.0.1', port: 6379 } })],
    ['a crash that nobody spoke before', said('exit code 1', { type: 'service_crash' })],
  ])('not %s', (_, incident) => {
    expect(mayBeTheNetwork(incident, [], incident.lastSeen)).toBe(false);
  });

  it('a crash of the service that has just spoken of it, and of no other one', () => {
    const crash = said('exit code 1', { id: '2', type: 'service_crash', service: 'agent', lastSeen: 50_000 });
    const spoken = said('Network is unreachable', { service: 'agent', lastSeen: 40_000 });
    expect(mayBeTheNetwork(crash, [spoken], 50_000)).toBe(true);
    expect(mayBeTheNetwork(crash, [{ ...spoken, service: 'other' }], 50_000)).toBe(false);
    expect(mayBeTheNetwork(crash, [spoken], 50_000 + 3_600_000)).toBe(false);
  });
});
