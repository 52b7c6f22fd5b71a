// The model provider refuses a call for what it asks, not for who asks or how often. Which model an agent uses, what a
// conversation may forget and when it stops trying are decisions of its owner; this says which of them is due.

import { type Diagnosis, defineFix, type FixContext, notApplicable, refuse } from './contract.ts';
import { claimOf } from './shared/claims.ts';

interface Kind {
  readonly match: RegExp;
  readonly advice: string;
  readonly next: readonly string[];
}

const KINDS: readonly Kind[] = [
  {
    match:
      /prompt is too long|maximum context length|context[_ ]length[_ ]exceeded|input is too long|exceeds? the context window/i,
    advice:
      'the conversation has outgrown the model: let the agent compact it, or begin a new session and keep the old transcript; it is never shortened by selfheal',
    next: ['ls -lhS sessions data/sessions | head', 'selfheal errors'],
  },
  {
    match: /All models failed|no healthy upstream|No endpoints found/i,
    advice:
      'every model that the agent may use has failed, and each try may cost: stop the agent until one answers, or give it another model',
    next: ['selfheal status', 'selfheal gateway env'],
  },
  {
    match:
      /model[`'"_: ]{1,3}\S{1,80} (?:was )?not found|model_not_found|not_found_error[\s\S]{0,80}model|does not exist or you do not have access|deprecated_model|model has been (?:deprecated|retired|removed)/i,
    advice:
      'the provider knows no such model: it is misspelt, retired, or (with a local server) not downloaded. Name one that it lists; selfheal neither changes a model nor downloads one',
    next: ['ollama list', 'selfheal gateway env'],
  },
];

export default defineFix({
  name: 'explain-refused-call',
  family: 'fallback-model',
  title: 'Say why a model call is refused',
  handles: ['api_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'suggest',
  order: 68,
  diagnose,
  drills: [
    {
      given: 'the conversation is longer than the model can read',
      world: (kit) => kit.write('a', ''),
      facts: { status: 400, provider: 'anthropic' },
      message: 'Error code: 400 - prompt is too long: 215000 tokens > 200000 maximum',
      type: 'api_error',
      expect: 'refused',
    },
    {
      given: 'the model was never downloaded',
      world: (kit) => kit.write('a', ''),
      facts: {},
      message: "model 'smollm2' not found",
      type: 'api_error',
      expect: 'refused',
    },
    {
      given: 'all fallbacks have failed',
      world: (kit) => kit.write('a', ''),
      facts: {},
      message: 'FallbackSummaryError: All models failed (5)',
      type: 'api_error',
      expect: 'refused',
    },
    {
      given: 'the provider has an error of its own',
      world: (kit) => kit.write('a', ''),
      facts: { status: 500 },
      message: 'Error code: 500 - internal server error',
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident }: FixContext): Promise<Diagnosis> {
  const kind = KINDS.find(({ match }) => match.test(claimOf(incident)));
  return kind ? refuse(kind.advice, kind.next) : notApplicable('the call was not refused for what it asks');
}
