// The provider is overloaded: not our limit, not our fault, soon over.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'provider-overloaded',
  type: 'provider_overloaded',
  severity: 'medium',
  patterns: [
    { match: /overloaded_error/, confidence: 0.97, because: 'error type of the Anthropic API' },
    {
      match: /(?:Error code|status(?: code)?|HTTP(?:\/\d\.\d)?)["':= ]{1,4}(?<status>529)\b/i,
      confidence: 0.95,
      because: 'status 529',
    },
    {
      match: /model is (?:currently )?overloaded|experiencing high demand|engine is currently overloaded/i,
      confidence: 0.94,
      because: 'OpenAI and Google wording',
    },
  ],
  matches: [
    {
      text: '2026-01-05 10:00:00,123 ERROR [llm] {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] Error code: 529 - overloaded' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] The model is overloaded. Please try again later.' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] load 5.29' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: is it overloaded_error?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] overloaded methods: 3' },
  ],
});
