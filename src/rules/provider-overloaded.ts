// The provider is overloaded: not our limit, not our fault, soon over.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'provider-overloaded',
  type: 'provider_overloaded',
  severity: 'medium',
  patterns: [
    { match: /overloaded_error/, level: 'info', confidence: 0.97, because: 'error type of the Anthropic API' },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http(?:\/\d(?:\.\d)?)?)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>529)\b/i,
      words: ['\\b529\\b'],
      confidence: 0.95,
      because: 'status 529',
    },
    {
      match: /"HTTP\/\d(?:\.\d)? (?<status>529)[ "]|\b(?<status2>529)[ :,-]{1,3}(?:Site is )?Overloaded/i,
      words: ['\\b529\\b'],
      level: 'debug',
      confidence: 0.95,
      because: 'status line of 529',
    },
    {
      match:
        /\b(?:model|engine|server|service|provider|system|api|upstream)s? (?:\S{1,60} )?(?:is|are|was) (?:currently |temporarily |now )?(?:overloaded|over capacity|at (?:full )?capacity)|experiencing (?:high|heavy|unusually high|extremely high) (?:demand|load|traffic|volume)|currently overloaded|\b(?:is|are) currently (?:over|at) capacity|that model is currently|ServerOverloaded\w*|OverloadedError|server_overloaded|engine_overloaded|model_overloaded|ModelOverloaded\w*/i,
      level: 'info',
      confidence: 0.955,
      because: 'wording of model providers',
    },
    {
      match:
        /\b(?:no|insufficient|not enough|lacks?) (?:available )?capacity (?:for|to serve|available|on)\b|ModelNotReadyException|capacity_exceeded|Bedrock is unable to process your request/i,
      confidence: 0.9,
      because: 'wording of clouds that serve models',
    },
    {
      on: 'exception',
      match: /(?:ServiceUnavailable|ServerError|UNAVAILABLE)[^\n]{0,40}\b503\b[^\n]{0,40}(?:UNAVAILABLE|model)/,
      confidence: 0.93,
      because: 'a model of the Google APIs answers 503 UNAVAILABLE',
    },
    { match: /: Overloaded(?:\.|$)|^Overloaded$/, confidence: 0.93, because: 'message of the Anthropic API' },
    {
      match:
        /(?:Error|Exception) ?[-:] ?["']?Overloaded\b|\bmodel (?:is )?overloaded\b|ModelNotReadyException|ModelStreamErrorException/,
      confidence: 0.965,
      because: 'LiteLLM and Bedrock pass on what the provider says; from documentation',
    },
    {
      match:
        /(?:[Tt]ier|[Mm]odel|[Ss]ervice) capacity exceeded|capacity exceeded for this model|\b[Mm]odel (?:is )?too busy/,
      confidence: 0.955,
      because: 'Mistral and Hugging Face; from documentation',
    },
  ],
  matches: [
    {
      text: '2026-01-05 10:00:00,123 ERROR [llm] {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] Error code: 529 - overloaded', facts: { status: 529 } },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] The model is overloaded. Please try again later.' },
    { text: '2026-01-05 10:00:00,123 WARNING [llm] The engine is currently overloaded, please retry' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] groq: this service is over capacity, try later' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] load 5.29' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: is it "overloaded_error"?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] overloaded methods: 3' },
  ],
});
