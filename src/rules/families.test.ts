// The same fault in other languages and tools: what a rule must also know when it was written for one of them.

import { describe, expect, it } from 'vitest';
import type { ErrorType } from '../core/words.ts';
import { ErrorDetector } from '../engine/detector.ts';

const FAMILIES: Partial<Record<ErrorType, readonly string[]>> = {
  rate_limit: [
    "slack_sdk.errors.SlackApiError: The request failed.\nThe server responded with: {'ok': False, 'error': 'ratelimited'}",
    'Error: 429 status code (no body)',
  ],
  provider_overloaded: [
    'litellm.InternalServerError: AnthropicError - Overloaded',
    'SDKError: API error occurred: Status 503. Body: {"message":"Service tier capacity exceeded for this model."}',
    'HTTPError: 503 Server Error: Model too busy, unable to get response',
  ],
  auth_error: ["SlackApiError: The server responded with: {'ok': False, 'error': 'invalid_auth'}"],
  permission_error: [
    'Error: Os { code: 13, kind: PermissionDenied, message: "no" }',
    'DiscordAPIError[50013]: Missing Permissions',
    'PrivilegedIntentsRequired: Shard ID None is requesting privileged intents',
  ],
  import_error: [
    "pkg_resources.DistributionNotFound: The 'six' distribution was not found and is required by app",
    'go: example.com/x@v1.2.3: invalid version: unknown revision v1.2.3',
    'ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile"',
  ],
  git_error: ['remote: error: GH006: Protected branch update failed', 'error: failed to merge submodule lib'],
  config_error: [
    '"/etc/crontab":12: bad minute',
    'ssh: /root/.ssh/config: line 3: Bad configuration option: hostnam',
    "org.springframework.boot.context.properties.bind.BindException: Failed to bind properties under 'server.port'",
    'OpenAIError: The api_key client option must be set either by passing api_key to the client or by setting the OPENAI_API_KEY environment variable',
    "Unsupported config option for services.web: 'prots'",
    'proxy: error while building configuration: field not found, node: entrypoint',
  ],
  timeout: [
    'ERROR:  canceling statement due to statement timeout',
    'TaskCanceledException: The request was canceled due to the configured HttpClient.Timeout of 100 seconds elapsing.',
    'Error: Waiting failed: 30000ms exceeded',
  ],
  out_of_memory: ['kernel: Killed process 411 (java), oom_score_adj 0'],
  database_error: [
    '-DENIED Redis is running in protected mode',
    "UnexpectedResponse: 404 (Not Found) Collection `notes` doesn't exist!",
  ],
  syntax_error: ['ParseError: Unexpected token (3:12)', 'SyntaxError: Cannot use import statement outside a module'],
  service_crash: [
    '# A fatal error has been detected by the Java Runtime Environment:\n#\n#  SIGSEGV (0xb) at pc=0x00007f',
  ],
  api_error: [
    'DiscordAPIError[50035]: Invalid Form Body',
    'Faraday::ConnectionFailed: Failed to open TCP connection to api.example.com:443',
    'Post "https://api.example.com/v1": EOF',
    'gateway: Shard 0 WebSocket closed with 4000',
  ],
  unknown: ['Error: unexpected state 7'],
};

const INNOCENT = [
  'ulimit -n 65535',
  'def test_permission_denied(): ...',
  '2026-01-05 10:00:00 INFO the bad minute was left out of the average',
  '2026-01-05 10:00:00 INFO WebSocket closed with 1000',
  '# A heading about fatal errors',
];

const typesOf = (text: string): readonly ErrorType[] => new ErrorDetector().scanText(text).map(({ type }) => type);

describe('a fault in other words', () => {
  for (const [type, texts] of Object.entries(FAMILIES))
    it.each(texts)(`is a ${type}: %j`, (text) => {
      expect(typesOf(text)).toEqual([type]);
    });
});

it.each(INNOCENT)('says nothing of %j', (text) => {
  expect(typesOf(text)).toEqual([]);
});
